# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two balancers with one file, of which a router uses now one and now the other (ECMP).

They know nothing of each other. What makes them one is that each answers from the file alone.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import ExitStack
from typing import Any, Iterator

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.utils import wrpcap  # type: ignore[import]

from hwtests.lab import Process, Wire
from hwtests.lab.bed import Family
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient
from hwtests.lab.routed import RoutedBed
from hwtests.lab.waiting import Deadline, wait_readable
from hwtests.lab.wire import udp_to

from .site import Balancer, Layout, Mode, Setup, Site, Tier, Unroutable, held, open_site
from .test_moving import ANSWERED, LONG, drain_home, stayed, wait_unread

#: Each tier, and nat, whose answers all go by the first balancer.
KINDS: tuple[tuple[Tier, Mode, Layout], ...] = (
    ("driver", "nat", Layout(1, 4, 4)), ("generic", "ipip", Layout(4, 2, 14)))
PACKETS = 2000
BATCH = 100  # fewer than a veth's ring holds
WEIGHTS = {"s1": 70, "s2": 100, "s3": 30}
#: Each packet ends with its number.
NUMBER = 4


@pytest.fixture(scope="module", params=[
    pytest.param(Setup(tier, mode, True, layout, routed=True), id=f"{tier}-{mode}",
                 marks=getattr(pytest.mark, tier))
    for tier, mode, layout in KINDS])
