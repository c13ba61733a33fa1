# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The cache of decoded connection IDs never changes where a packet goes, whatever was applied or
asked before; and each CPU leaves it alone while it brings nothing.
"""

from __future__ import annotations

import itertools
import random
from typing import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hwtests.cached import POOLS, SHAPES, Cached, File, layout
from hwtests.conftest import HostTier
from hwtests.lab import Bed
from hwtests.lab.waiting import Deadline
from hwtests.oracle.corpus import long, short

every_shape = pytest.mark.parametrize("number", range(len(SHAPES)))
REST = bytes(20)  #: with octets behind it, every CID is long enough to be asked for


@pytest.fixture
def cached(network: Bed, tier: HostTier) -> Iterator[Cached]:
    """Freshly attached, with one page of the cache."""
    with Cached.attached(network, tier, File()) as up:
        yield up


def flipped(dcid: bytes, at: int, bit: int) -> bytes:
    """Another CID, by one bit."""
    return dcid[:at] + bytes([dcid[at] ^ 1 << bit]) + dcid[at + 1:]


def same_set(cached: Cached, pool: str, number: int, count: int) -> list[bytes]:
    """CIDs of different servers that have one set between them: of one page it is the second octet
    behind the first."""
    sets: dict[int, dict[int, bytes]] = {}
    for server in itertools.cycle((1, 2, 3, 4)):
        dcid = cached.dcid(pool, number, server)
        found = sets.setdefault(dcid[2], {})
        found[server] = dcid
        if len(found) == count:
            return list(found.values())
    raise AssertionError


# One CID.


@every_shape
def test_same_cid_is_found(cached: Cached, number: int) -> None:
    """Whatever lies around it: another header, octets behind it, octets behind the datagram."""
    dcid = cached.dcid("a", number, 3)
    frames = [cached.frame("a", short(dcid, 0) + REST),
              cached.frame("a", short(dcid, 0) + random.randbytes(30)),
              cached.frame("a", short(dcid, 0, first=0x7f) + b"\xff" * 20),
              cached.frame("a", long(dcid)), cached.frame("a", long(dcid + b"\xaa", version=2)),
              cached.frame("a", short(dcid, 0), behind=b"\x55" * 20)]
    assert all(cached.expected(frame)[1:] == ("cid", "s3") for frame in frames)
    assert cached.asked(frames) == (len(frames) - 1, 1)


@every_shape
def test_other_cids_are_not_found(cached: Cached, number: int) -> None:
    """One bit of it, wherever it is, makes another one, even where that is the same server's."""
    dcid = cached.dcid("a", number, 2)
    others = [flipped(dcid, at, random.randrange(5 if not at else 8)) for at in range(len(dcid))]
    frames = [cached.frame("a", short(one, 0) + REST) for one in [dcid, *others]]
    assert cached.expected(frames[1]) == cached.expected(frames[0])
    assert cached.asked(frames) == (0, len(frames))


@every_shape
def test_short_packets_are_routed_without(cached: Cached, number: int) -> None:
    """Twenty octets of the CID are compared at once: where there are fewer, nobody asks."""
    dcid = cached.dcid("a", number, 4)
    whole, ends = cached.frame("a", short(dcid, 0) + REST), cached.frame("a", short(dcid, 0))
    assert cached.right(ends) == "cid"
    asks = len(dcid) >= 20
    assert cached.asked([whole, ends, whole, ends]) == ((3, 1) if asks else (1, 1))
    before = cached.program.state().asked
    for left in range(len(dcid)):
        cached.right(cached.frame("a", short(dcid[:left], 0)))
    assert cached.program.state().asked == before


def test_what_names_no_server_is_not_kept(cached: Cached) -> None:
    dcid = cached.dcid("a", 1, 77)
    frame = cached.frame("a", short(dcid, 0) + REST)
    assert cached.asked([frame] * 3) == (0, 3)
    assert cached.expected(frame).reason == "hash_unknown_server_id"
    assert cached.program.kept() == 0


