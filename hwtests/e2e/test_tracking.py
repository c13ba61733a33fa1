# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Connections whose IDs say nothing: what remembers them keeps them where they are, and where not.

Their 4-tuple and the server's connection IDs that they have used lead home (conn_track), though
new ones go elsewhere. A connection ID that the balancer has never seen does so by luck alone.
"""

from __future__ import annotations

import pytest

from hwtests.lab import CidConfig, Nat, Process
from hwtests.lab.bed import Family, client4, client6
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient
from hwtests.lab.waiting import Deadline, wait_readable

from .account import Account
from .site import BASE, Site, Unroutable, held, received
from .test_moving import ANSWERED, CONFIRMED, wait_unread
from .test_transfer import hold_back

#: The connection IDs of servers without a configuration.
CID_OCTETS = 9
PATIENCE = 0.5  # seconds after which a client gives up
#: As long as LONG of test_moving, in time: an unmodified server writes a log of every packet.
FILE = 6_000_000


def unroutable(site: Site) -> list[CidConfig]:
    """Servers that cannot be read, on every host."""
    return [Unroutable() for _ in site.bed.servers]


def change_everything(site: Site, home: str) -> None:
    """Whatever an operator does to a pool, until nothing new comes to this server."""
    [other] = [name for name in BASE if name != home]
    site.apply(servers=[*BASE, "s3"])
    site.apply(servers=[*BASE, "s3"], weights={home: 1, other: 100, "s3": 1000})
    site.apply(weights={home: 0, other: 1})
    site.apply(drained=[home])


def test_pool_changes_in_mid_handshake(site: Site, family: Family) -> None:
    """The client's second flight is held back until the pool is another: it goes to the server of
    the first, for it knows of no other."""
    with site.serving(unroutable(site)), site.account(cid=False) as account:
        hold_back(site, "add", dcid_length=CID_OCTETS)
        with start_gtlsclient(site.bed, family=family, options=["--initial-rtt=50ms"]) as client:
            client.wait_line("type=Handshake")
            [home] = account.where("connection")
            change_everything(site, home)
            hold_back(site, "delete")
            require_ok(finish_gtlsclient(client))
        assert account.where("connection") == account.where() == [home]
    assert account.balancer is not None and account.balancer.reasons["flow"] > 0


@pytest.mark.modes("ipip")
@pytest.mark.parametrize("limits", [{}, {"flows": 0}], ids=["tracked", "stateless"])
def test_first_flight_repeated(site: Site, family: Family, limits: dict[str, int]) -> None:
    """The answers are lost, and the pool is another before the client tries again, with the same
    connection ID of its choice. Without a memory a second server takes it for a new connection."""
    with site.limited(**limits), site.account() as account:
        lose_answers(site, "add")
        with start_gtlsclient(site.bed, family=family, options=["--initial-rtt=50ms"]) as client:
            home = wait_somewhere(account, client)
            site.apply(drained=[home])
            wait_heard(site, client)
            lose_answers(site, "delete")
            require_ok(finish_gtlsclient(client))
        assert (set(account.where("connection")) == {home}) == (not limits)


def lose_answers(site: Site, how: str) -> None:
    """Drop what servers send, or no more, where it comes in at the client."""
    rules = "delete table netdev lose_answers" if how == "delete" else f"""
table netdev lose_answers {{
    chain in {{
        type filter hook ingress device {site.bed.client_interface} priority 0
        udp sport {site.bed.port} drop
    }}
}}
"""
    site.bed.client.run(["nft", "-f", "-"], input=rules)


def wait_somewhere(account: Account, client: Process) -> str:
    """Wait until a server has a connection; gives its name."""
    deadline = Deadline(5.0)
    while not account.where("connection"):
        assert client.running() and not deadline.passed()
        wait_readable([client.fileno()], Deadline(0.01))
    [home] = account.where("connection")
    return home


def wait_heard(site: Site, client: Process) -> None:
    """Wait until the client has sent something more."""
    before, deadline = site.stats().total, Deadline(5.0)
    while site.stats().total == before:
        assert client.running() and not deadline.passed()
        wait_readable([client.fileno()], Deadline(0.01))


def home_of(servers: dict[str, Process]) -> str:
    """The unmodified server that has had packets."""
    [home] = [name for name, server in servers.items() if received(server)]
    return home


@pytest.mark.inturn(what={word: word for word in ("port", "address")})
def test_unmodified_server_and_nat_rebinding(site: Site, family: Family, what: str) -> None:
    """The connection ID that the client goes on with has been seen before, and leads home."""
    with site.unmodified(size=FILE) as servers, Nat(site.bed) as nat, start_gtlsclient(
            site.bed, family=family) as client:
        before = site.stats()
        client.wait_line(ANSWERED)
        with held(client):
            home = home_of(servers)
            site.apply(drained=[home])
            wait_unread(site, client)
            nat.rebind(address=what == "address", port=what == "port")
        done = require_ok(finish_gtlsclient(client))
        assert done.stream_bytes > FILE and home_of(servers) == home
        delta = site.stats().since(before)
        assert delta.reasons["flow_cid"] > 0 and delta.reasons["cid"] == 0
        assert delta.servers == {name: delta.forwarded for name in delta.servers}


@pytest.mark.modes("ipip", "nat")
def test_unmodified_server_and_a_new_connection_id(site: Site, family: Family) -> None:
    """What connection IDs that cannot be decoded cost: a client that moves as RFC 9000 section 9.5
    wants it takes one that no packet had yet. It goes where new connections go, and is lost."""
    with site.unmodified(size=FILE) as servers, start_gtlsclient(
            site.bed, family=family, idle_timeout=PATIENCE,
            options=["--change-local-addr=150ms", "--delay-stream=160ms",
                     "--initial-rtt=20ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            home = home_of(servers)
            site.apply(drained=[home])
        done = finish_gtlsclient(client)
        assert done.handshake_confirmed and not done.ok
        assert len(done.dcids) == 3 and len(done.local_addresses) == 2
        assert {name for name, server in servers.items() if received(server)} > {home}


@pytest.mark.inturn(forget={"remembered": False, "forgotten": True})
def test_unmodified_server_drains(site: Site, family: Family, forget: bool) -> None:
    """Where it went before is all that holds a connection to a server that drains."""
    with site.unmodified(size=FILE) as servers, start_gtlsclient(
            site.bed, family=family, idle_timeout=PATIENCE if forget else 5.0) as client:
        client.wait_line(ANSWERED)
        with held(client):
            home = home_of(servers)
            site.apply(drained=[home])
            if forget:
                site.loader("flush", "flows", "--client", client_address(family))
        assert finish_gtlsclient(client).ok != forget


def client_address(family: Family) -> str:
    """The client's own."""
    return client4() if family == 4 else client6()
