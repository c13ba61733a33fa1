# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Attaching that breaks off half-way, at whichever call to the kernel: what was there stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwtests.attach.rig import IFACE, Rig
from hwtests.lab.bed import attach_xdp, pass_object

#: Calls of an attach that may be refused. What takes things away again is not among them.
CALLS = ["bpf", "sendto", "mkdir", "rename"]
#: As many of them fail, one a run, evenly spread from the first to the last.
PLACES = 8
STATUSES = {1, 3, 4, 5}


def traced(rig: Rig, tmp_path: Path, calls: str, *args: str) -> list[str]:
    """The lines that strace has for these calls of a loader that is left alone."""
    log = tmp_path / "calls"
    rig.node.run(["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", rig.loader.path,
                  *args])
    return log.read_text().splitlines()


def broken(rig: Rig, calls: str, at: int, *args: str) -> tuple[int, str]:
    """Status and stdout of one whose call number `at` fails."""
    done = rig.node.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                         f"inject={calls}:error=ENOMEM:when={at}", rig.loader.path, *args],
                        check=False)
    return done.returncode, done.stdout


def spread(n: int) -> list[int]:
    assert n
    return sorted({1 + i * (n - 1) // (PLACES - 1) for i in range(PLACES)})


@pytest.mark.parametrize(("tier", "calls"), [*(("driver", calls) for calls in CALLS),
                                             ("generic", "bpf")])
def test_new_attachment(rig: Rig, tmp_path: Path, calls: str, tier: str) -> None:
    args = ["attach", IFACE, "-t", tier, "-c", rig.config(), "--json"]
    before = rig.traces()
    n = len(traced(rig, tmp_path, calls, *args))
    rig.loader("detach", IFACE)
    assert rig.traces() == before
    for at in spread(n):
        status, said = broken(rig, calls, at, *args)
        document = json.loads(said)
        if status == 0:  # a question whose answer may be missing
            assert list(rig.programs()) == [tier], f"call {at} of {n}"
            rig.loader("detach", IFACE)
        else:
            assert status in STATUSES and document["exit"] == status, f"call {at} of {n}"
        assert rig.traces() == before, f"call {at} of {n}: {said}"


@pytest.mark.parametrize("calls", CALLS)
def test_successor_of_ours(rig: Rig, tmp_path: Path, calls: str) -> None:
    """What runs goes on running, with its maps, or its successor does."""
    config = rig.config()
    args = ["attach", IFACE, "--reload", "-c", config, "--json"]
    rig.attach("-c", config)
    n = len(traced(rig, tmp_path, calls, *args))
    for at in spread(n):
        before = rig.traces()
        status, said = broken(rig, calls, at, *args)
        assert json.loads(said)["schema"] == "shunt/attach/1" or status
        if status:
            assert rig.traces() == before, f"call {at} of {n}: {said}"
        (entry,) = rig.status()
        assert (entry["program"]["id"], entry["generation"]) == (rig.programs()["driver"][0], 1)
        assert entry["config"]["servers"] == 1


def test_a_foreign_program_stays(rig: Rig, tmp_path: Path) -> None:
    args = ["attach", IFACE, "--replace", "-t", "driver", "--json"]
    attach_xdp(rig.node, IFACE, pass_object())
    n = len(traced(rig, tmp_path, "bpf", *args))
    rig.loader("detach", IFACE)
    for at in spread(n):
        if not rig.programs():
            attach_xdp(rig.node, IFACE, pass_object())
        before = rig.traces()
        status, said = broken(rig, "bpf", at, *args)
        if status:
            assert rig.traces() == before, f"call {at} of {n}: {said}"
        else:
            rig.loader("detach", IFACE)
