# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Changing CID configs under traffic, frame by frame: when it is refused, what is told of each
config's use, and that every packet sees one whole configuration. With real connections:
e2e/test_rotation.py.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import random
import subprocess
import threading
import time
from collections import Counter
from typing import Any, Iterator

import pytest

from hwtests.conftest import HostTier
from hwtests.lab import Bed
from hwtests.lab.waiting import Deadline, wait_readable
from hwtests.oracle import Model
from hwtests.oracle.quic_lb import CidConfig
from hwtests.stage import MARK, NEW, OLD, SIDE, Config, Stage, Volley, entry


@pytest.fixture
def stage(network: Bed, tier: HostTier) -> Iterator[Stage]:
    """With the old config and the mark's."""
    with Stage.attached(network, tier, OLD, MARK) as stage:
        yield stage


# What is refused, and what is told.


def test_unused_configs_go_at_once(stage: Stage) -> None:
    told = stage.shown_one(0)
    assert (told["packets"], told["quiet_seconds"], told["removable"]) == (0, None, True)
    stage.apply(stage.config(entry(NEW), entry(MARK)))
    stage.apply(stage.config(entry(MARK)))
    stage.apply(stage.config(entry(OLD), entry(MARK)))


def _shorter(cid: CidConfig) -> CidConfig:
    return CidConfig(cid.id, cid.server_id_length, cid.nonce_length - 1, cid.key)


@pytest.mark.parametrize("after", [
    pytest.param([], id="removed"),
    pytest.param([entry(NEW)], id="all-new"),
    pytest.param([entry(CidConfig(0, 3, 6, NEW.key))], id="another-key"),
    pytest.param([entry(CidConfig(0, 3, 6))], id="no-key"),
    pytest.param([entry(CidConfig(0, 4, 5, OLD.key))], id="same-length-split-elsewhere"),
    pytest.param([entry(_shorter(OLD))], id="a-shorter-nonce"),
])
def test_config_in_use_is_not_dropped_or_changed(stage: Stage, after: list[dict[str, Any]]
                                                 ) -> None:
    stage.arrives(OLD, 2)
    for words in ((), ("--dry-run",)):
        error = stage.refused(stage.config(*after, entry(MARK)), *words)
        assert "id 0" in error["what"], error
    stage.arrives(OLD, 2)
    # Said beforehand, but not done; then done.
    before = stage.generation()
    stage.apply(stage.config(*after, entry(MARK)), "--force", "--dry-run")
    assert stage.generation() == before
    stage.apply(stage.config(*after, entry(MARK)), "--force")
    assert stage.generation() == before + 1


def test_what_leaves_the_meaning_alone_is_taken(stage: Stage) -> None:
    """More configs, the state, the checks of length, the servers behind it, the file's order."""
    stage.arrives(OLD, 2)
    stage.apply(stage.config(entry(OLD, state="retiring"), entry(MARK), entry(SIDE)))
    stage.arrives(OLD, 2)
    stage.apply(stage.config(entry(SIDE), entry(MARK), entry(OLD, length_check="at-least")))
    stage.arrives(OLD, 3)
    stage.apply(stage.config(entry(MARK), entry(OLD), entry(SIDE), ids={0: {1: 9}}))
    stage.arrives(OLD, 4)
    assert stage.shown_one(0)["packets"] == 4


def test_another_config_may_go_meanwhile(stage: Stage) -> None:
    """Only the use of the one that goes counts."""
    stage.apply(stage.config(entry(OLD), entry(MARK), entry(SIDE)))
    stage.arrives(OLD, 1)
    stage.apply(stage.config(entry(OLD), entry(MARK)))


def test_min_quiet_is_that_of_the_new_file(stage: Stage) -> None:
    stage.arrives(OLD, 1)
    stage.refused(stage.config(entry(MARK), min_quiet=600))
    stage.apply(stage.config(entry(MARK), min_quiet=0))
    assert [told["config"] for told in stage.shown()] == [1]


