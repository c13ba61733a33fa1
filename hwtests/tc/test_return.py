# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The way back of nat servers through the balancer's own routing: TC egress gives their answers the
VIP's address and port, whatever the state of their checksums, and leaves everything else alone."""

from __future__ import annotations

import contextlib
import socket
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.lab import Bed, Family, Host, Wire
from hwtests.lab.bed import FAMILIES, PORT, client4, client6
from hwtests.lab.wire import udp_to
from hwtests.tc.site import Site, growth

UDP_SEGMENT = 103  # linux/udp.h
SERVED = 8443  # where the servers take it, not the VIP's port
CLIENT = 40001

each_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def site(bed: Bed) -> Iterator[Site]:
    """Each server serves both VIPs by addresses of their families."""
    pools = [{"name": f"p{family}", "servers": [
        {"name": host.name, "address": host.address(family), "port": SERVED, "mode": "nat"}
        for host in bed.servers]} for family in FAMILIES]
    vips = [{"name": f"v{family}", "address": bed.vip(family), "port": PORT,
             "pool": f"p{family}"} for family in FAMILIES]
    with Site(bed, pools=pools, vips=vips) as up:
        yield up


def client(family: Family) -> str:
    return client4() if family == 4 else client6()


def udp_socket(family: Family) -> tuple[int, int]:
    return socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM


@contextlib.contextmanager
def offload(bed: Bed, host: Host, state: str) -> Iterator[None]:
    """Whether the server's kernel and the balancer's leave checksums to the device."""
    places = ((host.node, host.interface), (bed.lb, bed.lb_interface))
    for node, interface in places:
        node.ethtool(interface, tx=state)
    try:
        yield
    finally:
        for node, interface in places:
            node.ethtool(interface, tx="on")


def sums_of(frame: bytes) -> tuple[int, int, int]:
    """The UDP checksum that a frame has, that it has to have, and the pseudo header's alone."""
    ip = Ether(frame).payload
    kind = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    words = socket.inet_pton(kind, ip.src) + socket.inet_pton(kind, ip.dst)
    pseudo = ip[UDP].len + socket.IPPROTO_UDP + sum(
        int.from_bytes(words[at:at + 2], "big") for at in range(0, len(words), 2))
    while pseudo >> 16:
        pseudo = (pseudo & 0xffff) + (pseudo >> 16)
    right = ip.copy()
    del right[UDP].chksum
    return ip[UDP].chksum, type(ip)(bytes(right))[UDP].chksum, pseudo


def answered(bed: Bed, host: Host, family: Family, *payloads: bytes, segment: int = 0
             ) -> list[bytes]:
    """What a client that knows the VIP gets of what the server says, datagram by datagram."""
    with bed.client.socket(*udp_socket(family)) as near, \
            host.node.socket(*udp_socket(family)) as far:
        near.settimeout(10)
        near.bind((client(family), CLIENT))
        near.connect((bed.vip(family), PORT))  # so from nowhere else
        far.bind((host.address(family), SERVED))
        if segment:
            far.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        for payload in payloads:
            far.sendto(payload, (client(family), CLIENT))
        got: list[bytes] = []
        while len(b"".join(got)) < len(b"".join(payloads)):
            got.append(near.recv(65536))
    return got


