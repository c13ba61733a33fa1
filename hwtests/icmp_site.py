# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A configuration with every mode in it, and ``loader trace`` over frames: what the tests of ICMP
and of packet sizes share."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]
from scapy.utils import PcapReader, PcapWriter  # type: ignore[import]

from hwtests.lab.bed import built
from hwtests.oracle.icmp import framed
from hwtests.oracle.keys import with_keys
from hwtests.oracle.model import Model, Server
from hwtests.oracle.quic_lb import CidConfig

TIERS = ("driver", "generic")
every_tier = pytest.mark.parametrize(
    "tier", [*(pytest.param(tier, marks=getattr(pytest.mark, tier)) for tier in TIERS),
             pytest.param("userspace", marks=pytest.mark.userspace)])

SOURCE4, SOURCE6 = "192.0.2.10", "2001:db8::10"
CLIENT = {4: "192.0.2.77", 6: "2001:db8:77::77"}
CLIENT_CID = b"\xc1\xc2\xc3\xc4\xc5"
PORT, SERVER_PORT = 443, 8443
LAYOUTS = {0: CidConfig(0, 3, 4), 1: CidConfig(1, 8, 8, bytes(range(16))),
           2: CidConfig(2, 4, 5, bytes(range(16, 32)))}
#: Mode, and the family of its servers.
POOLS = (("ipip", 4), ("ipip", 6), ("gue", 4), ("gue", 6), ("l2dsr", 4), ("nat", 4), ("nat", 6))
SERVERS = 3
#: Of what a mode puts in front.
OUTER = {("ipip", 4): 20, ("ipip", 6): 40, ("gue", 4): 32, ("gue", 6): 52}


def pool_name(mode: str, family: int) -> str:
    """A pool's, and its VIPs' with the version behind."""
    return f"{mode}{family}"


def vip(number: int, version: int) -> str:
    """The address of a pool's VIP."""
    return f"203.0.113.{100 + number}" if version == 4 else f"2001:db8:80::{100 + number}"


def versions(mode: str, family: int) -> tuple[int, ...]:
    """Of the VIPs that a pool may have."""
    return (family,) if mode == "nat" else (4, 6)


def server_id(config: int, pool: int, server: int) -> bytes:
    """Each server has one in each config."""
    return bytes((pool + 1, server + 1)).rjust(LAYOUTS[config].server_id_length, b"\x11")


def config(**forwarding: Any) -> dict[str, Any]:
    """A pool for each mode and family, each with a VIP of each family that it can have."""
    def server(number: int, pool: int, mode: str, family: int) -> dict[str, Any]:
        last = 10 * pool + number + 1
        entry: dict[str, Any] = {
            "name": f"{pool_name(mode, family)}-{number}", "mode": mode,
            "address": f"198.51.100.{last}" if family == 4 else f"2001:db8:1::{last}",
            "server_ids": [{"config": config, "id": server_id(config, pool, number).hex()}
                           for config in LAYOUTS]}
        if mode == "nat" and number:
            entry["port"] = SERVER_PORT
        return entry
    return {
        "version": 1,
        "cid_configs": [{"id": number, "server_id_length": layout.server_id_length,
                         "nonce_length": layout.nonce_length,
                         **({"key_file": layout.key.hex()} if layout.key else {})}
                        for number, layout in LAYOUTS.items()],
        "forwarding": {"source_v4": SOURCE4, "source_v6": SOURCE6, **forwarding},
        "fallback": {"rows": 512},
        "pools": [{"name": pool_name(mode, family),
                   "servers": [server(number, pool, mode, family) for number in range(SERVERS)]}
                  for pool, (mode, family) in enumerate(POOLS)],
        "vips": [{"name": f"{pool_name(mode, family)}-v{version}", "address": vip(pool, version),
                  "port": PORT, "pool": pool_name(mode, family)}
                 for pool, (mode, family) in enumerate(POOLS)
                 for version in versions(mode, family)]}


def long_header(scid: bytes, rest: int = 600) -> bytes:
    """A server's packet to a client."""
    return (b"\xc3\0\0\0\1" + bytes((len(CLIENT_CID),)) + CLIENT_CID + bytes((len(scid),)) + scid
            + b"\x5a" * rest)


def short_header(rest: int = 1200) -> bytes:
    """Names the client's connection ID, whose length only the client knows."""
    return b"\x43" + CLIENT_CID + b"\x5a" * rest


@dataclass(frozen=True)
class Outcome:
    """What ``loader trace`` says of a frame."""

    verdict: str
    reason: str
    vip: str | None
    server: str | None
    frame: bytes


def trace(told: dict[str, Any], tier: str, frames: list[bytes], *prefix: str) -> list[Outcome]:
    """Frames through a tier's program."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "shunt.yaml").write_text(json.dumps(with_keys(told, place)))
        with PcapWriter(str(place / "in.pcap"), linktype=1) as writer:
            for frame in frames:
                writer.write(frame)
        done = subprocess.run(
            [*prefix, built("loader"), "trace", "-t", tier, "-c", place / "shunt.yaml",
             "--pcap", place / "in.pcap", "--out", place / "out.pcap", "--json"],
            capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[:2000] + done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        with PcapReader(str(place / "out.pcap")) as reader:
            out = [reader._read_packet()[0] for _ in lines]
    assert len(lines) == len(frames)
    return [Outcome(line["verdict"], line["reason"], line["vip"], line["server"], frame)
            for line, frame in zip(lines, out)]


@functools.cache
def model() -> Model:
    """The oracle's, for rows and numbers."""
    return Model(config())


def row_server(pool: int, version: int, client_port: int) -> Server:
    """Where packets of the client go that no connection ID decides."""
    mode, family = POOLS[pool]
    frame = framed(bytes((IP if version == 4 else IPv6)(src=CLIENT[version], dst=vip(pool, version))
                         / UDP(sport=client_port, dport=PORT) / Raw(b"\xff")))
    decision = model().route(frame)
    assert decision.reason == "hash_no_dcid" or decision.server
    return model().servers[pool_name(mode, family), str(decision.server)]


def sites() -> Iterator[tuple[int, int]]:
    """Each pool and version."""
    for pool, (mode, family) in enumerate(POOLS):
        for version in versions(mode, family):
            yield pool, version


def server_of(pool: int, number: int) -> Server:
    """By its position."""
    label = pool_name(*POOLS[pool])
    return model().servers[label, f"{label}-{number}"]
