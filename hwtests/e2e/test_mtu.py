# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A link to the servers that has no room for the outer header: the client is told, and heeds it."""

from __future__ import annotations

import itertools
import re
from typing import Iterator

import pytest

from hwtests.lab import gtlsclient
from hwtests.lab.bed import Family, attach_xdp, pass_object
from hwtests.lab.clients import require_ok

from .site import TIERS, Layout, Mode, Setup, Site, open_site

MTU = 1500
HEADER = {4: 20, 6: 40}
UDP_HEADER = 8
GUE = 12
MODES: tuple[Mode, ...] = ("ipip", "gue")
UPLOAD = 200_000


@pytest.fixture(scope="module", ids=str,
                params=[Setup(tier, mode, (t + m) % 2 == 1, Layout(0, 3, 4), server_mtu=MTU)
                        for (t, tier), (m, mode) in itertools.product(enumerate(TIERS),
                                                                      enumerate(MODES))])
def narrow(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with a tunnel over links of 1500 octets."""
    with open_site(request.param) as site:
        if not request.param.one_link:  # answers go out where packets come in
            attach_xdp(site.bed.client, site.bed.client_interface, pass_object())
        yield site


def test_client_is_told_what_does_not_fit(narrow: Site, family: Family, outer: Family) -> None:
    """The handshake's datagrams fit. The client's probes for a larger path MTU do not: it is told
    how much does, as often as it asks for more, and nothing is lost."""
    narrow.apply(outer=outer)
    narrow.bed.client.run(["ip", f"-{family}", "route", "flush", "cache"])
    upload = narrow.bed.dir / "upload"
    upload.write_bytes(bytes(UPLOAD))
    overhead = HEADER[outer] + GUE * (narrow.setup.mode == "gue")
    with narrow.account() as account:
        client = require_ok(gtlsclient(narrow.bed, family=family,
                                       options=["-m", "POST", f"--data={upload}"]))
        assert [event["body"] for event in account.events("request")] == [UPLOAD]
    log = client.log.read_text(errors="replace")
    sizes = [int(size) + UDP_HEADER + HEADER[family] + overhead
             for size in re.findall(r"^Sent packet: .* (\d+) bytes$", log, re.MULTILINE)]
    assert account.balancer is not None
    answered = account.balancer.reasons["too_big_answered"]
    assert max(sizes) > 1400 + overhead
    assert answered == sum(size > MTU for size in sizes)
    assert account.balancer.datagrams == len(sizes) - answered
    # By 4in4 the largest probe fits as well.
    assert (answered == 0) == (overhead == HEADER[family] == 20)
    told = narrow.bed.client.run(["ip", "route", "get", narrow.bed.vip(family)]).stdout
    assert (f"mtu {MTU - overhead}" in told) == (answered > 0), told