@each_family
@pytest.mark.parametrize("state", ["on", "off"], ids=["partial", "complete"])
def test_from_the_vip(site: Site, family: Family, state: str) -> None:
    """partial: both kernels leave the sum to the device, and a veth leaves it as it is."""
    bed, before = site.bed, site.stack()
    for host in bed.servers:
        with Wire(bed.client, bed.client_interface) as wire, offload(bed, host, state):
            assert answered(bed, host, family, b"x" * 1201) == [b"x" * 1201]
            (frame,) = wire.receive(1, match=udp_to(client(family), CLIENT))
        has, whole, pseudo = sums_of(frame)
        assert has == (pseudo if state == "on" else whole)
        if family == 4:
            fresh = Ether(frame).payload
            del fresh.chksum
            assert IP(bytes(fresh)).chksum == Ether(frame).payload.chksum
    length = 2 * (14 + (20 if family == 4 else 40) + 8 + 1201)
    after = growth(before, site.stack())
    assert after[f"out.vips.v{family}"] == {"packets": 2, "octets": length, "redirects": 2}
    for host in bed.servers:
        assert after[f"out.servers.p{family}/{host.name}"] == {
            "packets": 1, "octets": length // 2, "redirects": 1}


@each_family
def test_segments_in_one(site: Site, family: Family) -> None:
    """One skb of several datagrams, which the kernel cuts after TC: each has the VIP's address."""
    bed, host, before = site.bed, site.bed.servers[0], site.stack()
    payload = b"".join(bytes([letter]) * 1000 for letter in b"abcd")[:3500]
    got = answered(bed, host, family, payload, segment=1000)
    assert got == [payload[at:at + 1000] for at in range(0, 3500, 1000)]
    after = growth(before, site.stack())
    assert after[f"out.vips.v{family}"]["packets"] == after[
        f"out.vips.v{family}"]["redirects"] == 1


def deliver(site: Site, host: Host, *packets: Packet) -> list[Packet]:
    """What the client's link shows of what the server sends: IP packets."""
    mark = IP(src=host.address4, dst=client4()) / UDP(sport=9, dport=9) / Raw(b"the end")
    got: list[bytes] = []
    with Wire(site.bed.client, site.bed.client_interface) as near, \
            Wire(host.node, host.interface) as far:
        far.send(*(bytes(Ether(src=host.mac, dst=host.lb_mac) / one)
                   for one in (*packets, mark)))
        while not got or not got[-1].endswith(b"the end"):
            got += near.receive(1, match=lambda frame: frame[:6] == bytes.fromhex(
                site.bed.client_mac.replace(":", ""))) or pytest.fail("the end mark is lost")
    return [Ether(frame).payload for frame in got[:-1]]


def test_no_checksum_stays_none(site: Site) -> None:
    host = site.bed.servers[0]
    (got,) = deliver(site, host, IP(src=host.address4, dst=client4())
                     / UDP(sport=SERVED, dport=CLIENT, chksum=0) / Raw(b"x" * 60))
    assert (got.src, got[UDP].sport, got[UDP].chksum) == (site.bed.vip4, PORT, 0)


def test_options_before_udp(site: Site) -> None:
    host = site.bed.servers[0]
    (got,) = deliver(site, host, IP(src=host.address4, dst=client4(), options=b"\1\1\1\0")
                     / UDP(sport=SERVED, dport=CLIENT) / Raw(b"x" * 61))
    has, whole, _ = sums_of(bytes(Ether() / got))
    assert (got.src, got[UDP].sport, got.ihl) == (site.bed.vip4, PORT, 6) and has == whole


def test_left_alone(site: Site) -> None:
    """Another port, fragments, ICMP: as they are, but for the hop."""
    host, before = site.bed.servers[0], site.stack()
    base = IP(src=host.address4, dst=client4(), ttl=33)
    whole = base / UDP(sport=SERVED, dport=CLIENT) / Raw(bytes(1600))
    packets = [base / UDP(sport=SERVED + 1, dport=CLIENT) / Raw(b"x" * 60),
               *fragment(whole, 1200),
               base / ICMP(type=3, code=3) / IP(src=client4(), dst=host.address4)
               / UDP(sport=CLIENT, dport=SERVED)]
    got = deliver(site, host, *packets)
    assert [one.src for one in got] == [host.address4] * len(packets)
    for sent, seen in zip(packets, got):
        assert bytes(seen.payload) == bytes(type(sent)(bytes(sent)).payload)
    after = growth(before, site.stack())
    assert set(after) <= {"out.other", "in.other"} and "redirects" not in after["out.other"]


def test_the_hosts_own_words(site: Site) -> None:
    """What this host sends itself from a nat server's address is its own conversation."""
    bed, host, before = site.bed, site.bed.servers[0], site.stack()
    bed.lb.ip(f"addr add {host.address4}/32 dev lo")
    try:
        with bed.lb.socket(*udp_socket(4)) as own, \
                Wire(bed.client, bed.client_interface) as wire:
            own.bind((host.address4, SERVED))
            own.sendto(b"of its own", (client4(), CLIENT))
            (frame,) = wire.receive(1, match=udp_to(client4(), CLIENT))
    finally:
        bed.lb.ip(f"addr del {host.address4}/32 dev lo")
    assert Ether(frame).payload.src == host.address4
    assert "out.vips.v4" not in growth(before, site.stack())


@each_family
def test_what_is_said_from_a_vip(site: Site, family: Family) -> None:
    """By the host itself: counted for the VIP."""
    bed, before = site.bed, site.stack()
    bed.lb.ip(f"addr add {bed.vip4}/32 dev lo", f"addr add {bed.vip6}/128 dev lo nodad")
    try:
        with bed.lb.socket(*udp_socket(family)) as own:
            own.bind((bed.vip(family), PORT))
            own.sendto(b"of its own", (client(family), CLIENT))
    finally:
        bed.lb.ip(f"addr del {bed.vip4}/32 dev lo", f"addr del {bed.vip6}/128 dev lo")
    after = growth(before, site.stack())
    assert after[f"out.vips.v{family}"]["packets"] == 1
    assert "redirects" not in after[f"out.vips.v{family}"]


@each_family
def test_forwarding_is_off(bed: Bed, site: Site, family: Family) -> None:
    """Then no answer comes through, and the one who attaches or applies hears it."""
    where = bed.servers[0].lb_interface
    name = f"net/ipv4/conf/{where}/forwarding" if family == 4 else "net/ipv6/conf/all/forwarding"
    file = site.loader.write_config(site.config)
    text = f"{name} is off, so answers of nat servers do not come through"
    (clean,) = site.loader.json("apply", "-c", file)["applied"]
    assert clean["forwarding_off"] is None
    bed.lb.sysctl(**{name.replace("/", "__"): 0})
    try:
        (applied,) = site.loader.json("apply", "-c", file)["applied"]
        assert applied["forwarding_off"] == name
        assert f"{text}; sysctl -w {name}=1" in site.loader("apply", "-c", file).stderr
        attached = site.loader.json("attach", site.interface, "-t", "driver", "-c", file)
        (warning,) = attached["warnings"]
        assert warning == {"code": "forwarding-off", "text": text, "hint": f"sysctl -w {name}=1"}
        assert text in site.loader("attach", site.interface, "-t", "driver", "-c", file).stderr
    finally:
        bed.lb.sysctl(**{name.replace("/", "__"): 1})


def test_without_nat_nothing_is_changed(bed: Bed) -> None:
    """A server of another mode that talks to a client from its own address."""
    host = bed.servers[0]
    pools = [{"name": "web", "servers": [{"name": "s1", "address": host.address4}]}]
    vips = [{"name": "v4", "address": bed.vip4, "port": PORT, "pool": "web"}]
    with Site(bed, pools=pools, vips=vips) as site:
        (got,) = deliver(site, host, IP(src=host.address4, dst=client4())
                         / UDP(sport=PORT, dport=CLIENT) / Raw(b"x" * 60))
        assert (got.src, got[UDP].sport) == (host.address4, PORT)
