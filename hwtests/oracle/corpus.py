# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The frames that every tier is held against, but for encrypted connection IDs (keyed.py).

All of it is made anew on each run and always the same. scenarios.py puts it together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from typing import Any, Iterator

from scapy.layers.inet import ICMP, IP, TCP, UDP  # type: ignore[import]
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt,  # type: ignore[import]
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.ipsec import AH  # type: ignore[import]
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from .quic_lb import LEGAL_PAIRS

Config = dict[str, Any]

WEB4, WEB6 = "203.0.113.80", "2001:db8:80::80"
DSR4, DSR6 = "203.0.113.81", "2001:db8:80::81"
OTHER4, EMPTY4 = "203.0.113.82", "203.0.113.83"
CLIENT4, CLIENT6 = "192.0.2.77", "2001:db8:77::77"


@dataclass(frozen=True)
class Case:
    """One frame and what is special about it."""

    name: str
    about: str
    frame: bytes


@dataclass(frozen=True)
class Scenario:
    """Frames that meet one configuration, in this order."""

    name: str
    config: Config
    cases: list[Case]


def _ids(**by_config: str) -> list[dict[str, Any]]:
    return [{"config": int(name[1:]), "id": value} for name, value in by_config.items()]


def main_config() -> Config:
    """Several VIPs and pools, both modes, six of the seven config ids."""
    return {
        "version": 1,
        "cid_configs": [
            {"id": 0, "server_id_length": 1, "nonce_length": 4},
            {"id": 1, "server_id_length": 2, "nonce_length": 6},
            {"id": 2, "server_id_length": 3, "nonce_length": 4},
            {"id": 3, "server_id_length": 8, "nonce_length": 8},
            {"id": 4, "server_id_length": 15, "nonce_length": 4, "state": "retiring"},
            {"id": 6, "server_id_length": 4, "nonce_length": 15},
        ],
        "forwarding": {"mode": "ipip", "source_v4": "192.0.2.10", "source_v6": "2001:db8::10"},
        "fallback": {"rows": 64},
        "pools": [
            {"name": "web", "servers": [
                {"name": "web-1", "address": "198.51.100.11", "weight": 100,
                 "server_ids": _ids(c0="01", c1="0001", c2="c4605e", c3="0102030405060708",
                                    c4="11" * 15, c6="00000001")},
                {"name": "web-2", "address": "2001:db8:1::12", "weight": 50,
                 "server_ids": _ids(c0="02", c1="0100", c2="c46000", c3="0102030405060709",
                                    c4="11" * 14 + "12", c6="00000002")},
                {"name": "web-drain", "address": "198.51.100.13", "state": "drain",
                 "server_ids": _ids(c0="03", c1="0000", c2="00c460", c3="0000000000000000",
                                    c4="00" * 14 + "01", c6="01000000")},
                {"name": "web-zero", "address": "2001:db8:1::14", "weight": 0,
                 "server_ids": _ids(c0="00", c1="0002", c2="000000", c3="ffffffffffffffff",
                                    c4="00" * 15, c6="ffffffff")},
            ]},
            {"name": "dsr", "servers": [
                {"name": "dsr-1", "address": "198.51.100.21", "mode": "l2dsr",
                 "server_ids": _ids(c0="21")},
                {"name": "dsr-2", "address": "198.51.100.22", "mode": "l2dsr",
                 "server_ids": _ids(c0="22")},
            ]},
            {"name": "other", "servers": [
                {"name": "other-1", "address": "198.51.100.31",
                 "server_ids": _ids(c0="31", c2="c4605f")},
            ]},
            {"name": "empty", "servers": [
                {"name": "empty-1", "address": "198.51.100.41", "weight": 0,
                 "server_ids": _ids(c0="41")},
                {"name": "empty-2", "address": "198.51.100.42", "state": "drain",
                 "server_ids": _ids(c0="42")},
            ]},
        ],
        "vips": [
            {"name": "www4", "address": WEB4, "port": 443, "pool": "web"},
            {"name": "www6", "address": WEB6, "port": 443, "pool": "web"},
            {"name": "www4-alt", "address": WEB4, "port": 8443, "pool": "other"},
            {"name": "dsr4", "address": DSR4, "port": 443, "pool": "dsr"},
            {"name": "dsr6", "address": DSR6, "port": 443, "pool": "dsr"},
            {"name": "other4", "address": OTHER4, "port": 443, "pool": "other"},
            {"name": "empty4", "address": EMPTY4, "port": 443, "pool": "empty"},
        ],
    }


