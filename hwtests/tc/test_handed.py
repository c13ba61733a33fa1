# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What TC ingress hands to a reader in user space, what it leaves to the host, and what it does
where nobody reads or the reader does not keep up."""

from __future__ import annotations

import socket
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment  # type: ignore[import]
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoRequest,  # type: ignore[import]
                                ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrRouting, fragment6)
from scapy.layers.l2 import Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.lab import Bed, Wire
from hwtests.lab.bed import FAMILIES, PORT, VIP4, VIP6, client4, client6
from hwtests.tc.reader import Handed, Reader
from hwtests.tc.site import Site, growth

UDP_SEGMENT = 103  # linux/udp.h
ROUTER4, ROUTER6 = "10.1.0.77", "fd00:1::77"
QUIC = UDP(sport=4000, dport=PORT) / Raw(b"\x40" + b"q" * 99)
TO4, TO6 = IP(src=client4(), dst=VIP4), IPv6(src=client6(), dst=VIP6)
#: More than lb/parse.h takes.
MANY = IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() \
    / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()
#: What the VIP sent, as an error quotes it.
SENT4 = IP(src=VIP4, dst=client4()) / UDP(sport=PORT, dport=4000) / Raw(b"Q" * 40)
SENT6 = IPv6(src=VIP6, dst=client6()) / UDP(sport=PORT, dport=4000) / Raw(b"Q" * 40)

HANDED: dict[str, tuple[Packet, str]] = {
    "udp4": (TO4 / QUIC, "vips.v4"),
    "udp6": (TO6 / QUIC, "vips.v6"),
    "options4": (IP(src=client4(), dst=VIP4, options=b"\x01\x01\x01\x00") / QUIC, "vips.v4"),
    "many-headers": (TO6 / MANY / QUIC, "vips.v6"),
    "first-fragment4": (fragment(TO4 / UDP(dport=PORT) / Raw(bytes(1600)), 1200)[0], "other"),
    "later-fragment4": (fragment(TO4 / UDP(dport=PORT) / Raw(bytes(1600)), 1200)[1], "other"),
    "first-fragment6": (fragment6(TO6 / IPv6ExtHdrFragment(id=9) / UDP(dport=PORT)
                                  / Raw(bytes(1600)), 1280)[0], "other"),
    "later-fragment6": (fragment6(TO6 / IPv6ExtHdrFragment(id=9) / UDP(dport=PORT)
                                  / Raw(bytes(1600)), 1280)[1], "other"),
    "unreachable4": (IP(src=ROUTER4, dst=VIP4) / ICMP(type=3, code=4) / SENT4, "vips.v4"),
    "expired4": (IP(src=ROUTER4, dst=VIP4) / ICMP(type=11) / SENT4, "vips.v4"),
    "too-big6": (IPv6(src=ROUTER6, dst=VIP6) / ICMPv6PacketTooBig(mtu=1300) / SENT6, "vips.v6"),
    "unreachable6": (IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / SENT6, "vips.v6"),
}
LEFT: dict[str, Packet] = {
    "other-port": TO4 / UDP(sport=4000, dport=PORT + 1) / Raw(b"x" * 40),
    "other-address": IP(src=client4(), dst="10.1.0.1") / QUIC,
    "tcp": TO4 / TCP(dport=PORT),
    "tcp-fragment4": fragment(TO4 / TCP(dport=PORT) / Raw(bytes(1600)), 1200)[1],
    "tcp-fragment6": fragment6(TO6 / IPv6ExtHdrFragment(id=9) / TCP(dport=PORT)
                               / Raw(bytes(1600)), 1280)[1],
    "fragment-to-another4": fragment(IP(src=client4(), dst="10.1.0.1") / UDP(dport=PORT)
                                     / Raw(bytes(1600)), 1200)[1],
    "echo4": TO4 / ICMP(type=8) / Raw(b"x" * 40),
    "echo6": TO6 / ICMPv6EchoRequest(data=b"x" * 40),
    "error-for-tcp": IP(src=ROUTER4, dst=VIP4) / ICMP(type=3, code=4)
    / IP(src=VIP4, dst=client4()) / TCP(sport=PORT, dport=4000),
    "error-for-another-port": IP(src=ROUTER4, dst=VIP4) / ICMP(type=3, code=4)
    / IP(src=VIP4, dst=client4()) / UDP(sport=PORT + 1, dport=4000),
    "error-to-another": IP(src=ROUTER4, dst="10.1.0.1") / ICMP(type=3, code=4) / SENT4,
    "error-for-another-port6": IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach()
    / IPv6(src=VIP6, dst=client6()) / UDP(sport=PORT + 1, dport=4000),
    "source-route": TO6 / IPv6ExtHdrRouting(type=0, segleft=1, addresses=["fd00:1::9"]) / QUIC,
    "too-many-headers": TO6 / MANY / MANY / MANY / MANY / QUIC,
}


@pytest.fixture
def wire(bed: Bed) -> Iterator[Wire]:
    """The client's end."""
    with Wire(bed.client, bed.client_interface) as opened:
        yield opened


def framed(bed: Bed, packet: Packet) -> bytes:
    return bytes(Ether(src=bed.client_mac, dst=bed.lb_mac) / packet)


#: Always handed over, and known by its port: what was sent before it has been judged when it comes.
def mark(bed: Bed) -> bytes:
    return framed(bed, TO4 / UDP(sport=9, dport=PORT) / Raw(b"the end"))