def test_config_can_go_when_it_has_been_quiet(stage: Stage) -> None:
    stage.apply(stage.config(entry(OLD, state="retiring"), entry(MARK), min_quiet=1))
    stage.arrives(OLD, 1)
    stage.refused(stage.config(entry(MARK), min_quiet=600))
    deadline = Deadline(10.0)
    while not (told := stage.shown_one(0))["removable"]:
        assert not deadline.passed() and told["quiet_seconds"] < 1.1, told
        wait_readable([], Deadline(0.05))
    assert told["quiet_seconds"] >= 1 and told["state"] == "retiring"
    stage.apply(stage.config(entry(MARK), min_quiet=1))


def test_show_tells_the_use_of_each(stage: Stage) -> None:
    stage.apply(stage.config(entry(OLD, state="retiring"), entry(MARK), entry(SIDE)))
    with Volley(stage) as volley:
        volley.fire([stage.packet(OLD, number % 4 + 1, number.to_bytes(4, "big"))
                     for number in range(150)])
    old, mark, side = (stage.shown_one(number) for number in (0, 1, 2))
    assert (old["packets"], mark["packets"], side["packets"]) == (150, 4, 0)
    assert 0 <= old["quiet_seconds"] < 10 and side["quiet_seconds"] is None
    assert (old["removable"], side["removable"]) == (False, True)
    assert (old["state"], side["state"]) == ("retiring", "active")
    assert (old["algorithm"], mark["algorithm"]) == ("four-pass", "clear")
    # What is not routed by it is no use of it.
    with Volley(stage) as volley:
        volley.fire([stage.packet(OLD, 77, b"\0\0\0\1"), stage.packet(NEW, 77, b"\0\0\0\2")])
    assert stage.shown_one(0)["packets"] == 150


def test_id_with_another_meaning_counts_anew(stage: Stage) -> None:
    """What came for the old meaning says nothing of the new one."""
    stage.arrives(OLD, 1)
    stage.apply(stage.config(entry(NEW), entry(MARK)), "--force")
    told = stage.shown_one(0)
    assert (told["packets"], told["quiet_seconds"], told["removable"]) == (0, None, True)
    stage.apply(stage.config(entry(OLD), entry(MARK)))


def test_reload_is_no_way_around(stage: Stage, tier: HostTier) -> None:
    """New maps take over what the old ones knew, and hold the new file against it."""
    stage.arrives(OLD, 2)
    before = stage.shown_one(0)["packets"], stage.shown_one(1)["packets"]
    other = stage.write(stage.config(entry(NEW), entry(MARK)))
    told = stage.loader("attach", stage.bed.lb_interface, "-t", tier, "--reload", "-c", other,
                        check=False)
    assert told.returncode == 1 and "min_quiet" in told.stderr, told.stderr
    stage.arrives(OLD, 3)
    same = stage.write(stage.config(entry(OLD), entry(MARK)))
    stage.loader("attach", stage.bed.lb_interface, "-t", tier, "--reload", "-c", same)
    told_now = stage.shown_one(0)
    assert told_now["packets"] == before[0] + 1 and told_now["removable"] is False
    stage.refused(stage.config(entry(NEW), entry(MARK)))
    stage.arrives(OLD, 2)


def test_renamed_pool_keeps_the_time(stage: Stage) -> None:
    """Its connections go on, whatever it is called."""
    stage.arrives(OLD, 1)
    renamed = stage.config(entry(OLD), entry(MARK))
    renamed["pools"][0]["name"] = renamed["vips"][0]["pool"] = "shop"
    stage.apply(renamed)
    assert stage.shown_one(0)["removable"] is False
    stage.refused(stage.config(entry(NEW), entry(MARK)))


def test_id_that_was_dropped_by_force_is_not_given_away(stage: Stage) -> None:
    stage.arrives(OLD, 1)
    stage.apply(stage.config(entry(MARK)), "--force")
    stage.refused(stage.config(entry(NEW), entry(MARK)))
    stage.apply(stage.config(entry(NEW), entry(MARK)), "--force")
    assert stage.shown_one(0)["packets"] == 0


