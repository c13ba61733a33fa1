# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A whole site: the test network with the balancer attached and a QUIC server on every host.

A site stays up for many tests, which change its configuration as an operator would, by `apply`.
What every test wants to know is in one place, `Site.account`: no packet came to a server that has
nothing to do with it, none was lost, and the balancer's counters say the same as the servers do.
"""

from __future__ import annotations

import contextlib
import functools
import re
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Literal, Mapping, Sequence

from hwtests.lab import (Bed, Certificate, CidConfig, Family, GtlsResult, Host, Loader, Process,
                         QuicServer, QuicServers, gtlsserver)
from hwtests.lab.bed import FAMILIES, NAT_PORT, Plan
from hwtests.lab.routed import RoutedBed
from hwtests.lab.servers import Event
from hwtests.lab.waiting import Deadline
from hwtests.oracle import quic_lb

from .account import NEVER, Account, Stats, check_sums

Tier = Literal["driver", "generic", "userspace"]
Mode = Literal["ipip", "l2dsr", "gue", "nat"]
TIERS: tuple[Tier, ...] = ("driver", "generic", "userspace")
MODES: tuple[Mode, ...] = ("ipip", "gue", "l2dsr", "nat")
#: Modes that need somebody at the server who takes outer headers off.
TUNNELS: tuple[Mode, ...] = ("ipip", "gue")

POOL = "web"
#: Servers of the configuration that a test finds; one more stands by to be added.
BASE = ("s1", "s2")
#: The balancer's addresses that no route to a server leads from.
SOURCE4, SOURCE6 = "10.1.0.1", "fd00:1::1"
#: More flows than any test has; the kernel makes each entry ready at every attach.
LIMITS = {"flows": 65536}
BACKLOG = 3.0  # seconds for a server to have read what is in its socket


@dataclass(frozen=True)
class Layout:
    """How the connection IDs of a site look. Server ids of one octet would let one in some thousand
    of the clients' own choices be routable."""

    config_id: int
    server_id_length: int
    nonce_length: int
    length: bool = True
    key: bytes | None = None
    #: Whether servers append an octet of their own, as those with several processes do.
    worker: bool = False

    @property
    def draft(self) -> quic_lb.CidConfig:
        """What the balancer is told, in the oracle's words."""
        return quic_lb.CidConfig(self.config_id, self.server_id_length, self.nonce_length,
                                 self.key)

    def server_id(self, index: int) -> str:
        """The server id of a host, in hex."""
        return f"{0xc0 + index:02x}" * self.server_id_length

    def key_file(self, place: Path) -> Path:
        """The key in a file, as balancer and servers want it."""
        assert self.key is not None
        path = place / f"key-{self.key.hex()[:8]}"
        path.touch(0o600)
        path.write_bytes(self.key)
        return path

    def entry(self, place: Path, state: str = "active") -> dict[str, Any]:
        """The config in the balancer's file."""
        return {"id": self.config_id, "server_id_length": self.server_id_length,
                "nonce_length": self.nonce_length, "state": state,
                **({"key_file": str(self.key_file(place))} if self.key else {})}

    def cid(self, index: int, place: Path) -> CidConfig:
        """The host's server is told this."""
        options = ["--key-file", str(self.key_file(place))] if self.key else []
        return CidConfig(self.config_id, self.server_id(index), self.nonce_length, self.length,
                         [*options, *(["--worker", "5a"] if self.worker else [])])

    def read(self, cid: str) -> str | None:
        """The server id in a connection ID of one of the servers, else None."""
        octets = bytes.fromhex(cid)
        if len(octets) != 1 + self.draft.body_length + self.worker:
            return None
        server_id = self.draft.decode(octets)
        return server_id.hex() if server_id is not None else None


