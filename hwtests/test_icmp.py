# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP and size: errors for VIPs and where they go, and what is said of packets that are too long.

Frames go through the real objects of both host tiers by ``loader trace``; what must come out is
made anew by ``oracle/icmp.py``.
"""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment  # type: ignore[import]
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment  # type: ignore[import]
from scapy.layers.l2 import Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]
from scapy.utils import PcapReader, PcapWriter  # type: ignore[import]

from hwtests.lab.bed import built
from hwtests.oracle.icmp import LINK, Error, Sent, delivered, framed, too_big_answer
from hwtests.oracle.keys import with_keys
from hwtests.oracle.model import Model, Server
from hwtests.oracle.plan import Tier
from hwtests.oracle.quic_lb import CidConfig

TIERS = ("driver", "generic")
every_tier = pytest.mark.parametrize(
    "tier", [pytest.param(tier, marks=getattr(pytest.mark, tier)) for tier in TIERS])

SOURCE4, SOURCE6 = "192.0.2.10", "2001:db8::10"
CLIENT = {4: "192.0.2.77", 6: "2001:db8:77::77"}
CLIENT_CID = b"\xc1\xc2\xc3\xc4\xc5"
PORT, SERVER_PORT = 443, 8443
LAYOUTS = {0: CidConfig(0, 3, 4), 1: CidConfig(1, 8, 8, bytes(range(16))),
           2: CidConfig(2, 4, 5, bytes(range(16, 32)))}
#: Mode, and the family of its servers.
POOLS = (("ipip", 4), ("ipip", 6), ("gue", 4), ("gue", 6), ("l2dsr", 4), ("nat", 4), ("nat", 6))
SERVERS = 3
#: Of what a mode puts in front.
OUTER = {("ipip", 4): 20, ("ipip", 6): 40, ("gue", 4): 32, ("gue", 6): 52}


def pool_name(mode: str, family: int) -> str:
    """A pool's, and its VIPs' with the version behind."""
    return f"{mode}{family}"


def vip(number: int, version: int) -> str:
    """The address of a pool's VIP."""
    return f"203.0.113.{100 + number}" if version == 4 else f"2001:db8:80::{100 + number}"


def versions(mode: str, family: int) -> tuple[int, ...]:
    """Of the VIPs that a pool may have."""
    return (family,) if mode == "nat" else (4, 6)


def server_id(config: int, pool: int, server: int) -> bytes:
    """Each server has one in each config."""
    return bytes((pool + 1, server + 1)).rjust(LAYOUTS[config].server_id_length, b"\x11")


def config(**forwarding: Any) -> dict[str, Any]:
    """A pool for each mode and family, each with a VIP of each family that it can have."""
    def server(number: int, pool: int, mode: str, family: int) -> dict[str, Any]:
        last = 10 * pool + number + 1
        entry: dict[str, Any] = {
            "name": f"{pool_name(mode, family)}-{number}", "mode": mode,
            "address": f"198.51.100.{last}" if family == 4 else f"2001:db8:1::{last}",
            "server_ids": [{"config": config, "id": server_id(config, pool, number).hex()}
                           for config in LAYOUTS]}
        if mode == "nat" and number:
            entry["port"] = SERVER_PORT
        return entry
    return {
        "version": 1,
        "cid_configs": [{"id": number, "server_id_length": layout.server_id_length,
                         "nonce_length": layout.nonce_length,
                         **({"key_file": layout.key.hex()} if layout.key else {})}
                        for number, layout in LAYOUTS.items()],
        "forwarding": {"source_v4": SOURCE4, "source_v6": SOURCE6, **forwarding},
        "fallback": {"rows": 512},
        "pools": [{"name": pool_name(mode, family),
                   "servers": [server(number, pool, mode, family) for number in range(SERVERS)]}
                  for pool, (mode, family) in enumerate(POOLS)],
        "vips": [{"name": f"{pool_name(mode, family)}-v{version}", "address": vip(pool, version),
                  "port": PORT, "pool": pool_name(mode, family)}
                 for pool, (mode, family) in enumerate(POOLS)
                 for version in versions(mode, family)]}


def long_header(scid: bytes, rest: int = 600) -> bytes:
    """A server's packet to a client."""
    return (b"\xc3\0\0\0\1" + bytes((len(CLIENT_CID),)) + CLIENT_CID + bytes((len(scid),)) + scid
            + b"\x5a" * rest)


