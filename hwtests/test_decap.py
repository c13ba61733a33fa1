# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The server's decapsulator: what it takes off, what it leaves alone, and the commands for it."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections import Counter
from typing import Any, Iterator, Literal, Sequence

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP  # type: ignore[import]
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt  # type: ignore[import]
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.lab import Bed, Family, Wire
from hwtests.lab.bed import FAMILIES, attach_xdp, built, client4, client6, pass_object

Tunnel = Literal["ipip", "gue"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")

XDP_DROP, XDP_PASS = 1, 2
PINS = "/sys/fs/bpf/decap"
PEER4, PEER6 = "192.0.2.10", "2001:db8::10"
NOT_ECT, ECT1, ECT0, CE = range(4)
GUE_PORT = 6080
TUNNELS: tuple[Tunnel, ...] = ("ipip", "gue")
COUNTERS = ["not_tunnel", "stranger", "malformed", "fragment", "ecn_drop", "decapsulated"]


def ether() -> Packet:
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def outer(version: int, ecn: int = 0, **fields: Any) -> Packet:
    if version == 4:
        return IP(src=fields.pop("src", PEER4), dst="198.51.100.1", tos=0x20 | ecn, **fields)
    return IPv6(src=fields.pop("src", PEER6), dst="2001:db8:1::1", tc=0x20 | ecn, **fields)


def gue(inside: Packet, first: int = 0, protocol: int | None = None, flags: int = 0,
        **fields: Any) -> Packet:
    """UDP and GUE around a packet."""
    if protocol is None:
        protocol = 4 if isinstance(inside, IP) else 41
    header = bytes((first, protocol)) + flags.to_bytes(2, "big")
    return UDP(**{"sport": 40000, "dport": GUE_PORT, "chksum": 0, **fields}) / Raw(header) / inside


def wrapped(tunnel: Tunnel, outside: Packet, inside: Packet) -> Packet:
    """One packet in another."""
    return outside / (gue(inside) if tunnel == "gue" else inside)


every_tunnel = pytest.mark.parametrize("tunnel", TUNNELS)


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
        self.node.run(["bpftool", "map", "update", "pinned", f"{PINS}/decap_map", "key", "0", "0",
                       "0", "0", "value", *map(str, GUE_PORT.to_bytes(2, "big")), "0", "0"])

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
    """Each frame is counted under the one counter and becomes what is beside it; None: itself."""
    before = program.counts()
    results = program.run([frame for frame, _ in cases])
    for (frame, expected), (verdict, got) in zip(cases, results, strict=True):
        assert verdict == (XDP_DROP if counter == "ecn_drop" else XDP_PASS)
        assert got == bytes(frame if expected is None else expected)
    assert program.counts() - before == Counter({counter: len(cases)})


#: RFC 6040, figure 4: what becomes of the inner field; None: dropped.
RFC6040: dict[int, dict[int, int | None]] = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}


@pytest.mark.parametrize("inside", [4, 6])
@pytest.mark.parametrize("outside", [4, 6])
@every_tunnel
def test_ecn_of_all_combinations(program: Program, outside: int, inside: int, tunnel: Tunnel
                                 ) -> None:
    kept: list[tuple[Packet | bytes, Packet | bytes | None]] = []
    dropped: list[tuple[Packet | bytes, Packet | bytes | None]] = []
    for within, without in itertools.product(range(4), repeat=2):
        frame = ether() / wrapped(tunnel, outer(outside, without), inner(inside, within))
        ecn = RFC6040[within][without]
        if ecn is None:
            dropped.append((frame, None))
        else:
            kept.append((frame, ether() / inner(inside, ecn)))
    assert len(kept) == 15
    check(program, "decapsulated", kept)
    check(program, "ecn_drop", dropped)


