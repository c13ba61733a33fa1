# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A router between client and balancer with something to say about the size of packets."""

from __future__ import annotations

from typing import Iterator

import pytest

from hwtests.lab import gtlsclient
from hwtests.lab.bed import Family
from hwtests.lab.clients import require_ok

from .site import Layout, Mode, Setup, Site, Tier, open_site
from .test_two_balancers import routed

#: Each tier, each way in which a quoted packet looks to its server.
KINDS: tuple[tuple[Tier, Mode, Layout], ...] = (
    ("driver", "ipip", Layout(1, 4, 4)), ("generic", "nat", Layout(4, 2, 14)),
    ("driver", "nat", Layout(2, 3, 8)), ("generic", "gue", Layout(0, 2, 4)),
    ("userspace", "nat", Layout(2, 3, 8)), ("userspace", "ipip", Layout(3, 5, 5)))
LESS = 1400
SIZE = 300_000


@pytest.fixture(scope="module", params=[
    pytest.param(Setup(tier, mode, True, layout, routed=True), id=f"{tier}-{mode}",
                 marks=getattr(pytest.mark, tier)) for tier, mode, layout in KINDS])
def path(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site behind a router."""
    with open_site(request.param) as site:
        yield site


def test_router_wants_less_on_the_way_back(path: Site, family: Family) -> None:
    """What the server probes the path with is too much for a router on the way to the client. It
    tells the VIP, and the balancer the server that sent it, and no other."""
    bed = routed(path)
    path.apply()
    bed.narrow(LESS)
    with path.account() as account:
        client = require_ok(gtlsclient(bed, [f"/bytes/{SIZE}"], family=family))
        home = path.home(client)
        assert client.stream_bytes > SIZE and account.where() == [home]
    assert account.balancer is not None and account.balancer.reasons["icmp"] > 0
    assert {host.name: bed.believed_mtu(host.node, family) for host in bed.servers} == {
        host.name: LESS if host.name == home else None for host in bed.servers}
    path.host(home).node.run(["ip", f"-{family}", "route", "flush", "cache"])
