# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A link to the servers that has no room for the outer header: what arrives, and what does not."""

from __future__ import annotations

import itertools
import re
from typing import Iterator

import pytest

from hwtests.lab import gtlsclient
from hwtests.lab.bed import Family
from hwtests.lab.clients import require_ok

from .site import TIERS, Layout, Mode, Setup, Site, open_site

MTU = 1500
#: veth and bridges let four octets more through, meant for a VLAN tag.
LIMIT = MTU + 4
HEADER = {4: 20, 6: 40}
UDP_HEADER = 8
GUE = 12
#: A full packet has just LIMIT octets by gue in 4in4, and a bridge on the way does not let it pass.
WAYS: tuple[tuple[Mode, bool], ...] = (("ipip", False), ("ipip", True), ("gue", False))
UPLOAD = 200_000


@pytest.fixture(scope="module", ids=str,
                params=[Setup(tier, mode, one_link, Layout(0, 3, 4), server_mtu=MTU)
                        for tier, (mode, one_link) in itertools.product(TIERS, WAYS)])
def narrow(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with a tunnel over links of 1500 octets."""
    with open_site(request.param) as site:
        yield site


def test_only_what_does_not_fit_is_lost(narrow: Site, family: Family, outer: Family) -> None:
    """The handshake's datagrams fit, and so does the upload: the client's probes for a larger
    path MTU are what is lost, but for 4in4, where they fit too. Nobody tells the client."""
    narrow.apply(outer=outer)
    upload = narrow.bed.dir / "upload"
    upload.write_bytes(bytes(UPLOAD))
    with narrow.account() as account:
        client = require_ok(gtlsclient(narrow.bed, family=family,
                                       options=["-m", "POST", f"--data={upload}"]))
        assert [event["body"] for event in account.events("request")] == [UPLOAD]
        log = client.log.read_text(errors="replace")
        sizes = [int(size) for size in re.findall(r"^Sent packet: .* (\d+) bytes$", log,
                                                  re.MULTILINE)]
        overhead = UDP_HEADER + HEADER[family] + HEADER[outer] + GUE * (narrow.setup.mode == "gue")
        account.lost = sum(size + overhead > LIMIT for size in sizes)
        assert max(sizes) > 1400
        assert (account.lost == 0) == (family == outer == 4)
    assert account.balancer is not None and account.balancer.forwarded == len(sizes)
