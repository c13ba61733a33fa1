# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Counts, from what the servers log and the balancer counts, where each connection is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Sequence

from hwtests.lab import LabError, Process, ProcessFailed, QuicServers
from hwtests.lab.servers import Event
from hwtests.lab.waiting import Deadline, wait_readable

from .screen import Line, Screen, octets, table
from .site import Address, Counters, Site

#: How often the servers' logs are read, and the table on a terminal is drawn anew, in seconds.
_LOOK, _DRAW = 0.05, 0.25
_SHOWN = 16


@dataclass
class Connection:
    """A QUIC connection as its server tells of it."""

    number: int
    server: str
    #: Each address the client had, the first one first.
    addresses: list[Address]
    open: bool = True
    requests: int = 0

    @property
    def moves(self) -> int:
        """How often the client's address has changed."""
        return len(self.addresses) - 1


@dataclass
class Tally:
    """The connections of one tier's turn, numbered as they came."""

    site: Site
    servers: QuicServers
    screen: Screen
    connections: dict[str, Connection] = field(default_factory=dict)
    #: Events of packets that came to a wrong server.
    foreign: list[Event] = field(default_factory=list)
    #: How many events of each server are taken in.
    _taken: dict[str, int] = field(default_factory=dict)

    def read(self) -> None:
        """Take in what the servers have logged since."""
        events: list[Event] = []
        for server in self.servers:
            # Not what read() gives: asking for a summary takes in events too.
            server.read()
            events += server.events[self._taken.get(server.name, 0):]
            self._taken[server.name] = len(server.events)
        for event in sorted(events, key=lambda event: float(event["t"])):
            self._take(event)

    def _take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "connection":
            self.connections[event["scid"]] = Connection(
                len(self.connections) + 1, event["server"], [Address.parse(event["peer"])])
        elif kind == "foreign":
            self.foreign.append(event)
        connection = self.connections.get(event.get("scid", ""))
        if connection is None:
            return
        if kind == "path" and event["validated"]:
            connection.addresses.append(Address.parse(event["new"]))
        elif kind == "request":
            connection.requests += 1
        elif kind == "close":
            connection.open = False

    def after(self, number: int) -> list[Connection]:
        """The connections that came after the one of that number."""
        return [c for c in self.connections.values() if c.number > number]

    def table(self, counters: Counters) -> list[Line]:
        """Who has what: the servers' logs beside the balancer's counters."""
        rows: list[tuple[str, ...]] = [("server", "connections", "open", "moves", "datagrams",
                                        "arrived", "octets", "which")]
        total = [0] * 6
        for server in self.servers:
            mine = [c for c in self.connections.values() if c.server == server.name]
            sent, size = counters.servers[server.name]
            numbers = [len(mine), sum(c.open for c in mine), sum(c.moves for c in mine), sent,
                       server.counters()["packets"], size]
            total = [a + b for a, b in zip(total, numbers)]
            rows.append((server.name, *self._cells(numbers), _which(mine)))
        rows.append(("all", *self._cells(total), ""))
        lines = table(rows, right=range(1, 7))
        return [*lines[:-1], (lines[-1][0], "bold"),
                (f"routed by connection ID {counters.by_cid:,}   by 4-tuple {counters.by_hash:,}   "
                 f"at a wrong server {len(self.foreign)}", "bad" if self.foreign else "good")]

    @staticmethod
    def _cells(numbers: Sequence[int]) -> list[str]:
        return [*(f"{number:,}" for number in numbers[:-1]), octets(numbers[-1])]

    def show(self) -> None:
        """Draw the table as it stays."""
        self.screen.draw(self.table(self.site.counters()), final=True)

    def watch(self, until: Callable[[], bool], processes: Sequence[Process] = (), *,
              timeout: float, what: str) -> None:
        """Keep the table current until something is true; it is looked at as events come."""
        deadline, drawing = Deadline(timeout), Deadline(0)
        while True:
            self.read()
            if self.foreign:
                raise LabError(f"not true: no packet reaches a wrong server: {self.foreign[0]}")
            if until():
                return
            if deadline.passed():
                raise ProcessFailed(f"{what}: not within {timeout:g} s")
            if self.screen.live and drawing.passed():
                self.screen.draw(self.table(self.site.counters()))
                drawing = Deadline(_DRAW)
            running = [process.fileno() for process in processes if process.running()]
            wait_readable(running, Deadline(min(_LOOK, deadline.left())))

    def pause(self, seconds: float) -> None:
        """Let the clients go on for a while, for people to see."""
        end = Deadline(seconds)
        self.watch(end.passed, timeout=seconds + 5, what="a pause")


def _which(connections: Sequence[Connection]) -> str:
    """The connections' numbers; a star: it has moved."""
    names = [f"{c.number}{'*' if c.moves else ''}" for c in connections]
    more = len(names) - _SHOWN
    return " ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
