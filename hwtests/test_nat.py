# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Mode nat on veth interfaces: what clients send reaches servers at a port of their own, and what
those answer comes from the VIP, octet by octet as the oracle says.

In both host tiers; where answers leave by the interface they come in by, and by another one. What
XDP leaves to the kernel reaches the client all the same: TC has changed it.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN  # type: ignore[import]
from scapy.layers.l2 import Dot1Q, Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]

from hwtests.conftest import HOST_TIERS, HostTier
from hwtests.lab import Bed, Family, Host, Loader, Wire
from hwtests.lab.bed import FAMILIES, NAT_PORT, client4, client6
from hwtests.lab.loader import FEW_FLOWS
from hwtests.lab.waiting import Deadline
from hwtests.oracle import Model
from hwtests.oracle.corpus import cid, long, short
from hwtests.oracle.counting import difference

SERVERS = 2
CLIENT_PORT = 40001

each_family = pytest.mark.parametrize("family", FAMILIES)


@dataclass
class Stage:
    """A network with one tier attached wherever clients or servers are."""

    bed: Bed
    loader: Loader
    config: dict[str, Any]

    @functools.cached_property
    def model(self) -> Model:
        """What must become of a frame."""
        return Model(self.config)

    def reasons(self) -> dict[str, Any]:
        """The counters of all interfaces; those of one are the sum of nothing else."""
        total: dict[str, Any] = {}
        for name in self.bed.lb_interfaces:
            (tier,) = self.loader.json("stats", name)["tiers"]
            for unit in ("packets", "octets"):
                assert tier["total"][unit] == sum(r[unit] for r in tier["reasons"].values())
            for reason, count in tier["reasons"].items():
                kept = total.setdefault(reason, {"packets": 0, "octets": 0})
                kept["packets"] += count["packets"]
                kept["octets"] += count["octets"]
        return total

    @contextlib.contextmanager
    def counting(self, **reasons: int) -> Iterator[None]:
        """As many packets more as are named, of these reasons."""
        before = self.reasons()
        yield
        grown = difference(before, self.reasons())
        assert {name: grown.get(name, (0, 0))[0] for name in reasons} == reasons


def make_config(bed: Bed) -> dict[str, Any]:
    """The second server answers from the VIP's port; each family has a pool of its own."""
    return {
        "version": 1,
        "interfaces": [{"name": name} for name in bed.lb_interfaces],
        "cid_configs": [{"id": 0, "server_id_length": 1, "nonce_length": 4, "pool": f"p{family}"}
                        for family in FAMILIES],
        "forwarding": {"mode": "nat"},
        "limits": dict(FEW_FLOWS),
        "pools": [{"name": f"p{family}", "servers": [
            {"name": f"{host.name}-{family}", "address": host.address(family),
             "server_ids": [{"config": 0, "id": f"{host.index:02x}"}],
             **({"port": NAT_PORT} if host.index == 1 else {})}
            for host in bed.servers]} for family in FAMILIES],
        "vips": [{"name": f"v{family}", "address": bed.vip(family), "port": bed.port,
                  "pool": f"p{family}"} for family in FAMILIES],
    }


@pytest.fixture(scope="module", params=[
    pytest.param((tier, one_link), marks=getattr(pytest.mark, tier),
                 id=f"{tier}-{'tx' if one_link else 'redirect'}")
    for tier in HOST_TIERS for one_link in (False, True)])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Each tier in each network."""
    tier: HostTier
    tier, one_link = request.param
    with Bed(servers=SERVERS, one_link=one_link, static_neighbours=True, nat=True) as bed:
        bed.attach_pass()
        loader, config = Loader(bed), make_config(bed)
        file = loader.write_config(config)
        for name in bed.lb_interfaces:
            loader("attach", name, "-t", tier, "-c", file)
        yield Stage(bed, loader, config)
        for name in bed.lb_interfaces:
            loader("detach", name)


def header(family: Family, source: str, destination: str, **fields: Any) -> Packet:
    """An IP header, with a field that tells packets of this test from others."""
    if family == 4:
        return IP(src=source, dst=destination, **{"id": 7, "tos": 0xb9, **fields})
    return IPv6(src=source, dst=destination, **{"tc": 0xb9, "fl": 0xabcde, **fields})


def client(family: Family, index: int = 0) -> str:
    return client4(index) if family == 4 else client6(index)


def datagrams(family: Family, source: str, destination: str, sport: int, dport: int,
              payload: bytes = b"") -> Iterator[Packet]:
    """Odd and even lengths, no checksum, options or extension headers in front."""
    for size in range(8):
        yield header(family, source, destination) / UDP(sport=sport, dport=dport) \
            / Raw(payload + bytes(range(size)))
    if family == 4:
        yield header(family, source, destination) / UDP(sport=sport, dport=dport, chksum=0) \
            / Raw(payload)
        yield header(family, source, destination, options=[b"\x01\x01\x01\x00"]) \
            / UDP(sport=sport, dport=dport) / Raw(payload)
    else:
        yield header(family, source, destination) \
            / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) \
            / UDP(sport=sport, dport=dport) / Raw(payload)


def whole(frames: Iterator[Packet], source: str, destination: str) -> list[bytes]:
    """With a link header each."""
    return [bytes(Ether(src=source, dst=destination) / packet) for packet in frames]


def ours(mac: str) -> Callable[[bytes], bool]:
    """Matches IP for this link address that bears the tests' DSCP."""
    octets = bytes.fromhex(mac.replace(":", ""))

    def match(frame: bytes) -> bool:
        mark = frame[15] if frame[12:14] == b"\x08\0" else (frame[14] << 4 | frame[15] >> 4) & 0xff
        return frame[:6] == octets and frame[12:14] in (b"\x08\0", b"\x86\xdd") and mark == 0xb9
    return match


