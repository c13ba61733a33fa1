# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A real client and an unmodified server behind mode nat, with shunt on the clients' side only:
answers come in by an interface without XDP, and TC gives them the VIP's address."""

from __future__ import annotations

from typing import Iterator

import pytest

from hwtests.conftest import HostTier
from hwtests.lab import Bed, Certificate, Family, gtlsclient, gtlsserver
from hwtests.lab.bed import FAMILIES
from hwtests.lab.clients import require_ok
from hwtests.tc.site import Site

SIZE = 300_000


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """The servers' kernels leave checksums to the device, and may send many datagrams as one."""
    with Bed(servers=2, nat=True) as up:
        up.attach_pass()
        for host in up.servers:
            host.node.ethtool(host.interface, tx="on")
        (up.dir / "large").write_bytes(bytes(SIZE))
        yield up


@pytest.mark.parametrize("family", FAMILIES)
def test_transfer(bed: Bed, tier: HostTier, family: Family) -> None:
    certificate = Certificate.make(bed.dir)
    host = bed.servers[0]
    ((address, port),) = [end for end in bed.endpoints(host) if (":" in end[0]) == (family == 6)]
    pools = [{"name": "web", "servers": [
        {"name": host.name, "address": address, "port": port, "mode": "nat"}]}]
    vips = [{"name": "www", "address": bed.vip(family), "port": bed.port, "pool": "web"}]
    with gtlsserver(bed, host, certificate), \
            Site(bed, tier=tier, pools=pools, vips=vips) as site:
        got = require_ok(gtlsclient(bed, ["/large"], family=family))
        assert got.content_bytes == SIZE
        out = site.stack()["out"]
        (told,) = site.loader.json("stats", site.interface)["tiers"]
    assert out["servers"][f"web/{host.name}"] == out["vips"]["www"]
    assert out["vips"]["www"]["redirects"] == out["vips"]["www"]["packets"] > 0
    assert out["vips"]["www"]["octets"] > SIZE
    assert told["reasons"]["nat_return"]["packets"] == 0
