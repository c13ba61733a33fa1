# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a tier must do with one frame under one configuration.

The parsing is plain struct code after the RFCs; what is written in front of a packet is built and
summed by scapy. Every server counts as reachable on the link the frame came in by, as in
``loader trace``.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Mapping

from scapy.layers.inet import IP, in4_chksum  # type: ignore[import]
from scapy.layers.inet import UDP as UDPHeader
from scapy.layers.inet6 import IPv6, in6_chksum  # type: ignore[import]
from scapy.utils import checksum  # type: ignore[import]

from .five import hash_tuple
from .maglev import fill
from .quic_lb import RESERVED, CidConfig


UDP = 17
#: Octets between the outer IP header and the packet in GUE, and the port it goes to.
GUE_LENGTH = 12
GUE_PORT = 6080
FRAGMENT = 44
ROUTING = 43
AH = 51
EXTENSIONS = {0, ROUTING, AH, 60}
MAX_EXTENSIONS = 6
MAX_IPV6_HEADERS = 511
#: RFC 9000 section 10.3: no shorter datagram is a packet of QUIC.
MIN_PACKET = 21

#: Sources of the outer header where the file gives none: nobody's addresses (RFC 7600, RFC 6666).
DUMMY_SOURCE4 = "192.0.0.8"
DUMMY_SOURCE6 = "100::"


@dataclass(frozen=True)
class Decision:
    """What becomes of a frame; out_frame is None where it is passed as it came."""

    verdict: str
    reason: str
    config_id: int | None = None
    vip: str | None = None
    server: str | None = None
    pool: str | None = None
    out_frame: bytes | None = None


class Passed(Exception):
    """The frame is left to the next tier, for the reason given."""


@dataclass(frozen=True)
class Datagram:
    """An unfragmented UDP datagram and where its IP packet lies in the frame."""

    link: bytes
    version: int
    packet: bytes
    ip_length: int
    traffic_class: int
    ttl: int
    source: bytes
    destination: bytes
    ports: bytes
    payload: bytes
    #: Octets of the frame behind the payload.
    behind: int

    @property
    def flow_label(self) -> int:
        """20 bits of the ports and of a word of the source: IPv6's second one."""
        source = self.source if self.version == 4 else self.source[4:8]
        word = int.from_bytes(source, "big") ^ int.from_bytes(self.ports, "big")
        return (word ^ word >> 12) & 0xfffff

    @property
    def udp_at(self) -> int:
        """Where the UDP header begins in the packet."""
        return len(self.packet) - self.behind - len(self.payload) - 8

    @property
    def sum_follows(self) -> bool:
        """Whether the headers say what all octets add up to: the datagram has a checksum, fills its
        packet, and has no extension headers in front."""
        at = self.udp_at
        return (any(self.packet[at + 6:at + 8]) and (self.version == 4 or at == 40)
                and at + 8 + len(self.payload) == self.ip_length)

    @property
    def hash(self) -> int:
        """Of the 4-tuple."""
        return hash_tuple(self.source, self.destination, self.ports)


def _cut(octets: bytes, start: int, n: int) -> bytes:
    part = octets[start:start + n]
    if len(part) < n:
        raise Passed("malformed")
    return part


def _parse_link(frame: bytes) -> tuple[int, int]:
    """The length of Ethernet header and tags, and the EtherType behind them."""
    # No IP packet fits in less, so 22 octets are asked for at once, whatever the type says.
    _cut(frame, 0, 22)
    at = 12
    for _ in range(2):
        if frame[at:at + 2] not in (b"\x81\x00", b"\x88\xa8"):
            break
        at += 4
    return at + 2, int.from_bytes(frame[at:at + 2], "big")


def _parse_udp(packet: bytes, at: int, left: int) -> tuple[bytes, bytes, int]:
    """Ports, payload and what lies behind it; left: what the IP packet has for UDP."""
    header = _cut(packet, at, 8)
    stated = int.from_bytes(header[4:6], "big")
    if left < 8 or not 8 <= stated <= left:
        raise Passed("malformed")
    return header[:4], packet[at + 8:at + stated], len(packet) - at - stated


def _parse_ipv4(link: bytes, packet: bytes) -> Datagram:
    first, tos, total, _, flags, ttl, protocol, _, source, destination = struct.unpack(
        ">BBHHHBBH4s4s", _cut(packet, 0, 20))
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20 or not header <= total <= len(packet):
        raise Passed("malformed")
    if protocol != UDP:
        raise Passed("not_udp")
    if flags & 0x3fff:
        raise Passed("fragment")
    return Datagram(link, 4, packet, total, tos, ttl, source, destination,
                    *_parse_udp(packet, header, total - header))


