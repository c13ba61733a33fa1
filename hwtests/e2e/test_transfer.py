# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Connections that stay where they are: every kind of handshake, both families, all tunnels."""

from __future__ import annotations

import re
import shutil

import pytest

from hwtests.lab import CidConfig, GtlsResult, chromium, gtlsclient
from hwtests.lab.bed import FAMILIES, Family
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient

from .account import Account
from .site import BASE, SOURCE4, SOURCE6, Site, Unroutable, received

SIZE = 300_000
#: GnuTLS offers a key share for two groups; the second's alone fills a datagram.
BIG_HELLO = "--groups=-GROUP-ALL:+GROUP-X25519:+GROUP-FFDHE8192"


def one_server(site: Site, account: Account, client: GtlsResult) -> str:
    """The server that answered; no other had anything to do with this connection."""
    require_ok(client)
    home = site.home(client)
    assert set(account.where("connection")) == set(account.where()) == {home}
    return home


@pytest.mark.everywhere
def test_download(site: Site, family: Family, outer: Family) -> None:
    """With ipip this is 4in4, 4in6, 6in4 and 6in6."""
    site.apply(outer=outer)
    with site.account() as account:
        client = gtlsclient(site.bed, [f"/bytes/{SIZE}"], family=family)
        assert client.stream_bytes > SIZE
        one_server(site, account, client)
    # All but the first flight goes by the connection ID.
    assert account.balancer is not None
    assert account.cid_routed > account.balancer.hashed
    assert set(account.balancer.vips) == {f"v{family}"}


def test_source_from_the_file(site: Site, family: Family) -> None:
    """The servers' decapsulators believe this address too, and no other. l2dsr does not use it."""
    for outer in FAMILIES:
        site.apply(outer=outer, forwarding={"mode": site.setup.mode, "source_v4": SOURCE4,
                                            "source_v6": SOURCE6})
        with site.account() as account:
            one_server(site, account, gtlsclient(site.bed, ["/bytes/5000"], family=family))


@pytest.mark.keyed
def test_both_servers_get_some(site: Site, family: Family) -> None:
    """Eight at a time, as often as it takes."""
    homes: list[str] = []
    with site.account() as account:
        while set(homes) != set(BASE):
            assert len(homes) < 64, "the odds for this are one in 2 to the 63"
            clients = [start_gtlsclient(site.bed, ["/bytes/20000"], family=family)
                       for _ in range(8)]
            homes += [site.home(require_ok(finish_gtlsclient(client))) for client in clients]
        assert sorted(account.where()) == sorted(homes)


def test_two_datagram_hello(site: Site, family: Family) -> None:
    """Both datagrams of the ClientHello have the client's own choice of a connection ID."""
    with site.account() as account:
        client = gtlsclient(site.bed, ["/bytes/1000"], family=family, options=[BIG_HELLO])
        one_server(site, account, client)
    log = client.log.read_text(errors="replace")
    first = re.findall(rf"pkt tx .*dcid=0x{client.dcids[0]} .*type=Initial", log)
    assert len(first) >= 2
    assert account.balancer is not None and account.balancer.hashed >= 2


@pytest.mark.skipif(shutil.which("chromium") is None,
                    reason="chromium is not installed: apt-get install chromium")
def test_chromium(site: Site) -> None:
    """A browser, whose ClientHello needs two datagrams."""
    with site.account() as account:
        page = chromium(site.bed, site.certificate, family=4 if site.setup.one_link else 6)
        homes = set(account.where("connection"))
        assert len(homes) == 1 and f"server: {homes.pop()}" in page.dom, page.stderr
    assert account.balancer is not None and account.balancer.hashed >= 2


@pytest.mark.keyed
def test_version_negotiation(site: Site, family: Family) -> None:
    """A version that nobody knows is routed as any other."""
    with site.account() as account:
        client = gtlsclient(site.bed, family=family,
                            options=["-v", "0x1a2a3a4a", "--preferred-versions=v1"])
        one_server(site, account, client)
        # The client begins anew from another port, so the other server may have been the first.
        assert len(account.events("version-negotiation")) == 1
        assert len(client.local_addresses) == 2


