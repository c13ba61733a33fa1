# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A client whose datagrams a router cuts in pieces: user space decides what the kernel passes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Iterator

import pytest

from hwtests.lab import gtlsclient
from hwtests.lab.clients import require_ok

from .site import Layout, Mode, Setup, Site, Tier, open_site
from .test_two_balancers import routed

#: Of a piece: an Initial is two.
PIECE = 1000
UPLOAD = 200_000


#: User space alone, and below a tier that passes what it cannot decide.
KINDS: tuple[tuple[Tier, Mode, Layout], ...] = (
    ("userspace", "ipip", Layout(3, 4, 8)), ("userspace", "nat", Layout(3, 4, 8)),
    ("driver", "gue", Layout(0, 2, 5)))


@pytest.fixture(scope="module", params=[
    pytest.param(Setup(tier, mode, True, layout, routed=True), id=f"{tier}-{mode}",
                 marks=getattr(pytest.mark, tier)) for tier, mode, layout in KINDS])
def cutting(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site behind a router that fragments, and user space below whatever tier it has."""
    with open_site(request.param) as site, ExitStack() as stack:
        routed(site).fragment(PIECE)
        if site.setup.tier != "userspace":
            file = site.file(site.config())
            site.loader("attach", site.bed.lb_interface, "-t", "userspace", "-c", file)
            stack.enter_context(site.loader.start("run", "-c", file))
        yield site


def test_upload_in_pieces(cutting: Site) -> None:
    """All of it arrives, at one server."""
    upload = cutting.bed.dir / "upload"
    upload.write_bytes(bytes(UPLOAD))
    before = {server.name: server.counters() for server in cutting.running()}
    marks = {server.name: len(server.events) for server in cutting.running()}
    client = require_ok(gtlsclient(cutting.bed, options=["-m", "POST", f"--data={upload}"]))
    home = cutting.home(client)
    for server in cutting.running():
        now, then = server.counters(), before[server.name]
        assert (now["foreign"], now["dropped"]) == (then["foreign"], then["dropped"])
        bodies = [event["body"] for event in server.events[marks[server.name]:]
                  if event["event"] == "request"]
        assert bodies == ([UPLOAD] if server.name == home else [])
    counts = cutting.loader.json("stats", cutting.bed.lb_interface)["tiers"]
    below = next(tier for tier in counts if tier["tier"] == "userspace")
    assert below["reasons"]["fragments_incomplete"]["packets"] == 0
    assert sum(found["packets"] for found in below["servers"].values()) > UPLOAD // 1400
