# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tells the demo: probe, attach, clients, moves, drain, tier by tier, and what it came to."""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from hwtests.lab import (Certificate, ChromiumResult, Family, LabError, Process, QuicServers,
                         chromium)
from hwtests.lab.bed import FAMILIES
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient

from .moves import Moves
from .screen import Screen, table
from .site import CONFIG, INTERFACE, Site, cids
from .tally import Tally

_PICTURE = """\
                          +--- s1   by IPv4 tunnel
client --- lb0 [shunt] ---+--- s2   by IPv6 tunnel    each a machine of its own, in network
                          +--- s3   by MAC address    namespaces that end with this program"""


@dataclass(frozen=True)
class Size:
    """How much is shown."""

    tiers: Sequence[str] = ("driver", "generic")
    clients: int = 12
    newcomers: int = 8
    browser: bool = True


QUICK = Size(tiers=("driver",), clients=6, newcomers=4, browser=False)


@dataclass(frozen=True)
class Result:
    """What one tier did."""

    tier: str
    connections: int
    ipv6: int
    moves: int
    saved: int
    by_cid: int
    by_hash: int
    foreign: int


def check(true: bool, claim: str) -> None:
    """What the demo says must be so."""
    if not true:
        raise LabError(f"not true: {claim}")


class Turn:
    """One tier's turn, from its attachment to its end."""

    def __init__(self, site: Site, screen: Screen, tally: Tally, tier: str, size: Size) -> None:
        self._site, self._screen, self._tally = site, screen, tally
        self._tier, self._size = tier, size
        self._moves: Moves | None = None

    def clients(self, number: int, path: str, options: Sequence[str] = ()) -> list[Process]:
        """Start clients at once, every other one by IPv6."""
        return [start_gtlsclient(self._site.bed, [path], family=FAMILIES[i % 2], options=options)
                for i in range(number)]

    def finish(self, clients: Sequence[Process], before: int) -> None:
        """Wait until the clients are served and the servers know it."""
        tally = self._tally

        def over() -> bool:
            return (not any(client.running() for client in clients)
                    and len(tally.after(before)) >= len(clients)
                    and not any(c.open for c in tally.after(before)))
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.enter_context(client)
            tally.watch(over, clients, timeout=20, what=f"{len(clients)} clients")
        for client in clients:
            require_ok(finish_gtlsclient(client))

    def crowd(self) -> None:
        """Many clients at once."""
        self.finish(self.clients(self._size.clients, "/bytes/200000"), 0)

    def browse(self, certificate: Certificate) -> None:
        """One page in a browser; in a thread of its own, for the table goes on."""
        if shutil.which("chromium") is None:
            self._screen.say("Chromium: left out, it is not installed.")
            return
        before = len(self._tally.connections)
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        try:
            page = pool.submit(chromium, self._site.bed, certificate, family=6)
            self._tally.watch(page.done, timeout=45, what="Chromium's page")
            self._tell_page(page.result(), before)
        finally:
            # After an interruption it is the bed that ends the browser, and so the thread.
            pool.shutdown(wait=False)

    def _tell_page(self, page: ChromiumResult, before: int) -> None:
        served = [c for c in self._tally.after(before) if c.requests]
        check(bool(served) and served[0].server in page.dom,
              f"Chromium got its page by QUIC (exit status {page.exit_status})")
        self._tally.show()
        self._screen.say(f"Chromium has its page from {served[0].server}, "
                         f"by IPv6: connection {served[0].number}.")

    def move(self, family: Family) -> None:
        """Change clients' addresses."""
        self._moves = Moves(self._site, self._tally, self._tier, family)
        self._moves.by_itself()
        self._moves.by_nat()
        self._tally.show()
        self._screen.say()
        self._screen.lines(self._moves.table())

    def drain(self) -> None:
        """Take a server out: new connections go elsewhere, the one it has stays."""
        tally, before = self._tally, len(self._tally.connections)
        client = self.clients(1, "/slow/25000")[0]
        tally.watch(lambda: bool(tally.after(before)), [client], timeout=10, what="a long download")
        old = tally.after(before)[0]
        self._screen.say(f"Connection {old.number} is a download from {old.server}. The same "
                         f"configuration with `state: drain` for {old.server}:")
        self._site.show(self._screen, "apply", "-c", str(self._site.drain(old.server)))
        newcomers = self.clients(self._size.newcomers, "/bytes/50000")
        self.finish(newcomers, old.number)
        check(old.open, f"connection {old.number} goes on while {old.server} drains")
        went = {c.server for c in tally.after(old.number)}
        check(old.server not in went, f"no new connection goes to {old.server}, which drains")
        self.finish([client], before)
        tally.show()
        self._screen.say(f"{len(newcomers)} new connections went to {' and '.join(sorted(went))}, "
                         f"none to {old.server}; connection {old.number} was served by "
                         f"{old.server} to its end.")

    def result(self) -> Result:
        """What it came to, once nothing is under way."""
        tally, counters = self._tally, self._site.counters()
        moves = self._moves.moves if self._moves else []
        foreign = tally.servers.totals()["foreign"]
        tally.read()
        check(foreign == 0 and not tally.foreign, "no packet reached a wrong server")
        saved = [move.how for move in moves if move.saved]
        check(any("port" in how for how in saved) and any("address" in how for how in saved),
              "a new port and a new address would have led elsewhere by the 4-tuple alone")
        connections = tally.connections.values()
        return Result(self._tier, len(connections),
                      sum(":" in c.addresses[0].host for c in connections), len(moves),
                      len(saved), counters.by_cid, counters.by_hash, foreign)


