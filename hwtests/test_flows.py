# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Flows without a routable connection ID, through the real objects of both host tiers: they stay at
their server, a flood takes nothing from them, and routable ones are none of it."""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import dataclass, replace
from typing import Any, Iterator

import pytest

from hwtests.lab.bed import built
from hwtests.oracle.corpus import ether, ip4, ip6, short, udp
from hwtests.oracle.flows import Flows, Tracking
from hwtests.oracle.model import Decision, Model
from hwtests.oracle.tracked import TrackedTier

Config = dict[str, Any]
TUPLE, SCID, DCID = 1, 2, 3
#: Ticks of a wait that with others makes none of the limits: some go by while the test runs.
ODD = (1 << 20) + 99_991
VIP4, VIP6, OTHER4 = "203.0.113.80", "2001:db8:80::80", "203.0.113.81"
#: Unroutable, for no config has the id 7; and routable, the second one to s3.
UNROUTABLE = 0xe0


def config(*gone: str) -> Config:
    """Four servers, of which some get nothing new."""
    servers: list[Config] = [
        {"name": f"s{i}", "address": f"198.51.100.{i}", "mode": "ipip",
         "server_ids": [{"config": 0, "id": f"{i:02x}"}],
         "state": "drain" if f"s{i}" in gone else "up"} for i in range(1, 5)]
    return {
        "version": 1,
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 6}],
        "fallback": {"rows": 64},
        "pools": [{"name": "web", "servers": servers}],
        "vips": [{"name": "web4", "address": VIP4, "port": 443, "pool": "web"},
                 {"name": "web6", "address": VIP6, "port": 443, "pool": "web"},
                 {"name": "other4", "address": OTHER4, "port": 443, "pool": "web"}],
    }


def cid(number: int, length: int = 12) -> bytes:
    """An unroutable connection ID like no other."""
    return bytes([UNROUTABLE]) + random.Random(number).randbytes(length - 1)


def routable(server: int) -> bytes:
    """A connection ID of the server's."""
    return bytes([0x07, server]) + b"nonce!"


def initial(dcid: bytes, scid: bytes) -> bytes:
    """A long header."""
    return (b"\xc3\0\0\0\x01" + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
            + b"\xee" * 30)


def frame(payload: bytes, client: int = 1, port: int = 40000, vip: str = VIP4) -> bytes:
    """From one of many clients."""
    if ":" in vip:
        header = ip6(vip, src=f"2001:db8:77::{client:x}")
    else:
        header = ip4(vip, src=f"192.0.{client >> 8}.{client & 255}")
    return bytes(ether() / header / udp(payload, port))


@dataclass
class Pair:
    """A tier and what it must do."""

    tier: TrackedTier
    flows: Flows

    def __call__(self, octets: bytes) -> Decision:
        """Both agree on where a frame goes, and how it leaves."""
        wanted, got = self.flows.route(octets), self.tier.route(octets)
        assert ((got.verdict, got.reason, got.server, got.vip)
                == (wanted.verdict, wanted.reason, wanted.server, wanted.vip))
        return got

    def server(self, octets: bytes, reason: str) -> str:
        """Where it went, for this reason."""
        decision = self(octets)
        assert decision.reason == reason
        assert decision.server is not None
        return decision.server

    def apply(self, model: Model | None = None, **tracking: int | None) -> None:
        """Another pool, or other limits."""
        self.flows.model = model or self.flows.model
        self.flows.tracking = replace(self.flows.tracking, **tracking)
        self.tier.follow(self.flows.model, self.flows.tracking)

    def wait(self, ticks: int) -> None:
        """Time passes."""
        self.flows.now += ticks
        self.tier.pass_time(ticks)

    def agree(self) -> None:
        """On what is remembered, too."""
        assert self.tier.flow_counts() == dict(self.flows.counts)
        assert len(self.tier.kinds()) == len(self.flows.table)