def answers(host: Host, family: Family, destination: str, port: int | None = None) -> list[bytes]:
    """What the server says from where it serves."""
    served = port or (NAT_PORT if host.index == 1 else Bed.port)
    return whole(datagrams(family, host.address(family), destination, served, CLIENT_PORT),
                 host.mac, host.lb_mac)


def as_the_client_gets(stage: Stage, frames: list[bytes]) -> list[bytes]:
    """The frames with the VIP for their source."""
    bed, got = stage.bed, []
    macs = bytes.fromhex((bed.client_mac + bed.lb_mac).replace(":", ""))
    for frame in frames:
        answer = stage.model.answer(frame)
        assert answer is not None
        got.append(macs + frame[12:14] + answer[1])
    return got


@each_family
def test_to_the_server(stage: Stage, family: Family) -> None:
    bed = stage.bed
    for host in bed.servers:
        octet = f"{host.index:02x}"
        frames = [frame for payload in (short(cid(0, octet, 4)), long(cid(0, octet, 4), rest=1150))
                  for frame in whole(datagrams(family, client(family), bed.vip(family),
                                               CLIENT_PORT, bed.port, payload),
                                     bed.client_mac, bed.lb_mac)]
        with Wire(host.node, host.interface) as far, \
                Wire(bed.client, bed.client_interface) as near, \
                stage.counting(cid=len(frames), nat_return=0):
            near.send(*frames)
            got = far.receive(len(frames), match=ours(host.mac))
        macs = bytes.fromhex((host.mac + host.lb_mac).replace(":", ""))
        wanted = [stage.model.route(frame).out_frame for frame in frames]
        assert got == [macs + (frame or b"")[12:] for frame in wanted]


@each_family
def test_and_back(stage: Stage, family: Family) -> None:
    bed = stage.bed
    for host in bed.servers:
        frames = answers(host, family, client(family))
        with Wire(bed.client, bed.client_interface) as near, \
                Wire(host.node, host.interface) as far, \
                stage.counting(nat_return=len(frames)):
            far.send(*frames)
            got = near.receive(len(frames), match=ours(bed.client_mac))
        assert got == as_the_client_gets(stage, frames)


@each_family
def test_other_packets_of_a_server_stay_as_they_are(stage: Stage, family: Family) -> None:
    """Of another port, and with a hop too few, which the kernel's routing tells the server."""
    bed = stage.bed
    host = bed.servers[0]
    frames = answers(host, family, client(family), port=NAT_PORT + 1)
    hops = {"ttl": 1} if family == 4 else {"hlim": 1}
    last = bytes(Ether(src=host.mac, dst=host.lb_mac)
                 / header(family, host.address(family), client(family), **hops)
                 / UDP(sport=NAT_PORT, dport=CLIENT_PORT) / Raw(b"one hop"))
    with Wire(bed.client, bed.client_interface) as near, \
            Wire(host.node, host.interface) as far, stage.counting(nat_return=0):
        far.send(last, *frames)
        got = near.receive(len(frames), match=ours(bed.client_mac))
    assert [frame[26:30] if family == 4 else frame[22:38] for frame in got] \
        == [socket.inet_pton(kind(family), host.address(family))] * len(frames)
    assert [frame[14:] for frame in got] != [frame[14:] for frame in frames]  # one hop less
    assert all(a[34 if family == 4 else 54:] == b[34 if family == 4 else 54:]
               for a, b in zip(got, frames))


