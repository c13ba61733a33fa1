# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests of the TC programs share: a network with a tier attached, and the counters."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from hwtests.lab import Bed
from hwtests.tc.site import Site


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """Nothing but what a test sends: no ARP, no solicitations."""
    with Bed(servers=2, static_neighbours=True) as up:
        up.attach_pass()
        yield up


@pytest.fixture
def site(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The driver tier on the client's side of the balancer; a parameter says what is different."""
    more: dict[str, Any] = getattr(request, "param", {})
    with Site(bed, **more) as up:
        yield up