@pytest.fixture(params=["driver", "generic"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """On one CPU, for budgets are a CPU's."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    model, tracking = Model(config()), Tracking()
    tier = TrackedTier(built(f"bpf/{request.param}.bpf.o"), model, tracking)
    try:
        yield Pair(tier, Flows(model, tracking))
    finally:
        tier.close()
        os.sched_setaffinity(0, cpus)


def without(server: str) -> Model:
    """The pool when a server has left its table."""
    return Model(config(server))


@pytest.mark.parametrize("vip", [VIP4, VIP6])
def test_a_flow_stays_when_the_pool_changes(pair: Pair, vip: str) -> None:
    """In mid-handshake: the client's second datagram, and the server's own CID behind it."""
    client, scid = initial(cid(1, 8), b"scid-1"), b"scid-1"
    home = pair.server(frame(client, vip=vip), "hash_reserved_config")
    pair.apply(without(home))
    assert pair.server(frame(client, vip=vip), "flow") == home
    assert pair.server(frame(initial(cid(2), scid), vip=vip), "flow") == home
    assert pair.server(frame(short(cid(2)), vip=vip), "flow") == home
    assert pair.server(frame(client, vip=vip, port=40001), "hash_reserved_config") != home
    pair.agree()


def test_a_rebinding_is_found_by_connection_id(pair: Pair) -> None:
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(2), b"scid-1")))
    pair.apply(without(home))
    assert pair.server(frame(short(cid(2)), 2, 50000), "flow_cid") == home
    # And where it comes from now is known, whatever its next connection ID is.
    assert pair.server(frame(short(cid(2)), 2, 50000), "flow") == home
    assert pair.server(frame(short(cid(3)), 2, 50000), "flow") == home
    assert pair.server(frame(short(cid(3)), 3, 50001), "flow_cid") == home
    pair.agree()


def test_the_clients_own_connection_id_leads_nowhere(pair: Pair) -> None:
    """The one of its first packets: for another client it may stand for another server."""
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(1), b"scid-1")))
    assert DCID not in pair.tier.kinds()
    pair.apply(without(home))
    assert pair.server(frame(short(cid(1)), 2), "hash_reserved_config") != home


def test_short_connection_ids_are_not_taken_for_long_ones(pair: Pair) -> None:
    """A server whose IDs have four octets: what follows differs in each packet."""
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(2, 4), b"scid-1")))
    pair.apply(without(home))
    for n in range(5):
        assert pair.server(frame(short(cid(2, 4) + bytes([n]) * 20)), "flow") == home
    assert pair.tier.kinds() == [TUPLE]
    pair.agree()


def test_two_connections_of_one_tuple(pair: Pair) -> None:
    """The second one comes when the first one's server gets nothing new."""
    first = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(2), b"scid-1")))
    pair.apply(without(first))
    second = pair.server(frame(initial(cid(11), b"scid-2")), "hash_reserved_config")
    assert second != first
    assert pair.server(frame(initial(cid(12), b"scid-2")), "flow") == second
    for _ in range(3):
        assert pair.server(frame(short(cid(2))), "flow") == first
        assert pair.server(frame(short(cid(12))), "flow_cid") == second
        assert pair.server(frame(initial(cid(2), b"scid-1")), "flow") == first
    assert pair.tier.kinds() == [TUPLE, SCID, DCID, DCID]
    pair.agree()


@pytest.mark.parametrize("established", [False, True])
def test_idle_flows_are_decided_anew(pair: Pair, established: bool) -> None:
    tracking = pair.flows.tracking
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    if established:
        pair(frame(short(cid(1))))
    pair.apply(without(home))
    pair.wait(tracking.handshake + (1 << 20))
    if established:
        assert pair.server(frame(short(cid(1))), "flow") == home
        pair.wait(tracking.idle + (1 << 20))
    assert pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config") != home
    assert pair.tier.flow_counts()["expired"] == 1
    pair.agree()


