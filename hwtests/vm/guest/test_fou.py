# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Mode gue against Linux's own receiver (`ip fou add port 6080 gue`), which not every kernel that
tests run on has: what the driver tier makes reaches a socket, what is broken does not."""

from __future__ import annotations

import itertools
import json
import select
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.vm.guest.rig import Loader, ip, run

NEAR, FAR, PORT, GUE_PORT = "g0", "g1", 4433, 6080
VIPS = {4: "203.0.113.80", 6: "2001:db8:80::80"}
CLIENTS = {4: "192.0.2.7", 6: "2001:db8:7::7"}
BALANCERS = {4: "10.7.0.1", 6: "fd00:7::1"}
SERVERS = {4: "10.7.0.2", 6: "fd00:7::2"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
IP_LENGTH = {4: 20, 6: 40}
MAC = bytes.fromhex("020000000701")
ETHERNET = 14


def total(octets: bytes) -> int:
    """The one's complement sum."""
    octets += b"\0" * (len(octets) & 1)
    found: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while found > 0xffff:
        found = (found & 0xffff) + (found >> 16)
    return found


def pseudo(version: int, packet: bytes, length: int) -> bytes:
    """Of a UDP datagram in this packet."""
    addresses = packet[12:20] if version == 4 else packet[8:40]
    return addresses + struct.pack("!HBBH", 0, 0, 17, length)


def datagram(version: int, outer: int, mark: bytes, has_sum: bool = True) -> bytes:
    """A frame from the client to the VIP; the connection ID names the server of family `outer`."""
    payload = bytes([0x40, 0, 1, 0, 0, outer]) + bytes(6) + mark
    length = 8 + len(payload)
    source, target = (socket.inet_pton(FAMILIES[version], places[version])
                      for places in (CLIENTS, VIPS))
    if version == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, source, target)
        header = header[:10] + struct.pack("!H", ~total(header) & 0xffff) + header[12:]
    else:
        header = struct.pack("!IHBB16s16s", 0x60000000, length, 17, 64, source, target)
    udp = struct.pack("!HHHH", 5000, PORT, length, 0) + payload
    found = (~total(pseudo(version, header, length) + udp) & 0xffff or 0xffff) if has_sum else 0
    return (MAC + bytes.fromhex("0200000000aa") + (b"\x08\x00" if version == 4 else b"\x86\xdd")
            + header + udp[:6] + struct.pack("!H", found) + udp[8:])


@dataclass
class Receiver:
    """A server's host: GUE at the port, and a socket at each VIP."""

    wire: socket.socket
    sockets: dict[int, socket.socket]

    def send(self, frame: bytes) -> None:
        """From the balancer's end of the link."""
        self.wire.send(MAC + frame[6:])

    def receive(self, version: int) -> tuple[bytes, str]:
        """The next payload, as from its twelfth octet, and who sent it."""
        ready, _, _ = select.select([self.sockets[version]], [], [], 20)
        assert ready, "nothing came out of the tunnel"
        payload, sender = self.sockets[version].recvfrom(2048)
        return payload[12:], sender[0]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    for module in ("fou", "fou6", "ipip", "sit", "ip6_tunnel"):
        run("modprobe", module)
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("0")
    ip(f"link add {NEAR} address {MAC.hex(':')} type veth peer name {FAR}",
       f"link set {NEAR} up", f"link set {FAR} up",
       f"address add {SERVERS[4]}/24 dev {NEAR}", f"address add {SERVERS[6]}/64 dev {NEAR} nodad",
       f"address add {VIPS[4]}/32 dev lo", f"address add {VIPS[6]}/128 dev lo nodad",
       # What takes protocols 4 and 41 in either family: ip6tnl0 would take no IPv4.
       f"link add g6 type ip6tnl mode any local {SERVERS[6]} remote {BALANCERS[6]}",
       *(f"link set {name} up" for name in ("lo", "tunl0", "sit0", "g6")))
    # Another test may have made it appear, before IPv6 was allowed.
    Path("/proc/sys/net/ipv6/conf/sit0/disable_ipv6").write_text("0")
    # A packet's way back leads nowhere here; rp_filter would mind.
    for name in ("all", "tunl0", "sit0", NEAR):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
    run("ip", "fou", "add", "port", str(GUE_PORT), "gue")
    run("ip", "-6", "fou", "add", "port", str(GUE_PORT), "gue")
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((FAR, 0))
    sockets = {version: socket.socket(family, socket.SOCK_DGRAM)
               for version, family in FAMILIES.items()}
    for version, opened in sockets.items():
        opened.bind((VIPS[version], PORT))
    yield Receiver(wire, sockets)
    for opened in (wire, *sockets.values()):
        opened.close()
    run("ip", "fou", "del", "port", str(GUE_PORT))
    run("ip", "-6", "fou", "del", "port", str(GUE_PORT))
    ip(f"link delete {NEAR}", "link delete g6", f"address delete {VIPS[4]}/32 dev lo",
       f"address delete {VIPS[6]}/128 dev lo")