@pytest.mark.parametrize("outside", [4, 6])
@every_tunnel
def test_vlan_tags_stay(program: Program, outside: int, tunnel: Tunnel) -> None:
    tags = [Dot1Q(vlan=5, prio=3), Dot1AD(vlan=7) / Dot1Q(vlan=9), Dot1Q(vlan=1) / Dot1Q(vlan=2)]
    check(program, "decapsulated",
          [(ether() / tag / wrapped(tunnel, outer(outside), inner(inside)),
            ether() / tag / inner(inside)) for tag in tags for inside in (4, 6)])
    check(program, "not_tunnel", [(ether() / Dot1Q() / Dot1Q() / Dot1Q() / outer(outside) /
                                   inner(4), None)])


@every_tunnel
def test_outer_ipv4_options(program: Program, tunnel: Tunnel) -> None:
    check(program, "decapsulated",
          [(ether() / wrapped(tunnel, outer(4, options=[IPOption_NOP()] * n), inner(inside)),
            ether() / inner(inside))
           for n in (1, 4, 37, 40) for inside in (4, 6)])


@every_tunnel
def test_inner_options_and_fragments_pass(program: Program, tunnel: Tunnel) -> None:
    """What is inside is the balancer's affair; only its own lengths must fit."""
    insides = [IP(src="203.0.113.9", options=[IPOption_NOP()] * 8) / UDP() / Raw(b"x" * 9),
               IP(src="203.0.113.9", flags="MF") / Raw(b"x" * 16),
               IPv6(src="2001:db8:9::9") / IPv6ExtHdrDestOpt() / UDP() / Raw(b"y"),
               IP(src="203.0.113.9") / ICMP()]
    check(program, "decapsulated", [(ether() / wrapped(tunnel, outer(version), inside),
                                     ether() / inside)
                                    for inside in insides for version in (4, 6)])


@every_tunnel
def test_padding_behind_the_packet_stays(program: Program, tunnel: Tunnel) -> None:
    check(program, "decapsulated", [
        (bytes(ether() / wrapped(tunnel, outer(4), inner(4))) + bytes(6),
         bytes(ether() / inner(4)) + bytes(6))])


def test_everything_else_is_left_alone(program: Program) -> None:
    check(program, "not_tunnel", [
        (ether() / inner(4), None), (ether() / inner(6), None), (ether() / ARP() / bytes(20), None),
        (ether() / IP(src=PEER4) / ICMP() / bytes(20), None),
        (ether() / IP(src=PEER4, proto=47) / bytes(40), None),
        (ether() / outer(6) / IPv6ExtHdrDestOpt() / inner(6), None),
        (bytes(ether()), None)])


@every_tunnel
def test_strangers_are_left_to_the_host(program: Program, tunnel: Tunnel) -> None:
    neighbours4 = ["192.0.2.11", "192.0.2.9", "10.2.0.192"]
    neighbours6 = ["2001:db8::11", "2001:db8:0:1::10", "::10", "::192.0.2.10"]
    check(program, "stranger",
          [(ether() / wrapped(tunnel, outer(4, src=src), inner(inside)), None)
           for src in neighbours4 for inside in (4, 6)] +
          [(ether() / wrapped(tunnel, outer(6, src=src), inner(inside)), None)
           for src in neighbours6 for inside in (4, 6)])