def ether(*tags: int) -> Packet:
    """The link header, with VLAN tags: the outer of two is 802.1ad."""
    packet = Ether(src="02:00:00:00:aa:01", dst="02:00:00:00:aa:02")
    for position, vid in enumerate(tags):
        outer = position + 1 < len(tags)
        packet = packet / (Dot1AD(vlan=vid, prio=3) if outer else Dot1Q(vlan=vid, prio=5))
    return packet


def ip4(dst: str = WEB4, **fields: Any) -> Packet:
    """An IPv4 header from the client."""
    return IP(**{"src": CLIENT4, "dst": dst, "id": 7, "ttl": 61, **fields})


def ip6(dst: str = WEB6, **fields: Any) -> Packet:
    """An IPv6 header from the client."""
    return IPv6(**{"src": CLIENT6, "dst": dst, "hlim": 61, "fl": 0xabcde, **fields})


def udp(payload: bytes, sport: int = 40000, dport: int = 443, **fields: Any) -> Packet:
    """A UDP datagram."""
    return UDP(sport=sport, dport=dport, **fields) / Raw(payload)


def short(dcid: bytes, rest: int = 24, first: int = 0x40) -> bytes:
    """A short header packet: flags, DCID, and octets that nobody but the server understands."""
    return bytes([first]) + dcid + b"\xee" * rest


def long(dcid: bytes, *, stated: int | None = None, rest: int = 24, first: int = 0xc0,
         version: int = 1) -> bytes:
    """A long header packet; stated: the DCID length it claims."""
    length = len(dcid) if stated is None else stated
    return (bytes([first]) + version.to_bytes(4, "big") + bytes([length]) + dcid
            + b"\x04\x51\x52\x53\x54" + b"\xee" * rest)


def cid(config: int, server_id: str, nonce: int, extra: int = 0) -> bytes:
    """A clear QUIC-LB CID; the five low bits of its first octet are random to the balancer."""
    return (bytes([config << 5 | 0x15]) + bytes.fromhex(server_id)
            + bytes(0xa0 + i & 0xff for i in range(nonce)) + bytes(0xb0 + i for i in range(extra)))


WEB1 = cid(0, "01", 4)


def both(payload: bytes, *tags: int, **fields: Any) -> Iterator[tuple[str, bytes]]:
    """The payload to the web pool over IPv4 and over IPv6."""
    yield "v4", bytes(ether(*tags) / ip4() / udp(payload, **fields))
    yield "v6", bytes(ether(*tags) / ip6() / udp(payload, **fields))


def _link() -> Iterator[tuple[str, str, bytes]]:
    for tags in ((), (5,), (6, 7), (4095,)):
        for family, frame in both(short(WEB1), *tags):
            yield f"link/{len(tags)}-tags-{family}-{sum(tags)}", "tags stay on the frame", frame
    plain = bytes(ether() / ip4() / udp(short(WEB1)))
    yield "link/3-tags", "one tag too many", plain[:12] + b"\x88\xa8\0\1\x81\0\0\2\x81\0\0\3" \
        + plain[12:]
    yield "link/two-8100", "both tags 802.1Q", plain[:12] + b"\x81\0\0\1\x81\0\0\2" + plain[12:]
    yield "link/two-88a8", "both tags 802.1ad", plain[:12] + b"\x88\xa8\0\1\x88\xa8\0\2" \
        + plain[12:]
    yield "link/one-88a8", "one tag, 802.1ad", plain[:12] + b"\x88\xa8\0\1" + plain[12:]
    yield "link/9100", "a tag type of old switches", plain[:12] + b"\x91\0\0\1" + plain[12:]
    yield "link/priority-tag", "VLAN 0", plain[:12] + b"\x81\0\xe0\0" + plain[12:]
    yield "link/arp", "a host must stay reachable", \
        bytes(ether() / ARP(psrc=CLIENT4, pdst=WEB4)).ljust(60, b"\0")
    yield "link/arp-short", "ARP without Ethernet's padding", \
        bytes(ether() / ARP(psrc=CLIENT4, pdst=WEB4))
    yield "link/lldp", "link-local protocol", plain[:12] + b"\x88\xcc" + bytes(46)
    yield "link/802.3", "a length for a type", plain[:12] + b"\0\x26" + bytes(46)
    yield "link/empty", "nothing behind the link header", plain[:14]
    yield "link/v4-type-v6-packet", "types that disagree", \
        plain[:12] + b"\x08\0" + bytes(ip6() / udp(short(WEB1)))
    yield "link/v6-type-v4-packet", "types that disagree", plain[:12] + b"\x86\xdd" + plain[14:]