def pair(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with two balancers."""
    with open_site(request.param) as site:
        yield site


def routed(site: Site) -> RoutedBed:
    """The bed as what it is."""
    assert isinstance(site.bed, RoutedBed)
    return site.bed


def packets(site: Site) -> list[bytes]:
    """Datagrams from anywhere: connection IDs of servers, of nobody, and none at all."""
    chance, layout = random.Random(5), site.layout
    found = []
    for number in range(PACKETS):
        octets = bytearray(chance.randbytes(chance.randint(30, 90)))
        if chance.random() < .4:
            octets[0] &= 0x7f
            octets[1] = layout.config_id << 5 | chance.randrange(32)
            octets[2:2 + layout.server_id_length] = bytes.fromhex(
                layout.server_id(chance.randint(1, 4)))
        address = chance.randbytes(2)
        ip = (IPv6(src=f"fd00:5::{address.hex()}", dst=site.bed.vip6) if chance.random() < .5
              else IP(src=f"10.5.{address[0]}.{address[1]}", dst=site.bed.vip4))
        found.append(bytes(ip / UDP(sport=chance.randint(1024, 65535), dport=site.bed.port)
                           / (bytes(octets) + number.to_bytes(NUMBER, "big"))))
    return found


def link_header(site: Site, balancer: int, packet: bytes) -> bytes:
    """The packet as the router sends it to a balancer."""
    bed = routed(site)
    return bytes(Ether(dst=bed.macs[balancer], src=bed.router_mac,
                       type=0x86dd if packet[0] >> 4 == 6 else 0x0800)) + packet


class Ears:
    """Listens at the servers, where outer headers are off already."""

    def __init__(self, site: Site) -> None:
        self._stack, self._bed = ExitStack(), site.bed
        self.got: dict[int, str] = {}

    def __enter__(self) -> Ears:
        self._wires = {host: self._stack.enter_context(Wire(host.node, host.interface))
                       for host in self._bed.servers}
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def hear(self, expected: int) -> None:
        """Wait until so many have come."""
        matches = {host: [udp_to(*end) for end in self._bed.endpoints(host)]
                   for host in self._wires}
        deadline = Deadline(5.0)
        while len(self.got) < expected:
            for host, wire in self._wires.items():
                for frame in wire.pending():
                    # The bridge shows frames to all while it does not know for whom they are.
                    if frame[:6].hex(":") == host.mac and any(
                            match(frame) for match in matches[host]):
                        number = int.from_bytes(frame[-NUMBER:], "big")
                        assert number not in self.got
                        self.got[number] = host.name
            assert not deadline.passed(), f"{len(self.got)} of {expected} came"
            wait_readable([wire.fileno() for wire in self._wires.values()], Deadline(0.05))


def answers(site: Site, balancer: int, sent: list[bytes]) -> dict[int, str]:
    """Which server got which of the packets, by their numbers, when this balancer has them."""
    bed = routed(site)
    with Ears(site) as ears, Wire(bed.router, bed.router_interfaces[1]) as wire:
        for start in range(0, len(sent), BATCH):
            batch = sent[start:start + BATCH]
            wire.send(*(link_header(site, balancer, packet) for packet in batch))
            ears.hear(start + len(batch))
        return ears.got


def traced(site: Site, balancer: int, sent: list[bytes]) -> dict[int, str]:
    """The same by `loader trace`."""
    capture = site.bed.dir / "sent.pcap"
    wrpcap(str(capture), [Ether(link_header(site, balancer, packet)) for packet in sent])
    done = site.balancers[balancer].loader(
        "trace", "-t", site.setup.tier, "-c", site.bed.dir / "shunt.yaml", "--pcap", capture,
        "--json")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    return {number: document["server"] for number, document in enumerate(documents)}


def test_same_file_same_answers(pair: Site) -> None:
    """Whatever was applied before, by whatever interface packets come: what counts is the file."""
    final: dict[str, Any] = {"servers": sorted(WEIGHTS), "weights": WEIGHTS}
    second = pair.balancers[1].loader
    second("detach", routed(pair).lb2_interface)
    only = pair.file(pair.config(servers=["s3"]))
    second("attach", routed(pair).lb2_interface, "-t", pair.setup.tier, "-c", only)
    histories: list[dict[str, Any]] = [{"servers": ["s2", "s3"]}, {"servers": ["s2"]},
                                       {"servers": ["s1", "s2"], "drained": ["s2"]}]
    for history in histories:
        second("apply", "-c", pair.file(pair.config(**history)))
    pair.apply(**final)
    sent = packets(pair)
    with pair.nobody():
        first = answers(pair, 0, sent)
        assert first == answers(pair, 1, sent)
        spread = Counter(first.values())
        assert set(spread) == set(WEIGHTS) and min(spread.values()) > PACKETS / 20
    told = traced(pair, 0, sent)
    assert told == traced(pair, 1, sent)
    assert {number: server.rpartition("/")[2] for number, server in told.items()} == first


@pytest.mark.parametrize("routable", [True, False], ids=["routable", "by-tuple"])
def test_another_balancer_in_mid_connection(pair: Site, family: Family, routable: bool) -> None:
    """The router turns to the other one in the middle of a download, and back. A connection ID
    leads home though the server drains; without one it is the hash that both have in common."""
    bed = routed(pair)
    cids = None if routable else [Unroutable() for _ in bed.servers]
    pair.apply()
    with pair.serving(cids), pair.account(cid=routable) as account, start_gtlsclient(
            bed, [f"/bytes/{LONG}"], family=family) as client:
        client.wait_line(ANSWERED)
        with held(client):
            home = drain_home(pair, account, client) if routable else account.where("handshake")[0]
        for balancer in (1, 0):
            with held(client):
                wait_unread(pair, client)
                before = pair.balancers[balancer].stats().forwarded
                bed.use(bed.balancers[balancer])
            wait_forwarded(pair.balancers[balancer], client, before)
        if routable:
            stayed(pair, account, client, home)
        else:
            require_ok(finish_gtlsclient(client))
            assert set(account.where("connection")) == set(account.where()) == {home}


def wait_forwarded(balancer: Balancer, client: Process, before: int) -> None:
    """Wait until a balancer forwards what the client sends."""
    deadline = Deadline(5.0)
    while balancer.stats().forwarded <= before:
        assert client.running() and not deadline.passed()
        wait_readable([client.fileno()], Deadline(0.01))
