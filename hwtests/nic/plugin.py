# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs checks and changes in every tier by pytest, and notes for the report what came of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from . import frames
from .peer import PeerError
from .stage import Ports, Stage

HERE = Path(__file__).parent
WORDS = {"passed": "passed", "failed": "failed", "skipped": "skipped"}


class Plugin:
    """The fixtures of the suite and the collector of its results."""

    def __init__(self, ports: Ports, tiers: list[str]) -> None:
        self._ports = ports
        self._tiers = tiers
        #: By tier, in order: name, outcome, seconds, why, notes.
        self.results: dict[str, list[dict[str, Any]]] = {tier: [] for tier in tiers}
        self.left_out: set[str] = set()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One round a tier: all its tests, then the next one's."""
        if "stage" in metafunc.fixturenames:
            metafunc.parametrize("stage", self._tiers, indirect=True, scope="session")

    @pytest.fixture(scope="session")
    def stage(self, request: pytest.FixtureRequest) -> Iterator[Stage]:
        """A tier attached to the NIC."""
        made = Stage(self._ports, request.param)
        made.attach(frames.pair_config())
        yield made
        self.left_out |= made.left_out
        if made.attached:
            made.detach()

    @pytest.fixture(scope="session")
    def wired(self, stage: Stage) -> Stage:
        """With a peer through which frames come back."""
        if self._ports.peer is None:
            pytest.skip("no PEER")
        stage.warm_up()
        return stage

    @pytest.hookimpl(hookwrapper=True)  # type: ignore[misc]
    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]
                                  ) -> Iterator[None]:
        """Setup that failed or skipped counts as the test; else its call does."""
        outcome: Any = yield
        report: pytest.TestReport = outcome.get_result()
        if call.excinfo is not None and isinstance(call.excinfo.value, PeerError):
            item.session.shouldstop = str(call.excinfo.value)
        if report.when == "teardown" and report.passed:
            return
        if report.when == "setup" and report.passed:
            return
        why = ""
        if report.failed:
            why = str(getattr(report.longrepr, "reprcrash", None) or report.longrepr)
        elif report.skipped and isinstance(report.longrepr, tuple):
            why = report.longrepr[2]
        tier = str(item.callspec.params["stage"])
        self.results[tier].append({
            "name": item.name, "outcome": WORDS[report.outcome],
            "seconds": round(report.duration, 3), "why": why,
            "notes": dict(item.user_properties)})


def run(plugin: Plugin, only: str) -> int:
    """pytest's own exit status."""
    files = [str(HERE / "checks.py"), str(HERE / "changes.py")]
    return int(pytest.main(["-v", "--tb=short", "--no-header", "-p", "no:cacheprovider",
                            "-k", only, *files], plugins=[plugin]))
