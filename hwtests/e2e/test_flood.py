# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Initials that nobody means, at a stated rate, beside connections that do not notice."""

from __future__ import annotations

import contextlib
import json
import re
from contextlib import ExitStack
from typing import Iterator

import pytest

from hwtests.lab import GtlsResult, Process
from hwtests.lab.bed import FAMILIES, Family, built
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient

from .site import BASE, Site, Unroutable, held
from .test_moving import ANSWERED, LONG

CONNECTIONS = 200
#: Packets, and how many of them a second.
FLOOD, RATE = 40_000, 20_000
#: Less than the flood would fill.
FLOWS = 2_000
SINK = "s3"
#: Octets, of which a server sends ten a millisecond: for as long as it takes all to begin. The last
#: is for a machine that has much else to do.
TRANSFERS = (90_000, 180_000, 360_000)


@contextlib.contextmanager
def sink(site: Site) -> Iterator[None]:
    """A host that takes what comes for the VIP and says nothing."""
    node = site.host(SINK).node
    node.run(["nft", "-f", "-"], input=f"""
table netdev sink {{
    chain in {{
        type filter hook ingress device {site.host(SINK).interface} priority 0
        udp dport {site.bed.port} drop
    }}
}}
""")
    try:
        yield
    finally:
        node.run(["nft", "delete", "table", "netdev", "sink"])


def flood(site: Site, family: Family, *source: str, packets: int = FLOOD) -> None:
    """Send it; returns when it is over."""
    bed = site.bed
    done = bed.client.run([built("flood"), bed.client_interface, bed.lb_mac, bed.vip(family),
                           str(bed.port), str(packets), str(RATE), bed.client_mac, *source])
    assert json.loads(done.stdout)["sent"] == packets


def datagrams(results: list[GtlsResult]) -> int:
    """How many the clients have sent."""
    return sum(len(re.findall("^Sent packet:", result.log.read_text(errors="replace"),
                              re.MULTILINE)) for result in results)


def begin(site: Site, stack: ExitStack) -> tuple[list[GtlsResult], list[Process]]:
    """As many clients as are wanted, all in the middle of something. What earlier ones came to,
    which were not: their transfers ended before the last had begun."""
    earlier: list[GtlsResult] = []
    for octets in TRANSFERS:
        clients = [stack.enter_context(start_gtlsclient(
            site.bed, [f"/slow/{octets}"], family=FAMILIES[number % 2], idle_timeout=10))
            for number in range(CONNECTIONS)]
        for client in clients:
            client.wait_line(ANSWERED, 60)
        if all(client.running() for client in clients):
            return earlier, clients
        earlier += [require_ok(finish_gtlsclient(client, 60)) for client in clients]
    raise AssertionError(f"{CONNECTIONS} clients took longer to begin than the longest transfer")


@pytest.mark.tiers("driver")
@pytest.mark.modes("ipip")
def test_connections_lose_nothing(site: Site, family: Family) -> None:
    """Half of them are known by their connection IDs, half because they are remembered, in a
    table that the flood fills. Not one datagram of theirs is lost or goes elsewhere."""
    cids = [site.layout.cid(1, site.bed.dir), Unroutable(), site.layout.cid(3, site.bed.dir)]
    servers = [*BASE, SINK]
    with site.limited(flows=FLOWS), sink(site), site.serving(cids), \
            site.account() as account, ExitStack() as stack:
        earlier, clients = begin(site, stack)
        site.apply(servers=servers, weights={name: int(name == SINK) for name in servers})
        before = site.stats()
        flood(site, family)
        during = site.stats().since(before)
        [tier] = site.loader.json("show", "flows")["tiers"]
        assert .8 * FLOWS < tier["flows"]["count"] <= FLOWS
        results = earlier + [require_ok(finish_gtlsclient(client, 60)) for client in clients]
        assert sorted(account.where()) == sorted(account.where("connection"))
        assert set(account.where()) == set(BASE) and len(account.where()) == len(results)
        assert during.datagrams - during.servers[f"web/{SINK}"] > CONNECTIONS
        account.lost = FLOOD
    assert account.balancer is not None
    assert account.balancer.servers[f"web/{SINK}"] == FLOOD
    assert account.balancer.datagrams == FLOOD + datagrams(results)


def source_of(client: Process) -> tuple[str, str]:
    """Its address and port, by its log."""
    found = client.wait_line(r"^Sent packet: local=\[(.*?)\]:(\d+)")
    return found[1], found[2]


@pytest.mark.tiers("driver", "generic")
@pytest.mark.modes("ipip")
@pytest.mark.parametrize("routable", [True, False], ids=["routable", "tracked"])
def test_spoofed_tuple_leads_nobody_astray(site: Site, family: Family, routable: bool) -> None:
    """Somebody who sees a connection's addresses and ports sends Initials from there, when all that
    is new goes elsewhere. They go elsewhere, and the connection stays: by its connection ID, or
    since what is remembered of a client is of one connection, which a SCID tells from others."""
    cids = None if routable else [Unroutable() for _ in site.bed.servers]
    with sink(site), site.serving(cids), site.account(cid=routable) as account, start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        with held(client):
            [home] = account.where("handshake")
            servers = [*BASE, SINK]
            site.apply(servers=servers, weights={name: int(name == SINK) for name in servers})
            flood(site, family, *source_of(client), packets=FLOOD // 10)
        require_ok(finish_gtlsclient(client))
        assert set(account.where("connection")) == set(account.where()) == {home}
        account.lost = FLOOD // 10
    assert account.balancer is not None
    assert account.balancer.servers[f"web/{SINK}"] == FLOOD // 10
