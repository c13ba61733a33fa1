# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What an operator does while connections are running: none of them may notice."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from hwtests.lab.bed import Family
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient

from .account import check_sums
from .site import BASE, Site, Tier, held
from .test_moving import ANSWERED, CONFIRMED, LONG, drain_home

ADDED = "s3"


def new_ones(site: Site, family: Family, n: int = 4) -> list[str]:
    """The servers of n new connections."""
    clients = [start_gtlsclient(site.bed, ["/bytes/2000"], family=family) for _ in range(n)]
    return [site.home(require_ok(finish_gtlsclient(client))) for client in clients]


@pytest.mark.keyed
def test_drain(site: Site, family: Family) -> None:
    """The connection stays, new ones go elsewhere, and come back when it is up again."""
    with site.account() as account, start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        with held(client):
            home = drain_home(site, account, client)
            assert home not in new_ones(site, family)
        done = require_ok(finish_gtlsclient(client))
        assert site.home(done) == home
        site.apply(weights={name: 100 * (name == home) for name in BASE})
        assert set(new_ones(site, family)) == {home}


def test_weight_zero(site: Site, family: Family) -> None:
    """As draining, by another word."""
    with site.account() as account, start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        with held(client):
            [home] = account.where("handshake")
            site.apply(weights={name: 100 * (name != home) for name in BASE})
            assert home not in new_ones(site, family, 2)
        assert site.home(require_ok(finish_gtlsclient(client))) == home


def test_weights_change_during_traffic(site: Site, family: Family) -> None:
    with site.account() as account, ExitStack() as stack:
        clients = [stack.enter_context(start_gtlsclient(site.bed, [f"/bytes/{LONG // 3}"],
                                                        family=family)) for _ in range(4)]
        for client in clients:
            client.wait_line(ANSWERED)
        applied = 0
        while applied < 20 and (applied < 4 or any(client.running() for client in clients)):
            site.apply(weights={"s1": 1 + applied % 3 * 50, "s2": 100 - applied % 2 * 99})
            applied += 1
        homes = [site.home(require_ok(finish_gtlsclient(client))) for client in clients]
        assert sorted(account.where()) == sorted(homes)


BROKEN = ("version: 1\nvips: [", "")
WRONG = ("version: 1\nvips: [{name: a, address: 203.0.113.80, port: 4433, pool: nobody}]\n",
         "vips[0].pool")


@pytest.mark.inturn(text_and_path={"broken": BROKEN, "wrong": WRONG})
def test_invalid_file_changes_nothing(site: Site, family: Family,
                                      text_and_path: tuple[str, str]) -> None:
    text, path = text_and_path
    bad = site.bed.dir / "bad.yaml"
    bad.write_text(text)
    with site.account(), start_gtlsclient(
            site.bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        generation = site.stats().generation
        done = site.loader("apply", "-c", bad, check=False)
        assert done.returncode == 6 and path in done.stderr, done.stderr
        document = json.loads(site.loader("apply", "-c", bad, "--json", check=False).stdout)
        assert document["exit"] == 6 and path in json.dumps(document), document
        assert site.stats().generation == generation
        site.home(require_ok(finish_gtlsclient(client)))
        new_ones(site, family, 1)


def test_server_added(site: Site, family: Family) -> None:
    """Connections stay where they are, whatever rows the new server takes over."""
    with site.account() as account, ExitStack() as stack:
        clients = [stack.enter_context(start_gtlsclient(
            site.bed, ["/slow/4000"], family=family,
            options=["--change-local-addr=150ms", "--delay-stream=160ms"])) for _ in range(2)]
        for client in clients:
            client.wait_line(CONFIRMED)
        homes = sorted(account.where("handshake"))
        with ExitStack() as stopped:
            for client in clients:
                stopped.enter_context(held(client))
            site.apply(servers=[*BASE, ADDED], weights={"s1": 0, "s2": 0, ADDED: 1})
        assert set(new_ones(site, family, 2)) == {ADDED}
        ended = sorted(site.home(require_ok(finish_gtlsclient(client))) for client in clients)
        assert homes == ended and ADDED not in homes


@pytest.mark.keyed
@pytest.mark.modes("gue", "nat")
def test_tier_changed_in_mid_connection(site: Site, family: Family) -> None:
    """Routing by connection ID keeps no state, so not even another tier loses a connection."""
    own = site.setup.tier
    other: Tier = "generic" if own == "driver" else "driver"
    with start_gtlsclient(site.bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        with held(client):
            before = site.stats()
            assert before.reasons["cid"] > 0
            site.detach()
            site.attach(other)
            assert site.stats().total < before.total
        try:
            done = require_ok(finish_gtlsclient(client))
            site.home(done)
            check_sums(site.stats())
            assert site.stats().reasons["cid"] > 0
            new_ones(site, family, 1)
        finally:
            site.detach()
            site.attach(own)
        assert sum(server.counters()["foreign"] for server in site.running()) == 0
