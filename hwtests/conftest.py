# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests share: the tier as a fixture, a network, the loader in it, QUIC servers.

A test that asks for ``tier`` runs once in each host tier. A test that needs another network or
other servers defines a fixture of the same name in its own file.
"""

from __future__ import annotations

import os
from typing import Callable, Iterator, Literal, TypeVar

import pytest

from hwtests.lab import Bed, Certificate, LabError, Loader, QuicServers
from hwtests.lab.bed import built

HostTier = Literal["driver", "generic"]
T = TypeVar("T")
# Those run in a virtual machine: python3 -m hwtests.vm.
collect_ignore = ["vm/guest"]
HOST_TIERS: tuple[HostTier, HostTier] = ("driver", "generic")


def pytest_sessionstart() -> None:
    """The whole suite loads BPF programs and makes namespaces: say so once, not in each test."""
    if os.geteuid() != 0:
        pytest.exit("the tests need root for BPF and network namespaces: run the same command "
                    "with sudo", returncode=1)


@pytest.fixture(params=[pytest.param(tier, marks=getattr(pytest.mark, tier))
                        for tier in HOST_TIERS])
def tier(request: pytest.FixtureRequest) -> HostTier:
    """Each tier that has an interface to be attached to here."""
    chosen: HostTier = request.param
    return chosen


@pytest.fixture
def bed() -> Iterator[Bed]:
    """A client, a balancer and two servers, each on a link of its own."""
    with Bed() as up:
        up.attach_pass()
        yield up


@pytest.fixture(scope="module")
def network() -> Iterator[Bed]:
    """Four servers on one link, for the tests of a file."""
    with Bed(servers=4, one_link=True, static_neighbours=True) as bed:
        bed.attach_pass()
        yield bed


@pytest.fixture
def loader(bed: Bed) -> Loader:
    """The loader on the balancer's host."""
    return _or_fail(lambda: Loader(bed))


@pytest.fixture
def servers(bed: Bed) -> Iterator[QuicServers]:
    """A QUIC server on each server's host, all with the certificate of the bed."""
    _or_fail(lambda: built("quic-server"))
    with QuicServers(bed, Certificate.make(bed.dir)) as running:
        yield running


def _or_fail(make: Callable[[], T]) -> T:
    """One line for what was not built, in place of a traceback."""
    try:
        return make()
    except LabError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[misc]
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """One line, last of all, that a person and a script can read."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly:
        return
    numbers = {word: len(reporter.stats.get(word, ()))
               for word in ("passed", "failed", "error", "skipped", "xfailed", "xpassed")}
    reporter.write_line(f"{numbers['passed'] + numbers['xpassed']} passed, "
                        f"{numbers['failed'] + numbers['error']} failed, "
                        f"{numbers['skipped'] + numbers['xfailed']} skipped")