def _config_lines() -> list[tuple[str, str]]:
    """The pool of the configuration, which says most."""
    lines = CONFIG.read_text().splitlines()
    first = lines.index("pools:")
    return [(line, "dim") for line in lines[first:first + 6]] + [("      ...", "dim")]


def _turn(site: Site, screen: Screen, certificate: Certificate, tier: str, size: Size,
          number: int) -> Result:
    first = number == 0
    screen.heading(f"Tier {tier}: attach")
    site.show(screen, "attach", INTERFACE, "-t", tier, "-c", site.config)
    with QuicServers(site.bed, certificate, cids=cids()) as servers:
        tally = Tally(site, servers, screen)
        turn = Turn(site, screen, tally, tier, size)
        screen.heading(f"Tier {tier}: {size.clients} QUIC clients at once, IPv4 and IPv6")
        turn.crowd()
        tally.show()
        if first and size.browser:
            screen.heading(f"Tier {tier}: a browser")
            turn.browse(certificate)
        family = FAMILIES[number % 2]
        screen.heading(f"Tier {tier}: clients move in the middle of a transfer (IPv{family})")
        turn.move(family)
        screen.heading(f"Tier {tier}: a server drains")
        turn.drain()
        result = turn.result()
    site.loader("detach", INTERFACE)
    return result


def _summary(screen: Screen, results: Sequence[Result], seconds: float) -> None:
    names = [("connections", "connections"), ("ipv6", "  of them by IPv6"),
             ("moves", "changes of a client's address"),
             ("saved", "  that the 4-tuple alone would have sent to another server"),
             ("by_cid", "datagrams routed by connection ID"),
             ("by_hash", "datagrams routed by 4-tuple: a client's first, before it has an ID"),
             ("foreign", "datagrams that reached a wrong server")]
    screen.heading("Summary")
    rows = [("", *(result.tier for result in results))]
    rows += [(text, *(f"{getattr(result, name):,}" for result in results)) for name, text in names]
    screen.lines(table(rows, right=range(1, len(results) + 1)))
    screen.say()
    screen.say(f"All connections were served to their end, in {seconds:.0f} seconds.", "good")
    screen.say("Next: README.md; hwtests/demo/shunt.yaml is the configuration used; "
               "`/usr/bin/python3 -m hwtests.lab shell` opens such a network to play with; "
               "`sudo make test` runs the tests.")


def tell(screen: Screen, size: Size) -> None:
    """The whole demo; raises LabError when something is not as told."""
    began = time.monotonic()
    screen.title("shunt: a load balancer for QUIC that keeps a connection at its server")
    screen.lines([(line, "dim") for line in _PICTURE.splitlines()])
    with Site() as site:
        certificate = Certificate.make(site.bed.dir)
        screen.heading("What the balancer's interface can do")
        site.show(screen, "--probe", INTERFACE)
        screen.heading(f"The configuration: {Path(site.config)}")
        screen.lines(_config_lines())
        results = [_turn(site, screen, certificate, tier, size, number)
                   for number, tier in enumerate(size.tiers)]
    _summary(screen, results, time.monotonic() - began)
