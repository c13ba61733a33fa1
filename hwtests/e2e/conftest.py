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
#: Behind the choice of outer headers gue is ipip: each tier, and each way to leave, once.
SETUPS += [Setup("driver", "gue", True, Layout(1, 5, 6)),
           Setup("generic", "gue", False, Layout(2, 2, 7, length=False))]

KEY = bytes(range(0x30, 0x40))
#: What a key changes is how a connection ID is read, so one network for each algorithm and tier
#: will do: one block, three passes, and four with an odd number of octets and one for a worker.
SINGLE_PASS, THREE, FOUR = (Layout(1, 8, 8, key=KEY), Layout(2, 3, 5, length=False, key=KEY),
                            Layout(3, 6, 5, key=KEY, worker=True))
KEYED_SETUPS = [
    Setup("driver", "ipip", False, SINGLE_PASS), Setup("driver", "l2dsr", True, THREE),
    Setup("driver", "ipip", True, FOUR), Setup("generic", "l2dsr", True, SINGLE_PASS),
    Setup("generic", "ipip", False, FOUR),
]


def pytest_configure(config: pytest.Config) -> None:
    """This folder's own marker."""
    config.addinivalue_line("markers", "keyed: runs with encrypted connection IDs too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The sites of a test."""
    if "shared_site" in metafunc.fixturenames:
        keyed = next(metafunc.definition.iter_markers("keyed"), None)
        metafunc.parametrize("shared_site", SETUPS + (KEYED_SETUPS if keyed else []), ids=str,
                             indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say why nothing here runs without root."""
    if os.geteuid() != 0:
        for item in items:
            if item.path.parent.name == "e2e":
                item.add_marker(pytest.mark.skip(reason="the lab needs root: run with sudo"))


@pytest.fixture(scope="session")
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
