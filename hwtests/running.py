# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`loader run` on a bed's balancer, read along, and the frames that show what it did."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from typing import Any

from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]

from hwtests.lab import Bed, Host, Loader, Process, Wire
from hwtests.lab.bed import client4
from hwtests.lab.loader import FEW_FLOWS
from hwtests.lab.waiting import Deadline, Tail, wait_readable


PORT = 443
GONE = 0.3  # seconds in which a frame would have arrived


class Service:
    """`loader run` on the balancer, read along."""

    def __init__(self, bed: Bed, loader: Loader, *args: str, config: dict[str, Any] | None = None,
                 tier: str = "generic", wait: bool = True) -> None:
        self.bed = bed
        self.loader = loader
        self.config = config or base_config(bed, tier)
        self.file = loader.write_config(self.config)
        self.process = Process(bed.lb, [loader.path, "run", "-c", self.file, *args], notify=True)
        self._log = Tail(self.process.stderr)
        self._lines: list[str] = []
        if wait:
            self.process.wait_ready()

    def says(self, pattern: str, timeout: float = 15.0) -> str:
        """The next line with the pattern; what stands before it is skipped."""
        wanted = re.compile(pattern)
        deadline = Deadline(timeout)
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if wanted.search(line):
                    return line
            self._lines += self._log.lines()
            if self._lines:
                continue
            if deadline.passed() or not self.process.running():
                self._lines += self._log.lines()
                if not self._lines:
                    raise self.process.fail(f"does not say {pattern!r}")
            wait_readable([self._log.fileno(), self.process.fileno()], deadline)

    def generation(self, number: int) -> str:
        """Wait for the apply of this number."""
        return self.says(rf"generation {number},")

    def reload(self, config: dict[str, Any] | str) -> None:
        """Another file and SIGHUP; returns when the service is ready again."""
        if isinstance(config, str):
            self.file.write_text(config)
        else:
            self.loader.write_config(config, self.file)
        self.process.send_signal(signal.SIGHUP)
        self.process.wait_ready()

    def close(self) -> None:
        self._log.close()
        self.process.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def base_config(bed: Bed, tier: str = "generic") -> dict[str, Any]:
    """The VIP in front of all servers, ids 01, 02, ..."""
    return {
        "version": 1,
        "interfaces": [{"name": "lb0", "tier": tier}],
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 6}],
        "forwarding": {"mode": "ipip"},
        "fallback": {"rows": 256},
        "limits": dict(FEW_FLOWS),
        "pools": [{"name": "web", "servers": [
            {"name": host.name, "address": host.address4,
             "server_ids": [{"config": 0, "id": f"{host.index:02x}"}]} for host in bed.servers]}],
        "vips": [{"name": "www", "address": bed.vip4, "port": PORT, "pool": "web"}],
    }


class Traffic:
    """Sends datagrams of a server's connections, and sees where they come out."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self._open = ExitStack()
        self._client = self._open.enter_context(Wire(bed.client, bed.client_interface))
        self._wires = {host.name: self._open.enter_context(Wire(host.node, host.interface))
                       for host in bed.servers}
        self._number = 0

    def send(self, server_id: int, port: int = PORT) -> bytes:
        """A datagram with a clear connection ID; returns what marks it."""
        self._number += 1
        nonce = self._number.to_bytes(6, "big")
        payload = bytes([0x40, 0x07, server_id]) + nonce + bytes(24)
        frame = (Ether(src=self.bed.client_mac, dst=self.bed.lb_mac) /
                 IP(src=client4(), dst=self.bed.vip4) / UDP(sport=5000, dport=port) / payload)
        self._client.send(bytes(frame))
        return payload[:9]

    def arrives(self, server_id: int, at: Host, to: str | None = None, port: int = PORT) -> str:
        """It comes out at this server, in a tunnel to the address. Its destination MAC address."""
        mark = self.send(server_id, port)
        frames = self._wires[at.name].receive(1, match=lambda frame: mark in frame)
        assert frames, f"nothing at {at.name}"
        packet = Ether(frames[0])
        assert packet[IP].dst == (to or at.address4) and packet[IP].proto == 4
        return str(packet.dst)

    def lost(self, server_id: int, port: int = PORT) -> None:
        """It comes out nowhere."""
        mark = self.send(server_id, port)
        for wire in self._wires.values():
            assert not wire.receive(1, match=lambda frame: mark in frame, timeout=GONE)

    def close(self) -> None:
        self._open.close()


def running_generation(service: Service) -> int:
    """What the maps say."""
    generation: int = service.loader.json("show", "servers")["tiers"][0]["generation"]
    return generation


def move(bed: Bed, host: Host, mac: str) -> None:
    """The balancer learns another MAC address of the host, which also takes it."""
    host.node.ip(f"link set {host.interface} address {mac}")
    bed.lb.ip(f"neigh replace {host.address4} lladdr {mac} dev {host.lb_interface} nud permanent")
