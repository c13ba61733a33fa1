# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Builds what the demo happens in, and runs the loader there as an operator would."""

from __future__ import annotations

import ipaddress
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hwtests.lab import Bed, CidConfig, LabError, Loader
from hwtests.lab.bed import attach_xdp, pass_object
from hwtests.lab.ending import undisturbed

from .screen import Screen

CONFIG = Path(__file__).resolve().parent / "shunt.yaml"
BALANCER = "10.1.0.1,fd00:1::1"
INTERFACE = Bed.lb_interface


@dataclass(frozen=True)
class Address:
    """A client as a server sees it."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From "192.0.2.1:443" or "[2001:db8::1]:443"."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Counters:
    """What the balancer's tier has counted."""

    #: Datagrams and octets by server.
    servers: dict[str, tuple[int, int]]
    by_cid: int
    by_hash: int

    @classmethod
    def of(cls, document: Any) -> Counters:
        """From `loader stats --json`, with one tier attached."""
        tier = document["tiers"][0]
        reasons = {name: count["packets"] for name, count in tier["reasons"].items()}
        return cls({name.partition("/")[2]: (count["packets"], count["octets"])
                    for name, count in tier["servers"].items()},
                   reasons["cid"],
                   sum(n for name, n in reasons.items() if name.startswith("hash_")))


def cids() -> list[CidConfig]:
    """How the servers make connection IDs: what shunt.yaml says of them."""
    return [CidConfig(config_id=0, server_id=f"5e00000{k}", nonce_length=8) for k in (1, 2, 3)]


class Site:
    """The network with the balancer's host in it; the balancer itself comes with attach()."""

    def __init__(self) -> None:
        self.bed = Bed(servers=3)

    def __enter__(self) -> Site:
        self.bed.up()
        try:
            self.loader = Loader(self.bed)
            self.config = os.path.relpath(CONFIG)
            self._prepare()
        except BaseException:
            self.bed.down()
            raise
        return self

    def _prepare(self) -> None:
        bed = self.bed
        # What the probe would warn of: the far end of a veth, and tags that XDP does not see.
        attach_xdp(bed.client, bed.client_interface, pass_object())
        bed.lb.ethtool(INTERFACE, rxvlan="off")
        for host in bed.servers[:2]:
            done = host.node.run([self.loader.path, "server-attach", host.interface,
                                  "--from", BALANCER], check=False)
            if done.returncode != 0:
                raise LabError(f"server-attach on {host.name}: {done.stderr.strip()}")

    def show(self, screen: Screen, *words: str) -> None:
        """Run the loader and show the command and all that it printed."""
        done = self.loader(*words, check=False)
        screen.command(["loader", *words], done.stdout + done.stderr)
        if done.returncode != 0:
            raise LabError(f"loader {' '.join(words)}: exit status {done.returncode}; its reason "
                           "is above")

    def counters(self) -> Counters:
        """The balancer's counters now."""
        return Counters.of(self.loader.json("stats", INTERFACE))

    def drain(self, server: str) -> Path:
        """A configuration that differs in this server's state."""
        name = f"      - name: {server}\n"
        text = CONFIG.read_text()
        if name not in text:
            raise LabError(f"{CONFIG}: no server {server}")
        path = self.bed.dir / "drain.yaml"
        path.write_text(text.replace(name, f"{name}        state: drain\n"))
        return path

    def by_hash(self, tier: str, client: Address) -> str:
        """The server that the 4-tuple alone picks, told by the real program of the tier."""
        # Configuration id 7 names none, so nothing but the 4-tuple is left to go by.
        frame = self._frame(client, b"\x40" + b"\xff" * 20)
        told = self.loader.json("trace", "-t", tier, "-c", self.config, "--hex", frame.hex())
        if not str(told["reason"]).startswith("hash_"):
            raise LabError(f"loader trace: {told['reason']}, where the 4-tuple was to decide")
        return str(told["server"])

    def _frame(self, client: Address, payload: bytes) -> bytes:
        """A client's datagram as it comes in; checksums are 0, for the balancer checks none."""
        source = ipaddress.ip_address(client.host)
        target = ipaddress.ip_address(self.bed.vip(6 if source.version == 6 else 4))
        udp = struct.pack(">HHHH", client.port, self.bed.port, 8 + len(payload), 0) + payload
        if source.version == 4:
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        else:
            ip = struct.pack(">IHBB", 6 << 28, len(udp), 17, 64)
        ethernet = bytes.fromhex(f"{self.bed.lb_mac}{self.bed.client_mac}".replace(":", ""))
        ethernet += b"\x08\x00" if source.version == 4 else b"\x86\xdd"
        return ethernet + ip + source.packed + target.packed + udp

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        with undisturbed():
            self.bed.down()