def test_udp_that_is_no_gue_of_ours(program: Program) -> None:
    """Another port is somebody else's; of a fragment nobody knows the port for sure. What GUE may
    have beside the packet is not guessed at."""
    inside, ports = inner(4), (GUE_PORT - 1, GUE_PORT + 1, 443, 0xc017)
    check(program, "not_tunnel",
          [(ether() / outer(version) / gue(inside, dport=port), None)
           for version in (4, 6) for port in ports] +
          [(ether() / outer(version) / UDP(sport=GUE_PORT, dport=9) / Raw(bytes(40)), None)
           for version in (4, 6)] +
          [(ether() / outside / gue(inside), None)
           for outside in (outer(4, flags="MF"), outer(4, frag=3))] +
          [(bytes(ether() / outer(version) / gue(inside))[:at], None)
           for version, at in ((4, 41), (6, 61))])
    check(program, "malformed",
          [(ether() / outer(version) / gue(inside, **wrong), None) for version in (4, 6)
           for wrong in ({"first": 1}, {"first": 0x20}, {"first": 0x40}, {"first": 0x80},
                         {"flags": 1}, {"flags": 0x8000}, {"protocol": 0}, {"protocol": 17},
                         {"protocol": 41}, {"protocol": 47}, {"len": 11}, {"len": 12},
                         {"len": 79}, {"len": 81}, {"len": 0}, {"len": 0xffff})])
    check(program, "decapsulated", [
        (ether() / outer(version) / gue(inside, **right), ether() / inside) for version in (4, 6)
        for right in ({"len": 80}, {"sport": 0}, {"chksum": 0x1234}, {"sport": GUE_PORT})])


def test_outer_fragments_are_left_to_the_host(program: Program) -> None:
    check(program, "fragment", [(ether() / outer(4, flags="MF") / inner(4), None),
                                (ether() / outer(4, frag=3) / inner(4), None),
                                (ether() / outer(4, frag=0x1fff, flags="MF") / inner(6), None)])


@every_tunnel
def test_reserved_and_df_bits_are_no_fragments(program: Program, tunnel: Tunnel) -> None:
    check(program, "decapsulated", [(ether() / wrapped(tunnel, outer(4, flags=flags), inner(4)),
                                     ether() / inner(4)) for flags in ("DF", "evil", 0)])


@pytest.mark.parametrize("outside", [4, 6])
@pytest.mark.parametrize("inside", [4, 6])
@every_tunnel
def test_truncated_everywhere(program: Program, outside: int, inside: int, tunnel: Tunnel) -> None:
    """Cut behind every octet of the headers: never decapsulated, never changed."""
    whole = bytes(ether() / wrapped(tunnel, outer(outside), inner(inside)))
    frames = [whole[:n] for n in range(22, len(whole))]
    before = program.counts()
    assert program.run(frames) == [(XDP_PASS, frame) for frame in frames]
    # Without a whole UDP header nobody can tell what it was to be.
    address = 14 + (20 if outside == 4 else 40)
    unknown = range(address, address + 8) if tunnel == "gue" else range(0)
    assert program.counts() - before == +Counter(malformed=len(frames) - len(unknown),
                                                 not_tunnel=len(unknown))


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
    cases: list[tuple[Packet | bytes, Packet | bytes | None]] = []
    for number in (0x0000, 0x0001, 0xfffe, 0xffff, 0x8000, 0xd5fd, 0xd5fe, 0xd5ff):
        def packet(ecn: int, number: int = number) -> Packet:
            return IP(src="203.0.113.9", dst="203.0.113.80", tos=ecn, id=number) / UDP()
        cases.append((ether() / outer(4, CE) / packet(ECT0), ether() / packet(CE)))
        cases.append((ether() / outer(4, ECT1) / packet(ECT0), ether() / packet(ECT1)))
    check(program, "decapsulated", cases)