def short_header(rest: int = 1200) -> bytes:
    """Names the client's connection ID, whose length only the client knows."""
    return b"\x43" + CLIENT_CID + b"\x5a" * rest


@dataclass(frozen=True)
class Outcome:
    """What ``loader trace`` says of a frame."""

    verdict: str
    reason: str
    vip: str | None
    server: str | None
    frame: bytes


def trace(told: dict[str, Any], tier: str, frames: list[bytes], *prefix: str) -> list[Outcome]:
    """Frames through a tier's program."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "shunt.yaml").write_text(json.dumps(with_keys(told, place)))
        with PcapWriter(str(place / "in.pcap"), linktype=1) as writer:
            for frame in frames:
                writer.write(frame)
        done = subprocess.run(
            [*prefix, built("loader"), "trace", "-t", tier, "-c", place / "shunt.yaml",
             "--pcap", place / "in.pcap", "--out", place / "out.pcap", "--json"],
            capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[:2000] + done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        with PcapReader(str(place / "out.pcap")) as reader:
            out = [reader._read_packet()[0] for _ in lines]
    assert len(lines) == len(frames)
    return [Outcome(line["verdict"], line["reason"], line["vip"], line["server"], frame)
            for line, frame in zip(lines, out)]


@functools.cache
def model() -> Model:
    """The oracle's, for rows and numbers."""
    return Model(config())


@dataclass(frozen=True)
class Wanted:
    """A frame and what must become of it; out: None where it is passed as it came."""

    name: str
    frame: bytes
    reason: str
    vip: str | None = None
    server: str | None = None
    out: bytes | None = None


def check(wanted: list[Wanted], got: list[Outcome]) -> None:
    """All of them."""
    for want, have in zip(wanted, got):
        assert (have.reason, have.vip, have.server) == (want.reason, want.vip, want.server), want
        assert have.verdict == ("XDP_PASS" if want.out is None else "XDP_TX"), want
        expected = want.frame if want.out is None else want.out
        assert have.frame == expected, (
            f"{want.name}\n{Ether(expected).show(dump=True)}\n{Ether(have.frame).show(dump=True)}")


def row_server(pool: int, version: int, client_port: int) -> Server:
    """Where packets of the client go that no connection ID decides."""
    mode, family = POOLS[pool]
    frame = framed(bytes((IP if version == 4 else IPv6)(src=CLIENT[version], dst=vip(pool, version))
                         / UDP(sport=client_port, dport=PORT) / Raw(b"\xff")))
    decision = model().route(frame)
    assert decision.reason == "hash_no_dcid" or decision.server
    return model().servers[pool_name(mode, family), str(decision.server)]


def expect(name: str, pool: int, error: Error, server: Server) -> Wanted:
    """The error, at this server."""
    mode, family = POOLS[pool]
    label = pool_name(mode, family)
    port = server.port or PORT
    return Wanted(name, error.frame(), "icmp", f"{label}-v{error.about.version}", server.name,
                  delivered(error, mode, server.address, port, server.mac.hex(":"),
                            SOURCE4, SOURCE6))


def sites() -> Iterator[tuple[int, int]]:
    """Each pool and version."""
    for pool, (mode, family) in enumerate(POOLS):
        for version in versions(mode, family):
            yield pool, version


def server_of(pool: int, number: int) -> Server:
    """By its position."""
    label = pool_name(*POOLS[pool])
    return model().servers[label, f"{label}-{number}"]


def too_big(sent: Sent, mtu: int, **more: Any) -> Error:
    """Fragmentation needed, or packet too big."""
    return Error(sent, 3, 4, mtu, **more) if sent.version == 4 else Error(sent, 2, 0, mtu, **more)


def by_cid() -> Iterator[Wanted]:
    """The quoted connection ID decides, of each config, for each server."""
    for pool, version in sites():
        for number in range(SERVERS):
            for layout in LAYOUTS.values():
                cid = layout.encode(server_id(layout.id, pool, number),
                                    bytes(range(layout.nonce_length)))
                sent = Sent(vip(pool, version), PORT, CLIENT[version], 4000 + number,
                            long_header(cid, 1300))
                yield expect(f"cid {layout.id} of {number}", pool, too_big(sent, 1300),
                             server_of(pool, number))


