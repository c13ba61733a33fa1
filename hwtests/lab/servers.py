# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs the project's QUIC-LB server in the server nodes and reads what they report."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Iterator, Sequence

from .bed import Bed, Host, built
from .certs import Certificate
from .errors import LabError, require_commands
from .process import Process
from .waiting import Deadline, Tail, wait_readable

Event = dict[str, Any]


@dataclass(frozen=True)
class CidConfig:
    """How a server makes its connection IDs."""

    config_id: int = 0
    server_id: str = "01"
    nonce_length: int = 8
    #: Whether the first octet carries the CID's length.
    length: bool = True
    #: Words passed on as they are, for what this class does not name (a key file, say).
    options: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """The server's options for it."""
        return ["--config-id", str(self.config_id), "--server-id", self.server_id,
                "--nonce-length", str(self.nonce_length),
                *([] if self.length else ["--no-length"]), *self.options]


class QuicServer:
    """One server process on the VIP or behind it, both families, with its events."""

    def __init__(self, bed: Bed, host: Host, certificate: Certificate, cid: CidConfig, *,
                 retry: bool = False, idle_timeout: float | None = None,
                 options: Sequence[str] = (), log_dir: Path | None = None) -> None:
        self.host = host
        self.name = host.name
        self.cid = cid
        self.events: list[Event] = []
        self.log = (log_dir or bed.dir) / f"{self.name}.jsonl"
        self.log.write_text("")
        argv: list[str | Path] = [
                built("quic-server"),
                *(word for address, port in bed.endpoints(host) for word in (
                    "--listen", f"[{address}]:{port}" if ":" in address else f"{address}:{port}")),
                "--cert", certificate.cert, "--key", certificate.key,
                "--secret-file", certificate.secret,
                "--name", self.name, "--log", self.log, *cid.arguments(),
                *(["--retry"] if retry else []),
                *([] if idle_timeout is None else ["--idle-timeout", f"{idle_timeout:g}"]),
                *options]
        self._tail = Tail(self.log)
        try:
            self.process = Process(host.node, argv, name=f"{self.name}-quic-server", notify=True,
                                   log_dir=log_dir)
        except BaseException:
            self._tail.close()
            raise

    def read(self) -> list[Event]:
        """Take in what the log has got since the last call; gives only the new events."""
        new: list[Event] = []
        for line in self._tail.lines():
            try:
                event = json.loads(line)
            except ValueError:
                raise self.process.fail(f"not a JSON line in its log: {line!r}") from None
            new.append(event)
        self.events += new
        return new

    def wait_event(self, kind: str, match: Callable[[Event], bool] | None = None, *,
                   since: int = 0, timeout: float = 15.0) -> Event:
        """The first event of the kind from events[since] on, waiting for it if need be."""
        deadline = Deadline(timeout)
        at = since
        while True:
            # Asked before reading: what a program wrote before it ended still counts.
            running = self.process.running()
            self.read()
            for event in self.events[at:]:
                if event.get("event") == kind and (match is None or match(event)):
                    return event
            at = max(at, len(self.events))
            if not running:
                raise self.process.fail(f"ended without the event {kind}")
            if deadline.passed():
                raise self.process.fail(f"no event {kind} within {timeout:g} s; had "
                                        f"{dict(self.counts()) or 'none'}")
            wait_readable([self._tail.fileno(), self.process.fileno()], deadline)

    def counts(self) -> Counter[str]:
        """How many events of each kind have come."""
        self.read()
        return Counter(str(event.get("event")) for event in self.events)

    def summary(self, timeout: float = 15.0) -> Event:
        """Ask for a summary now."""
        self.read()
        since = len(self.events)
        self.process.send_signal(signal.SIGUSR1)
        return self.wait_event("summary", since=since, timeout=timeout)

    def counters(self) -> dict[str, int]:
        """The numbers of a new summary, or of the last one once the server has been stopped."""
        if self.process.running():
            last = self.summary()
        else:
            self.read()
            last = next((e for e in reversed(self.events) if e.get("event") == "summary"), {})
        return {key: value for key, value in last.items() if type(value) is int}

    def stop(self) -> Event:
        """End it and give its last summary."""
        since = len(self.events)
        status = self.process.terminate()
        self.read()
        if status != 0:
            raise self.process.fail("did not end cleanly")
        for event in reversed(self.events[since:]):
            if event.get("event") == "summary":
                return event
        raise self.process.fail("ended without a summary")

    def close(self) -> None:
        """End it, whatever its state."""
        self.process.close()
        self._tail.close()


class QuicServers:
    """A server on every host of the bed, ready when entered; server ids 01, 02, ... by default."""

    def __init__(self, bed: Bed, certificate: Certificate, *,
                 cids: Sequence[CidConfig] | None = None, retry: bool = False,
                 idle_timeout: float | None = None, options: Sequence[str] = (),
                 log_dir: Path | None = None) -> None:
        self._bed, self._certificate = bed, certificate
        self._cids = cids or [CidConfig(server_id=f"{h.index:02x}") for h in bed.servers]
        if len(self._cids) != len(bed.servers):
            raise LabError(f"{len(self._cids)} CID configs for {len(bed.servers)} servers")
        self._retry, self._idle_timeout = retry, idle_timeout
        self._options, self._log_dir = options, log_dir
        self.servers: list[QuicServer] = []

    def __enter__(self) -> QuicServers:
        try:
            # All started before the first is waited for.
            for host, cid in zip(self._bed.servers, self._cids):
                self.servers.append(QuicServer(
                    self._bed, host, self._certificate, cid, retry=self._retry,
                    idle_timeout=self._idle_timeout, options=self._options,
                    log_dir=self._log_dir))
            for server in self.servers:
                server.process.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[QuicServer]:
        return iter(self.servers)

    def __getitem__(self, name: str) -> QuicServer:
        for server in self.servers:
            if server.name == name:
                return server
        raise KeyError(name)

    def totals(self) -> Counter[str]:
        """The servers' own counters, summed now: connections, handshakes, packets, requests,
        paths, stale, foreign, dropped, ... "foreign" is the one that must be 0.
        """
        total: Counter[str] = Counter()
        for server in self.servers:
            total.update(server.counters())
        return total

    def events(self) -> Counter[str]:
        """How many events of each kind all servers have logged."""
        return sum((server.counts() for server in self.servers), Counter())

    def where(self, kind: str = "request") -> list[str]:
        """The names of the servers that had an event of the kind."""
        return [server.name for server in self.servers if server.counts()[kind]]

    def close(self) -> None:
        """End all of them."""
        for server in self.servers:
            server.close()


def gtlsserver(bed: Bed, host: Host, certificate: Certificate, *, root: Path | None = None,
               options: Sequence[str] = (), log_dir: Path | None = None) -> Process:
    """Start ngtcp2's own server where servers listen, both families: its CIDs are random, 18 bytes
    long, and mean nothing to a balancer. It serves the files below root (default: the bed's own
    directory, as a rule without an index.html). It logs every packet to its stderr.
    """
    require_commands({"gtlsserver": "ngtcp2-server"})
    [port] = {port for _, port in bed.endpoints(host)}
    process = Process(host.node, ["gtlsserver", "--no-quic-dump", "--no-http-dump",
                                  f"--htdocs={root or bed.dir}", *options, "*", str(port),
                                  certificate.key, certificate.cert],
                      name=f"{host.name}-gtlsserver", log_dir=log_dir)
    try:
        process.wait_udp(port)
    except BaseException:
        process.close()
        raise
    return process
