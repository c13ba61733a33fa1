# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The server's decapsulator: what it takes off, what it leaves alone, and the commands for it."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP  # type: ignore[import]
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt  # type: ignore[import]
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.lab import Bed
from hwtests.lab.bed import built

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")

XDP_DROP, XDP_PASS = 1, 2
PINS = "/sys/fs/bpf/decap"
PEER4, PEER6 = "192.0.2.10", "2001:db8::10"
NOT_ECT, ECT1, ECT0, CE = range(4)
COUNTERS = ["not_tunnel", "stranger", "malformed", "fragment", "ecn_drop", "decapsulated"]


def ether() -> Packet:
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def outer(version: int, ecn: int = 0, **fields: Any) -> Packet:
    if version == 4:
        return IP(src=fields.pop("src", PEER4), dst="198.51.100.1", tos=0x20 | ecn, **fields)
    return IPv6(src=fields.pop("src", PEER6), dst="2001:db8:1::1", tc=0x20 | ecn, **fields)


def inner(version: int, ecn: int = 0) -> Packet:
    """Whole, so that its checksums are there when only the traffic class is to differ."""
    address: Packet = (IP(src="203.0.113.9", dst="203.0.113.80", tos=0xb8 | ecn, ttl=9, id=7)
                       if version == 4 else
                       IPv6(src="2001:db8:9::9", dst="2001:db8:80::80", tc=0xb8 | ecn, hlim=9))
    return address / UDP(sport=5000, dport=443, chksum=0x1234) / Raw(bytes(range(40)))


class Program:
    """The decapsulator, loaded and attached nowhere, with two balancers to believe."""

    def __init__(self, bed: Bed) -> None:
        self.node = bed.lb
        self.dir = bed.dir
        self.node.run(["mkdir", PINS])
        self.node.run(["bpftool", "prog", "load", built("bpf/decap.bpf.o"), f"{PINS}/prog",
                       "pinmaps", PINS])
        for version, address in ((4, socket.inet_aton(PEER4) + bytes(12)),
                                 (6, socket.inet_pton(socket.AF_INET6, PEER6))):
            key = version.to_bytes(4, "little") + address
            self.node.run(["bpftool", "map", "update", "pinned", f"{PINS}/peer_map", "key", "hex",
                           *(f"{octet:02x}" for octet in key), "value", "1", "0", "0", "0"])

    def counts(self) -> Counter[str]:
        """Packets by counter, without the zeros."""
        dump = json.loads(self.node.run(["bpftool", "-j", "map", "dump", "pinned",
                                         f"{PINS}/decap_stats"]).stdout)
        counts: Counter[str] = Counter()
        for entry in dump:
            number = int(entry["key"][0], 16)
            for cpu in entry["values"]:
                octets = bytes(int(octet, 16) for octet in cpu["value"][:8])
                counts[COUNTERS[number]] += int.from_bytes(octets, "little")
        return +counts

    def run(self, frames: Sequence[Packet | bytes]) -> list[tuple[int, bytes]]:
        """Verdict and resulting frame of each, in one go: a process per frame would be slow."""
        script = []
        for i, frame in enumerate(frames):
            (self.dir / f"in{i}").write_bytes(bytes(frame))
            script.append(f"bpftool -j prog run pinned {PINS}/prog data_in {self.dir}/in{i} "
                          f"data_out {self.dir}/out{i} && echo")
        lines = self.node.run(["sh", "-ec", "\n".join(script)]).stdout.split("\n")
        verdicts = [json.loads(line)["retval"] for line in lines if line]
        return [(verdict, (self.dir / f"out{i}").read_bytes())
                for i, verdict in enumerate(verdicts)]


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with Bed(servers=1) as up:
        yield up


@pytest.fixture(scope="module")
def program(bed: Bed) -> Program:
    return Program(bed)


def check(program: Program, counter: str, cases: Sequence[tuple[Packet | bytes,
                                                                Packet | bytes | None]]) -> None:
    """Each frame is counted under the one counter and becomes what stands beside it; None: itself."""
    before = program.counts()
    results = program.run([frame for frame, _ in cases])
    for (frame, expected), (verdict, got) in zip(cases, results, strict=True):
        assert verdict == (XDP_DROP if counter == "ecn_drop" else XDP_PASS)
        assert got == bytes(frame if expected is None else expected)
    assert program.counts() - before == Counter({counter: len(cases)})


#: RFC 6040, figure 4: what becomes of the inner field; None: dropped.
RFC6040 = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}


@pytest.mark.parametrize("inside", [4, 6])
@pytest.mark.parametrize("outside", [4, 6])
def test_ecn_of_all_combinations(program: Program, outside: int, inside: int) -> None:
    kept = []
    dropped = []
    for within, without in itertools.product(range(4), repeat=2):
        frame = ether() / outer(outside, without) / inner(inside, within)
        ecn = RFC6040[within][without]
        if ecn is None:
            dropped.append((frame, None))
        else:
            kept.append((frame, ether() / inner(inside, ecn)))
    assert len(kept) == 15
    check(program, "decapsulated", kept)
    check(program, "ecn_drop", dropped)


@pytest.mark.parametrize("outside", [4, 6])
def test_vlan_tags_stay(program: Program, outside: int) -> None:
    tags = [Dot1Q(vlan=5, prio=3), Dot1AD(vlan=7) / Dot1Q(vlan=9), Dot1Q(vlan=1) / Dot1Q(vlan=2)]
    check(program, "decapsulated",
          [(ether() / tag / outer(outside) / inner(inside), ether() / tag / inner(inside))
           for tag in tags for inside in (4, 6)])
    check(program, "not_tunnel", [(ether() / Dot1Q() / Dot1Q() / Dot1Q() / outer(outside) /
                                   inner(4), None)])