def by_row() -> Iterator[Wanted]:
    """Nothing else does; every kind of error, with and without checksums and options."""
    kinds = {4: [(3, 0), (3, 1), (3, 3), (3, 13), (11, 0), (11, 1), (12, 0)],
             6: [(1, 0), (1, 4), (3, 0), (3, 1), (4, 0), (4, 2)]}
    for pool, version in sites():
        for port, (kind, code) in enumerate(kinds[version], 5000):
            sent = Sent(vip(pool, version), PORT, CLIENT[version], port, short_header(),
                        checksum=bool(port % 3), options=b"\x94\x04\0\0" * (port % 2))
            yield expect(f"{kind}/{code}", pool, Error(sent, kind, code, tos=0xb9, ttl=2),
                         row_server(pool, version, port))
        unroutable = long_header(b"\xe0" + bytes(15))
        sent = Sent(vip(pool, version), PORT, CLIENT[version], 5100, unroutable)
        yield expect("config 7", pool, Error(sent, kinds[version][0][0]),
                     row_server(pool, version, 5100))


def absurd() -> Iterator[Wanted]:
    """MTUs that are believed, and those next to them that are not."""
    for pool, version in sites():
        sent = Sent(vip(pool, version), PORT, CLIENT[version], 6000, short_header())
        length, least = len(sent.packet()), 1228 if version == 4 else 1280
        name = f"{pool_name(*POOLS[pool])}-v{version}"
        longer = replace(sent, payload=short_header(1300))
        for mtu in (least, length - 1 if version == 4 else least + 1):
            about = sent if version == 4 else longer
            yield expect(f"mtu {mtu}", pool, too_big(about, mtu), row_server(pool, version, 6000))
        for mtu in (0, 68, least - 1, length, length + 1, 65535):
            yield Wanted(f"mtu {mtu}", too_big(sent, mtu).frame(), "icmp_absurd", name)
    sent = Sent(vip(0, 6), PORT, CLIENT[6], 6000, long_header(b"", 1400))
    yield Wanted("its lower half alone would do", too_big(sent, 1 << 16 | 1400).frame(),
                 "icmp_absurd", "ipip4-v6")


def unrelated() -> Iterator[Wanted]:
    """For a VIP's address, but about nothing that a VIP sent."""
    for version in (4, 6):
        here, kind = vip(0, version), 3 if version == 4 else 1
        sent = Sent(here, PORT, CLIENT[version], 7000, short_header())
        mine = Error(sent, kind)
        others = {"another port": replace(sent, port=444),
                  "too little": None,
                  "another VIP's": replace(sent, source=vip(1, version)),
                  "a stranger's": replace(sent, source=CLIENT[version]),
                  "not from the VIP": replace(sent, source=CLIENT[version], port=7000,
                                              client=here, client_port=PORT)}
        for name, about in others.items():
            packet = Error(about or sent, kind, quoted=27 if about is None else 548).packet()
            at = 16 if version == 4 else 24
            address = mine.packet()[at:at + (4 if version == 4 else 16)]
            changed = packet[:at] + address + packet[at + len(address):]
            yield Wanted(name, framed(changed), "icmp_unrelated")
        tcp = (IP if version == 4 else IPv6)(src=here, dst=CLIENT[version]) / TCP(sport=PORT)
        body = bytes((kind, 0)) + bytes(6) + bytes(tcp)
        front = (IP if version == 4 else IPv6)(
            src=CLIENT[version], dst=here, **{"proto" if version == 4 else "nh":
                                              1 if version == 4 else 58})
        yield Wanted("TCP", framed(bytes(front / Raw(body))), "icmp_unrelated")
    later = bytearray(Error(Sent(vip(0, 4), PORT, CLIENT[4], 7000, short_header()), 3).frame())
    later[14 + 28 + 7] = 8
    yield Wanted("a later fragment", bytes(later), "icmp_unrelated")