def test_what_goes_on_does_not_expire(pair: Pair) -> None:
    """Neither the tuple nor the connection ID, which only the tuple's packets speak of."""
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(2), b"scid-1")))
    pair.apply(without(home))
    for _ in range(8):
        assert pair.server(frame(short(cid(2))), "flow") == home
        pair.wait(pair.flows.tracking.idle // 2)
    assert pair.server(frame(short(cid(2)), 2), "flow_cid") == home
    pair.agree()


def test_a_flow_whose_slot_is_gone_has_one_again(pair: Pair) -> None:
    """Another CPU may have taken it. What is added then is there already, and found again."""
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair.apply(without(home))
    for key, value in pair.tier.program.items("flow_recent_map").items():
        pair.tier.program.update("flow_recent_map", key, bytes(len(value)))
    assert pair.server(frame(initial(cid(1), b"scid-1")), "flow") == home
    pair.apply(without(home), budget=1)
    assert pair.server(frame(initial(cid(1), b"scid-1")), "flow") == home
    pair.agree()


def test_budget_share_and_room(pair: Pair) -> None:
    pair(frame(short(cid(0))))
    pair.apply(budget=20, share=10)
    for n in range(1, 16):
        pair(frame(short(cid(n)), n + 1))
    assert pair.tier.flow_counts() == {"added": 10, "over_share": 6}
    for n in range(1, 16):
        pair(frame(short(cid(n)), n + 1, vip=OTHER4))
    assert pair.tier.flow_counts() == {"added": 20, "over_share": 6, "over_budget": 5}
    pair.wait(pair.flows.tracking.second)
    pair.apply(room=4)
    for n in range(20, 30):
        pair(frame(short(cid(n)), n))
    assert pair.tier.flow_counts() == {"added": 24, "over_share": 6, "over_budget": 5, "full": 6}
    pair.agree()


def test_no_flows(pair: Pair) -> None:
    """limits.flows: 0."""
    pair.tier.forget()
    for _ in range(3):
        assert pair.tier.route(frame(short(cid(1)))).reason == "hash_reserved_config"
    assert not pair.tier.flows() and not pair.tier.flow_counts()


def _spoofed(octets: bytes) -> Iterator[bytes]:
    """The frame from anywhere."""
    rng, template = random.Random(5), bytearray(octets)
    while True:
        template[26:30] = rng.randbytes(4)
        template[34:36] = rng.randbytes(2)
        yield bytes(template)


def test_a_flood_takes_nothing_from_flows(pair: Pair) -> None:
    """A hundred thousand new ones, more than the map holds, beside fifty that talk now and then."""
    talking = [(frame(initial(cid(n), b"scid%d" % n), n), frame(short(cid(n)), n))
               for n in range(1, 51)]
    homes = [pair(first).server for first, _ in talking]
    for _, later in talking:
        pair(later)
    pair.apply(budget=1000)
    flood = _spoofed(frame(initial(cid(99), b"scid-f")))
    for _ in range(50):
        pair.tier.flood(itertools.islice(flood, 2000))
        for home, (_, later) in zip(homes, talking):
            decision = pair.tier.route(later)
            assert (decision.reason, decision.server) == ("flow", home)
    counts = pair.tier.flow_counts()
    assert counts["over_budget"] > 98_000 and counts["added"] <= 1000


def test_routable_ones_are_none_of_it(pair: Pair) -> None:
    """Neither asked for nor remembered; and nothing that is remembered leads them elsewhere."""
    for n in range(50):
        assert pair.server(frame(short(routable(3)), n + 1), "cid") == "s3"
        assert pair.server(frame(initial(routable(3), b"scid"), n + 1), "cid") == "s3"
    assert not pair.tier.flows() and not pair.tier.flow_counts()
    # Somebody sends from all these addresses what is not routable, and as much as they like.
    for n in range(50):
        for k in range(4):
            pair(frame(initial(cid(100 * n + k), b"scid"), n + 1))
            pair(frame(short(cid(100 * n + k)), n + 1))
    before = pair.tier.flows()
    assert before
    for n in range(50):
        assert pair.server(frame(short(routable(3)), n + 1), "cid") == "s3"
        assert pair.server(frame(initial(routable(3), b"scid"), n + 1), "cid") == "s3"
    assert pair.tier.flows() == before
    pair.agree()


def test_nobody_takes_a_connection_id_over(pair: Pair) -> None:
    """An entry that lives stays its server's, whoever sends with it from a flow elsewhere."""
    model = pair.flows.model
    home = pair.server(frame(initial(cid(1), b"scid-1")), "hash_reserved_config")
    pair(frame(initial(cid(2), b"scid-1")))
    thief = next(n for n in range(2, 99)
                 if model.route(frame(initial(cid(5), b"thief"), n)).server != home)
    pair(frame(initial(cid(5), b"thief"), thief))
    pair(frame(initial(cid(2), b"thief"), thief))
    pair.apply(without(home))
    assert pair.server(frame(short(cid(2)), 200), "flow_cid") == home
    pair.agree()


def _anything(rng: random.Random) -> bytes:
    """Few clients and few connection IDs, so that they meet."""
    number = rng.randrange(8)
    dcid = rng.choice([cid(number), cid(number, 4), cid(number, 8), routable(rng.randrange(1, 6))])
    payload = rng.choice([
        short(dcid), short(dcid, 3), initial(dcid, b"scid%d" % rng.randrange(3)),
        initial(dcid, b"a-scid-of-20-octets" + bytes([rng.randrange(3)])), initial(dcid, b""),
        initial(b"", b"scid"), b"\xc0", b"", b"\x40" + bytes(19), b"\xc0\0\0\0\1" + b"\xff" * 40])
    return frame(payload, rng.randrange(1, 4), rng.choice((40000, 40001)),
                 rng.choice((VIP4, VIP6, OTHER4)))


@pytest.mark.parametrize("seed", range(6))
def test_at_random(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    models = [Model(config()), *(without(f"s{n}") for n in range(1, 5))]
    for _ in range(1500):
        chance = rng.random()
        if chance < .02:
            pair.apply(rng.choice(models))
        elif chance < .04:
            tracking = pair.flows.tracking
            pair.wait(rng.choice((tracking.handshake // 4, tracking.handshake,
                                  tracking.idle // 2, tracking.idle)) + ODD)
        elif chance < .045:
            pair.apply(budget=rng.choice((0, 3, 1 << 30)), share=rng.choice((1, 1 << 30)))
        else:
            pair(_anything(rng))
    pair.agree()
    assert {TUPLE, SCID} <= set(pair.tier.kinds())
    assert {"added", "cid_added", "expired"} <= pair.tier.flow_counts().keys()
