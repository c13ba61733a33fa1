# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The oracle's corpus between two real ports: their link addresses, frames that a wire carries, and
servers that the NIC's own kernel knows the way to.
"""

from __future__ import annotations

import copy
import functools
import socket
from dataclasses import dataclass
from typing import Any, Iterator

from hwtests.oracle import Decision, Model
from hwtests.oracle.corpus import (Case, Config, Scenario, cid, ether, ip4, ip6, long,
                                   main_config, main_scenario, pair_scenarios, short, udp)
from hwtests.oracle.keyed import KEYED_PAIRS, keyed_scenarios
from hwtests.oracle.quic_lb import LEGAL_PAIRS

SOURCE4, SOURCE6 = "192.0.2.10", "2001:db8::10"
SHORTEST, LONGEST, TAG = 60, 1514, 4
#: Room for every scenario, so that none needs other maps; what comes must not depend on what came.
LIMITS = {"servers": 64, "server_ids": 1024, "vips": 64, "pools": 32, "flows": 0}
ROWS = 256
#: Frames that a NIC may take for itself or drop for its own reasons, whatever XDP does.
OTHERS_BUSINESS = {"link/802.3", "link/lldp"}


def server_mac(address: str) -> bytes:
    """A server's link address: of nobody, and another one for each."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return b"\x02\x4e" + socket.inet_pton(family, address)[-4:]


@dataclass(frozen=True)
class Ends:
    """The link addresses of NIC and PEER, and the NIC's MTU."""

    nic: bytes
    peer: bytes
    mtu: int

    def to_nic(self, frame: bytes) -> bytes:
        """As PEER sends it: no shorter than Ethernet allows."""
        return (self.nic + self.peer + frame[12:]).ljust(SHORTEST, b"\0")

    def from_nic(self, frame: bytes, server: str) -> bytes:
        """As it must come back, for the server's address."""
        return server_mac(server) + self.nic + frame[12:]

    def fits(self, frame: bytes) -> bool:
        """Whether it may be on the wire, tags apart."""
        tags = 0
        while frame[12 + TAG * tags:14 + TAG * tags] in (b"\x81\x00", b"\x88\xa8") and tags < 3:
            tags += 1
        return len(frame) <= min(self.mtu + 14, LONGEST) + TAG * tags


@dataclass(frozen=True)
class Sent:
    """A frame as it is sent, what must become of it, and as what it must come back."""

    case: Case
    decision: Decision
    back: bytes | None


def on_wire(config: Config) -> Config:
    """The configuration with what all share: sources, sizes."""
    told = copy.deepcopy(config)
    told["forwarding"] = {"source_v4": SOURCE4, "source_v6": SOURCE6,
                          **(told.get("forwarding") or {})}
    told["fallback"] = {"rows": ROWS}
    told["limits"] = LIMITS
    return told


@dataclass(frozen=True)
class Play:
    """A configuration and the frames that meet it."""

    name: str
    config: Config
    cases: tuple[Case, ...]

    def judged(self, ends: Ends, card: bool) -> tuple[list[Sent], list[str]]:
        """What is sent, and the names of frames left out because they are too long for the link."""
        model, sent, left = Model(self.config), [], []
        addresses = {(pool["name"], server["name"]): server["address"]
                     for pool in self.config["pools"] for server in pool["servers"]}
        for case in self.cases:
            frame = ends.to_nic(case.frame)
            decision = model.route(frame, card=card)
            out = decision.out_frame
            if case.name in OTHERS_BUSINESS or not ends.fits(frame) or (
                    out is not None and not ends.fits(out)):
                left.append(case.name)
                continue
            back = None
            if out is not None and decision.pool is not None and decision.server is not None:
                back = ends.from_nic(out, addresses[decision.pool, decision.server])
            sent.append(Sent(Case(case.name, case.about, frame), decision, back))
        return sent, left


#: What the main scenario is made of.
GROUPS = ("cid", "ecn", "flight", "flow-label", "ipv4", "ipv6", "link", "long", "noise", "short",
          "truncated", "udp", "vip")