def _parse_ipv6(link: bytes, packet: bytes, extensions: int) -> Datagram:
    word, left, following, ttl, source, destination = struct.unpack(
        ">IHBB16s16s", _cut(packet, 0, 40))
    if word >> 28 != 6 or 40 + left > len(packet):
        raise Passed("malformed")
    ip_length, at = 40 + left, 40
    for _ in range(extensions):
        if following not in EXTENSIONS:
            break
        extension = _cut(packet, at, 8)
        if following == ROUTING and extension[3]:
            raise Passed("ip_options")
        n = (extension[1] + 2) * 4 if following == AH else (extension[1] + 1) * 8
        if n > left:
            raise Passed("malformed")
        following, left, at = extension[0], left - n, at + n
        if at > MAX_IPV6_HEADERS:
            raise Passed("ip_options")
    if following == FRAGMENT:
        raise Passed("fragment")
    if following in EXTENSIONS and extensions:
        raise Passed("ip_options")
    if following != UDP:
        raise Passed("not_udp")
    return Datagram(link, 6, packet, ip_length, word >> 20 & 0xff, ttl, source, destination,
                    *_parse_udp(packet, at, left))


def parse(frame: bytes, extensions: int = MAX_EXTENSIONS) -> Datagram:
    """The datagram in a frame, or Passed."""
    length, ethertype = _parse_link(frame)
    link, packet = frame[:length], frame[length:]
    if ethertype == 0x0800:
        return _parse_ipv4(link, packet)
    if ethertype == 0x86dd:
        return _parse_ipv6(link, packet, extensions)
    raise Passed("not_ip")


def find_dcid(payload: bytes) -> bytes | None:
    """The destination connection ID of RFC 8999; of a short header all that may belong to it."""
    if len(payload) < 2:
        return None
    if payload[0] < 0x80:
        return payload[1:]
    if len(payload) < 7:
        return None
    dcid = payload[6:6 + payload[5]]
    return dcid if dcid and len(dcid) == payload[5] else None


@dataclass(frozen=True)
class Server:
    """A server of the file, with the number that it gets."""

    number: int
    name: str
    pool: str
    address: str
    mode: str
    #: Of nat; 0: the VIP's.
    port: int = 0

    @property
    def mac(self) -> bytes:
        """The link address that stands in for it in a trace."""
        return b"\x02\0\0\0" + self.number.to_bytes(2, "big")


@dataclass(frozen=True)
class Cid:
    """A configuration of connection IDs, and whether the described length counts."""

    layout: CidConfig
    length_check: str

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Cid:
        """An entry of the file's cid_configs. A key file is not opened: here its name is the key
        in hexadecimal, which spares every test from carrying keys about."""
        key = entry.get("key_file")
        return cls(CidConfig(entry["id"], entry["server_id_length"], entry["nonce_length"],
                             bytes.fromhex(PurePath(key).name) if key else None),
                   entry.get("length_check", "none"))

    def contradicts(self, dcid: bytes, is_long: bool) -> bool:
        """Whether the length in the first octet rules the CID out."""
        described = dcid[0] & 0x1f
        if self.length_check == "equal" and is_long and described != len(dcid) - 1:
            return True
        return self.length_check != "none" and described < self.layout.body_length


