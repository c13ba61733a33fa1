# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Flows in user space: the same packets lead where the driver's program leads them, and what is
remembered outlives changes of the pool and of the service."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]
from scapy.utils import PcapWriter  # type: ignore[import]

from hwtests.lab import Bed, Loader, Wire
from hwtests.lab.bed import built, client4
from hwtests.running import PORT, Service, base_config
from hwtests.test_userspace import counts, wait_until

VIP = "203.0.113.80"
#: Config id 7: nobody reads these.
UNREAD = 0xe0


def packet(draw: random.Random) -> bytes:
    """Of few clients, with few connection IDs, so that flows meet in every way."""
    cid = bytes([UNREAD | draw.randrange(4)]) * draw.choice((4, 8, 12))
    own = bytes([draw.randrange(3)]) * draw.choice((0, 5, 8))
    if draw.random() < 0.5:
        data = bytes([0xc0]) + bytes(3) + b"\1" + bytes([len(cid)]) + cid + bytes([len(own)]) + own
    else:
        data = b"\x40" + cid
    data += bytes(draw.choice((0, 30)))
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") /
                 IP(src=f"198.51.100.{draw.randrange(2)}", dst=VIP) /
                 UDP(sport=4000 + draw.randrange(3), dport=PORT) / Raw(data))


def traced(place: Path, tier: str, config: dict[str, Any], frames: list[bytes]
           ) -> list[dict[str, Any]]:
    """What loader trace says, frame by frame, on tables that stay."""
    file, capture = place / "shunt.yaml", place / "in.pcap"
    file.write_text(json.dumps(config))
    with PcapWriter(str(capture), linktype=1) as writer:
        for frame in frames:
            writer.write(frame)
    done = subprocess.run([built("loader"), "trace", "-t", tier, "-c", file, "--pcap", capture,
                           "--json"], check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("seed", range(6))
def test_flows_go_where_the_driver_sends_them(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    config = {
        "version": 1,
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 6}],
        "fallback": {"rows": 1024},
        "pools": [{"name": "web", "servers": [
            {"name": f"s{i}", "address": f"10.2.0.{i}",
             "server_ids": [{"config": 0, "id": f"{i:02x}"}]} for i in range(1, 9)]}],
        "vips": [{"name": "www", "address": VIP, "port": PORT, "pool": "web"}],
    }
    frames = [packet(draw) for _ in range(400)]
    ours, driver = (traced(tmp_path, tier, config, frames) for tier in ("userspace", "driver"))
    assert {line["reason"] for line in driver} >= {"flow", "flow_cid", "hash_reserved_config"}
    for number, (one, other) in enumerate(zip(ours, driver)):
        assert one == other, f"{number}: {frames[number].hex()}"


def test_a_flow_stays_through_changes_and_restarts(bed: Bed, loader: Loader) -> None:
    config = base_config(bed, "userspace")
    frame = bytes(Ether(src=bed.client_mac, dst=bed.lb_mac) / IP(src=client4(), dst=bed.vip4) /
                  UDP(sport=5000, dport=PORT) / Raw(b"\x40" + bytes([UNREAD]) * 30))

    def home() -> list[str]:
        with Wire(bed.client, bed.client_interface) as near, \
                Wire(bed.servers[0].node, "eth0") as first, \
                Wire(bed.servers[1].node, "eth0") as second:
            near.send(frame)
            wires = {"s1": first, "s2": second}
            while True:
                for name, wire in wires.items():
                    if wire.receive(1, match=lambda seen: bytes([UNREAD]) * 30 in seen,
                                    timeout=0.1):
                        return [name]

    def reason() -> set[str]:
        tier, = loader.json("stats", "lb0")["tiers"]
        return {name for name, item in tier["reasons"].items() if item["packets"]}

    with Service(bed, loader, config=config) as service:
        found = home()
        for entry in config["pools"][0]["servers"]:
            entry["weight"] = 0 if [entry["name"]] == found else 1
        service.reload(config)
        assert home() == found
        assert reason() == {"hash_reserved_config", "flow"}
    with Service(bed, loader, config=config):
        assert home() == found


