# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The sites of the end-to-end tests: each is made once and serves all of them."""

from __future__ import annotations

import itertools
import os
from typing import Iterator

import pytest

from hwtests.lab.bed import FAMILIES, Family

from .site import Layout, Mode, Setup, Site, Tier, open_site

TIERS: tuple[Tier, ...] = ("driver", "generic")
MODES: tuple[Mode, ...] = ("ipip", "l2dsr")

#: All shapes of connection IDs come round: shortest and longest, with and without their length.
LAYOUTS = (Layout(0, 2, 4), Layout(1, 8, 8), Layout(2, 3, 8, length=False), Layout(3, 15, 4),
           Layout(4, 5, 14, length=False), Layout(5, 2, 16), Layout(6, 3, 4), Layout(0, 4, 6))

SETUPS = [Setup(tier, mode, one_link, layout) for (tier, mode, one_link), layout
          in zip(itertools.product(TIERS, MODES, (False, True)), LAYOUTS)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say why nothing here runs without root."""
    if os.geteuid() != 0:
        for item in items:
            if item.path.parent.name == "e2e":
                item.add_marker(pytest.mark.skip(reason="the lab needs root: run with sudo"))


@pytest.fixture(scope="session", params=SETUPS, ids=str)
def shared_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site for all tests that want one like it."""
    with open_site(request.param) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The same, with the base configuration applied, whatever the last test left."""
    shared_site.apply()
    return shared_site


@pytest.fixture(params=FAMILIES, ids=lambda family: f"v{family}")
def family(request: pytest.FixtureRequest) -> Family:
    """The family of the VIP."""
    chosen: Family = request.param
    return chosen