def handed(site: Site, wire: Wire, reader: Reader, *frames: bytes) -> list[Handed]:
    """What the reader gets of these frames."""
    wire.send(*frames, mark(site.bed))
    got: list[Handed] = []
    while not got or not got[-1].frame.endswith(b"the end"):
        taken = reader.take(1)
        assert taken, f"the end mark did not come, after {got}"
        got += taken
    return got[:-1]


@pytest.mark.parametrize("name", HANDED)
def test_handed_over(site: Site, wire: Wire, name: str) -> None:
    packet, counted = HANDED[name]
    frame = framed(site.bed, packet)
    with Reader(site.bed.lb, site.interface) as reader:
        before = site.stack()
        (got,) = handed(site, wire, reader, frame)
        after = growth(before, site.stack())
    assert got.frame == frame and got.length == len(frame)
    assert (got.gso_size, got.vlan) == (0, 0)
    ifindex = site.bed.lb.run(["cat", f"/sys/class/net/{site.interface}/ifindex"]).stdout
    assert got.ifindex == int(ifindex)
    end = len(mark(site.bed))
    if counted == "vips.v4":
        assert after["in.vips.v4"] == {"packets": 2, "octets": len(frame) + end, "redirects": 2}
    else:
        assert after["in.vips.v4"] == {"packets": 1, "octets": end, "redirects": 1}
        assert after[f"in.{counted}"]["redirects"] == 1


@pytest.mark.parametrize("name", LEFT)
def test_left_to_the_host(site: Site, wire: Wire, name: str) -> None:
    with Reader(site.bed.lb, site.interface) as reader:
        before = site.stack()
        assert handed(site, wire, reader, framed(site.bed, LEFT[name])) == []
        after = growth(before, site.stack())
    assert after["in.other"]["packets"] >= 1 and "redirects" not in after["in.other"]


def test_vlan_tag_beside_the_frame(site: Site, wire: Wire) -> None:
    """The kernel takes the outermost tag off before TC sees the frame."""
    link = Ether(src=site.bed.client_mac, dst=site.bed.lb_mac)
    with Reader(site.bed.lb, site.interface) as reader:
        (got,) = handed(site, wire, reader, bytes(link / Dot1Q(vlan=77, prio=5) / TO4 / QUIC))
    assert got.vlan == 0x8100 << 16 | 5 << 13 | 77
    assert got.frame == bytes(link / TO4 / QUIC)


@pytest.mark.parametrize("site", [{"tier": "generic"}], indirect=True)
def test_segments_in_one(site: Site) -> None:
    """What the sender's kernel left whole, as GRO makes it too: a sample that tells the size."""
    bed = site.bed
    bed.client.ethtool(bed.client_interface, tx="on")
    bed.client.ethtool(bed.client_interface, **{"tx-udp-segmentation": "on"})
    try:
        with Reader(bed.lb, site.interface) as reader, \
                bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
            sender.connect((VIP4, PORT))
            sender.send(b"x" * 3500)
            (got,) = reader.take(1)
    finally:
        bed.client.ethtool(bed.client_interface, tx="off")
    assert (got.gso_size, got.length) == (1000, 42 + 3500)
    assert got.frame[42:] == b"x" * 3500


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_reads(site: Site, family: int) -> None:
    """Then the host's stack gets it, as it always did."""
    bed, kind = site.bed, socket.AF_INET if family == 4 else socket.AF_INET6
    bed.lb.ip(f"addr add {bed.vip4}/32 dev lo", f"addr add {bed.vip6}/128 dev lo nodad")
    try:
        with Reader(bed.lb, site.interface):
            pass
        before = site.stack()
        with bed.lb.socket(kind, socket.SOCK_DGRAM) as local, \
                bed.client.socket(kind, socket.SOCK_DGRAM) as sender:
            local.settimeout(10)
            local.bind((bed.vip(4 if family == 4 else 6), PORT))
            sender.connect((bed.vip(4 if family == 4 else 6), PORT))
            sender.send(b"to the host")
            assert local.recv(100) == b"to the host"
        assert growth(before, site.stack())[f"in.vips.v{family}"]["packets"] == 1
    finally:
        bed.lb.ip(f"addr del {bed.vip4}/32 dev lo", f"addr del {bed.vip6}/128 dev lo")


def test_ring_is_full(site: Site, wire: Wire) -> None:
    """Dropped and counted: the stack gets none of what user space was meant to decide."""
    sent, frame = 400, framed(site.bed, TO4 / UDP(dport=PORT) / Raw(bytes(1000)))
    with Reader(site.bed.lb, site.interface, pages=1) as reader:
        before = site.stack()
        wire.send(*[frame] * sent)
        while growth(before, site.stack()).get("in.vips.v4", {}).get("packets", 0) < sent:
            pass
        counts = growth(before, site.stack())["in.vips.v4"]
        assert counts["redirects"] + counts["drops"] == sent and counts["redirects"] > 0
        assert len(reader.take(counts["redirects"])) == counts["redirects"]


def test_reader_stays_through_a_change(site: Site, wire: Wire) -> None:
    """New programs on new maps of the tier go on with the map of the rings."""
    frame = framed(site.bed, TO4 / QUIC)
    with Reader(site.bed.lb, site.interface) as reader:
        assert len(handed(site, wire, reader, frame)) == 1
        site.loader("attach", site.interface, "-t", site.tier, "-c",
                    site.loader.write_config(site.config), "--reload")
        assert len(handed(site, wire, reader, frame, frame)) == 2
