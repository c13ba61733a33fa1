# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A network of its own for each case: a client, the balancer's host and one QUIC server."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from hwtests.e2e.account import Stats
from hwtests.e2e.site import Layout, Tier
from hwtests.lab import Bed, Certificate, LabError, Loader, Process, QuicServer, QuicServers
from hwtests.lab.bed import built, client4
from hwtests.lab.ending import undisturbed

KEY = bytes(range(0x40, 0x50))
#: By the bench's names for what a connection ID takes to decode.
LAYOUTS = {"clear": Layout(0, 4, 8), "single pass": Layout(1, 8, 8, key=KEY),
           "four encrypts": Layout(2, 6, 5, key=KEY)}
#: In seconds; quic-load believes the same. By default the server would wait 20 ms for its second
#: packet, and handshakes would measure that.
INITIAL_RTT = "0.01"


@dataclass(frozen=True)
class Case:
    """What stands between client and server; tier None: the kernel's routing alone."""

    tier: Tier | None
    routed_by: str

    def __str__(self) -> str:
        return f"{self.routed_by}, {self.tier}" if self.tier else self.routed_by


NONE = Case(None, "no balancer")
XDP: tuple[Tier, ...] = ("driver", "generic")
CASES = (NONE, *(Case(tier, layout) for tier in XDP for layout in LAYOUTS),
         Case("userspace", "clear"))


@dataclass(frozen=True)
class Load:
    """What quic-load is to do."""

    kind: str
    connections: int
    rate: int = 0
    warmup: float = 0.1

    def words(self, seconds: float) -> list[str]:
        """The options for it."""
        return [self.kind, "--connections", str(self.connections), "--seconds", f"{seconds:g}",
                "--warmup", f"{self.warmup:g}", *(["--rate", str(self.rate)] if self.rate else [])]


@dataclass(frozen=True)
class Borne:
    """What came of a load: quic-load's document, and the CPU time that all who have to do with it
    took, softirq included, which runs in whoever sends."""

    document: Any
    cpu_seconds: float

    def rate(self, what: str) -> float:
        """A second, while it counted."""
        return float(self.document[what]) / float(self.document["seconds"])

    def cost(self, what: str) -> float:
        """CPU seconds each; of all of it, for CPU time was taken at the ends, too."""
        return self.cpu_seconds / max(1.0, float(self.document[what]))

    def latency(self, quantile: str) -> float:
        """Microseconds."""
        return float(self.document["latency_us"][quantile])


class Stand:
    """The network of one case, up; made by `open_stand`."""

    def __init__(self, case: Case, bed: Bed, loader: Loader, certificate: Certificate,
                 server: QuicServer, service: Process | None) -> None:
        self.case = case
        self._bed, self._loader = bed, loader
        self._certificate, self._server = certificate, server
        self._pids = [server.process.pid, *([service.pid] if service else [])]
        self._program = built("quic-load")
        #: Connections that quic-load made: all of them were served, or `put` raises.
        self.connections = 0

    def _cpu_seconds(self) -> float:
        """Of the processes that stay."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
                   for pid in self._pids) / 1e9

    def put(self, load: Load, seconds: float) -> Borne:
        """Put this load on the server."""
        before = self._cpu_seconds()
        argv: list[str | Path] = [
                self._program, "--from", client4(), "--to", f"{self._bed.vip4}:{self._bed.port}",
                "--trust", self._certificate.cert, *load.words(seconds)]
        done = self._bed.client.run(argv, check=False, timeout=seconds + 60)
        if done.returncode < 0 or not done.stdout:
            raise LabError(f"{self.case}: quic-load: exit status {done.returncode} "
                           f"{done.stderr.strip()}")
        document = json.loads(done.stdout)
        if document["failed"]:
            raise LabError(f"{self.case}: {load.kind}: a connection failed: {document['why']}")
        self.connections += document["started"]
        return Borne(document, document["cpu_seconds"] + self._cpu_seconds() - before)

    def reasons(self) -> Counter[str]:
        """Packets by the reason for which the balancer did what it did; none without one."""
        document = self._loader.json("stats", self._bed.lb_interface, check=False)
        if self.case.tier:
            return Stats.of(document).reasons
        if document.get("error", {}).get("code") != "not-attached":
            raise LabError(f"{self.case}: there is a balancer: {document}")
        return Counter()

    def server(self) -> dict[str, int]:
        """The server's counters."""
        return self._server.counters()


def _config(bed: Bed, tier: Tier, layout: Layout) -> dict[str, Any]:
    """Frames leave as they came but for their MAC addresses, as routing has it, too."""
    return {
        "version": 1,
        "interfaces": [{"name": bed.lb_interface, "tier": tier}],
        "cid_configs": [layout.entry(bed.dir)],
        "forwarding": {"mode": "l2dsr"},
        "fallback": {"rows": 1024},
        "pools": [{"name": "web", "servers": [
            {"name": host.name, "address": host.address4,
             "server_ids": [{"config": layout.config_id, "id": layout.server_id(host.index)}]}
            for host in bed.servers]}],
        "vips": [{"name": "www", "address": bed.vip4, "port": bed.port, "pool": "web"}],
    }


@contextlib.contextmanager
def open_stand(case: Case) -> Iterator[Stand]:
    """Bring the case's network up, and take it down in the end."""
    layout = LAYOUTS.get(case.routed_by, LAYOUTS["clear"])
    with contextlib.ExitStack() as stack:
        bed = Bed(servers=1)
        bed.up()
        stack.callback(_take_down, bed)
        loader = Loader(bed)
        certificate = Certificate.make(bed.dir)
        cids = [layout.cid(host.index, bed.dir) for host in bed.servers]
        servers = stack.enter_context(QuicServers(bed, certificate, cids=cids,
                                                  options=["--initial-rtt", INITIAL_RTT]))
        service = None
        if case.tier:
            file = loader.write_config(_config(bed, case.tier, layout))
            loader("attach", bed.lb_interface, "-t", case.tier, "-c", file)
            if case.tier == "userspace":
                service = stack.enter_context(loader.start("run", "-c", file))
        else:
            bed.route_vip(bed.servers[0])
        yield Stand(case, bed, loader, certificate, servers[bed.servers[0].name],
                    service)


def _take_down(bed: Bed) -> None:
    with undisturbed():
        bed.down()


def cores() -> int:
    """What client, server and balancer share."""
    return len(os.sched_getaffinity(0))
