# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Moves clients in mid-connection: a NAT gives them another port, another address; or they move
by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwtests.lab import Bed, Family, LabError, Nat, Process
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient

from .screen import Line, table
from .site import Address, Site
from .tally import Connection, Tally

#: An upload has datagrams from the client under way at all times: only those tell of a new address.
_RATE, _UPLOAD = "12mbit", 6_000_000
#: Where this kernel cannot slow a link down, more octets take as long.
_UPLOAD_UNSHAPED = 60_000_000
#: The 4-tuple picks the right server by chance one time in three: so often it may at most.
_ATTEMPTS = 8


@dataclass(frozen=True)
class Move:
    """One change of a client's address."""

    how: str
    client: Address
    connection: int
    server: str
    by_hash: str

    @property
    def saved(self) -> bool:
        """Whether the connection would have been lost without its connection ID."""
        return self.by_hash != self.server


def upload_file(bed: Bed) -> Path:
    """Octets for an upload of some seconds, over a link that is slowed down for it."""
    slow = bed.client.run(["tc", "qdisc", "replace", "dev", bed.client_interface, "root", "tbf",
                           "rate", _RATE, "burst", "20kb", "latency", "50ms"], check=False)
    path = bed.dir / "upload"
    path.write_bytes(bytes(_UPLOAD if slow.returncode == 0 else _UPLOAD_UNSHAPED))
    return path


def full_speed(bed: Bed) -> None:
    """Undo what upload_file() did to the link."""
    bed.client.run(["tc", "qdisc", "del", "dev", bed.client_interface, "root"], check=False)


class Moves:
    """The moves of one tier's turn."""

    def __init__(self, site: Site, tally: Tally, tier: str, family: Family) -> None:
        self._site, self._tally, self._tier, self._family = site, tally, tier, family
        self.begins: list[tuple[Connection, Address]] = []
        self.moves: list[Move] = []

    def by_nat(self) -> None:
        """A client uploads; the NAT before it forgets its port, later its address."""
        file = upload_file(self._site.bed)
        try:
            with Nat(self._site.bed) as nat:
                client = self._start("/upload", "-m", "POST", "-d", str(file))
                connection = self._connection(client)
                self._tally.pause(0.5)
                for address in (False, True):
                    self._rebind(nat, client, connection, address)
                    self._tally.pause(0.5)
                self._finish(client, connection)
        finally:
            full_speed(self._site.bed)

    def by_itself(self) -> None:
        """A client downloads and changes to a new port, as from Wi-Fi to mobile: with a new CID."""
        client = self._start("/slow/10000", "--change-local-addr=300ms")
        connection = self._connection(client)
        self._wait(client, connection, 1)
        self._note("client moves itself", connection)
        self._finish(client, connection)

    def _start(self, path: str, *options: str) -> Process:
        self._before = len(self._tally.connections)
        return start_gtlsclient(self._site.bed, [path], family=self._family, options=options)

    def _connection(self, client: Process) -> Connection:
        tally, before = self._tally, self._before
        tally.watch(lambda: bool(tally.after(before)), [client], timeout=10,
                    what="the connection that is to move")
        connection = tally.after(before)[0]
        self.begins.append((connection, connection.addresses[0]))
        return connection

    def _rebind(self, nat: Nat, client: Process, connection: Connection, address: bool) -> None:
        for _ in range(_ATTEMPTS):
            moves = connection.moves
            nat.rebind(address=address)
            self._wait(client, connection, moves + 1)
            if self._note("NAT: new address" if address else "NAT: new port", connection).saved:
                return
        raise LabError(f"the 4-tuple picked {connection.server} {_ATTEMPTS} times in a row")

    def _wait(self, client: Process, connection: Connection, moves: int) -> None:
        self._tally.watch(lambda: connection.moves >= moves or not client.running(), [client],
                          timeout=10, what=f"connection {connection.number} at its new address")
        if connection.moves < moves:
            raise client.fail(f"connection {connection.number} did not arrive from a new address")

    def _note(self, how: str, connection: Connection) -> Move:
        client = connection.addresses[-1]
        move = Move(how, client, connection.number, connection.server,
                    self._site.by_hash(self._tier, client))
        self.moves.append(move)
        return move

    def _finish(self, client: Process, connection: Connection) -> None:
        self._tally.watch(lambda: not client.running() and not connection.open, [client],
                          timeout=30, what=f"the end of connection {connection.number}")
        require_ok(finish_gtlsclient(client))

    def table(self) -> list[Line]:
        """Each move, where its connection stayed and where the 4-tuple would have sent it."""
        rows = [("connection", "what happens", "client", "server", "by 4-tuple alone")]
        for connection, address in self.begins:
            rows.append((str(connection.number), "begins", str(address), connection.server, ""))
            for move in self.moves:
                if move.connection == connection.number:
                    rows.append(("", move.how, str(move.client), f"{move.server}, stays",
                                 f"{move.by_hash}, lost" if move.saved
                                 else f"{move.by_hash}, by chance"))
        return table(rows)
