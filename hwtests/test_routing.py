# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Routing on real (veth) interfaces: the loader attaches a tier, frames go in at the client and are
taken off at the servers, where every octet must be what the oracle says.

In both host tiers and in both networks: with a link a server (XDP_REDIRECT) and with all on one
link (XDP_TX).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import socket
from dataclasses import dataclass
from typing import Any, Iterator, Literal, Mapping

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP  # type: ignore[import]
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment  # type: ignore[import]
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.conftest import HOST_TIERS, HostTier
from hwtests.lab import Bed, Family, Host, Loader, Wire
from hwtests.lab.bed import FAMILIES, client4, client6
from hwtests.oracle import Model
from hwtests.oracle.corpus import cid, long, short
from hwtests.oracle.counting import counted_under, difference, sums

Config = dict[str, Any]
Way = Literal["ipip4", "ipip6", "l2dsr"]
WAYS: tuple[Way, ...] = ("ipip4", "ipip6", "l2dsr")
SERVERS = 3

each_family = pytest.mark.parametrize("family", FAMILIES)
each_way = pytest.mark.parametrize("way", WAYS)


def make_config(bed: Bed, way: Way = "ipip4",
                changes: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Both VIPs before all servers; changes: what differs in single servers, by name."""
    family: Family = 6 if way == "ipip6" else 4
    return {
        "version": 1,
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 4},
                        {"id": 3, "server_id_length": 8, "nonce_length": 8}],
        "forwarding": {"mode": "l2dsr" if way == "l2dsr" else "ipip",
                       "source_v4": "10.1.0.1", "source_v6": "fd00:1::1"},
        "fallback": {"rows": 4096},
        "limits": {"flows": 0},
        "pools": [{"name": "web", "servers": [
            {"name": host.name, "address": host.address(family),
             "server_ids": [{"config": 0, "id": f"{host.index:02x}"},
                            {"config": 3, "id": f"{host.index:016x}"}],
             **(changes or {}).get(host.name, {})} for host in bed.servers]}],
        "vips": [{"name": f"v{family}", "address": bed.vip(family), "port": bed.port,
                  "pool": "web"} for family in FAMILIES],
    }


@dataclass
class Stage:
    """A network with one tier attached to the balancer's client side, and what it was told."""

    bed: Bed
    tier: HostTier
    loader: Loader
    config: Config
    model: Model

    def apply(self, config: Config) -> None:
        """Bring another configuration in."""
        if config != self.config:
            self.loader("apply", "-c", self.loader.write_config(config))
            self.config, self.model = config, Model(config)

    def stats(self) -> dict[str, Any]:
        """The tier's counters."""
        (found,) = self.loader.json("stats", self.bed.lb_interface)["tiers"]
        assert found["tier"] == self.tier
        stats: dict[str, Any] = found
        return stats

    def expected(self, frame: bytes) -> tuple[Host, bytes] | None:
        """Which server must get the frame, and as what; None: it is passed."""
        decision = self.model.route(frame)
        if decision.out_frame is None:
            return None
        (host,) = [host for host in self.bed.servers if host.name == decision.server]
        macs = bytes.fromhex((host.mac + host.lb_mac).replace(":", ""))
        return host, macs + decision.out_frame[12:]


@pytest.fixture(scope="module", params=[
    pytest.param((tier, one_link), marks=getattr(pytest.mark, tier),
                 id=f"{tier}-{'tx' if one_link else 'redirect'}")
    for tier in HOST_TIERS for one_link in (False, True)])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Each tier in each network."""
    tier, one_link = request.param
    with Bed(servers=SERVERS, one_link=one_link, static_neighbours=True) as bed:
        bed.attach_pass()
        loader, config = Loader(bed), make_config(bed)
        file = loader.write_config(config)
        loader("attach", bed.lb_interface, "-t", tier, "-c", file)
        yield Stage(bed, tier, loader, config, Model(config))
        loader("detach", bed.lb_interface)


def frame_to(bed: Bed, family: Family, payload: bytes, *, sport: int = 4000, source: int = 0,
             tags: tuple[int, ...] = (), traffic_class: int = 0) -> bytes:
    """A frame from the client to the VIP."""
    link: Packet = Ether(src=bed.client_mac, dst=bed.lb_mac)
    for position, tag in enumerate(tags):
        link = link / (Dot1AD(vlan=tag) if position + 1 < len(tags) else Dot1Q(vlan=tag))
    header = (IP(src=client4(source), dst=bed.vip4, id=7, tos=traffic_class) if family == 4
              else IPv6(src=client6(source), dst=bed.vip6, tc=traffic_class))
    return bytes(link / header / UDP(sport=sport, dport=bed.port) / Raw(payload))


@contextlib.contextmanager
def captured(bed: Bed) -> Iterator[list[Wire]]:
    """A capture at each server."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(host.node, host.interface)) for host in bed.servers]


def deliver(stage: Stage, frames: list[bytes]) -> dict[str, list[bytes]]:
    """Send the frames, and give what each server got: its own, and only what was sent here.

    An end mark follows the frames to each server: when it has come, so has all before it.
    """
    bed = stage.bed
    got: dict[str, list[bytes]] = {}
    with captured(bed) as wires, Wire(bed.client, bed.client_interface) as near:
        for start in range(0, len(frames), 256):
            near.send(*frames[start:start + 256])
            for host, wire in zip(bed.servers, wires):
                mark = frame_to(bed, 4, short(cid(0, f"{host.index:02x}", 4), 0) + b"the end")
                near.send(mark)
                mac = bytes.fromhex(host.mac.replace(":", ""))
                mine = got.setdefault(host.name, [])
                while True:
                    (frame,) = wire.receive(
                        1, match=lambda f: f[:6] == mac and f[12:14] in _ours(f)) or (None,)
                    assert frame is not None, f"{host.name} lost its end mark"
                    if frame.endswith(b"the end"):
                        break
                    mine.append(frame)
    return got


def _ours(frame: bytes) -> tuple[bytes, ...]:
    """EtherTypes that a forwarded frame can have; ARP and the like are the kernels' own."""
    return (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8")


def check(stage: Stage, frames: list[bytes]) -> dict[str, list[bytes]]:
    """Send frames that must all be forwarded; each must arrive once, and nothing else."""
    wanted: dict[str, list[bytes]] = {host.name: [] for host in stage.bed.servers}
    for frame in frames:
        expected = stage.expected(frame)
        assert expected is not None, "the test's own frames are to be forwarded"
        wanted[expected[0].name].append(expected[1])
    got = deliver(stage, frames)
    assert {name: len(mine) for name, mine in got.items()} \
        == {name: len(mine) for name, mine in wanted.items()}
    for name, mine in wanted.items():
        for number, (want, have) in enumerate(zip(mine, got[name])):
            assert have == want, f"{name}, frame {number}:\n{Ether(want).show(dump=True)}\n" \
                                 f"arrived as\n{Ether(have).show(dump=True)}"
    return got


def some_payloads() -> Iterator[bytes]:
    """CIDs of all servers in both configs and both headers, and what cannot be routed by one."""
    for index in range(1, SERVERS + 1):
        for one in (cid(0, f"{index:02x}", 4), cid(3, f"{index:016x}", 8, 3)):
            yield short(one)
            yield long(one, rest=1150)
    yield from (b"", b"\x40", long(b""), short(b"\xff" * 20), long(b"\xff" * 8),
                short(cid(0, "77", 4)), short(b"\x05\x01"), short(b"\x40" * 20))


@each_way
@each_family
def test_frames_arrive_as_they_must(stage: Stage, way: Way, family: Family) -> None:
    stage.apply(make_config(stage.bed, way))
    check(stage, [frame_to(stage.bed, family, payload, sport=4000 + sport,
                           traffic_class=mark)
                  for payload in some_payloads() for sport in range(3) for mark in (0, 0xb9)])


def test_full_frames(stage: Stage) -> None:
    """1,500 octets come in, 1,540 go out: the servers' side has an MTU of 1,600."""
    for way in WAYS:
        stage.apply(make_config(stage.bed, way))
        check(stage, [frame_to(stage.bed, family, short(cid(0, "01", 4), size - 7))
                      for family, size in zip(FAMILIES, (1472, 1452))])


def test_source_of_the_route(stage: Stage) -> None:
    """Without a source in the file, the outer header has the address the kernel would use."""
    config = make_config(stage.bed)
    del config["forwarding"]["source_v4"]
    stage.apply(config)
    bed = stage.bed
    with captured(bed) as wires, Wire(bed.client, bed.client_interface) as near:
        for host, wire in zip(bed.servers, wires):
            near.send(frame_to(bed, 4, short(cid(0, f"{host.index:02x}", 4))))
            (frame,) = wire.receive(1, match=lambda f: f[14:15] == b"\x45" and f[23] == 4)
            assert Ether(frame)[IP].src == host.lb_address4


@pytest.mark.parametrize("tags", [(5,), (5, 6)])
def test_vlan_tags(stage: Stage, tags: tuple[int, ...]) -> None:
    """They stay on a frame that goes back where it came from; a redirected one loses them."""
    stage.apply(make_config(stage.bed))
    bed = stage.bed
    frame = frame_to(bed, 4, short(cid(0, "02", 4)), tags=tags)
    expected = stage.expected(frame)
    assert expected is not None
    host, whole = expected
    # The switch's port shows what the balancer sent; the far end of a bridge has lost more tags.
    node, interface = host.node, host.interface
    if bed.switch is not None:
        node, interface = bed.switch, "p-lb"
        # Else the bridge hands the outer tag on beside the frame, where no XDP program sees it.
        node.ethtool(interface, **{"txvlan": "off", "tx-vlan-stag-hw-insert": "off"})
    with Wire(node, interface) as far, Wire(bed.client, bed.client_interface) as near:
        near.send(frame)
        (got,) = far.receive(1, match=lambda f: f[:6] == whole[:6] and f.endswith(frame[-20:]))
    if bed.switch is None:
        assert got == whole[:12] + whole[12 + 4 * len(tags):]
    else:
        # The kernel takes the outer tag off before a packet socket sees the frame.
        assert got in (whole, whole[:12] + whole[16:])


@each_family
def test_cid_holds_while_the_address_changes(stage: Stage, family: Family) -> None:
    stage.apply(make_config(stage.bed))
    rng = random.Random(1)
    frames = [frame_to(stage.bed, family, short(cid(0, "02", 4), n % 50), source=n % 4,
                       sport=rng.randrange(65536)) for n in range(200)]
    got = check(stage, frames)
    assert [len(got[f"s{index}"]) for index in (1, 2, 3)] == [0, 200, 0]


@each_family
def test_first_flight_goes_one_way(stage: Stage, family: Family) -> None:
    """All datagrams before the server's first CID: two Initials, 0-RTT, and another version's."""
    stage.apply(make_config(stage.bed))
    rng = random.Random(2)
    flights = []
    for sport in range(20000, 20100):
        dcid = bytes([0xe0 | rng.randrange(32)]) + rng.randbytes(rng.randrange(7, 20))
        flights.append([frame_to(stage.bed, family, payload, sport=sport) for payload in (
            long(dcid, rest=1160), long(dcid, rest=1160), long(dcid, first=0xd0),
            long(dcid, version=0x6b3343cf, first=0xd0))])
    got = check(stage, [frame for flight in zip(*flights) for frame in flight])
    ports = {name: {Ether(frame)[UDP].sport for frame in mine} for name, mine in got.items()}
    assert sum(map(len, ports.values())) == len(flights)
    assert all(len(mine) > 10 for mine in ports.values())


def test_shares_follow_the_weights(stage: Stage) -> None:
    weights = {"s1": 300, "s2": 100, "s3": 50}
    stage.apply(make_config(stage.bed, changes={
        name: {"weight": n} for name, n in weights.items()}))
    rng, flows = random.Random(3), 3000
    got = check(stage, [frame_to(stage.bed, FAMILIES[n % 2], long(b"\xff" * 8, rest=0),
                                 sport=rng.randrange(1024, 65536), source=rng.randrange(4))
                        for n in range(flows)])
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        # Four standard deviations of a fair draw, and one row in a hundred for the table's own.
        bound = 4 * math.sqrt(flows * share * (1 - share)) + flows / 100
        assert abs(len(got[name]) - flows * share) < bound, (name, len(got[name]), flows * share)


@pytest.mark.parametrize("change", [{"state": "drain"}, {"weight": 0}], ids=["drain", "weight-0"])
def test_leaving_servers_keep_their_connections(stage: Stage, change: dict[str, Any]) -> None:
    bed = stage.bed
    new = [frame_to(bed, FAMILIES[n % 2], long(b"\xff" * 8), sport=30000 + n) for n in range(200)]
    known = [frame_to(bed, FAMILIES[n % 2], short(cid(0, "02", 4)), sport=30000 + n)
             for n in range(20)]
    stage.apply(make_config(bed))
    before = check(stage, new)
    stage.apply(make_config(bed, changes={"s2": change}))
    after = check(stage, new)
    assert before["s2"] and not after["s2"]
    assert len(check(stage, known)["s2"]) == len(known)
    # The rows of those that stay are theirs still, but for a few.
    for name in ("s1", "s3"):
        stayed = set(before[name]) & set(after[name])
        assert len(stayed) >= 0.8 * len(before[name])


def test_no_server_for_new_connections(stage: Stage) -> None:
    bed = stage.bed
    stage.apply(make_config(bed, changes={
        "s1": {"weight": 0}, "s2": {"weight": 0}, "s3": {"state": "drain"}}))
    before = stage.stats()["reasons"]["no_server"]["packets"]
    got = deliver(stage, [frame_to(bed, 4, long(b"\xff" * 8), sport=n) for n in range(10)])
    assert not any(got.values())
    assert stage.stats()["reasons"]["no_server"]["packets"] == before + 10


def test_server_without_a_way(stage: Stage) -> None:
    """Its packets are passed and counted; the others' are not touched by it."""
    bed = stage.bed
    config = make_config(bed, changes={"s3": {"address": "198.51.100.99"}})
    stage.apply(config)
    before = stage.stats()["reasons"]["no_next_hop"]["packets"]
    lost = [frame_to(bed, 4, short(cid(0, "03", 4)), sport=n) for n in range(5)]
    with captured(bed) as wires, Wire(bed.client, bed.client_interface) as near:
        near.send(*lost, frame_to(bed, 4, short(cid(0, "01", 4)), sport=9))
        assert len(wires[0].receive(1, match=lambda f: f[23:24] == b"\x04")) == 1
        assert not wires[2].pending(lambda f: f[23:24] == b"\x04")
    assert stage.stats()["reasons"]["no_next_hop"]["packets"] == before + 5


# What is not for a VIP.


def test_host_stays_reachable(stage: Stage) -> None:
    """Echo, UDP sockets and fragments to the balancer's own address."""
    stage.apply(make_config(stage.bed))
    bed = stage.bed
    link = Ether(src=bed.client_mac, dst=bed.lb_mac)
    with Wire(bed.client, bed.client_interface) as near:
        near.send(bytes(link / IP(src=client4(), dst="10.1.0.1") / ICMP(id=1) / b"echo"),
                  bytes(link / IPv6(src=client6(), dst="fd00:1::1")
                        / ICMPv6EchoRequest(id=1, data=b"echo")))
        replies = near.receive(2, match=lambda f: f.endswith(b"echo"))
        assert {reply[34] if reply[12] == 8 else reply[54] for reply in replies} == {0, 129}
    for family, address in ((4, "10.1.0.1"), (6, "fd00:1::1")):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with contextlib.closing(bed.lb.socket(kind, socket.SOCK_DGRAM, 0)) as server, \
                contextlib.closing(bed.client.socket(kind, socket.SOCK_DGRAM, 0)) as client:
            server.bind((address, bed.port))
            server.settimeout(20)
            for size in (1, 1200, 4000):
                client.sendto(b"x" * size, (address, bed.port))
                assert len(server.recv(8000)) == size


def not_ours(bed: Bed) -> list[bytes]:
    """Frames that end in the host's stack, most of them with the VIP as their destination."""
    link = Ether(src=bed.client_mac, dst=bed.lb_mac)
    v4, v6 = IP(src=client4(), dst=bed.vip4, id=7), IPv6(src=client6(), dst=bed.vip6)
    datagram = UDP(sport=4000, dport=bed.port) / Raw(short(cid(0, "01", 4)))
    packets = [
        v4 / ICMP() / b"ping", v6 / ICMPv6EchoRequest(data=b"ping"),
        v4 / TCP(dport=bed.port), v6 / TCP(dport=bed.port),
        v4 / UDP(dport=bed.port + 1) / b"another port", v6 / UDP(dport=bed.port + 1) / b"another",
        IP(src=client4(), dst=bed.vip4, flags="MF") / datagram,
        IP(src=client4(), dst=bed.vip4, frag=20) / datagram,
        v6 / IPv6ExtHdrFragment(m=1, id=1) / datagram,
        v6 / IPv6ExtHdrFragment(offset=20, id=1) / datagram,
        IP(src=client4(), dst="203.0.113.81") / datagram,
        IP(src=client4(), dst=bed.vip4, ttl=1) / datagram,
        IPv6(src=client6(), dst=bed.vip6, hlim=1) / datagram,
        # A length of IP's that is too long would be dropped by the bridge already.
        v4 / UDP(sport=4000, dport=bed.port, len=1000) / Raw(short(cid(0, "01", 4))),
    ]
    return [bytes(link / packet) for packet in packets]


def test_not_ours_is_passed_untouched(stage: Stage) -> None:
    """With native XDP a packet socket sees what the program passed, with generic XDP too."""
    stage.apply(make_config(stage.bed))
    bed = stage.bed
    frames = not_ours(bed)
    assert all(stage.model.route(frame).verdict == "XDP_PASS" for frame in frames)
    with Wire(bed.lb, bed.lb_interface) as passed, Wire(bed.client, bed.client_interface) as near:
        near.send(*frames)
        assert passed.receive(len(frames), match=frames.__contains__) == frames


# Counters.


def test_counters_add_up(stage: Stage) -> None:
    """Every packet under one reason; VIPs, servers and configs as the oracle counts them."""
    stage.apply(make_config(stage.bed))
    bed = stage.bed
    frames = [frame_to(bed, family, payload, sport=sport)
              for family, payload, sport in itertools.product(FAMILIES, some_payloads(), range(8))]
    others = not_ours(bed)
    decisions = [(stage.model.route(frame), len(frame)) for frame in [*frames, *others]]
    before, sent = stage.stats(), _transmitted(bed)
    with Wire(bed.lb, bed.lb_interface) as passed, Wire(bed.client, bed.client_interface) as near:
        near.send(*frames, *others)
        # In order: when the last one has been passed, all have been counted.
        assert len(passed.receive(len(others), match=others.__contains__)) == len(others)
        after, sent_after = stage.stats(), _transmitted(bed)

    expected = sums((decision.reason, length) for decision, length in decisions)
    counted = difference(before["reasons"], after["reasons"])
    # The kernels' own packets (multicast listener reports, say) may come between.
    own = {"not_udp", "not_ip", "not_vip"}
    assert {k: v for k, v in counted.items() if k not in own} \
        == {k: v for k, v in expected.items() if k not in own}
    assert all(counted[k] >= expected[k] for k in own & set(expected))
    for section in ("vips", "configs", "servers"):
        assert difference(before[section], after[section]) == sums(
            (counted_under(decision, stage.config)[section], length)
            for decision, length in decisions), section

    for stats in (before, after):
        for unit in ("packets", "octets"):
            assert stats["total"][unit] == sum(r[unit] for r in stats["reasons"].values())
    if not bed.plan.one_link:
        assert after["total"]["packets"] - before["total"]["packets"] == sent_after - sent


def _transmitted(bed: Bed) -> int:
    path = f"/sys/class/net/{bed.client_interface}/statistics/tx_packets"
    return int(bed.client.run(["cat", path]).stdout)