def kind(family: Family) -> socket.AddressFamily:
    return socket.AF_INET if family == 4 else socket.AF_INET6


@each_family
def test_answers_to_the_balancers_host(stage: Stage, family: Family) -> None:
    """A health check asks the server itself, and hears the server itself."""
    bed = stage.bed
    host = bed.servers[0]
    address = host.address(family)
    with bed.lb.socket(kind(family), socket.SOCK_DGRAM) as checker, \
            host.node.socket(kind(family), socket.SOCK_DGRAM) as server, \
            stage.counting(nat_return=0):
        server.settimeout(10)
        checker.settimeout(10)
        server.bind((address, NAT_PORT))
        checker.sendto(b"well?", (address, NAT_PORT))
        question, asker = server.recvfrom(100)
        server.sendto(b"well", asker)
        answer, source = checker.recvfrom(100)
    assert (question, answer, source[:2]) == (b"well?", b"well", (address, NAT_PORT))


@each_family
def test_a_neighbour_that_is_not_known_yet(stage: Stage, family: Family) -> None:
    """The kernel finds it, and TC does to the packets that wait for it what XDP does to the rest:
    the client sees no difference."""
    bed = stage.bed
    host, address = bed.servers[0], client(family, 1)
    frames = answers(host, family, address)
    wanted = as_the_client_gets(stage, frames)
    bed.lb.ip(f"neigh del {address} dev {bed.lb_interface}")
    try:
        with Wire(bed.client, bed.client_interface) as near, \
                Wire(host.node, host.interface) as far:
            before = stage.reasons()
            far.send(frames[0])
            assert near.receive(1, match=ours(bed.client_mac)) == wanted[:1]
            assert "nat_return" not in difference(before, stage.reasons())
            deadline = Deadline(10)
            while not usable(bed, address):
                assert not deadline.passed(), "the kernel learnt no neighbour"
            with stage.counting(nat_return=len(frames)):
                far.send(*frames)
                got = near.receive(len(frames), match=ours(bed.client_mac))
            assert got == wanted
    finally:
        bed.lb.ip(f"neigh replace {address} lladdr {bed.client_mac} nud permanent "
                  f"dev {bed.lb_interface}")


def usable(bed: Bed, address: str) -> bool:
    """Whether the balancer's kernel knows a link address for it."""
    return "lladdr" in bed.lb.run(["ip", "neigh", "show", "to", address,
                                   "dev", bed.lb_interface]).stdout


@each_family
def test_behind_a_tag(stage: Stage, family: Family) -> None:
    """A route for the VLAN is not known here: the frame is the kernel's, which has no such VLAN."""
    bed = stage.bed
    host = bed.servers[0]
    packet = next(datagrams(family, host.address(family), client(family), NAT_PORT, CLIENT_PORT))
    tagged = bytes(Ether(src=host.mac, dst=host.lb_mac) / Dot1Q(vlan=5) / packet)
    mark = answers(host, family, client(family))[:1]
    if bed.switch is not None:
        # Else the bridge hands the tag on beside the frame, where no XDP program sees it.
        bed.switch.ethtool("p-lb", **{"txvlan": "off"})
    with Wire(bed.client, bed.client_interface) as near, \
            Wire(host.node, host.interface) as far, stage.counting(nat_return=1):
        far.send(tagged, *mark)
        assert near.receive(1, match=ours(bed.client_mac)) == as_the_client_gets(stage, mark)


@each_family
def test_an_interface_that_the_file_does_not_name(stage: Stage, family: Family) -> None:
    """XDP does not send there, but the kernel does; by the same interface it is no matter."""
    bed = stage.bed
    host = bed.servers[0]
    frames = answers(host, family, client(family))
    nameless = {**stage.config, "interfaces": [{"name": bed.servers[1].lb_interface}]}
    try:
        stage.loader("apply", "-c", stage.loader.write_config(nameless))
        with Wire(bed.client, bed.client_interface) as near, \
                Wire(host.node, host.interface) as far, \
                stage.counting(nat_return=len(frames) if bed.plan.one_link else 0):
            far.send(*frames)
            got = near.receive(len(frames), match=ours(bed.client_mac))
        assert got == as_the_client_gets(stage, frames)
    finally:
        stage.loader("apply", "-c", stage.loader.write_config(stage.config))