class Model:
    """One configuration, ready to be asked."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        forwarding = config.get("forwarding") or {}
        self.source4 = forwarding.get("source_v4", DUMMY_SOURCE4)
        self.source6 = forwarding.get("source_v6", DUMMY_SOURCE6)
        self.gue_port = forwarding.get("gue_port", GUE_PORT)
        rows = (config.get("fallback") or {}).get("rows", 4096)
        #: By pool and config id: an entry that names no pool is for all of them.
        self.cids: dict[tuple[str, int], Cid] = {}
        for entry in config.get("cid_configs") or []:
            for pool in config["pools"]:
                if entry.get("pool", pool["name"]) == pool["name"]:
                    self.cids[pool["name"], entry["id"]] = Cid.read(entry)
        #: By pool and name.
        self.servers: dict[tuple[str, str], Server] = {}
        #: By pool, config id and server id.
        self.server_ids: dict[tuple[str, int, bytes], Server] = {}
        self.rows: dict[str, list[str | None]] = {}
        for pool in config["pools"]:
            weights = {}
            for entry in pool["servers"]:
                server = Server(len(self.servers) + 1, entry["name"], pool["name"],
                                entry["address"],
                                entry.get("mode", forwarding.get("mode", "ipip")),
                                entry.get("port", 0))
                self.servers[pool["name"], server.name] = server
                for known in entry.get("server_ids") or []:
                    key = pool["name"], known["config"], bytes.fromhex(known["id"])
                    self.server_ids[key] = server
                drains = entry.get("state", "up") == "drain"
                weights[server.name] = 0 if drains else entry.get("weight", 100)
            self.rows[pool["name"]] = fill(weights, rows)
        #: By version, address and port: name and pool.
        self.vips: dict[tuple[int, bytes, int], tuple[str, str]] = {}
        for vip in config["vips"]:
            family = socket.AF_INET6 if ":" in vip["address"] else socket.AF_INET
            key4 = (6 if ":" in vip["address"] else 4, socket.inet_pton(family, vip["address"]),
                    vip["port"])
            self.vips[key4] = vip["name"], vip["pool"]

    def route(self, frame: bytes, *, card: bool = False, known: bool = False) -> Decision:
        """What must become of the frame; card: on the tier that has no AES and leaves extension
        headers and short datagrams to the host; known: it was told of every encrypted CID."""
        try:
            datagram = parse(frame, 0 if card else MAX_EXTENSIONS)
            if card and len(datagram.payload) < MIN_PACKET:
                raise Passed("short_packet")
        except Passed as passed:
            return Decision("XDP_PASS", str(passed))
        key = datagram.version, datagram.destination, int.from_bytes(datagram.ports[2:], "big")
        if key not in self.vips:
            return Decision("XDP_PASS", "not_vip")
        vip, pool = self.vips[key]
        try:
            reason, config_id, server = self._route_by_cid(datagram, pool, card, known)
        except Passed as passed:
            return Decision("XDP_PASS", str(passed), vip=vip)
        if server is None:
            name = self.rows[pool][datagram.hash % len(self.rows[pool])]
            if name is None:
                return Decision("XDP_PASS", "no_server", vip=vip)
            server = self.servers[pool, name]
        if card and server.mode in ("gue", "nat"):  # which it has no instructions for
            return Decision("XDP_PASS", "no_next_hop", vip=vip)
        if datagram.ttl <= 1:
            return Decision("XDP_PASS", "ttl_expired", vip=vip)
        return Decision("XDP_TX", reason, config_id, vip, server.name, server.pool,
                        self._forward(datagram, server))

    def _route_by_cid(self, datagram: Datagram, pool: str, card: bool, known: bool
                      ) -> tuple[str, int | None, Server | None]:
        dcid = find_dcid(datagram.payload)
        if dcid is None:
            return "hash_no_dcid", None, None
        at = 6 if datagram.payload[0] >= 0x80 else 1
        if card and len(datagram.payload) - at + datagram.behind < 21:
            raise Passed("short_packet")  # whole words are compared
        config_id = dcid[0] >> 5
        if config_id == RESERVED:
            return "hash_reserved_config", None, None
        if (pool, config_id) not in self.cids:
            return "hash_unknown_config", None, None
        cid = self.cids[pool, config_id]
        if len(dcid) < 1 + cid.layout.body_length:
            return "hash_short_dcid", None, None
        if cid.contradicts(dcid, datagram.payload[0] >= 0x80):
            return "hash_wrong_length", None, None
        server_id = cid.layout.decode(dcid)
        assert server_id is not None
        server = self.server_ids.get((pool, config_id, server_id))
        if cid.layout.key is not None and card:
            if not known or not server:
                raise Passed("needs_key")
            return "known_cid", config_id, server
        if server is None:
            return "hash_unknown_server_id", None, None
        return "cid", config_id, server

    def answer(self, frame: bytes) -> tuple[str, bytes] | None:
        """The VIP that a nat server answers for, and the packet as its client must get it."""
        datagram = parse(frame)
        source = socket.inet_ntop(socket.AF_INET if datagram.version == 4 else socket.AF_INET6,
                                  datagram.source)
        port = int.from_bytes(datagram.ports[:2], "big")
        for (version, address, vip_port), (name, pool) in self.vips.items():
            for server in self.servers.values():
                if ((version, server.pool, server.mode, server.address)
                        == (datagram.version, pool, "nat", source)
                        and (server.port or vip_port) == port):
                    return name, _one_hop_less(_readdressed(
                        datagram, 0, address, vip_port.to_bytes(2, "big")))
        return None

    def _forward(self, datagram: Datagram, server: Server) -> bytes:
        if server.mode == "nat":
            family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
            datagram = _readdressed(
                datagram, 1, socket.inet_pton(family, server.address),
                server.port.to_bytes(2, "big") if server.port else datagram.ports[2:])
        inner = _one_hop_less(datagram)
        version, outer = datagram.version, b""
        if server.mode in ("ipip", "gue"):
            version, outer = self._outer(datagram, server, inner)
        tags = datagram.link[12:-2]
        ethertype = b"\x08\x00" if version == 4 else b"\x86\xdd"
        return server.mac + b"\x02\0\0\0\0\0" + tags + ethertype + outer + inner

    def _outer(self, datagram: Datagram, server: Server, inner: bytes) -> tuple[int, bytes]:
        """The outer headers: DSCP and ECN from the packet (RFC 6040), DF, no identification."""
        protocol, length, between = 4 if datagram.version == 4 else 41, datagram.ip_length, b""
        if server.mode == "gue":
            between = self._gue(datagram, server, inner[:length])
            protocol, length = UDP, length + GUE_LENGTH
        if ":" in server.address:
            return 6, bytes(IPv6(tc=datagram.traffic_class, fl=datagram.flow_label,
                                 plen=length, nh=protocol, hlim=64,
                                 src=self.source6, dst=server.address)) + between
        return 4, bytes(IP(tos=datagram.traffic_class, len=20 + length, id=0,
                           flags="DF", ttl=64, proto=protocol, src=self.source4,
                           dst=server.address)) + between

    def _gue(self, datagram: Datagram, server: Server, inner: bytes) -> bytes:
        """UDP's header and GUE's. Over IPv6 with a checksum where the balancer can know it: the one
        that is right if those of the packet are, for it trusts them."""
        label = datagram.flow_label
        gue = bytes((0, 4 if datagram.version == 4 else 41, 0, 0))
        udp = UDPHeader(sport=0x8000 | (label ^ label >> 15) & 0x7fff, dport=self.gue_port,
                        len=len(inner) + GUE_LENGTH, chksum=0)
        if ":" in server.address and datagram.sum_follows:
            trusted = _with_right_checksums(inner, datagram.udp_at)
            udp.chksum = in6_chksum(UDP, IPv6(src=self.source6, dst=server.address),
                                    bytes(udp) + gue + trusted) or 0xffff
        return bytes(udp) + gue


def _with_right_checksums(packet: bytes, udp_at: int) -> bytes:
    header, udp = bytearray(packet[:udp_at]), bytearray(packet[udp_at:])
    udp[6:8] = b"\0\0"
    if header[0] >> 4 == 4:
        total = in4_chksum(UDP, IP(bytes(header)), bytes(udp))
        header[10:12] = b"\0\0"
        header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    else:
        total = in6_chksum(UDP, IPv6(bytes(header)), bytes(udp))
    udp[6:8] = total.to_bytes(2, "big")
    return bytes(header + udp)


def _rfc1624(check: bytes, before: bytes, after: bytes) -> bytes:
    """A checksum after some octets of what it is over have changed: equation 3."""
    total: int = sum(number for number, in struct.iter_unpack(">H", after))
    total += sum(0xffff - number for number, in struct.iter_unpack(">H", check + before))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return (0xffff - total).to_bytes(2, "big")


def _readdressed(datagram: Datagram, side: int, address: bytes, port: bytes) -> Datagram:
    """From (side 0) or to (1) another address and port. No UDP checksum stays none, and it never
    becomes 0, which would say so; a wrong one stays as wrong as it was."""
    packet, udp = bytearray(datagram.packet), datagram.udp_at
    at = (12 if datagram.version == 4 else 8) + side * len(address)
    old, old_port = bytes(packet[at:at + len(address)]), datagram.ports[2 * side:2 * side + 2]
    packet[at:at + len(address)] = address
    packet[udp + 2 * side:udp + 2 * side + 2] = port
    if datagram.version == 4:
        packet[10:12] = _rfc1624(packet[10:12], old, address)
    if any(packet[udp + 6:udp + 8]):
        check = _rfc1624(packet[udp + 6:udp + 8], old + old_port, address + port)
        packet[udp + 6:udp + 8] = check if any(check) else b"\xff\xff"
    return replace(datagram, packet=bytes(packet))


def _one_hop_less(datagram: Datagram) -> bytes:
    packet = bytearray(datagram.packet)
    if datagram.version == 6:
        packet[7] -= 1
        return bytes(packet)
    header = (packet[0] & 15) * 4
    good = checksum(bytes(packet[:header])) == 0
    packet[8] -= 1
    if good:
        packet[10:12] = b"\0\0"
        total = checksum(bytes(packet[:header]))
    else:
        # A wrong checksum stays as wrong as it was, for the receiver to see (RFC 1624).
        total = int.from_bytes(packet[10:12], "big") + 0x100
        total = (total & 0xffff) + (total >> 16)
        total = 0 if total == 0xffff else total
    packet[10:12] = total.to_bytes(2, "big")
    return bytes(packet)


@lru_cache(maxsize=64)
def _model(text: str) -> Model:
    return Model(json.loads(text))


def route(config: Mapping[str, Any], frame: bytes) -> Decision:
    """What a tier must do with the frame under this configuration (the file as a dict)."""
    return _model(json.dumps(config)).route(frame)