# Several.


def test_set_of_two_and_a_third(cached: Cached) -> None:
    one, two, three = (cached.frame("a", short(dcid, 0) + REST)
                       for dcid in same_set(cached, "a", 1, 3))
    assert len({cached.expected(frame).server for frame in (one, two, three)}) == 3
    assert cached.asked([one, two, one, two]) == (2, 2)
    assert cached.program.kept() == 2
    assert cached.asked([one, two, three, three]) == (1, 3)
    assert cached.program.kept() == 2
    assert sum(cached.asked([random.choice((one, two, three)) for _ in range(30)])) == 30


def test_pools_do_not_take_each_others(cached: Cached) -> None:
    """One config id, two keys: a CID that is good under both, for two servers."""
    keys = {pool: layout(pool, 0) for pool in POOLS}
    for low, nonce in itertools.product(range(32), range(1 << 16)):
        dcid = keys["a"].encode(b"\1", nonce.to_bytes(4, "big"), low=low)
        if (keys["b"].decode(dcid) or b"")[0] in (2, 3, 4):
            break
    frames = [cached.frame(pool, short(dcid, 0) + REST) for pool in POOLS]
    assert [cached.expected(frame).reason for frame in frames] == ["cid", "cid"]
    assert cached.expected(frames[0]).server != cached.expected(frames[1]).server
    assert cached.asked(frames * 3) == (4, 2)


@every_shape
def test_tenants_cid_is_none_in_the_other_pool(cached: Cached, number: int) -> None:
    dcid = cached.dcid("a", number, 1)
    ours, theirs = (cached.frame(pool, short(dcid, 0) + REST) for pool in POOLS)
    assert cached.asked([ours, theirs, ours, theirs])[0] == (
        2 if cached.expected(theirs).reason == "cid" else 1)


# After an apply.


@pytest.mark.parametrize("after", [
    pytest.param(File(ids={"a": [2, 1, 4, 3]}), id="ids-change-places"),
    pytest.param(File(ids={"a": [0, 2, 3, 4]}), id="id-is-nobodys"),
    pytest.param(File(ids={"a": [4, 3, 2, 0]}), id="id-of-the-last"),
    pytest.param(File(keys={("a", 1): 1}), id="another-key"),
    pytest.param(File(drained={("a", 0)}), id="drained"),
    pytest.param(File(ids={"b": [2, 1, 4, 3]}), id="another-pools"),
])
def test_next_packet_goes_by_the_new_file(cached: Cached, after: File) -> None:
    """And the one after the way back by the old one again."""
    before = cached.file
    frame = cached.frame("a", short(cached.dcid("a", 1, 1), 0) + REST)
    old = cached.expected(frame)
    assert cached.asked([frame, frame]) == (1, 1)
    for file in (after, before, after):
        cached.apply(file)
        assert cached.asked([frame], empty=False) == (0, 1)
        if cached.expected(frame).reason == "cid":
            assert cached.asked([frame], empty=False) == (1, 0)
    moved = cached.expected(frame) != old
    assert moved == bool(after.ids.get("a") or after.keys)


def test_drained_server_keeps_its_connections(cached: Cached) -> None:
    cached.apply(File(drained={("a", place) for place in range(3)}))
    frames = [cached.frame("a", short(cached.dcid("a", 2, server), 0) + REST)
              for server in (1, 2, 3)]
    assert [cached.expected(frame)[1:] for frame in frames] == [
        ("cid", f"s{server}") for server in (1, 2, 3)]
    assert cached.asked(frames * 2) == (3, 3)


def test_none_is_asked_where_none_is_wished(cached: Cached) -> None:
    """By an apply, too, and again after another one: with nothing from before."""
    frame = cached.frame("a", short(cached.dcid("a", 3, 2), 0) + REST)
    assert cached.asked([frame, frame]) == (1, 1)
    cached.apply(File(cached_cids=0))
    before = cached.program.state()
    assert [cached.right(frame) for _ in range(10)] == ["cid"] * 10
    assert cached.program.state() == before
    cached.apply(File())
    assert cached.asked([frame, frame], empty=False) == (1, 1)


