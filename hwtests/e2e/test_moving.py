# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients that change their address in mid-connection.

In each test the client's server is drained first, so that whatever does not go by its connection
ID goes to another server for certain, and is seen there as foreign.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hwtests.lab import Nat, Process
from hwtests.lab.bed import Family
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient
from hwtests.lab.nat import Mapping
from hwtests.lab.servers import Event
from hwtests.lab.waiting import Deadline, wait_readable

from .account import Account
from .site import Site, held

pytestmark = pytest.mark.keyed

#: Long enough that a client which is stopped at the first octets is in the middle of it.
LONG = 16_000_000
UNREAD = 4096  # octets as the kernel counts them: two full datagrams, or five empty ones
CONFIRMED = "handshake has been confirmed"
ANSWERED = r"\[:status: 200\]"


def host_and_port(endpoint: str) -> tuple[str, int]:
    """ "10.1.0.2:4433" or "[fd00:1::2]:4433"."""
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def drain_home(site: Site, account: Account, client: Process) -> str:
    """Drain the server of the only connection there is; gives its name. The client is held."""
    [home] = account.where("handshake")
    site.apply(drained=[home])
    assert client.running() and not account.events("close"), "the client was not held in time"
    return home


def wait_unread(site: Site, client: Process) -> None:
    """Wait until a client that is held has data to acknowledge, more than a few small packets.

    Else it may have nothing to say after its address has changed: it waits for the server, which
    goes on sending to the old address. No balancer can help there. The kernel tells of no arrival
    in another process's socket, so this looks again and again.
    """
    deadline = Deadline(5.0)
    while not any(octets > UNREAD for octets in unread(site)):
        assert not deadline.passed() and not wait_readable([client.fileno()], Deadline(0.002))


def unread(site: Site) -> list[int]:
    """Octets of memory that wait in each UDP socket of the client's machine."""
    return [int(line.split()[4].split(":")[1], 16) for table in ("udp", "udp6")
            for line in Path(f"/proc/{site.bed.client.pid}/net/{table}").read_text()
            .splitlines()[1:]]


def stayed(site: Site, account: Account, client: Process, home: str) -> list[str]:
    """The connection went on to its end at its server. Gives the DCIDs that the client used."""
    done = require_ok(finish_gtlsclient(client))
    assert site.home(done) == home
    assert set(account.where("connection")) == set(account.where()) == {home}
    return done.dcids


def one_move(account: Account) -> Event:
    """The only change of address that any server saw."""
    [path] = account.events("path")
    assert path["validated"]
    return path


def test_active_migration(site: Site, family: Family) -> None:
    """A new port and a new connection ID, as RFC 9000 section 9.5 wants them."""
    with site.account() as account, start_gtlsclient(
            site.bed, ["/slow/4000"], family=family,
            options=["--change-local-addr=150ms", "--delay-stream=160ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            home = drain_home(site, account, client)
        dcids = stayed(site, account, client, home)
        path = one_move(account)
        assert path["cid"] == dcids[-1] and path["cid"] != dcids[-2] and len(dcids) == 3
        assert host_and_port(path["old"])[1] != host_and_port(path["new"])[1]


def test_new_port_with_the_old_cid(site: Site, family: Family) -> None:
    """What the client believes to be no migration: the same connection ID from elsewhere."""
    with site.account() as account, start_gtlsclient(
            site.bed, ["/slow/4000"], family=family,
            options=["--change-local-addr=150ms", "--nat-rebinding",
                     "--delay-stream=160ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            home = drain_home(site, account, client)
        dcids = stayed(site, account, client, home)
        path = one_move(account)
        assert len(dcids) == 2 and path["cid"] == dcids[-1]


@pytest.mark.inturn(what={word: word for word in ("port", "address", "both")})
def test_nat_rebinding(site: Site, family: Family, what: str) -> None:
    """The router forgets its mapping in the middle of a download; the client does not notice."""
    with site.account() as account, Nat(site.bed) as nat, start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family) as client:
        before = nat.mapping
        client.wait_line(ANSWERED)
        with held(client):
            home = drain_home(site, account, client)
            wait_unread(site, client)
            after = nat.rebind(address=what != "port", port=what != "address")
        dcids = stayed(site, account, client, home)
        path = one_move(account)
        # The server, not the client, may want another connection ID for the new path.
        assert path["cid"] in dcids[1:]
        for end, mapping in (("old", before), ("new", after)):
            address, port = host_and_port(path[end])
            assert address == outside(mapping, family)
            assert mapping.first_port <= port <= mapping.last_port


def outside(mapping: Mapping, family: Family) -> str:
    """The NAT's address."""
    return mapping.address4 if family == 4 else mapping.address6


def test_rebinding_before_and_in_a_download(site: Site, family: Family) -> None:
    """Two times: once while nothing is on its way, once while a lot is."""
    with site.account() as account, Nat(site.bed) as nat, start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family,
            options=["--delay-stream=100ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            home = drain_home(site, account, client)
            nat.rebind(address=True)
        client.wait_line(ANSWERED)
        account.wait(home, "path")
        with held(client):
            wait_unread(site, client)
            nat.rebind(address=True)
        stayed(site, account, client, home)
        assert [path["validated"] for path in account.events("path")] == [True, True]


def test_moved_while_many_connect(site: Site, family: Family) -> None:
    """Others come and go while one moves: none disturbs another."""
    with site.account() as account, start_gtlsclient(
            site.bed, ["/slow/4000"], family=family,
            options=["--change-local-addr=150ms", "--delay-stream=160ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            home = drain_home(site, account, client)
        others = [start_gtlsclient(site.bed, ["/bytes/20000"], family=family) for _ in range(6)]
        homes = {site.home(require_ok(finish_gtlsclient(other))) for other in others}
        assert homes.isdisjoint({home})
        assert site.home(require_ok(finish_gtlsclient(client))) == home
        one_move(account)