def test_retired_keys_leave_the_kernel(stage: Stage, tier: HostTier) -> None:
    """Only the generation that packets use has keys."""
    def held() -> set[str]:
        pin = f"/sys/fs/bpf/shunt/abi1/{stage.bed.lb_interface}/{tier}/cid_key_map"
        dump = stage.bed.lb.run(["bpftool", "-j", "map", "dump", "pinned", pin]).stdout
        return {"".join(octet[2:] for octet in element["value"][:16])
                for element in json.loads(dump)}

    def first_round_key(key: bytes) -> str:
        # The first four words are the key itself, each in the machine's order.
        return b"".join(key[at:at + 4][::-1] for at in range(0, 16, 4)).hex()

    assert OLD.key and NEW.key
    assert first_round_key(OLD.key) in held()
    stage.apply(stage.config(entry(NEW), entry(MARK)))
    assert first_round_key(NEW.key) in held() and first_round_key(OLD.key) not in held()
    stage.apply(stage.config(entry(MARK)))
    assert held() == {"00" * 16}


def test_no_key_is_told(stage: Stage) -> None:
    """By no command, in no form."""
    stage.arrives(OLD, 1)
    assert OLD.key is not None
    secrets = (OLD.key.hex(), ":".join(f"{octet:02x}" for octet in OLD.key))
    name = OLD.key.hex()
    for words in (("show", "configs"), ("show", "servers"), ("status",), ("stats",)):
        for form in ((), ("--json",)):
            # The tests call key files by their key, so the path of the file is taken out first.
            told = stage.loader(*words, *form).stdout.replace(
                str(stage.bed.dir / name), "FILE")
            assert not any(secret in told for secret in secrets), told
    dumped = stage.bed.lb.run(["sh", "-c", "stat -c %a /sys/fs/bpf/shunt"], check=False)
    assert dumped.returncode or dumped.stdout.strip() == "700"


# Between two packets.

TURNS = 100
LEFT, RIGHT = 1, 2


def two_ways(stage: Stage) -> tuple[Config, Config]:
    """Two configurations under which the same packets go to different servers.

    Old CIDs go to s1 in the first, by CID; in the second they mean nothing and go to s3, the only
    one with a weight. New CIDs go to s4 in the first, by weight, and to s2 in the second, by CID.
    Half of the one and half of the other would show: the server ids of the first have other owners
    in the second, and the other way round.
    """
    first = stage.config(entry(OLD), entry(MARK), min_quiet=0, weights={4: 100},
                         ids={0: {1: LEFT, 2: 0x66, 3: RIGHT, 4: 0x44}})
    second = stage.config(entry(NEW), entry(MARK), min_quiet=0, weights={3: 100},
                          ids={0: {1: 0x66, 2: RIGHT, 3: 0x33, 4: LEFT}})
    return first, second