def _ipv4() -> Iterator[tuple[str, str, bytes]]:
    for words in range(1, 11):
        options = Raw(b"\x01" * (4 * words))
        header = ip4(ihl=5 + words, len=20 + 4 * words + 8 + len(short(WEB1)), proto=17)
        raw = bytearray(bytes(header)[:20] + bytes(options)
                        + bytes(ip4() / udp(short(WEB1)))[20:])
        raw[10:12] = b"\0\0"
        raw[10:12] = _sum(bytes(raw[:20 + 4 * words]))
        yield f"ipv4/options-{words}", "options stay in the inner header", \
            bytes(ether()) + b"\x08\0" + bytes(raw)
    whole = bytes(ether() / ip4() / udp(short(WEB1)))
    for ihl in range(16):
        yield f"ipv4/ihl-{ihl}", "header lengths, some past the packet", _patch(
            whole, 14, bytes([0x40 | ihl]))
    for version in (0, 5, 6, 15):
        yield f"ipv4/version-{version}", "another version in the first octet", _patch(
            whole, 14, bytes([version << 4 | 5]))
    real = len(whole) - 14
    for total in sorted({0, 19, 20, 27, 28, 29, real - 1, real, real + 1, 1500, 65535}):
        yield f"ipv4/total-{total}", "total lengths beside the true one", _patch(
            whole, 16, total.to_bytes(2, "big"))
    for flags in (0x0001, 0x1fff, 0x2000, 0x2001, 0x4000, 0x6000, 0x8000, 0xc000):
        raw = bytearray(_patch(whole, 20, flags.to_bytes(2, "big") + whole[22:24] + b"\0\0"))
        raw[24:26] = _sum(bytes(raw[14:34]))
        yield f"ipv4/flags-{flags:04x}", "fragments; DF and the evil bit are none", bytes(raw)
    for ttl in (0, 1, 2, 3, 128, 255):
        yield f"ipv4/ttl-{ttl}", "nothing leaves with TTL zero", \
            bytes(ether() / ip4(ttl=ttl) / udp(short(WEB1)))
    for proto in (0, 1, 2, 4, 6, 41, 47, 50, 58, 132, 255):
        yield f"ipv4/proto-{proto}", "not UDP", bytes(
            ether() / ip4(proto=proto) / Raw(bytes(udp(short(WEB1)))))
    yield "ipv4/ping", "echo to the VIP is the host's", bytes(ether() / ip4() / ICMP() / b"ping")
    yield "ipv4/tcp", "HTTP/2 on the same port", bytes(ether() / ip4() / TCP(dport=443))
    yield "ipv4/fragment-of-tcp", "not UDP comes first", bytes(
        ether() / ip4(flags="MF") / TCP(dport=443))
    yield "ipv4/bad-checksum", "stays as wrong as it was", bytes(
        ether() / ip4(chksum=0x1234) / udp(short(WEB1)))
    for check in (0x0000, 0xfeff, 0xfefe, 0xff00, 0xffff):
        yield f"ipv4/checksum-{check:04x}", "sums about to wrap (RFC 1624)", bytes(
            ether() / ip4(chksum=check) / udp(short(WEB1)))
    for number in range(256):
        yield f"ipv4/id-{number}", "inner checksums of many values", bytes(
            ether() / ip4(id=number * 257) / udp(short(WEB1)))