#: Scenarios that hold all 120 pairs of lengths between them.
CLEAR = tuple(f"pairs-{number}" for number in range(-(-len(LEGAL_PAIRS) // 7)))
#: Scenarios of encrypted connection IDs, 21 pairs of lengths, and tenants.
KEYED = (*(f"keyed-{number}" for number in range(len(KEYED_PAIRS))), "tenants")


@functools.cache
def _main() -> Scenario:
    made = main_scenario()
    assert {case.name.split("/")[0] for case in made.cases} == set(GROUPS)
    return made


class _Made:
    """Scenarios that are made when they are asked for, which takes long."""

    def __init__(self, scenarios: Iterator[Scenario]) -> None:
        self._more = scenarios
        self._made: dict[str, Scenario] = {}

    def __getitem__(self, name: str) -> Scenario:
        while name not in self._made:
            scenario = next(self._more)
            self._made[scenario.name] = scenario
        return self._made[name]


_clear, _keyed = _Made(pair_scenarios()), _Made(keyed_scenarios(cut=False))


def group(name: str) -> Play:
    """A part of the main scenario."""
    return Play(name, on_wire(main_config()), tuple(
        case for case in _main().cases if case.name.split("/")[0] == name))


def clear(name: str) -> Play:
    """One of CLEAR."""
    scenario = _clear[name]
    return Play(name, on_wire(scenario.config), tuple(scenario.cases))


def keyed(name: str, most: int = 1000) -> Play:
    """One of KEYED, thinned out evenly to so many frames or a few more."""
    scenario = _keyed[name]
    step = max(1, len(scenario.cases) // most)
    return Play(name, on_wire(scenario.config), tuple(scenario.cases[::step]))


# For changes under way.

FIRST, SECOND = "198.51.100.1", "198.51.100.3"


def pair_config(**changes: dict[str, Any]) -> Config:
    """Two servers with one id each; changes: what differs in one of them, by name."""
    both = [{"name": "first", "address": FIRST, "server_ids": [{"config": 0, "id": "01"}]},
            {"name": "second", "address": SECOND, "server_ids": [{"config": 0, "id": "02"}]}]
    return on_wire({
        "version": 1,
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 4}],
        "pools": [{"name": "web", "servers": [
            {**server, **changes.get(str(server["name"]), {})} for server in both]}],
        "vips": [{"name": "www", "address": "203.0.113.80", "port": 443, "pool": "web"},
                 {"name": "www6", "address": "2001:db8:80::80", "port": 443, "pool": "web"}],
    })


def numbered(ends: Ends) -> tuple[bytes, int]:
    """A frame of the first server's connection, and where a number may stand in it."""
    payload = short(cid(0, "01", 4), 20)
    frame = ends.to_nic(bytes(ether() / ip4() / udp(payload, chksum=0)))
    return frame, len(frame) - 20


def new_flows(ends: Ends, n: int) -> Iterator[bytes]:
    """First packets of so many connections."""
    for number in range(n):
        header = ip6() if number % 2 else ip4()
        yield ends.to_nic(bytes(ether() / header / udp(long(b"\xff" * 8), sport=20000 + number)))


def known(ends: Ends, octet: str, n: int) -> Iterator[bytes]:
    """Packets of a server's connections."""
    for number in range(n):
        header = ip6() if number % 2 else ip4()
        yield ends.to_nic(bytes(ether() / header / udp(short(cid(0, octet, 4)),
                                                       sport=30000 + number)))


def full(ends: Ends) -> Play:
    """Frames that fill the link to the last octet once they have their outer header."""
    room = min(ends.mtu, LONGEST - 14)
    cases = []
    for octet, outer in (("01", 20), ("02", 40)):
        for family, header, inner in (("v4", ip4(), 28), ("v6", ip6(), 48)):
            size = room - outer - inner - 6
            cases.append(Case(f"full/{octet}-{family}", "as long as the link allows", bytes(
                ether() / header / udp(short(cid(0, octet, 4), size - 1)))))
    return Play("full", on_wire(main_config()), tuple(cases))
