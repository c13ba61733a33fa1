# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tells the host of each test as it ends, and what the guest's tests share.

Nothing of hwtests.lab is imported: under emulation its packages take seconds to load.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.vm.guest.link import NEAR, Link
from hwtests.vm.guest.rig import Device, Loader, Traces, load_netdevsim, run

_seconds: dict[str, float] = {}
_worst: dict[str, tuple[str, str]] = {}


def _tell(**event: Any) -> None:
    if path := os.environ.get("SHUNT_VM_EVENTS"):
        with open(path, "a") as events:
            events.write(json.dumps(event) + "\n")


def _name(nodeid: str) -> str:
    file, _, test = nodeid.partition("::")
    return f"{Path(file).stem.removeprefix('test_')} {test.removeprefix('test_')}"


def pytest_runtest_logstart(nodeid: str) -> None:
    """A machine that hangs is known by its last test."""
    _seconds[nodeid] = 0.0
    _worst[nodeid] = "passed", ""
    _tell(running=_name(nodeid))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of set-up, call and tear-down the worst counts."""
    _seconds[report.nodeid] += report.duration
    if report.failed:
        _worst[report.nodeid] = "failed", report.longreprtext + report.capstdout
    elif report.skipped and _worst[report.nodeid][0] == "passed":
        assert isinstance(report.longrepr, tuple)
        _worst[report.nodeid] = "skipped", report.longrepr[2].removeprefix("Skipped: ")


def pytest_runtest_logfinish(nodeid: str) -> None:
    """All of it is known."""
    outcome, detail = _worst.pop(nodeid)
    _tell(test=_name(nodeid), outcome=outcome, seconds=_seconds.pop(nodeid), detail=detail)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[misc]
def pytest_collectreport(report: pytest.CollectReport) -> Iterator[None]:
    """A file that cannot be imported has no tests to tell of."""
    yield
    if report.failed:
        _tell(test=_name(report.nodeid), outcome="failed", seconds=0.0, detail=report.longreprtext)


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    """What a test does to the kernel is gone when its last line is done, whatever it did."""
    before = Traces.now()
    loader = Loader(tmp_path)
    yield loader
    run(loader.path, "detach", "--all", check=False)
    deadline = time.monotonic() + 20  # the kernel frees programs when it comes to it
    while (after := Traces.now()) != before and time.monotonic() < deadline:
        pass  # each look takes a few processes' time
    assert after == before


@pytest.fixture
def device(loader: Loader) -> Iterator[Device]:
    """A device with room for the offload object, and everything accepted."""
    load_netdevsim("netdevsim-roomy")
    with Device() as new:
        yield new


@pytest.fixture
def small_device(loader: Loader) -> Iterator[Device]:
    """A device of the unchanged driver: two entries a map."""
    load_netdevsim("netdevsim")
    with Device() as new:
        yield new


@pytest.fixture(params=["driver", "generic"])
def tier(request: pytest.FixtureRequest) -> str:
    """The host's tiers; a card's program is always alone."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def link(loader: Loader, tier: str) -> Iterator[Link]:
    """A veth pair, and a file that shares its near end."""
    with Link(tier) as new:
        loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}])
        yield new
        run(loader.path, "detach", "--all", check=False)