def _ipv6() -> Iterator[tuple[str, str, bytes]]:
    payload = udp(short(WEB1))
    pad = PadN(optdata=b"\0" * 12)
    chains = {
        "hop-by-hop": IPv6ExtHdrHopByHop(options=[pad]),
        "destination-options": IPv6ExtHdrDestOpt(options=[pad]),
        "all-kinds": IPv6ExtHdrHopByHop(options=[pad]) / IPv6ExtHdrDestOpt(options=[pad])
        / IPv6ExtHdrRouting(segleft=0, addresses=[WEB6]) / AH(spi=1, seq=1, icv=b"\0" * 12)
        / IPv6ExtHdrDestOpt(options=[pad]),
        "routing-done": IPv6ExtHdrRouting(segleft=0, addresses=[CLIENT6]),
        "routing-0-addresses": IPv6ExtHdrRouting(segleft=0, addresses=[]),
        "routing-one-left": IPv6ExtHdrRouting(segleft=1, addresses=[CLIENT6]),
        "routing-255-left": IPv6ExtHdrRouting(segleft=255, addresses=[CLIENT6]),
        "ah-icv-12": AH(spi=1, seq=1, icv=b"\0" * 12),
        "ah-icv-16": AH(spi=1, seq=1, icv=b"\0" * 16),
        "fragment-first": IPv6ExtHdrFragment(offset=0, m=1),
        "fragment-later": IPv6ExtHdrFragment(offset=10, m=0),
        "fragment-atomic": IPv6ExtHdrFragment(offset=0, m=0),
        "options-then-fragment": IPv6ExtHdrDestOpt(options=[pad]) / IPv6ExtHdrFragment(m=1),
        "fragment-then-options": IPv6ExtHdrFragment(m=0) / IPv6ExtHdrDestOpt(options=[pad]),
    }
    for name, chain in chains.items():
        yield f"ipv6/{name}", "extension headers", bytes(ether() / ip6() / chain / payload)
    for count in range(1, 9):
        chain = ip6()
        for _ in range(count):
            chain = chain / IPv6ExtHdrDestOpt(options=[pad])
        yield f"ipv6/{count}-extensions", "more than six are not read", \
            bytes(ether() / chain / payload)
    for units in (0, 1, 2, 28, 56, 57, 58, 59, 63):
        octets = 8 * (units + 1)
        raw = bytes([17, units]) + bytes(octets - 2)
        yield f"ipv6/one-of-{octets}", "headers of 511 octets at most", bytes(
            ether() / ip6(nh=60) / Raw(raw + bytes(udp(short(WEB1)))))
    for words in (0, 1, 2, 4, 5, 116, 117):
        octets = 4 * (words + 2)
        yield f"ipv6/ah-of-{octets}", "AH counts in words of four", bytes(
            ether() / ip6(nh=51) / Raw(bytes([17, words]) + bytes(octets - 2)
                                       + bytes(udp(short(WEB1)))))
    for units in (1, 5, 255):
        yield f"ipv6/extension-past-packet-{units}", "longer than the packet", bytes(
            ether() / ip6(nh=60) / Raw(bytes([17, units]) + bytes(14)))
    whole = bytes(ether() / ip6() / payload)
    real = len(whole) - 54
    for left in sorted({0, 7, 8, 9, real - 1, real, real + 1, 1500, 65535}):
        yield f"ipv6/length-{left}", "payload lengths beside the true one", _patch(
            whole, 18, left.to_bytes(2, "big"))
    for hops in (0, 1, 2, 255):
        yield f"ipv6/hop-limit-{hops}", "nothing leaves with hop limit zero", \
            bytes(ether() / ip6(hlim=hops) / payload)
    for following in (1, 4, 6, 41, 50, 58, 59, 135, 139, 140, 255):
        yield f"ipv6/next-{following}", "not UDP, or a header that nobody sends", bytes(
            ether() / ip6(nh=following) / Raw(bytes(payload)))
    yield "ipv6/ping", "echo to the VIP is the host's", bytes(
        ether() / ip6() / ICMPv6EchoRequest(data=b"ping"))
    yield "ipv6/version-4", "another version in the first octet", _patch(whole, 14, b"\x45")


def _patch(frame: bytes, at: int, octets: bytes) -> bytes:
    return frame[:at] + octets + frame[at + len(octets):]


def _sum(header: bytes) -> bytes:
    """The checksum of a header whose own field is zero."""
    total = sum(int.from_bytes(header[i:i + 2], "big") for i in range(0, len(header), 2))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff).to_bytes(2, "big")


