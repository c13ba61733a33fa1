# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the virtual machines' runner makes of machines that do not do as they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwtests.vm import __main__ as runner
from hwtests.vm.beds import BOOTS
from hwtests.vm.machine import Machine
from hwtests.vm.packages import Kernel, Refused, Unavailable

KERNEL = Kernel("6.1", "6.1.0-1-amd64", "6.1.1-1", Path("/nowhere"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that never ran."""
    (tmp_path / "qemu").touch()
    return Machine(KERNEL, tmp_path)


def test_without_packages_all_is_skipped(monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    """Not silently, and each test counted."""
    def unavailable(series: str, home: Path) -> Kernel:
        raise Unavailable("apt knows no package linux-source-6.1")

    monkeypatch.setattr(runner, "get", unavailable)
    monkeypatch.chdir(runner.TREE)
    report = runner.Report()
    boots = [boot for boot in BOOTS if boot.name == "6.1-netdevsim"]
    assert runner._kernel("6.1", boots, report) is None
    assert report.counts["skipped"] > 40 and not report.counts["failed"]
    assert report.total().endswith(f"{report.counts['skipped']} skipped")
    assert "tests: apt knows no package linux-source-6.1" in capsys.readouterr().out


def test_a_module_that_does_not_build_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kernel: Kernel, wanted: object, jobs: int) -> bool:
        raise Refused("make: *** no")

    monkeypatch.setattr(runner, "get", lambda series, home: KERNEL)
    monkeypatch.setattr(runner, "build", broken)
    report = runner.Report()
    boots = [boot for boot in BOOTS if boot.name == "6.1-netdevsim"]
    assert runner._kernel("6.1", boots, report) == KERNEL and not boots
    assert report.counts["failed"] == 2 and "make: *** no" in report.details[0]


@pytest.mark.parametrize(("console", "status", "why"), [
    ("shunt-vm: begins\r\nshunt-vm: exit status 0\r\n", 0, ""),
    ("shunt-vm: begins\nshunt-vm: exit status 1\n", 1, ""),
    ("shunt-vm: begins\nshunt-vm: failed: mount -t 9p\n", None, "failed: mount -t 9p"),
    ("shunt-vm: begins\n[ 9.0] Kernel panic - not syncing\n", None,
     "the machine ended without a word"),
    ("", None, "the machine did not start"),
])
def test_how_a_machine_ended(machine: Machine, console: str, status: int | None, why: str) -> None:
    machine.console.write_text(console)
    outcome = machine._outcome("")
    assert (outcome.status, outcome.why) == (status, why)
    assert len(outcome.complaints) == console.count("panic")


def test_a_machine_that_hangs_is_a_failure(machine: Machine) -> None:
    """The test that was running is the one that is told of."""
    machine.console.write_text("shunt-vm: begins\n")
    report = runner.Report()
    events = runner.Events(BOOTS[0], report)
    events('{"running": "netdevsim probe"}')
    runner._judge(BOOTS[0], machine, events, machine._outcome("not done after 300 s"), report)
    assert report.counts["failed"] == 1
    assert report.details[0].startswith(
        f"-- {BOOTS[0].name}: netdevsim probe\nnot done after 300 s")


def test_the_kernels_complaints_are_failures(machine: Machine) -> None:
    machine.console.write_text("shunt-vm: begins\n[ 1.0] WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1\n"
                               "shunt-vm: exit status 0\n")
    report = runner.Report()
    events = runner.Events(BOOTS[0], report)
    events.ended = 1
    runner._judge(BOOTS[0], machine, events, machine._outcome(""), report)
    assert report.counts["failed"] == 1 and "WARNING: CPU: 0" in report.details[0]
