# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP errors for VIPs: which server they reach, and what the host keeps.

Frames go through the real objects of both host tiers by ``loader trace``; what must come out is
made anew by ``oracle/icmp.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterator

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment  # type: ignore[import]
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.packet import Raw  # type: ignore[import]

from hwtests.icmp_site import (CLIENT, CLIENT_CID, LAYOUTS, POOLS, PORT, SERVERS, SOURCE4, SOURCE6,
                               TIERS, Outcome, config, every_tier, long_header, model, pool_name,
                               row_server, server_id, server_of, short_header, sites, trace, vip)
from hwtests.lab.bed import built
from hwtests.oracle.icmp import LINK, Error, Sent, delivered, framed
from hwtests.oracle.model import Server
from hwtests.oracle.plan import Tier


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


def expect(name: str, pool: int, error: Error, server: Server) -> Wanted:
    """The error, at this server."""
    mode, family = POOLS[pool]
    label = pool_name(mode, family)
    port = server.port or PORT
    return Wanted(name, error.frame(), "icmp", f"{label}-v{error.about.version}", server.name,
                  delivered(error, mode, server.address, port, server.mac.hex(":"),
                            SOURCE4, SOURCE6))


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


@every_tier
def test_error_about_a_tracked_flow(tier: str) -> None:
    """A client is met again with another port, by a connection ID that no config decodes: an error
    about its new flow goes where that went, which is not where its row says."""
    home = row_server(0, 4, 9000)
    port = next(port for port in range(9001, 9100) if row_server(0, 4, port) != home)
    cid = b"\xe0" + bytes(range(17))  # config id 7

    def client(sport: int, payload: bytes) -> bytes:
        return framed(bytes(IP(src=CLIENT[4], dst=vip(0, 4)) / UDP(sport=sport, dport=PORT)
                            / Raw(payload)))
    initial = b"\xc0\0\0\0\1\x08" + b"\xe5" * 8 + b"\5" + CLIENT_CID + bytes(40)
    later = b"\xc0\0\0\0\1\x12" + cid + b"\5" + CLIENT_CID + bytes(40)
    short = b"\x40" + cid + bytes(40)
    sent = Sent(vip(0, 4), PORT, CLIENT[4], port, short_header())
    frames = [client(9000, initial), client(9000, later), client(9000, short), client(port, short),
              Error(sent, 3).frame()]
    got = trace(config(), tier, frames)
    assert [outcome.reason for outcome in got[2:]] == ["flow", "flow_cid", "icmp"]
    assert {outcome.server for outcome in got} == {home.name}


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