CASES = [(outer, inner, has_sum) for outer, inner in itertools.product((4, 6), (4, 6))
         for has_sum in ((True, False) if inner == 4 else (True,))]


def mark(case: tuple[int, int, bool]) -> bytes:
    """Another payload for each case."""
    return b"outer %d inner %d sum %d" % case


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, bool], bytes]:
    """All cases through the driver tier's program, in one go."""
    folder = tmp_path_factory.mktemp("gue")
    loader = Loader(folder)
    loader.write(
        forwarding={"mode": "gue", "source_v4": BALANCERS[4], "source_v6": BALANCERS[6],
                    "gue_port": GUE_PORT},
        fallback={"rows": 256},
        pools=[{"name": "web", "servers": [
            {"name": f"s{version}", "address": SERVERS[version],
             "server_ids": [{"config": 0, "id": f"0100000{version}"}]} for version in (4, 6)]}],
        vips=[{"name": f"v{version}", "address": VIPS[version], "port": PORT, "pool": "web"}
              for version in (4, 6)])
    sent = [datagram(inner, outer, mark((outer, inner, has_sum)), has_sum)
            for outer, inner, has_sum in CASES]
    capture = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b"".join(
        struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in sent)
    (folder / "in.pcap").write_bytes(capture)
    told = loader("trace", "-t", "driver", "-c", str(loader.file), "--pcap",
                  str(folder / "in.pcap"), "--out", str(folder / "out.pcap"), "--json").stdout
    decided = [json.loads(line) for line in told.splitlines()]
    assert [one["verdict"] for one in decided] == ["XDP_TX"] * len(sent), decided
    rest, made = (folder / "out.pcap").read_bytes()[24:], []
    while rest:
        (length,) = struct.unpack("<I", rest[8:12])
        made.append(rest[16:16 + length])
        rest = rest[16 + length:]
    return dict(zip(CASES, made, strict=True))


def outer_udp(frame: bytes, outer: int) -> bytes:
    """From the outer UDP header on."""
    return frame[ETHERNET + IP_LENGTH[outer]:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: mark(case).decode().replace(" ", "-"))
def test_delivered(receiver: Receiver, frames: dict[tuple[int, int, bool], bytes],
                   case: tuple[int, int, bool]) -> None:
    outer, inner, has_sum = case
    udp = outer_udp(frames[case], outer)
    # None over IPv4, the right one over IPv6, and none where it does not follow from headers.
    assert (udp[6:8] != bytes(2)) == (outer == 6 and has_sum)
    receiver.send(frames[case])
    assert receiver.receive(inner) == (mark(case), CLIENTS[inner])


@pytest.mark.parametrize("inner", [4, 6])
def test_a_broken_outer_checksum_is_dropped(
        receiver: Receiver, frames: dict[tuple[int, int, bool], bytes], inner: int) -> None:
    """The kernel does look at it, so the one above was right. What is sent behind it arrives."""
    def errors() -> int:
        (line,) = [line for line in Path("/proc/net/snmp6").read_text().splitlines()
                   if line.startswith("Udp6InCsumErrors ")]
        return int(line.split()[1])

    case = 6, inner, True
    frame, before = bytearray(frames[case]), errors()
    frame[ETHERNET + IP_LENGTH[6] + 7] ^= 1
    receiver.send(bytes(frame))
    receiver.send(frames[case])
    assert receiver.receive(inner) == (mark(case), CLIENTS[inner])
    assert errors() == before + 1
    assert not select.select([receiver.sockets[inner]], [], [], 0)[0]
