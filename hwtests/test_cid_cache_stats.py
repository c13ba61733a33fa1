# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What ``loader stats`` tells of the cache of decoded connection IDs, and that packets of the wire
make use of it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
from typing import Any, Iterator

import pytest

from hwtests.cached import STATE, Attached, State
from hwtests.conftest import HostTier
from hwtests.lab import Bed
from hwtests.lab.waiting import Deadline
from hwtests.oracle.corpus import short
from hwtests.oracle.program import possible_cpus
from hwtests.stage import MARK, OLD, SIDE, Stage, Volley, entry, server_id
from hwtests.test_routing import frame_to

LINE = re.compile(r"^cid_cache: had (\d+) of (\d+) encrypted CIDs: (.*?)"
                  r"(?:; since the last view: (.*?))?; CPUs that leave it alone now: (\d+)$", re.M)


@pytest.fixture
def stage(network: Bed, tier: HostTier) -> Iterator[Stage]:
    """With two encrypted configs and a clear one."""
    with Stage.attached(network, tier, OLD, MARK, SIDE) as stage:
        yield stage


def told(stage: Stage) -> Any:
    """What --json has of it."""
    (tier,) = stage.loader.json("stats", stage.bed.lb_interface)["tiers"]
    return tier["cid_cache"]


def write_states(stage: Stage, tier: str, *states: State) -> None:
    """Of the CPUs in their order; of those that are left, none."""
    octets = b"".join(STATE.pack(*state) for state in states)
    with contextlib.closing(Attached(stage.bed, tier)) as program:
        program.update("cid_cache_state", 0, octets.ljust(STATE.size * possible_cpus(), b"\0"))


def told_in_words(stage: Stage, *words: str) -> list[tuple[str, ...]]:
    """The lines of the table."""
    return LINE.findall(stage.loader("stats", stage.bed.lb_interface, *words).stdout)


def train(stage: Stage, number: int, dcid: bytes) -> None:
    """Packets of one connection, that all must arrive."""
    frames = [frame_to(stage.bed, 4, short(dcid, 16) + at.to_bytes(4, "big")) for at in range(100)]
    with Volley(stage) as volley:
        assert volley.fire(frames) == [(f"s{number}", frame[-4:]) for frame in frames]


def test_windows_of_all_cpus_are_added_up(stage: Stage, tier: HostTier) -> None:
    assert told(stage) == {"found": 0, "missed": 0, "resting_cpus": 0}
    assert told_in_words(stage) == [("0", "0", "none yet", "", "0")]
    write_states(stage, tier, State(rests=1, found=20, missed=3, all_found=1 << 33,
                                    all_missed=1000))
    assert told(stage) == {"found": 20 + (1 << 33), "missed": 1003, "resting_cpus": 1}
    if possible_cpus() > 1:
        write_states(stage, tier, State(rests=1, found=20, missed=3, all_found=100, all_missed=10),
                     State(found=5, missed=2, all_found=1000, all_missed=60))
        assert told(stage) == {"found": 1125, "missed": 75, "resting_cpus": 1}
        assert told_in_words(stage) == [("1125", "1200", "93.8 %", "", "1")]
        assert told_in_words(stage, "--by", "config") and not told_in_words(stage, "--by", "vip")


def test_views_tell_what_was_since_the_last(stage: Stage, tier: HostTier) -> None:
    write_states(stage, tier, State(found=30, missed=10))
    interface = stage.bed.lb_interface
    with stage.loader.start("stats", interface, "-n", "2", "-i", "2", notify=False) as views:
        views.wait_line("^cid_cache", path=views.stdout)
        write_states(stage, tier, State(found=4, missed=1, all_found=40, all_missed=15))
        assert views.wait(20) == 0
        first, second = LINE.findall(views.stdout.read_text())
    assert first == ("30", "40", "75.0 %", "", "0")
    assert second == ("44", "60", "73.3 %", "70.0 %", "0")


def test_views_without_packets(stage: Stage, tier: HostTier) -> None:
    write_states(stage, tier, State(found=30, missed=10))
    assert [line[3] for line in told_in_words(stage, "-n", "2")] == ["", "none yet"]
    views = stage.loader("stats", "-n", "2", "--json").stdout.splitlines()
    assert [json.loads(view)["tiers"][0]["cid_cache"]["found"] for view in views] == [30, 30]


@pytest.mark.parametrize("cids, cached", [
    pytest.param([entry(MARK)], {}, id="nothing-encrypted"),
    pytest.param([entry(MARK), entry(OLD)], {"cached_cids": 0}, id="not-wished"),
])
def test_nothing_is_told_where_nobody_asks(stage: Stage, cids: list[dict[str, Any]],
                                           cached: dict[str, int]) -> None:
    config = stage.config(*cids)
    config["limits"] |= cached
    assert told(stage) is not None
    stage.apply(config, "--force")
    assert told(stage) is None
    assert told_in_words(stage) == []


def test_trains_are_found_and_floods_are_left_alone(stage: Stage) -> None:
    """Of the wire, where a busy machine may cut each train into windows of one packet."""
    deadline, number = Deadline(60), itertools.cycle((1, 2, 3, 4))
    while (now := told(stage))["found"] < 50:
        assert not deadline.passed(), now
        at = next(number)
        train(stage, at, OLD.encode(server_id(OLD, at), random.randbytes(OLD.nonce_length)))
    assert now["missed"] >= 1
    assert now["found"] + now["missed"] <= stage.shown_one(0)["packets"]
    while not told(stage)["resting_cpus"]:
        assert not deadline.passed(), told(stage)
        with Volley(stage) as volley:
            volley.fire([stage.packet(OLD, 1 + at % 4, at.to_bytes(4, "big") + bytes(16))
                         for at in range(200)])
    train(stage, 3, SIDE.encode(server_id(SIDE, 3), bytes(SIDE.nonce_length)))