def _udp() -> Iterator[tuple[str, str, bytes]]:
    for stated in (0, 7, 8, 9, 10, 14, 15, 31, 32, 33, 65535):
        for family, frame in both(short(WEB1), len=stated):
            yield f"udp/length-{stated}-{family}", "UDP lengths beside the true one", frame
    for payload, name in ((b"", "empty"), (b"\x40", "one"), (b"\xc0", "one-long"),
                          (b"\x40\x15", "two"), (long(b"")[:5], "five"), (long(b"")[:6], "six"),
                          (long(WEB1)[:7], "seven")):
        for family, frame in both(payload):
            yield f"udp/payload-{name}-{family}", "too short for a connection ID", frame
    for family, frame in both(b"\x40"):
        yield f"udp/padding-like-a-cid-{family}", "Ethernet's padding is no payload", \
            frame + WEB1 + bytes(20)
    for family, frame in both(b"\xc0\0\0\0\1\6"):
        yield f"udp/padding-like-a-long-cid-{family}", "nor with a length that reaches into it", \
            frame + WEB1 + bytes(20)
    for family, frame in both(b"\x40\x15\x01"):
        yield f"udp/padded-minimum-{family}", "a short datagram in a minimal frame", \
            frame.ljust(60, b"\xaa")
    for family, frame in both(short(WEB1), chksum=0):
        yield f"udp/checksum-0-{family}", "checksums are the receiver's business", frame
    for family, frame in both(short(WEB1), chksum=0xbeef):
        yield f"udp/checksum-wrong-{family}", "checksums are the receiver's business", frame
    for size in (1000, 1200, 1252, 1350, 1444, 1452, 1472):
        for family, frame in both(short(WEB1, size - 1 - len(WEB1))):
            if len(frame) <= 1514:
                yield f"udp/size-{size}-{family}", "up to full frames", frame
    for size in (1452, 1472):
        yield f"udp/size-{size}-dsr", "a full frame by MAC address", bytes(
            ether() / ip4(DSR4) / udp(short(cid(0, "21", 4), size - 7)))
        yield f"udp/size-{size}-tagged", "a full frame with a tag", bytes(
            ether(9) / ip4() / udp(short(WEB1, size - 7)))


def _truncated() -> Iterator[tuple[str, str, bytes]]:
    for form, payload in (("short", short(WEB1, 4)), ("long", long(cid(0, "02", 4), rest=4))):
        for family, frame in both(payload):
            for length in range(14, len(frame) + 1):
                yield f"truncated/{form}-{family}-{length}", "cut at this octet", frame[:length]


def _vips() -> Iterator[tuple[str, str, bytes]]:
    for dport in (0, 80, 442, 444, 8443, 0xbb01, 65535):
        for family, frame in both(short(WEB1), dport=dport):
            yield f"vip/port-{dport}-{family}", "a VIP is address and port", frame
    for dst in ("203.0.113.79", "203.0.113.180", "80.113.0.203", "0.0.0.0", "255.255.255.255",
                CLIENT4):
        yield f"vip/address-{dst}", "one of the host's other addresses", bytes(
            ether() / ip4(dst) / udp(short(WEB1)))
    for dst in ("2001:db8:80::81:80", "2001:db8:80:0:1::80", "::cb00:7150", "cb00:7150::",
                "::ffff:203.0.113.80", CLIENT6):
        yield f"vip/address-{dst}", "IPv6 addresses like a VIP, and an IPv4 VIP's octets", bytes(
            ether() / ip6(dst) / udp(short(WEB1)))
    for name, dst in (("other", OTHER4), ("dsr", DSR4), ("empty", EMPTY4)):
        for octet in ("01", "21", "31", "41", "42"):
            yield f"vip/{name}-id-{octet}", "a server id counts within the VIP's pool only", bytes(
                ether() / ip4(dst) / udp(short(cid(0, octet, 4))))
    for octets in ("c4605e", "c4605f"):
        for dport in (443, 8443):
            yield f"vip/{dport}-id-{octets}", "two pools behind one address", bytes(
                ether() / ip4() / udp(short(cid(2, octets, 4)), dport=dport))
    for tags in ((), (5,), (5, 6)):
        for family, header in (("v4", ip4(DSR4, tos=0x2e)), ("v6", ip6(DSR6, tc=0x2e))):
            for octet in ("21", "22"):
                yield f"vip/dsr-{octet}-{family}-{len(tags)}-tags", "the frame to another MAC", \
                    bytes(ether(*tags) / header / udp(short(cid(0, octet, 4))))
    for sport in range(40000, 40032):
        yield f"vip/dsr-hash-{sport}", "fallback over the pool's rows", bytes(
            ether() / ip4(DSR4) / udp(long(b"\xff" * 8), sport=sport))
        yield f"vip/empty-hash-{sport}", "nobody takes new connections", bytes(
            ether() / ip4(EMPTY4) / udp(long(b"\xff" * 8), sport=sport))
    for ttl in (0, 1):
        yield f"vip/empty-ttl-{ttl}", "no server comes before TTL", bytes(
            ether() / ip4(EMPTY4, ttl=ttl) / udp(long(b"\xff" * 8)))
        yield f"vip/no-vip-ttl-{ttl}", "what is not ours is not judged", bytes(
            ether() / ip4("203.0.113.1", ttl=ttl) / udp(long(b"\xff" * 8)))
        yield f"vip/dsr-ttl-{ttl}", "TTL counts for l2dsr too", bytes(
            ether() / ip4(DSR4, ttl=ttl) / udp(long(b"\xff" * 8)))