class Fire(threading.Thread):
    """Sends both kinds of packets all the time and notes where each comes out."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._over, self.begun = threading.Event(), threading.Event()
        self.went: Counter[tuple[str, str]] = Counter()
        self.problem: BaseException | None = None

    def run(self) -> None:
        """Until stop()."""
        try:
            with Volley(self._stage) as volley:
                for number in itertools.count():
                    if self._over.is_set():
                        return
                    self._once(volley, number)
                    self.begun.set()
        except BaseException as problem:
            self.problem = problem
        finally:
            self.begun.set()

    def _once(self, volley: Volley, number: int) -> None:
        labels = [bytes([kind, number & 0xff, number >> 8 & 0xff, place])
                  for place in range(60) for kind in (0, 1)]
        frames = [self._stage.packet(OLD, LEFT, label, sport=5000 + label[3]) if label[0] == 0
                  else self._stage.packet(NEW, RIGHT, label, sport=5000 + label[3])
                  for label in labels]
        got = volley.fire(frames)
        assert Counter(label for _, label in got) == Counter(labels), "lost or doubled"
        self.went.update(("new" if label[0] else "old", server) for server, label in got)

    def stop(self) -> Counter[tuple[str, str]]:
        """How many packets of each kind came to each server."""
        self._over.set()
        self.join()
        if self.problem is not None:
            raise self.problem
        return self.went


@contextlib.contextmanager
def under_fire(stage: Stage) -> Iterator[Fire]:
    """Both kinds of packets throughout; each must come to a server of one or the other file."""
    fire = Fire(stage)
    fire.start()
    fire.begun.wait()
    try:
        yield fire
    finally:
        went = fire.stop()
    assert set(went) <= {("old", "s1"), ("old", "s3"), ("new", "s4"), ("new", "s2")}, went


def test_change_takes_effect_between_two_packets(stage: Stage) -> None:
    first, second = two_ways(stage)
    files = [stage.write(first, "first.yaml"), stage.write(second, "second.yaml")]
    stage.loader("apply", "-c", files[0])
    before = stage.generation()
    with under_fire(stage) as fire:
        for turn in range(TURNS):
            stage.loader("apply", "-c", files[(turn + 1) % 2])
    assert stage.generation() == before + TURNS
    assert len(fire.went) == 4 and min(fire.went.values()) > 100, fire.went


def test_failed_apply_leaves_the_old_one_whole(stage: Stage) -> None:
    """Refused for the file, for a key, for the limits, for what is in use."""
    first, second = two_ways(stage)
    stage.apply(first)
    before = stage.generation()
    no_key = copy.deepcopy(second)
    no_key["cid_configs"][0]["key_file"] = "/nowhere/key"
    (stage.bed.dir / "no-key.yaml").write_text(json.dumps(no_key))
    broken = stage.bed.dir / "broken.yaml"
    broken.write_text("version: 1\nvips: [\n")
    huge = copy.deepcopy(second) | {"fallback": {"rows": 65536}}
    in_use = copy.deepcopy(second) | {"rotation": {"min_quiet": 600}}
    files = [str(stage.bed.dir / "no-key.yaml"), str(broken), stage.write(huge, "huge.yaml"),
             stage.write(in_use, "in-use.yaml")]
    with under_fire(stage) as fire:
        statuses = [stage.loader("apply", "-c", file, check=False).returncode
                    for file in files * 5]
    assert statuses == [6, 6, 1, 1] * 5
    assert set(fire.went) == {("old", "s1"), ("new", "s4")}, fire.went
    assert stage.generation() == before


def test_killed_apply_leaves_one_whole(stage: Stage) -> None:
    """At any moment: the next one finds its way, and packets never notice."""
    first, second = two_ways(stage)
    files = [stage.write(first, "first.yaml"), stage.write(second, "second.yaml")]
    began = time.monotonic()
    stage.loader("apply", "-c", files[0])
    whole = time.monotonic() - began
    rng = random.Random(5)
    killed = 0
    with under_fire(stage):
        for turn in range(60):
            with stage.loader.start("apply", "-c", files[turn % 2], notify=False) as process:
                try:
                    process.popen.wait(rng.uniform(0, whole))
                except subprocess.TimeoutExpired:
                    process.popen.kill()
                    killed += 1
        stage.loader("apply", "-c", files[1])
    assert killed > 5
    shown = stage.shown_one(0)
    assert (shown["server_id_length"], shown["nonce_length"]) == (8, 8)
    stage.arrives(NEW, RIGHT)


def test_both_configs_of_a_model_agree_with_the_oracle(stage: Stage) -> None:
    """Where the tests above expect the packets, by the oracle."""
    for config, kinds in zip(two_ways(stage), ({OLD: "s1", NEW: "s4"}, {OLD: "s3", NEW: "s2"})):
        model = Model(config)
        for cid, server in kinds.items():
            number = LEFT if cid is OLD else RIGHT
            for sport in range(5000, 5060):
                assert model.route(stage.packet(cid, number, sport=sport)).server == server
