# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a host tier leaves for user space to promote: encrypted connection IDs that it routed by.
What becomes of them is tried on the stand-in card (vm/guest/nfp/test_nfp_known.py).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Iterator

import pytest

from hwtests.conftest import HostTier
from hwtests.lab import Bed
from hwtests.stage import MARK, NEW, OLD, SIDE, Stage, Volley

SAMPLE = struct.Struct("<III20s")  #: lb_cid_sample: config, tag, tick, CID
SLOTS = 1024


@dataclass(frozen=True)
class Sample:
    """One, and where it lay."""

    slot: int
    config: int
    tag: int
    tick: int
    cid: bytes


@pytest.fixture
def stage(network: Bed, tier: HostTier) -> Iterator[Stage]:
    """With two encrypted configs and a clear one."""
    with Stage.attached(network, tier, OLD, MARK, SIDE) as stage:
        yield stage


def samples(stage: Stage, tier: str) -> list[Sample]:
    """All that were left, in no order."""
    pin = f"/sys/fs/bpf/shunt/abi1/{stage.bed.lb_interface}/{tier}/cid_sample_map"
    dump = json.loads(stage.bed.lb.run(["bpftool", "-j", "map", "dump", "pinned", pin]).stdout)
    assert len(dump) == SLOTS
    found = [Sample(int.from_bytes(bytes(int(octet, 16) for octet in told["key"]), "little"),
                    *SAMPLE.unpack(bytes(int(octet, 16) for octet in told["value"])))
             for told in dump]
    return [sample for sample in found if sample.config]


def cid_of(frame: bytes) -> bytes:
    """Of a short header in UDP over IPv4, with all that a sample holds of it."""
    return frame[14 + 20 + 8 + 1:][:20]


def test_routed_encrypted_ones_are_left_and_no_others(stage: Stage, tier: HostTier) -> None:
    assert samples(stage, tier) == []
    sent = {0: stage.packet(OLD, 2, bytes(20)), 2: stage.packet(SIDE, 3, bytes(20))}
    # Clear; of a config that is not there under this key; of a server that is not there.
    others = [stage.packet(MARK, 1, bytes(20)), stage.packet(NEW, 1, bytes(20)),
              stage.packet(OLD, 77, bytes(20))]
    with Volley(stage) as volley:
        for frame in [*sent.values(), *others]:
            volley.fire([frame])
            samples(stage, tier)  # takes longer than a tick: two of one tick share a place
    left = samples(stage, tier)
    assert {sample.cid for sample in left} == {cid_of(frame) for frame in sent.values()}
    for sample in left:
        assert sample.config == 1 << 3 | sample.cid[0] >> 5  # of the first pool
        assert sample.slot == sample.tick % SLOTS
        assert cid_of(sent[sample.config & 7]) == sample.cid
    assert len({sample.tag for sample in left}) == 2 and all(sample.tag for sample in left)


def test_few_of_many_are_left(stage: Stage, tier: HostTier) -> None:
    """One a tick and config at most: a flood makes no work."""
    frames = [stage.packet(OLD, 1, number.to_bytes(4, "big") + bytes(16)) for number in range(200)]
    with Volley(stage) as volley:
        volley.fire(frames)
    left = samples(stage, tier)
    assert 1 <= len(left) <= 200
    assert len({sample.tick for sample in left}) == len(left)
    assert {sample.cid for sample in left} <= {cid_of(frame) for frame in frames}
    assert stage.shown_one(0)["packets"] == 200