def _long_headers() -> Iterator[tuple[str, str, bytes]]:
    body = (cid(0, "02", 4) + bytes(range(250)))[:255]
    for stated in range(256):
        frames = both(long(body[:stated], rest=3))
        for family, frame in frames if stated < 24 else islice(frames, 1):
            yield f"long/dcid-{stated}-{family}", "any length of RFC 8999", frame
    for stated in (1, 6, 7, 20, 21, 255):
        payload = long(body[:stated])[:6 + stated]
        for short_by in (0, 1, 2):
            frame = bytes(ether() / ip4() / udp(payload[:len(payload) - short_by]))
            yield f"long/dcid-{stated}-short-by-{short_by}", "a DCID past the datagram", frame
    for version in (0, 1, 2, 0x6b3343cf, 0xff00001d, 0x1a2a3a4a, 0xffffffff):
        for family, frame in both(long(cid(0, "02", 4), version=version)):
            yield f"long/version-{version:08x}-{family}", "any version, and negotiation", frame
    for first in (0x80, 0x8f, 0xc0, 0xcf, 0xd0, 0xe0, 0xf0, 0xff):
        for family, frame in both(long(cid(0, "02", 4), first=first)):
            yield f"long/first-{first:02x}-{family}", "packet types and a greased fixed bit", frame
    for first in (0x00, 0x20, 0x3f, 0x40, 0x47, 0x7f):
        for family, frame in both(short(cid(0, "02", 4), first=first)):
            yield f"short/first-{first:02x}-{family}", "key phase, spin and a greased bit", frame


def _cids() -> Iterator[tuple[str, str, bytes]]:
    lengths = {0: (1, 4), 1: (2, 6), 2: (3, 4), 3: (8, 8), 4: (15, 4), 5: (4, 4), 6: (4, 15),
               7: (4, 4)}
    config = main_config()
    for number, (server_id, nonce) in lengths.items():
        known = [entry["id"] for server in config["pools"][0]["servers"]
                 for entry in server["server_ids"] if entry["config"] == number]
        foreign = ["ff" * (server_id - 1) + "77", "07" + "00" * (server_id - 1)]
        for value in known + foreign:
            for extra in (-1, 0, 1, 3):
                dcid = cid(number, value, nonce + extra)
                for form, payload in (("short", short(dcid, 0)), ("long", long(dcid, rest=0))):
                    for family, frame in both(payload):
                        yield (f"cid/{number}-{value}{extra:+d}-{form}-{family}",
                               "config ids, server ids and one octet more or less", frame)
    for low in range(32):
        yield f"cid/low-bits-{low}", "the five low bits mean nothing here", bytes(
            ether() / ip4() / udp(short(bytes([low]) + b"\x01" + bytes(4))))
    for number in range(8):
        for sport in range(41000, 41008):
            yield f"cid/config-{number}-from-{sport}", "unroutable ones by the 4-tuple", bytes(
                ether() / ip4() / udp(short(bytes([number << 5]) + b"\xfe" * 19), sport=sport))
    for index in range(16):
        moved = ip4(src=f"10.{index}.3.{index + 1}")
        yield f"cid/moved-{index}", "the client's address does not matter", bytes(
            ether() / moved / udp(short(WEB1), sport=1024 + 997 * index))


def _ecn() -> Iterator[tuple[str, str, bytes]]:
    for value in (*range(4), 0x04, 0x2e, 0xb8, 0xb9, 0xba, 0xbb, 0xfc, 0xff):
        for name, server in (("to-v4", cid(0, "01", 4)), ("to-v6", cid(0, "02", 4))):
            yield f"ecn/{value:02x}-4-{name}", "DSCP and ECN are copied out (RFC 6040)", bytes(
                ether() / ip4(tos=value) / udp(short(server)))
            yield f"ecn/{value:02x}-6-{name}", "DSCP and ECN are copied out (RFC 6040)", bytes(
                ether() / ip6(tc=value) / udp(short(server)))
    for sport in range(50000, 50016):
        for family, frame in both(short(cid(0, "02", 4)), sport=sport):
            yield f"flow-label/{sport}-{family}", "20 bits of the flow's hash", frame