def other() -> Iterator[Wanted]:
    """No error, or not for a VIP: the host's, as it always was."""
    here4, here6 = vip(0, 4), vip(0, 6)
    sent4 = Sent(here4, PORT, CLIENT[4], 7000, short_header())
    for kind in (0, 4, 5, 8, 9, 10, 13, 35, 64 + 3):
        yield Wanted(f"type {kind}", Error(sent4, kind).frame(), "not_udp")
    for kind in (0, 5, 100, 127, 128, 129, 135, 136, 193):
        yield Wanted(f"type {kind}", Error(replace(sent4, source=here6, client=CLIENT[6]),
                                           kind).frame(), "not_udp")
    yield Wanted("echo", bytes(LINK / IP(src=CLIENT[4], dst=here4) / ICMP() / Raw(bytes(64))),
                 "not_udp")
    yield Wanted("echo 6", bytes(LINK / IPv6(src=CLIENT[6], dst=here6)
                                 / ICMPv6EchoRequest(data=bytes(64))), "not_udp")
    for address in ("198.51.100.1", "2001:db8:1::1"):
        sent = replace(sent4, source=address, client=CLIENT[6 if ":" in address else 4])
        yield Wanted("a host's", Error(sent, 3).frame(), "not_udp")
    for part in fragment(IP(Error(sent4, 3).packet()), fragsize=300):
        yield Wanted("fragment", framed(bytes(part)), "not_udp")
    yield Wanted("fragment 6", bytes(LINK / IPv6(src=CLIENT[6], dst=here6, nh=44)
                                     / IPv6ExtHdrFragment(nh=58, m=1) / Raw(bytes(64))), "fragment")
    yield Wanted("hops", Error(sent4, 3, ttl=1).frame(), "ttl_expired", "ipip4-v4")


@every_tier
def test_errors_reach_the_server_they_concern(tier: str) -> None:
    wanted = [*by_cid(), *by_row()]
    assert {want.server for want in wanted} == {
        server.name for server in model().servers.values()}
    check(wanted, trace(config(), tier, [want.frame for want in wanted]))


@every_tier
def test_an_mtu_that_cannot_be_true_is_not_believed(tier: str) -> None:
    wanted = list(absurd())
    check(wanted, trace(config(), tier, [want.frame for want in wanted]))


@every_tier
def test_what_concerns_no_server_is_the_hosts(tier: str) -> None:
    wanted = [*unrelated(), *other()]
    check(wanted, trace(config(), tier, [want.frame for want in wanted]))


def shortened(pool: int, version: int) -> Iterator[Wanted]:
    """A message with ever less of its quote, and with ever less of the frame itself."""
    layout = LAYOUTS[2]
    row = row_server(pool, version, 8001)
    number = next(n for n in range(SERVERS) if server_of(pool, n) != row)
    cid = layout.encode(server_id(2, pool, number), bytes(5))
    sent = Sent(vip(pool, version), PORT, CLIENT[version], 8001, long_header(cid, 40))
    whole = Error(sent, 3 if version == 4 else 1)
    headers = (20 if version == 4 else 40) + 8
    needed = headers + 7 + len(CLIENT_CID) + len(cid)
    for quoted in range(len(sent.packet()) + 1):
        error = replace(whole, quoted=quoted)
        if quoted < headers:
            # Less than an ICMPv4 message with eight octets behind a header is no error at all.
            yield Wanted(f"{quoted} octets", error.frame(),
                         "not_udp" if 28 + quoted < 40 and version == 4 else "icmp_unrelated")
        else:
            yield expect(f"{quoted} octets", pool, error,
                         server_of(pool, number) if quoted >= needed else row)
    frame = whole.frame()
    for length in range(14, len(frame)):
        yield Wanted(f"frame of {length}", frame[:length], "malformed")


@every_tier
def test_every_truncation(tier: str) -> None:
    for pool, version in sites():
        wanted = list(shortened(pool, version))
        check(wanted, trace(config(), tier, [want.frame for want in wanted]))


# What does not fit.

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
    frames = [datagram(0, 4, MTU, flags=0), bytes(group)]
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


@every_tier
def test_flow_that_is_tracked(tier: str) -> None:
    """An error about a tracked flow goes where its packets went, whatever its row says now."""
    frames = [datagram(0, 4, 200), Error(Sent(vip(0, 4), PORT, CLIENT[4], 9000, short_header()),
                                         3).frame()]
    first, error = trace(config(), tier, frames)
    assert first.server == error.server == row_server(0, 4, 9000).name


def test_objects_agree_on_the_oracles_own_maps() -> None:
    """The same by maps that the loader has not filled."""
    wanted = [*by_cid(), *absurd(), *unrelated()]
    for name in TIERS:
        tier = Tier(built(f"bpf/{name}.bpf.o"), model())
        try:
            for want in wanted:
                got = tier.route(want.frame)
                assert (got.reason, got.vip, got.server, got.out_frame) == (
                    want.reason, want.vip, want.server, want.out), want
        finally:
            tier.close()