def test_version_2_draft(site: Site, family: Family) -> None:
    """Its packet types have other numbers, which are nothing to the balancer."""
    with site.account() as account:
        one_server(site, account,
                   gtlsclient(site.bed, ["/bytes/50000"], family=family, options=["-v", "v2draft"]))
        assert {event["version"] for event in account.events("connection")} == {"0x709a50c4"}


def test_key_update(site: Site, family: Family) -> None:
    with site.account() as account:
        client = gtlsclient(site.bed, ["/slow/6000"], family=family,
                            options=["--key-update=100ms"])
        # The server tells of the end a moment after the client.
        assert account.wait(one_server(site, account, client), "close")["key_updates"] == 1


@pytest.mark.keyed
def test_early_data(site: Site, family: Family) -> None:
    """The second connection has another port, and so may begin at another server: here it must."""
    tickets = site.bed.dir / f"tickets-v{family}"
    tickets.mkdir(exist_ok=True)
    for old in tickets.iterdir():
        old.unlink()
    with site.account() as account:
        first = one_server(site, account, gtlsclient(site.bed, family=family, resume_dir=tickets))
    site.apply(drained=[first])
    with site.account() as account:
        again = gtlsclient(site.bed, ["/bytes/5000"], family=family, resume_dir=tickets)
        assert one_server(site, account, again) != first
        assert again.early_data_accepted
        assert [event["early_data"] for event in account.events("handshake")] == [True]


@pytest.mark.keyed
def test_retry(site: Site, family: Family) -> None:
    """The Retry's connection ID leads back to the server that chose it."""
    with site.serving(retry=True), site.account() as account:
        client = gtlsclient(site.bed, ["/bytes/20000"], family=family)
        home = one_server(site, account, client)
        assert client.retried and account.where("retry") == [home]


def test_retry_token_at_another_server(site: Site, family: Family) -> None:
    """A server takes another's Retry token, where the way back is not in the connection ID, and
    nobody remembers it.

    The client's answer to the Retry is held back until new connections go elsewhere.
    """
    cids: list[CidConfig] = [Unroutable() for _ in site.bed.servers]
    with site.serving(cids, retry=True), site.account(cid=False) as account:
        hold_back(site, "add", dcid_length=9)
        with start_gtlsclient(site.bed, family=family, options=["--initial-rtt=50ms"]) as client:
            client.wait_line("type=Retry")
            [first] = account.where("retry")
            site.apply(drained=[first])
            site.loader("flush", "flows", "--all")
            hold_back(site, "delete")
            require_ok(finish_gtlsclient(client))
        other = next(name for name in BASE if name != first)
        assert account.where("connection") == account.where() == [other]
        assert account.events("connection")[0]["retry"]
    assert account.balancer is not None
    assert account.balancer.hashed == account.balancer.datagrams


def hold_back(site: Site, how: str, dcid_length: int = 0) -> None:
    """Drop what the client sends with a long header and a DCID of this length: at its interface,
    for it gives up when it is told of a failure to send."""
    rules = "delete table netdev hold_back" if how == "delete" else f"""
table netdev hold_back {{
    chain out {{
        type filter hook egress device {site.bed.client_interface} priority 0
        udp dport {site.bed.port} @th,64,1 1 @th,104,8 {dcid_length} drop
    }}
}}
"""
    site.bed.client.run(["nft", "-f", "-"], input=rules)


@pytest.mark.inturn(options={"plain": [], "retry": ["-V"]})
def test_servers_without_quic_lb(site: Site, family: Family, options: list[str]) -> None:
    """Connection IDs that mean nothing to the balancer: it keeps to the 4-tuple throughout."""
    with site.unmodified(*options, size=SIZE) as servers:
        before = site.stats()
        for _ in range(4):
            client = require_ok(gtlsclient(site.bed, family=family))
            assert client.stream_bytes > SIZE and client.retried == bool(options)
        delta = site.stats().since(before)
        # A random connection ID is routable once in many millions, with the sites' server ids.
        assert delta.datagrams == delta.hashed > 0 and delta.reasons["cid"] == 0
        assert sum(map(received, servers.values())) == delta.datagrams
