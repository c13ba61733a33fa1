# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packets that are too long for the way to their server: who is told, and what."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, Iterator

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6  # type: ignore[import]
from scapy.layers.l2 import Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]

from hwtests.icmp_site import (CLIENT, OUTER, POOLS, PORT, config, every_tier, sites, trace, vip)
from hwtests.lab import Bed, Loader
from hwtests.lab.bed import FAMILIES, attach_xdp, pass_object
from hwtests.oracle.icmp import LINK, too_big_answer

MTU = 1400


def datagram(pool: int, version: int, length: int, tags: Any = None, **fields: Any) -> bytes:
    """A client's packet of that many octets to a VIP."""
    own: dict[str, Any] = {"flags": "DF", "ttl": 60} if version == 4 else {"hlim": 60}
    ip = (IP if version == 4 else IPv6)(**{"src": CLIENT[version], "dst": vip(pool, version),
                                           **own, **fields})
    link = LINK / tags if tags is not None else LINK.copy()
    udp = UDP(sport=9000, dport=PORT)
    payload = b"\x40" + b"\xff" * (length - len(ip / udp) - 1)  # config id 7
    return bytes(link / ip / udp / Raw(payload))


def lengths() -> Iterator[tuple[bytes, bytes | None]]:
    """The longest packet that fits and the shortest that does not, with tags and options; and the
    answers."""
    for pool, version in sites():
        room = MTU - OUTER.get(POOLS[pool], 0)
        for tags in (None, Dot1Q(vlan=5), Dot1Q(vlan=5) / Dot1Q(vlan=6)):
            yield datagram(pool, version, room, tags), None
            for length in (room + 1, room + 700):
                frame = datagram(pool, version, length, tags)
                yield frame, too_big_answer(frame, room)
    frame = datagram(0, 4, MTU, options=[Raw(b"\x94\x04\0\0" * 10)])
    yield frame, too_big_answer(frame, MTU - 20)


@every_tier
def test_sender_is_told_what_fits(tier: str) -> None:
    cases = list(lengths())
    for (frame, answer), got in zip(cases, trace(config(server_mtu=MTU), tier,
                                                 [frame for frame, _ in cases])):
        assert got.verdict == "XDP_TX" and got.vip is not None
        if answer is None:
            assert got.reason in ("hash_reserved_config", "flow") and got.server
        else:
            assert (got.reason, got.server) == ("too_big_answered", None)
            assert got.frame == answer, (Ether(answer).show(dump=True)
                                         + Ether(got.frame).show(dump=True))


@every_tier
def test_who_is_not_told(tier: str) -> None:
    """Whoever is nobody, or may have his packet fragmented."""
    group = bytearray(datagram(0, 4, MTU))
    group[0] |= 1
    # The last tier fragments what may be.
    frames = [bytes(group), *([] if tier == "userspace" else [datagram(0, 4, MTU, flags=0)])]
    frames += [datagram(0, 4, MTU, src=source)
               for source in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")]
    frames += [datagram(0, 6, MTU, src=source) for source in ("::", "::1", "ff02::1")]
    for frame, got in zip(frames, trace(config(server_mtu=MTU), tier, frames)):
        assert (got.verdict, got.reason, got.frame) == ("XDP_PASS", "too_big", frame)


@every_tier
@pytest.mark.parametrize("rate", [0, 5])
def test_answers_have_a_rate(tier: str, rate: int) -> None:
    frames = [datagram(0, 4, MTU)] * 40
    got = trace(config(server_mtu=MTU, icmp_answers=rate), tier, frames, "taskset", "-c", "0")
    answered = sum(outcome.reason == "too_big_answered" for outcome in got)
    assert rate <= answered <= 2 * rate  # a second may have begun meanwhile
    assert [outcome.reason for outcome in got].count("too_big") == len(frames) - answered


#: Sends what is too long until the kernel says so, and tells what it says.
CLIENT_PROGRAM = """
import select, socket, struct, sys
family, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
six = family == 6
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
s.setsockopt(level, 23 if six else 10, 2)  # IPV6_MTU_DISCOVER, IP_MTU_DISCOVER: DO
s.setsockopt(level, 25 if six else 11, 1)  # IPV6_RECVERR, IP_RECVERR
s.connect((address, port))
s.send(bytes(1452 if six else 1472))
p = select.poll()
p.register(s, select.POLLERR)
assert p.poll(5000), "no error came"
data, control, flags, _ = s.recvmsg(2000, 512, socket.MSG_ERRQUEUE)
for _, _, octets in control:
    error, origin, kind, code, _, mtu, _ = struct.unpack_from("=IBBBBII", octets)
    offender = octets[16:]
    at = 8 if six else 4
    print(error, origin, kind, code, mtu, socket.inet_ntop(
        socket.AF_INET6 if six else socket.AF_INET, offender[at:at + (16 if six else 4)]))
print(s.getsockopt(level, 24 if six else 14))  # IPV6_MTU, IP_MTU
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")
@every_tier
def test_a_kernel_learns_the_mtu(tier: str) -> None:
    """A socket of Linux believes the answer: error, MTU and whose it is."""
    with Bed(servers=1) as bed, contextlib.ExitStack() as stack:
        attach_xdp(bed.client, bed.client_interface, pass_object())
        loader, host = Loader(bed), bed.servers[0]
        file = loader.write_config({
            "version": 1, "fallback": {"rows": 1024},
            "interfaces": [{"name": bed.lb_interface, "tier": tier}],
            "forwarding": {"mode": "ipip", "server_mtu": MTU},
            "pools": [{"name": "p", "servers": [{"name": "s", "address": host.address4}]}],
            "vips": [{"name": f"v{family}", "address": bed.vip(family), "port": bed.port,
                      "pool": "p"} for family in FAMILIES]})
        stack.enter_context(loader.start("run", "-c", file))
        for family in FAMILIES:
            kind, code, origin = (3, 4, 2) if family == 4 else (2, 0, 3)
            address = bed.vip(family)
            told = bed.client.run([sys.executable, "-c", CLIENT_PROGRAM, str(family), address,
                                   str(bed.port)]).stdout.splitlines()
            assert told == [f"{errno.EMSGSIZE} {origin} {kind} {code} {MTU - 20} {address}",
                            str(MTU - 20)]


#: Three datagrams in one frame, as a virtual link hands them over.
UNCUT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
s.sendto(bytes(3000), (sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.generic
@pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")
def test_what_was_not_cut_yet_is_not_answered() -> None:
    """Each of its packets fits: user space cuts it."""
    with Bed(servers=1) as bed:
        bed.client.ethtool(bed.client_interface, tx="on")
        loader = Loader(bed)
        file = loader.write_config({
            "version": 1, "fallback": {"rows": 1024}, "forwarding": {"mode": "ipip"},
            "pools": [{"name": "p", "servers": [{"name": "s",
                                                 "address": bed.servers[0].address4}]}],
            "vips": [{"name": "v", "address": bed.vip4, "port": bed.port, "pool": "p"}]})
        loader("attach", bed.lb_interface, "-t", "generic", "-c", file)
        bed.client.run([sys.executable, "-c", UNCUT, bed.vip4, str(bed.port)])
        tier, = loader.json("stats", bed.lb_interface)["tiers"]
        reasons = {name: item["packets"] for name, item in tier["reasons"].items()}
        assert (reasons["too_big"], reasons["too_big_answered"]) == (1, 0), reasons