def _flights() -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(9)
    for connection in range(24):
        sport, dcid = 30000 + connection, rng.randbytes(8 + connection % 13)
        for datagram in range(2):
            for family, frame in both(long(dcid, rest=1160, first=0xc0 + datagram), sport=sport):
                yield f"flight/{connection}-{datagram}-{family}", \
                    "datagrams of a first flight go one way", frame


def _noise() -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(4)
    seeds = [frame for _, frame in both(short(WEB1))] + [frame for _, frame in both(
        long(cid(0, "02", 4)), 3)]
    for number in range(600):
        frame = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            frame[rng.randrange(12, len(frame))] = rng.choice((rng.randrange(256), 0, 255))
        if rng.random() < 0.3:
            frame = frame[:rng.randint(14, len(frame))]
        yield f"noise/{number}", "octets changed at random", bytes(frame)
    for number in range(50):
        yield f"noise/random-{number}", "nothing but noise", rng.randbytes(rng.randint(14, 200))


def make_cases(*parts: Iterator[tuple[str, str, bytes]]) -> list[Case]:
    cases = [Case(*one) for part in parts for one in part]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    return cases


def _pair_config(pairs: list[tuple[int, int]]) -> Config:
    servers: list[dict[str, Any]] = [
        {"name": "one", "address": "198.51.100.1", "server_ids": []},
        {"name": "two", "address": "2001:db8:1::2", "server_ids": []},
        {"name": "none", "address": "198.51.100.3"}]
    for number, (server_id, _) in enumerate(pairs):
        servers[0]["server_ids"].append({"config": number, "id": "00" * server_id})
        servers[1]["server_ids"].append(
            {"config": number, "id": bytes(range(0xff, 0xff - server_id, -1)).hex()})
    return {
        "version": 1,
        "cid_configs": [{"id": number, "server_id_length": s, "nonce_length": n}
                        for number, (s, n) in enumerate(pairs)],
        "fallback": {"rows": 16},
        "pools": [{"name": "p", "servers": servers}],
        "vips": [{"name": "v4", "address": WEB4, "port": 443, "pool": "p"},
                 {"name": "v6", "address": WEB6, "port": 443, "pool": "p"}],
    }


def _pair_frames(pairs: list[tuple[int, int]]) -> Iterator[tuple[str, str, bytes]]:
    for number, (s, n) in enumerate(pairs):
        for label, server_id in (("zeros", "00" * s),
                                 ("two", bytes(range(0xff, 0xff - s, -1)).hex()),
                                 ("unknown", "00" * (s - 1) + "01")):
            need = 1 + s + n
            for length in sorted({need - 1, need, need + 1, 20, 21, 40} - set(range(need - 1))):
                dcid = cid(number, server_id, length - 1 - s)
                rest = 24 * (length + n & 1)  # a card wants more than the CID
                form = short(dcid, rest) if length + s & 2 else long(dcid, rest=rest)
                for family, frame in both(form):
                    yield f"pair/{s}-{n}-{label}-{length}-{family}", \
                        "every legal pair, exact, shorter and longer", frame


def _checksum_config() -> Config:
    """Servers whose outer headers need a second fold of the sum.

    Summed in one go, 192.168.0.1 to 192.168.186.108 with length 60 gives 0x1ffff. A program that
    adds a stored, folded sum of the addresses gets there with 192.168.185.109 and DSCP 63.
    """
    config = _pair_config([(1, 4)])
    config["forwarding"] = {"source_v4": "192.168.0.1"}
    config["pools"][0]["servers"] = [
        {"name": "one", "address": "192.168.186.108", "server_ids": _ids(c0="01")},
        {"name": "two", "address": "192.168.185.109", "server_ids": _ids(c0="02")}]
    return config


def _sums() -> Iterator[tuple[str, str, bytes]]:
    for octet in ("01", "02"):
        for tos in (0x00, 0xff):
            for size in range(32):
                yield f"sum/{octet}-{tos:02x}-{size}", "sums that carry twice", bytes(
                    ether() / ip4(id=0, tos=tos) / udp(short(cid(0, octet, 4), size)))


def gue_config() -> Config:
    """The main one in GUE, to another port than the usual one; what most frames go to is IPv6, for
    there the outer checksum counts."""
    config = main_config()
    config["forwarding"] |= {"mode": "gue", "gue_port": 16080}
    web = config["pools"][0]["servers"]
    web[0]["address"], web[1]["address"] = "2001:db8:1::11", "198.51.100.12"
    web[2]["mode"] = "ipip"
    return config