def test_outer_ipv4_options(program: Program) -> None:
    check(program, "decapsulated",
          [(ether() / outer(4, options=[IPOption_NOP()] * n) / inner(inside), ether() / inner(inside))
           for n in (1, 4, 37, 40) for inside in (4, 6)])


def test_inner_options_and_fragments_pass(program: Program) -> None:
    """What is inside is the balancer's affair; only its own lengths must fit."""
    insides = [IP(src="203.0.113.9", options=[IPOption_NOP()] * 8) / UDP() / Raw(b"x" * 9),
               IP(src="203.0.113.9", flags="MF") / Raw(b"x" * 16),
               IPv6(src="2001:db8:9::9") / IPv6ExtHdrDestOpt() / UDP() / Raw(b"y"),
               IP(src="203.0.113.9") / ICMP()]
    check(program, "decapsulated", [(ether() / outer(version) / inside, ether() / inside)
                                    for inside in insides for version in (4, 6)])


def test_padding_behind_the_packet_stays(program: Program) -> None:
    check(program, "decapsulated", [(bytes(ether() / outer(4) / inner(4)) + bytes(6),
                                     bytes(ether() / inner(4)) + bytes(6))])


def test_everything_else_is_left_alone(program: Program) -> None:
    check(program, "not_tunnel", [
        (ether() / inner(4), None), (ether() / inner(6), None), (ether() / ARP() / bytes(20), None),
        (ether() / IP(src=PEER4) / ICMP() / bytes(20), None),
        (ether() / IP(src=PEER4, proto=47) / bytes(40), None),
        (ether() / outer(6) / IPv6ExtHdrDestOpt() / inner(6), None),
        (bytes(ether()), None)])


def test_strangers_are_left_to_the_host(program: Program) -> None:
    neighbours4 = ["192.0.2.11", "192.0.2.9", "10.2.0.192"]
    neighbours6 = ["2001:db8::11", "2001:db8:0:1::10", "::10", "::192.0.2.10"]
    check(program, "stranger",
          [(ether() / outer(4, src=src) / inner(inside), None)
           for src in neighbours4 for inside in (4, 6)] +
          [(ether() / outer(6, src=src) / inner(inside), None)
           for src in neighbours6 for inside in (4, 6)])


def test_outer_fragments_are_left_to_the_host(program: Program) -> None:
    check(program, "fragment", [(ether() / outer(4, flags="MF") / inner(4), None),
                                (ether() / outer(4, frag=3) / inner(4), None),
                                (ether() / outer(4, frag=0x1fff, flags="MF") / inner(6), None)])


def test_reserved_and_df_bits_are_no_fragments(program: Program) -> None:
    check(program, "decapsulated", [(ether() / outer(4, flags=flags) / inner(4),
                                     ether() / inner(4)) for flags in ("DF", "evil", 0)])


@pytest.mark.parametrize("outside", [4, 6])
@pytest.mark.parametrize("inside", [4, 6])
def test_truncated_everywhere(program: Program, outside: int, inside: int) -> None:
    """Cut behind every octet of the headers: never decapsulated, never changed."""
    whole = bytes(ether() / outer(outside) / inner(inside))
    lengths = range(22, len(whole))
    frames = [whole[:n] for n in lengths]
    before = program.counts()
    assert program.run(frames) == [(XDP_PASS, frame) for frame in frames]
    assert program.counts() - before == Counter(malformed=len(frames))


def test_contradictions(program: Program) -> None:
    def broken(packet: Packet, offset: int, *octets: int) -> tuple[bytes, None]:
        frame = bytearray(bytes(packet))
        frame[offset:offset + len(octets)] = octets
        return bytes(frame), None

    four, six = ether() / outer(4) / inner(4), ether() / outer(6) / inner(6)
    check(program, "malformed", [
        broken(four, 14, 0x44), broken(four, 14, 0x65), broken(six, 14, 0x40),  # ihl, version
        broken(four, 16, 0, 19), broken(four, 16, 0xff, 0xff),                  # outer length
        broken(six, 18, 0, 0), broken(six, 18, 0xff, 0xff),
        broken(four, 23, 41), broken(six, 20, 4),                    # protocol and inner version
        broken(four, 34, 0x44), broken(four, 34, 0x65), broken(four, 36, 0, 19),
        broken(four, 36, 0, 89), broken(six, 58, 0, 49),             # inner longer than the outer
        broken(four, 16, 0, 40)])


def test_a_zero_checksum_word_stays_right(program: Program) -> None:
    """All headers whose checksum is about to wrap: the incremental update must agree with scapy."""
    cases = []
    for number in (0x0000, 0x0001, 0xfffe, 0xffff, 0x8000, 0xd5fd, 0xd5fe, 0xd5ff):
        def packet(ecn: int, number: int = number) -> Packet:
            return IP(src="203.0.113.9", dst="203.0.113.80", tos=ecn, id=number) / UDP()
        cases.append((ether() / outer(4, CE) / packet(ECT0), ether() / packet(CE)))
        cases.append((ether() / outer(4, ECT1) / packet(ECT0), ether() / packet(ECT1)))
    check(program, "decapsulated", cases)
