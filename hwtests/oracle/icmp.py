# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP errors as routers send them, and what must become of each: all built and summed by scapy.

Nothing is taken apart here. A message is made of what it quotes, and what a server must get is made
again of the same parts, with other addresses or with outer headers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scapy.layers.inet import ICMP, IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6, in6_chksum  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]
from scapy.utils import checksum  # type: ignore[import]

#: Octets of a packet that is too long that the balancer quotes.
QUOTE = 192
GUE_PORT = 6080
ROUTER4, ROUTER6 = "192.0.2.254", "2001:db8:77::fe"
#: Where the frame comes from, and where to.
LINK = Ether(src="02:00:00:00:aa:01", dst="02:00:00:00:aa:02")


def too_big_answer(frame: bytes, mtu: int) -> bytes:
    """What the sender of this frame must get: he and the VIP change places."""
    ether = Ether(frame)
    link = ether.copy()
    link.src, link.dst = ether.dst, ether.src
    four = IP in ether
    packet = ether[IP if four else IPv6]
    link = Ether(bytes(link)[:len(frame) - len(packet)])
    quote = Raw(bytes(packet)[:QUOTE])
    if four:
        answer = IP(src=packet.dst, dst=packet.src, ttl=64, flags="DF", id=0, tos=0xc0) / ICMP(
            type=3, code=4, nexthopmtu=mtu) / quote
    else:
        answer = _icmp6(IPv6(src=packet.dst, dst=packet.src, hlim=64, tc=0xc0), 2, 0,
                        mtu.to_bytes(4, "big") + bytes(quote))
    return bytes(link)[:len(frame) - len(packet)] + bytes(answer)


def _icmp6(header: Any, kind: int, code: int, body: bytes) -> Any:
    """scapy's own ICMPv6 messages would take the quote apart, and build it anew."""
    message = bytes((kind, code, 0, 0)) + body
    header = header.copy()
    header.nh, header.plen = 58, len(message)
    total = in6_chksum(58, header, message)
    return header / Raw(message[:2] + total.to_bytes(2, "big") + message[4:])


@dataclass(frozen=True)
class Sent:
    """A datagram of a server: from the VIP to a client, or from the server's own address."""

    source: str
    port: int
    client: str
    client_port: int
    payload: bytes
    checksum: bool = True
    options: bytes = b""

    @property
    def version(self) -> int:
        """Of IP."""
        return 6 if ":" in self.source else 4

    def packet(self) -> bytes:
        """The IP packet."""
        udp = UDP(sport=self.port, dport=self.client_port) / Raw(self.payload)
        if not self.checksum:
            udp.chksum = 0
        if self.version == 6:
            return bytes(IPv6(src=self.source, dst=self.client, hlim=57) / udp)
        return bytes(IP(src=self.source, dst=self.client, ttl=57, id=99, flags="DF",
                        options=[Raw(self.options)] if self.options else []) / udp)


@dataclass(frozen=True)
class Error:
    """A message about a datagram; word: the second one of the ICMP header."""

    about: Sent
    kind: int
    code: int = 0
    word: int = 0
    #: Octets of the datagram that are quoted.
    quoted: int = 548
    ttl: int = 63
    tos: int = 0
    router4: str = ROUTER4
    router6: str = ROUTER6

    def packet(self, *, hops: int = 0) -> bytes:
        """The message as it is after some hops more."""
        quote = self.about.packet()[:self.quoted]
        body = self.word.to_bytes(4, "big") + quote
        if self.about.version == 6:
            return bytes(_icmp6(IPv6(src=self.router6, dst=self.about.source, tc=self.tos,
                                     hlim=self.ttl - hops), self.kind, self.code, body))
        message = bytes((self.kind, self.code, 0, 0)) + body
        total = checksum(message)
        return bytes(IP(src=self.router4, dst=self.about.source, ttl=self.ttl - hops, id=7,
                        tos=self.tos, proto=1)
                     / Raw(message[:2] + total.to_bytes(2, "big") + message[4:]))

    def frame(self) -> bytes:
        """It on the balancer's link."""
        return framed(self.packet())

    def from_server(self, address: str, port: int) -> Error:
        """The same about what the server itself sent, before somebody put the VIP in."""
        return replace(self, about=replace(self.about, source=address, port=port))

    def spread(self) -> int:
        """The 20 bits that outer headers are told apart by: who reports, and the quoted ports."""
        source = (IP(src=self.router4) if self.about.version == 4 else IPv6(src=self.router6))
        word = int.from_bytes(bytes(source)[12:16], "big")
        word ^= self.about.port << 16 | self.about.client_port
        return (word ^ word >> 12) & 0xfffff


def framed(packet: bytes, mac: str | None = None) -> bytes:
    """The packet in Ethernet; mac: of the server, as a trace invents it."""
    link = LINK.copy()
    if mac is not None:
        link.src, link.dst = "02:00:00:00:00:00", mac
    link.type = 0x0800 if packet[0] >> 4 == 4 else 0x86dd
    return bytes(link)[:12] + link.type.to_bytes(2, "big") + packet


def delivered(error: Error, mode: str, server: str, port: int, mac: str,
              source4: str, source6: str) -> bytes:
    """The frame that the server must get; port: of a nat server."""
    if mode == "nat":
        return framed(error.from_server(server, port).packet(hops=1), mac)
    inner = error.packet(hops=1)
    if mode == "l2dsr":
        return framed(inner, mac)
    protocol = 4 if inner[0] >> 4 == 4 else 41
    six = ":" in server
    between = b""
    if mode == "gue":
        label = error.spread()
        gue = bytes((0, protocol, 0, 0)) + inner
        udp = UDP(sport=0x8000 | (label ^ label >> 15) & 0x7fff, dport=GUE_PORT,
                  len=8 + len(gue), chksum=0)
        if six:
            udp.chksum = in6_chksum(17, IPv6(src=source6, dst=server), bytes(udp) + gue) or 0xffff
        between, protocol = bytes(udp) + gue[:4], 17
    length = len(between) + len(inner)
    if six:
        outer = bytes(IPv6(src=source6, dst=server, hlim=64, tc=error.tos, fl=error.spread(),
                           plen=length, nh=protocol))
    else:
        outer = bytes(IP(src=source4, dst=server, ttl=64, tos=error.tos, flags="DF", id=0,
                         len=20 + length, proto=protocol))
    return framed(outer + between + inner, mac)