def test_attached_without_it(network: Bed, tier: HostTier) -> None:
    with Cached.attached(network, tier, File(cached_cids=0)) as cached:
        frame = cached.frame("a", short(cached.dcid("a", 1, 2), 0) + REST)
        assert [cached.right(frame) for _ in range(10)] == ["cid"] * 10
        assert not any(cached.program.state()) and not cached.program.kept()


# When it does not pay.


def flood(cached: Cached, deadline: Deadline) -> None:
    """Made-up CIDs until this CPU rests."""
    while not cached.program.state().rests:
        assert not deadline.passed(), "asks for nothing for ever"
        for _ in range(50):
            dcid = b"\x35" + random.randbytes(9)
            cached.right(cached.frame("a", short(dcid, 0) + REST))


def test_flood_makes_it_rest_and_it_tries_again(cached: Cached) -> None:
    frame = cached.frame("a", short(cached.dcid("a", 1, 3), 0) + REST)
    deadline, rested = Deadline(60), 0
    while not rested:
        flood(cached, deadline)
        before = cached.program.state()
        while cached.program.state().rests:
            assert not deadline.passed(), "rests for ever"
            assert cached.right(frame) == "cid"
            now = cached.program.state()
            rested += now.rests
            assert not now.rests or now.asked == before.asked
    # What comes in trains is worth asking for: now it goes on, past the next try.
    state = now = cached.program.state()
    while now.rests or now.window <= state.window + 16 or now.asked[0] == state.asked[0]:
        assert not deadline.passed(), now
        assert cached.right(frame) == "cid"
        now = cached.program.state()


# At random.

PACKET = st.tuples(st.sampled_from(POOLS), st.integers(0, 23), st.booleans())
FILE = st.builds(
    File,
    keys=st.dictionaries(st.tuples(st.sampled_from(POOLS), st.integers(0, 3)), st.integers(0, 1)),
    ids=st.dictionaries(st.sampled_from(POOLS), st.permutations([1, 2, 3, 0, 4]).map(
        lambda ids: ids[:4])),
    drained=st.sets(st.tuples(st.sampled_from(POOLS), st.integers(0, 2))),
    cached_cids=st.sampled_from([0, 512, 512, 512, 8192]))
#: What is applied, and what comes before the next, again and again.
STEP = st.tuples(FILE, st.lists(PACKET, min_size=3, max_size=12))


def some_cids(rng: random.Random) -> list[bytes]:
    """Of both pools and versions of the keys, few servers, and close together: many share their
    set, and those of the shortest shape differ in little more."""
    found = []
    for pool, version, number in itertools.product(POOLS, (0, 1), (0, 1)):
        cid = layout(pool, number, version)
        for server in (1, 2, 3):
            while True:
                dcid = cid.encode(server.to_bytes(cid.server_id_length, "big"),
                                  rng.randbytes(cid.nonce_length))
                if dcid[2] % 64 == 5:
                    break
            found.append(dcid)
    return found


def test_oracle_agrees_at_random(cached: Cached) -> None:
    """Packets and applies in any order, on a CPU that asks always."""
    cids, asked = some_cids(random.Random(1)), [0, 0]

    # Not shrunk: each step that is tried again is an apply.
    @settings(max_examples=20, deadline=None, database=None, print_blob=True,
              phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(st.lists(STEP, min_size=2, max_size=6))
    def check(steps: list[tuple[File, list[tuple[str, int, bool]]]]) -> None:
        cached.program.begin()
        for file, packets in steps:
            cached.apply(file)
            for pool, number, is_long in packets * 3:
                cached.program.begin(empty=False)
                payload = long(cids[number]) if is_long else short(cids[number])
                cached.right(cached.frame(pool, payload))
                for place, count in enumerate(cached.program.state().asked):
                    asked[place] += count

    check()
    assert min(asked) > 25, asked