@dataclass(frozen=True)
class Setup:
    """What distinguishes one site from another."""

    tier: Tier
    mode: Mode
    one_link: bool
    layout: Layout
    server_mtu: int = 1600
    #: Behind a router, with two balancers.
    routed: bool = False

    def __str__(self) -> str:
        link = "routed" if self.routed else "tx" if self.one_link else "redirect"
        words = [self.tier, self.mode, link]
        layout = self.layout
        if layout.key:
            words += [layout.draft.algorithm, f"{layout.server_id_length}+{layout.nonce_length}"]
        return "-".join(words)


class Unroutable(CidConfig):
    """A server without a QUIC-LB configuration: its connection IDs begin with config id 7."""

    def arguments(self) -> list[str]:
        """The server's options for it: none."""
        return []


@dataclass(frozen=True)
class Balancer:
    """One balancer's host."""

    loader: Loader
    #: Where it is attached: first where clients come in.
    interfaces: list[str]

    def stats(self) -> Stats:
        """Its counters now."""
        return Stats.of(self.loader.json("stats", self.interfaces[0]))


class Site:
    """See the module; made by `open_site`."""

    def __init__(self, bed: Bed, setup: Setup) -> None:
        self.bed = bed
        self.setup = setup
        self.layout = setup.layout
        self.certificate = Certificate.make(bed.dir)
        names = bed.lb_interfaces if setup.mode == "nat" else [bed.lb_interface]
        #: With nat it is also where answers come in.
        self.balancers = [Balancer(Loader(bed), names)]
        if isinstance(bed, RoutedBed):
            self.balancers.append(Balancer(Loader(bed, node=bed.lb2), [bed.lb2_interface]))
        self.servers: QuicServers | None = None
        self._applied: dict[str, Any] | None = None
        self._services: list[Process] = []
        self._limits: dict[str, int] = dict(LIMITS)
        self._starts = 0

    # ---- the balancers

    @property
    def loader(self) -> Loader:
        """Of the first balancer, in most sites the only one."""
        return self.balancers[0].loader

    def config(self, *, outer: Family = 4, servers: Sequence[str] = BASE,
               drained: Sequence[str] = (), weights: Mapping[str, int] | None = None,
               **more: Any) -> dict[str, Any]:
        """A configuration; outer is the family of the servers' addresses, but for nat, where it
        is the VIP's."""
        layout = self.layout
        nat = self.setup.mode == "nat"
        pools = {family: f"{POOL}{family}" if nat else POOL for family in FAMILIES}

        def server(host: Host, family: Family) -> dict[str, Any]:
            entry: dict[str, Any] = {
                "name": host.name, "address": host.address(family),
                "server_ids": [{"config": layout.config_id, "id": layout.server_id(host.index)}]}
            if weights is not None:
                entry["weight"] = weights[host.name]
            if host.name in drained:
                entry["state"] = "drain"
            if nat:
                entry["port"] = NAT_PORT
            return entry
        return {
            "version": 1,
            "interfaces": self._interfaces(self.balancers[0]),
            "cid_configs": [layout.entry(self.bed.dir)],
            "forwarding": {"mode": self.setup.mode},
            "fallback": {"rows": 1024},
            "limits": self._limits,
            "pools": [{"name": pool, "servers": [server(host, family if nat else outer)
                                                 for host in self.bed.servers
                                                 if host.name in servers]}
                      for pool, family in {pools[f]: f for f in FAMILIES}.items()],
            "vips": [{"name": f"v{family}", "address": self.bed.vip(family),
                      "port": self.bed.port, "pool": pools[family]} for family in FAMILIES],
            **more}

    def _interfaces(self, balancer: Balancer) -> list[dict[str, Any]]:
        """What differs from one balancer's file to another's."""
        return [{"name": name, "tier": self.setup.tier} for name in balancer.interfaces]

    def file(self, config: Mapping[str, Any]) -> Path:
        """The file with this configuration, for the loader's -c."""
        return self.loader.write_config(config)

    def apply(self, **same: Any) -> None:
        """Apply config(**same); nothing is run when it is what was applied last."""
        config = self.config(**same)
        if config != self._applied:
            self._applied = None
            file = self.file(config)
            for balancer in self.balancers:
                done = balancer.loader.json("apply", "-c", file)
                assert done["schema"] == "shunt/apply/1", done
            self._applied = config

    def attach(self, tier: Tier, config: Mapping[str, Any] | None = None) -> None:
        """Put the balancers on their interfaces, with a configuration or that of before."""
        config = dict(config or self._applied or self.config())
        for balancer in self.balancers:
            for interface in balancer.interfaces:
                balancer.loader("attach", interface, "-t", tier, "-c", self.file(config))
            if tier == "userspace":
                own = {**config, "interfaces": self._interfaces(balancer)}
                file = self.file(own) if balancer is self.balancers[0] else (
                    self.loader.write_config(own, self.bed.dir / "second.yaml"))
                self._services.append(balancer.loader.start("run", "-c", file))
        self._applied = config

    def detach(self) -> None:
        """Take them off."""
        while self._services:
            self._services.pop().close()
        for balancer in self.balancers:
            for interface in balancer.interfaces:
                balancer.loader("detach", interface)

    @contextlib.contextmanager
    def limited(self, **limits: int) -> Iterator[None]:
        """The balancers with other limits, which count when they are attached."""
        if limits:
            self._attach_again(limits)
        try:
            yield
        finally:
            if limits:
                self._attach_again({})

    def _attach_again(self, limits: dict[str, int]) -> None:
        self._limits = LIMITS | limits
        self.detach()
        self.attach(self.setup.tier, self.config())

    def stats(self) -> Stats:
        """The balancers' counters now."""
        return functools.reduce(Stats.plus, (balancer.stats() for balancer in self.balancers))

    # ---- the servers

    def decapsulate(self) -> None:
        """What tunnels need at the servers: a decapsulator that believes the balancer, whether it
        sends from the address of the route or from the ones that its file may name."""
        for host in self.bed.servers:
            peers = [host.lb_address4, host.lb_address6, SOURCE4, SOURCE6]
            if isinstance(self.bed, RoutedBed):
                peers += self.bed.second_addresses(host)
            host.node.run([self.loader.path, "server-attach", host.interface,
                           "--from", ",".join(peers)])

    @contextlib.contextmanager
    def serving(self, cids: Sequence[CidConfig] | None = None, *, retry: bool = False
                ) -> Iterator[QuicServers]:
        """Other servers than those that were there, which come back after it."""
        self._stop()
        try:
            yield self._start(cids, retry)
        finally:
            self._stop()
            self._start()

    @contextlib.contextmanager
    def nobody(self) -> Iterator[None]:
        """No server, for the test to start its own."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    @contextlib.contextmanager
    def unmodified(self, *options: str, size: int) -> Iterator[dict[str, Process]]:
        """ngtcp2's own server on every host, as it comes: its connection IDs mean nothing to a
        balancer. It serves one file of this size."""
        root = self.bed.dir / "www"
        root.mkdir(exist_ok=True)
        (root / "index.html").write_text("x" * size)
        servers: dict[str, Process] = {}
        with self.nobody():
            try:
                for host in self.bed.servers:
                    servers[host.name] = gtlsserver(self.bed, host, self.certificate, root=root,
                                                    options=options)
                yield servers
            finally:
                for server in servers.values():
                    server.close()

    def _start(self, cids: Sequence[CidConfig] | None = None, retry: bool = False) -> QuicServers:
        # Each start has logs of its own: a server empties the file it finds.
        self._starts += 1
        logs = self.bed.dir / f"servers-{self._starts}"
        logs.mkdir()
        self.servers = QuicServers(
            self.bed, self.certificate, retry=retry, log_dir=logs,
            cids=cids or [self.layout.cid(host.index, self.bed.dir) for host in self.bed.servers])
        return self.servers.__enter__()

    def _stop(self) -> None:
        if self.servers is not None:
            self.servers.close()
            self.servers = None

    def running(self) -> list[QuicServer]:
        """The servers that are there now."""
        return list(self.servers or ())

    def host(self, name: str) -> Host:
        """A server's host by its name."""
        return next(host for host in self.bed.servers if host.name == name)

    def home(self, client: GtlsResult | Sequence[str]) -> str:
        """The one server whose connection IDs the client used."""
        dcids = client.dcids if isinstance(client, GtlsResult) else client
        found = {self.layout.read(dcid) for dcid in dcids} - {None}
        assert len(found) == 1, f"connection IDs of {len(found)} servers: {dcids}"
        server_id = found.pop()
        return next(host.name for host in self.bed.servers
                    if self.layout.server_id(host.index) == server_id)

    # ---- what became of the packets

    @contextlib.contextmanager
    def account(self, *, cid: bool = True) -> Iterator[Account]:
        """Around traffic that is over when it is left; all that must hold in any case is checked
        then. cid: whether packets must have been routed by their connection ID."""
        servers = self.running()
        account = Account(servers, self.stats(), {s.name: Counter(s.counters()) for s in servers},
                          {s.name: len(s.events) for s in servers})
        yield account
        self._settle(account)
        assert account.balancer is not None
        check_sums(account.balancer)
        assert {name: account.balancer.reasons[name] for name in NEVER} == dict.fromkeys(NEVER, 0)
        for name, seen in account.seen.items():
            assert (seen["foreign"], seen["dropped"]) == (0, 0), f"{name}: {self.strays(account)}"
        if not account.lost and not account.balancer.reasons["icmp"]:
            told = Counter({name: 0 for name in account.seen})
            for name, packets in account.balancer.servers.items():
                told[name.rpartition("/")[2]] += packets
            assert told == {name: seen["packets"] for name, seen in account.seen.items()}
        assert account.balancer.datagrams - account.lost == sum(
            seen["packets"] for seen in account.seen.values())
        if cid:
            assert account.cid_routed > 0

    def _settle(self, account: Account) -> None:
        """The clients have ended, but a server may still have packets to read: ask until as many
        have come as were sent. Each question is answered after the server has been at work."""
        deadline = Deadline(BACKLOG)
        while True:
            account.balancer = self.stats().since(account.before)
            account.seen = {s.name: Counter(s.counters()) - account.counters[s.name]
                            for s in account.servers}
            arrived = sum(seen["packets"] for seen in account.seen.values())
            if arrived == account.balancer.datagrams - account.lost or deadline.passed():
                return

    @staticmethod
    def strays(account: Account) -> list[Event]:
        """The servers' complaints."""
        return account.events("foreign") + account.events("drop")


@contextlib.contextmanager
def open_site(setup: Setup) -> Iterator[Site]:
    """Bring a site up, and take it down in the end."""
    plan = Plan(servers=len(BASE) + 1, one_link=setup.one_link or setup.routed,
                server_mtu=setup.server_mtu, nat=setup.mode == "nat")
    with RoutedBed(plan) if setup.routed else Bed(plan) as bed:
        if plan.one_link:
            bed.attach_pass()
        site = Site(bed, setup)
        if setup.mode in TUNNELS:
            site.decapsulate()
        site.attach(setup.tier)
        site._start()
        try:
            yield site
        finally:
            site._stop()


def received(server: Process) -> int:
    """How many datagrams an unmodified server has had."""
    return len(re.findall("^Received packet:", server.stderr.read_text(errors="replace"),
                          re.MULTILINE))


@contextlib.contextmanager
def held(client: Process) -> Iterator[None]:
    """The client stands still meanwhile: what is done then is done in mid-connection for sure."""
    assert client.running(), client.output()
    client.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        client.send_signal(signal.SIGCONT)