def test_limits_of_each_apply_count(bed: Bed, loader: Loader) -> None:
    """Not only in the turn that reads the tables, and in either half of the maps."""
    config = base_config(bed, "userspace")
    with Service(bed, loader, config=config) as service, \
            Wire(bed.client, bed.client_interface) as near, \
            Wire(bed.servers[0].node, "eth0") as first, \
            Wire(bed.servers[1].node, "eth0") as second:

        def pass_through(port: int) -> None:
            mark = b"%d" % port * 8
            near.send(bytes(Ether(src=bed.client_mac, dst=bed.lb_mac) /
                            IP(src=client4(), dst=bed.vip4) / UDP(sport=port, dport=PORT) /
                            Raw(b"\x40" + bytes([UNREAD]) + mark)))
            wait_until(lambda: any(wire.receive(1, match=lambda seen: mark in seen, timeout=0.1)
                                   for wire in (first, second)), lambda: mark.decode())

        for number, budget in enumerate((0, 100, 50)):
            config["tracking"] = {"budget": budget}
            service.reload(config)
            for packet_number in range(3):
                pass_through(5000 + 10 * number + packet_number)
            assert loader.json("show", "flows")["tiers"][0]["flows"]["count"] == 3 * number


def test_configs_that_route_are_seen(bed: Bed, loader: Loader) -> None:
    """Who asks whether a config can go is told of user space's packets, too."""
    frame = bytes(Ether(src=bed.client_mac, dst=bed.lb_mac) / IP(src=client4(), dst=bed.vip4) /
                  UDP(sport=5000, dport=PORT) / Raw(b"\x40\x07\x01" + b"seen" * 8))
    with Service(bed, loader, config=base_config(bed, "userspace")):
        shown, = loader.json("show", "configs")["tiers"][0]["configs"]
        assert shown["quiet_seconds"] is None
        with Wire(bed.client, bed.client_interface) as near, \
                Wire(bed.servers[0].node, "eth0") as far:
            near.send(frame)
            assert far.receive(1, match=lambda seen: b"seen" * 8 in seen)
        wait_until(lambda: loader.json("show", "configs")["tiers"][0]["configs"][0][
            "quiet_seconds"] is not None, lambda: loader("show", "configs").stdout)


def test_an_error_finds_the_flow_that_it_is_about(bed: Bed, loader: Loader) -> None:
    """From a router on the way to the client, by user space alone."""
    link = Ether(src=bed.client_mac, dst=bed.lb_mac)
    mark = bytes([UNREAD]) * 30
    question = link / IP(src=client4(), dst=bed.vip4) / UDP(sport=5000, dport=PORT) / Raw(
        b"\x40" + mark)
    answer = IP(src=bed.vip4, dst=client4(), flags="DF") / UDP(sport=PORT, dport=5000) / Raw(
        b"\x40" + mark + bytes(1300))
    error = link / IP(src=client4(1), dst=bed.vip4) / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(
        bytes(answer)[:200])
    config = base_config(bed, "userspace")
    with Service(bed, loader, config=config) as service, \
            Wire(bed.client, bed.client_interface) as near, \
            Wire(bed.servers[0].node, "eth0") as first, \
            Wire(bed.servers[1].node, "eth0") as second:
        wires = [first, second]

        def where() -> int:
            while True:
                for number, wire in enumerate(wires):
                    if wire.receive(1, match=lambda seen: mark in seen, timeout=0.1):
                        return number
        near.send(bytes(question))
        home = where()
        # Its row leads elsewhere from now on.
        config["pools"][0]["servers"][home]["weight"] = 0
        service.reload(config)
        near.send(bytes(error))
        assert where() == home
        counts(loader, "icmp", 1)