class Server:
    """The first server of a bed, with the loader on it."""

    def __init__(self, bed: Bed) -> None:
        self.host = bed.servers[0]
        self.loader = built("loader")

    def __call__(self, *args: str, status: int = 0) -> str:
        """Both outputs of a command that must end so."""
        done = self.host.node.run([self.loader, *args], check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *args: str, status: int = 0) -> Any:
        done = self.host.node.run([self.loader, *args, "--json"], check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def counts(self) -> Counter[str]:
        servers = self.json("server-status", "eth0")["servers"]
        return +Counter({name: count["packets"]
                         for name, count in servers[0]["counters"].items()
                         if name != "not_tunnel"})


@pytest.fixture
def server_bed() -> Iterator[Bed]:
    with Bed(servers=1, static_neighbours=True) as up:
        yield up


@pytest.fixture
def server(server_bed: Bed) -> Server:
    return Server(server_bed)


@pytest.mark.parametrize("tier", ["driver", "generic"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_datagram_reaches_the_socket(server_bed: Bed, server: Server, tier: str,
                                       family: Family) -> None:
    """From a balancer it does, from a stranger it does not, in both tiers and both tunnels."""
    host = server.host
    peers = [host.lb_address4, host.lb_address6]
    shown = server.json("server-attach", "eth0", "--from", ",".join(peers), "-t", tier)
    assert (shown["tier"], shown["adopted"], shown["peers"]) == (tier, False, peers)
    assert shown["gue_port"] == GUE_PORT
    vip = server_bed.vip(family)
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    source = client4() if family == 4 else client6()
    inside = (IP if family == 4 else IPv6)(src=source, dst=vip) / UDP(sport=5000, dport=443)
    with host.node.socket(kind, socket.SOCK_DGRAM) as listener, \
            Wire(server_bed.lb, host.lb_interface) as wire:
        listener.bind((vip, 443))
        listener.settimeout(20)
        link = Ether(src=host.lb_mac, dst=host.mac)
        for (address, outside), tunnel in itertools.product(
                ((host.address4, IP), (host.address6, IPv6)), TUNNELS):
            stranger = "10.2.1.77" if outside is IP else "fd00:2:1::77"
            wire.send(bytes(link / wrapped(tunnel, outside(src=stranger, dst=address),
                                           inside / b"stranger")))
            peer = peers[0] if outside is IP else peers[1]
            wire.send(bytes(link / wrapped(tunnel, outside(src=peer, dst=address),
                                           inside / b"friend")))
            data, sender = listener.recvfrom(100)
            assert data == b"friend" and sender[:2] == (source, 5000)
        assert server.counts() == Counter(decapsulated=4, stranger=4)


def test_the_second_call_changes_the_list_in_place(server: Server) -> None:
    server("server-attach", "eth0", "--from", "192.0.2.1,2001:db8::1", "--from", "192.0.2.2")
    before = server.json("server-status")["servers"][0]
    assert sorted(before["peers"]) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert before["gue_port"] == GUE_PORT
    shown = server.json("server-attach", "eth0", "--from", "192.0.2.2,192.0.2.3",
                        "--gue-port", "7000")
    assert shown["gue_port"] == server.json("server-status")["servers"][0]["gue_port"] == 7000
    assert shown["adopted"] and shown["tier"] == before["tier"] == "driver"
    after = server.json("server-status")["servers"][0]
    assert sorted(after["peers"]) == ["192.0.2.2", "192.0.2.3"]
    assert after["program"] == before["program"]
    text = server("server-status", "eth0")
    assert "decapsulated" in text and "192.0.2.3" in text and "GUE at port 7000" in text
    refused = server.json("server-attach", "eth0", "--from", "192.0.2.2", "-t", "generic", status=3)
    assert refused["error"]["code"] == "busy-other-tier"
    assert "server-detach eth0" in refused["error"]["hint"]


def test_detach_leaves_nothing(server: Server) -> None:
    node = server.host.node
    server("server-attach", "eth0", "--from", "192.0.2.1", "-t", "generic")
    assert "xdpgeneric" in node.run(["ip", "link", "show", "eth0"]).stdout
    server("server-detach", "eth0")
    assert "xdp" not in node.run(["ip", "link", "show", "eth0"]).stdout
    assert node.run(["find", "/sys/fs/bpf", "-name", "eth0"]).stdout == ""
    assert server.json("server-detach", "eth0", status=7)["error"]["code"] == "not-attached"
    assert server.json("server-status", status=7)["error"]["code"] == "not-attached"


def test_a_tier_that_cannot_be_had_is_told(server_bed: Bed, server: Server) -> None:
    """veth takes native XDP only while the other end's frames fit into a page."""
    server_bed.lb.ip(f"link set {server.host.lb_interface} mtu 9000")
    server.host.node.ip("link set eth0 mtu 9000")
    failed = server.json("server-attach", "eth0", "--from", "192.0.2.1", "-t", "driver", status=3)
    assert failed["error"]["code"] == "mtu" and "MTU" in failed["error"]["kernel"]
    shown = server.json("server-attach", "eth0", "--from", "192.0.2.1")
    assert shown["tier"] == "generic"
    assert [(r["tier"], r["reason"]["code"]) for r in shown["refused"]] == [("driver", "mtu")]
    server("server-detach", "eth0")
    text = server("server-attach", "eth0", "--from", "192.0.2.1")
    assert "not the driver tier: the MTU is too large" in text


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
def test_a_foreign_program_stays(server: Server, mode: Literal["xdpdrv", "xdpgeneric"]) -> None:
    node = server.host.node
    attach_xdp(node, "eth0", pass_object(), mode=mode)
    foreign = node.run(["ip", "link", "show", "eth0"]).stdout
    failed = server.json("server-attach", "eth0", "--from", "192.0.2.1", status=3)
    assert failed["error"]["code"] == "busy-foreign-program"
    assert node.run(["ip", "link", "show", "eth0"]).stdout == foreign
    assert node.run(["find", "/sys/fs/bpf", "-name", "eth0"]).stdout == ""
    shown = server.json("server-attach", "eth0", "--from", "192.0.2.1", "--replace")
    assert shown["tier"] == "driver" and not shown["adopted"]
    server("server-detach", "eth0")


def test_the_interface_may_go_and_return(server: Server) -> None:
    node = server.host.node
    node.ip("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
    server("server-attach", "v0", "--from", "192.0.2.1")
    node.ip("link del v0")
    assert server.json("server-status", status=7)["error"]["code"] == "not-attached"
    assert server.json("server-status", "v0", status=5)["error"]["code"] == "no-interface"
    node.ip("link add v0 type veth peer name v1")
    assert not server.json("server-attach", "v0", "--from", "192.0.2.1")["adopted"]
    node.ip("link del v0")
    server("server-detach", "v0", status=5)
    assert node.run(["find", "/sys/fs/bpf", "-name", "v0"]).stdout == ""


@pytest.mark.parametrize("arguments, what", [
    (["eth0"], "--from is missing"),
    (["eth0", "--from", "balancer"], "balancer"),
    (["eth0", "--from", "192.0.2.1,"], "IPv4 or IPv6"),
    (["eth0", "--from", "192.0.2.1", "-t", "offload"], "auto, driver or generic"),
    (["eth0", "--from", "192.0.2.1", "--gue-port", "65536"], "1 to 65535"),
    (["eth0", "--from", "192.0.2.1", "--gue-port", "gue"], "--gue-port"),
    ([], "argument is missing"),
])
def test_wrong_usage(server: Server, arguments: list[str], what: str) -> None:
    assert what in server("server-attach", *arguments, status=2)
    assert server.json("server-attach", *arguments, status=2)["error"]["code"] == "usage"


def test_what_is_missing_is_named(server: Server) -> None:
    failed = server.json("server-attach", "nix0", "--from", "192.0.2.1", status=5)
    assert failed["error"]["code"] == "no-interface" and failed["error"]["what"] == "nix0"
    done = server.host.node.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--",
                                 server.loader, "server-attach", "eth0", "--from", "192.0.2.1"],
                                check=False)
    assert done.returncode == 4 and "CAP_" in done.stderr
    server.host.node.run(["umount", "/sys/fs/bpf"])
    assert server.json("server-attach", "eth0", "--from", "192.0.2.1",
                       status=5)["error"]["code"] == "no-bpffs"
