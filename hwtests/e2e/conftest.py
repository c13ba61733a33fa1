# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Where the end-to-end tests run: which sites a test meets, each open while its tests are run."""

from __future__ import annotations

import itertools
import os
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

import pytest

from hwtests.lab.bed import FAMILIES, Family

from .site import MODES, TIERS, Layout, Mode, Setup, Site, Tier, open_site

#: All shapes of connection IDs come round: shortest and longest, with and without their length.
LAYOUTS = (Layout(0, 2, 4), Layout(1, 8, 8), Layout(2, 3, 8, length=False), Layout(3, 15, 4),
           Layout(4, 5, 14, length=False), Layout(5, 2, 16), Layout(6, 3, 4), Layout(0, 4, 6))

#: Every site there is: where decisions are made, how packets go on, by the same link or another.
SETUPS = {(tier, mode, one_link): Setup(tier, mode, one_link, layout)
          for (tier, mode, one_link), layout in zip(itertools.product(TIERS, MODES, (False, True)),
                                                    itertools.cycle(LAYOUTS))}

KEY = bytes(range(0x30, 0x40))
#: What a key changes is how a connection ID is read, so one network for each algorithm and tier
#: will do: one block, three passes, and four with an odd number of octets and one for a worker.
SINGLE_PASS, THREE, FOUR = (Layout(1, 8, 8, key=KEY), Layout(2, 3, 5, length=False, key=KEY),
                            Layout(3, 6, 5, key=KEY, worker=True))
KEYED_SETUPS = [
    Setup("driver", "ipip", False, SINGLE_PASS), Setup("driver", "l2dsr", True, THREE),
    Setup("driver", "ipip", True, FOUR), Setup("generic", "l2dsr", True, SINGLE_PASS),
    Setup("generic", "ipip", False, FOUR), Setup("userspace", "ipip", True, THREE),
]


@dataclass(frozen=True)
class Place:
    """Where a test runs, and which of the choices it has besides come there."""

    setup: Setup
    family: Family
    #: Of two choices and of three: the number of one. Each meets every tier, mode, link and family.
    two: int
    three: int

    def chosen(self, choices: Mapping[str, Any]) -> str:
        """The name of one."""
        assert len(choices) in (2, 3)
        return list(choices)[self.two if len(choices) == 2 else self.three]


def spread(test: str, tiers: Sequence[Tier], modes: Sequence[Mode]) -> list[Place]:
    """Every tier with every mode once, and every pair of tier, mode, link and family somewhere.
    Tests begin at different places, so that together they meet all."""
    turn = zlib.crc32(test.encode())
    found = []
    for (t, tier), (m, mode) in itertools.product(enumerate(tiers), enumerate(modes)):
        one_link, family = (t + m + turn) % 2 == 1, FAMILIES[(t + m // 2 + turn // 2) % 2]
        found.append(Place(SETUPS[tier, mode, one_link], family,
                           (t + m + m // 2 + turn // 4) % 2, (t + m + turn // 4) % 3))
    return found


def places(test: str, marks: Mapping[str, pytest.Mark]) -> list[Place]:
    """The places of a test with these markers."""
    if "everywhere" in marks:
        return [Place(setup, family, 0, 0)
                for setup, family in itertools.product(SETUPS.values(), FAMILIES)]
    turn = zlib.crc32(test.encode())
    found = spread(test, marks["tiers"].args if "tiers" in marks else TIERS,
                   marks["modes"].args if "modes" in marks else MODES)
    if "keyed" in marks:
        found += [Place(setup, FAMILIES[(number + turn) % 2], number // 2 % 2, number % 3)
                  for number, setup in enumerate(KEYED_SETUPS)]
    return found


def pytest_configure(config: pytest.Config) -> None:
    """This folder's own markers."""
    config.addinivalue_line("markers", "keyed: runs with encrypted connection IDs too")
    config.addinivalue_line("markers", "everywhere: runs at every site there is, in both families")
    config.addinivalue_line("markers", "modes(*names): runs with these modes alone")
    config.addinivalue_line("markers", "tiers(*names): runs in these tiers alone")
    config.addinivalue_line("markers", "inturn(NAME={id: value, ...}): two or three values of an "
                            "argument, of which each place has one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The sites of a test, with the family of the VIP and that of the servers where it asks.
    Tests with sites of their own meet both families."""
    names = [name for name in ("family", "outer") if name in metafunc.fixturenames]
    if "shared_site" not in metafunc.fixturenames:
        for name in names:
            metafunc.parametrize(name, FAMILIES, ids=[f"{name}-v{choice}" for choice in FAMILIES])
        return
    names.insert(0, "shared_site")
    marks = {mark.name: mark for mark in metafunc.definition.iter_markers()}
    choices = marks["inturn"].kwargs if "inturn" in marks else {}
    params = []
    for place in places(metafunc.definition.name, marks):
        # With nat there is no outer header.
        outers = FAMILIES if "outer" in names and place.setup.mode != "nat" else (place.family,)
        for outer in outers:
            words = [str(place.setup)]
            words += [f"v{place.family}"] if "family" in names else []
            words += [f"outer-v{outer}"] if "outer" in names else []
            words += [place.chosen(of) for of in choices.values()]
            values = {"shared_site": place.setup, "family": place.family, "outer": outer}
            param = pytest.param(*(values[name] for name in names),
                                 *(of[place.chosen(of)] for of in choices.values()),
                                 id="-".join(words), marks=[getattr(pytest.mark, place.setup.tier)])
            if param not in params:
                params.append(param)
    names += choices
    metafunc.parametrize(names, params, indirect=["shared_site"])


@pytest.hookimpl(trylast=True)  # type: ignore[misc]
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One site after the other, each with all its tests; and why nothing here runs without root."""
    own = [place for place, item in enumerate(items) if _setup(item) is not None]
    ordered = sorted((items[place] for place in own), key=lambda item: str(_setup(item)))
    for place, item in zip(own, ordered):
        items[place] = item
    if os.geteuid() != 0:
        for item in items:
            if item.path.parent.name == "e2e":
                item.add_marker(pytest.mark.skip(reason="the lab needs root: run with sudo"))


def _setup(item: pytest.Item) -> Setup | None:
    """The shared site that a test runs at."""
    callspec = getattr(item, "callspec", None)
    setup: Setup | None = callspec.params.get("shared_site") if callspec else None
    return setup


class Sites:
    """The site that is up: another takes its place when a test asks for another."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._site: Site | None = None

    def get(self, setup: Setup) -> Site:
        """A site for all tests that want one like it."""
        if self._site is None or self._site.setup != setup:
            self.close()
            self._site = self._stack.enter_context(open_site(setup))
        return self._site

    def close(self) -> None:
        """Take it down."""
        self._site = None
        self._stack.close()


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    """Where sites come from."""
    found = Sites()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def shared_site(request: pytest.FixtureRequest, sites: Sites) -> Site:
    """The site of a test as the test before it has left it."""
    return sites.get(request.param)


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The same, with the base configuration applied, whatever the last test left."""
    shared_site.apply()
    return shared_site