def _gue() -> Iterator[tuple[str, str, bytes]]:
    for octet, server in (("01", "to-v6"), ("02", "to-v4")):
        for size in range(16):
            for family, frame in both(short(cid(0, octet, 4), size), sport=1 + 4099 * size):
                yield f"gue/size-{size}-{family}-{server}", \
                    "sums of odd and even lengths, source ports of the flow", frame
        for n in (1, 2, 7):
            payload = short(cid(0, octet, 4))
            yield f"gue/behind-{n}-v4-{server}", "octets of the packet behind its datagram", bytes(
                ether() / ip4(len=28 + len(payload) + n) / udp(payload)) + b"\xaa" * n
            yield f"gue/behind-{n}-v6-{server}", "octets of the packet behind its datagram", bytes(
                ether() / ip6(plen=8 + len(payload) + n) / udp(payload)) + b"\xaa" * n


def nat_config() -> Config:
    """For each family servers with a port of their own, with the VIP's, and in another mode."""
    def pool(name: str, addresses: str, other: str) -> dict[str, Any]:
        return {"name": name, "servers": [
            {"name": f"{name}-1", "address": addresses + "11", "port": 8443,
             "server_ids": _ids(c0="01")},
            {"name": f"{name}-2", "address": addresses + "12", "server_ids": _ids(c0="02")},
            {"name": f"{name}-3", "address": other, "mode": "ipip", "server_ids": _ids(c0="03")}]}
    return {
        "version": 1,
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 4, "pool": name}
                        for name in ("four", "six")],
        "forwarding": {"mode": "nat", "source_v4": "192.0.2.10", "source_v6": "2001:db8::10"},
        "fallback": {"rows": 64},
        "pools": [pool("four", "198.51.100.", "2001:db8:1::13"),
                  pool("six", "2001:db8:1::", "198.51.100.13")],
        "vips": [{"name": "www4", "address": WEB4, "port": 443, "pool": "four"},
                 {"name": "www6", "address": WEB6, "port": 443, "pool": "six"}],
    }


def _nat() -> Iterator[tuple[str, str, bytes]]:
    for octet in ("01", "02", "03"):
        for size in range(32):
            for family, frame in both(short(cid(0, octet, 4), size), sport=1 + 2053 * size):
                yield f"nat/size-{octet}-{size}-{family}", "odd and even lengths", frame
        for check in (0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff):
            for family, frame in both(short(cid(0, octet, 4)), chksum=check):
                yield f"nat/checksum-{octet}-{check:04x}-{family}", \
                    "none stays none, a wrong one as wrong as it was", frame
    for number in range(256):
        for family, frame in both(short(WEB1), 3, sport=257 * number):
            yield f"nat/sport-{number}-{family}", "sums about to carry, behind a tag", frame


def nat_scenario() -> Scenario:
    """What a packet can have beside addresses and ports."""
    return Scenario("nat", nat_config(), make_cases(
        _link(), _ipv4(), _ipv6(), _udp(), _vips(), _ecn(), _flights(), _nat(), _noise()))


def gue_scenario() -> Scenario:
    """What a packet can have that GUE's headers follow from."""
    return Scenario("gue", gue_config(), make_cases(
        _link(), _ipv4(), _ipv6(), _udp(), _vips(), _ecn(), _flights(), _gue()))


def main_scenario() -> Scenario:
    """All about a frame but the lengths of connection IDs."""
    return Scenario("main", main_config(), make_cases(
        _link(), _ipv4(), _ipv6(), _udp(), _truncated(), _vips(), _long_headers(), _cids(),
        _ecn(), _flights(), _noise()))


def pair_scenarios() -> Iterator[Scenario]:
    """Every legal pair of lengths, seven to a scenario."""
    groups = [LEGAL_PAIRS[i:i + 7] for i in range(0, len(LEGAL_PAIRS), 7)]
    for i, pairs in enumerate(groups):
        yield Scenario(f"pairs-{i}", _pair_config(pairs), make_cases(_pair_frames(pairs)))


def clear_scenarios() -> list[Scenario]:
    """Connection IDs in clear, and everything else about a frame."""
    no_cids = main_config()
    no_cids["cid_configs"] = []
    for pool in no_cids["pools"]:
        for server in pool["servers"]:
            del server["server_ids"]
    return [
        main_scenario(), *pair_scenarios(),
        Scenario("no-cid-configs", no_cids, make_cases(_cids(), _flights())),
        Scenario("checksum", _checksum_config(), make_cases(_sums())),
        gue_scenario(), nat_scenario(),
    ]
