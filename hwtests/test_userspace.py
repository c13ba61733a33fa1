# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The user-space balancer: what it sends is what the driver's tier sends, and what that leaves."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import time
from typing import Any, Callable, Iterator, Literal

import pytest
from scapy.layers.inet import IP, UDP, fragment  # type: ignore[import]
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,  # type: ignore[import]
                                in6_chksum)
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.packet import Packet, Raw  # type: ignore[import]
from scapy.utils import checksum  # type: ignore[import]

from hwtests.lab import Bed, Family, Host, Loader, Wire
from hwtests.lab.bed import FAMILIES, client4, client6
from hwtests.lab.waiting import Deadline
from hwtests.running import PORT, Service, base_config

Mode = Literal["ipip", "gue", "l2dsr", "nat"]
MODES: tuple[Mode, ...] = ("ipip", "gue", "l2dsr", "nat")
each_mode = pytest.mark.parametrize("mode", MODES)
each_family = pytest.mark.parametrize("family", FAMILIES)
_numbers = itertools.count(1)


def config_of(bed: Bed, tier: str, mode: Mode = "ipip", family: Family = 4) -> dict[str, Any]:
    """A VIP in front of all servers, with addresses of one family."""
    config = base_config(bed, tier)
    config["forwarding"] = {"mode": mode}
    config["vips"][0]["address"] = bed.vip(family)
    for entry, host in zip(config["pools"][0]["servers"], bed.servers):
        entry["address"] = host.address(family)
        if mode == "nat":
            entry["port"] = 8443
    return config


def mark() -> bytes:
    """Octets that no other frame has."""
    return b"mark" + next(_numbers).to_bytes(4, "big")


def payload(server: int, marked: bytes, length: int = 40) -> bytes:
    """A short header with the connection ID of a server, the mark behind it and at the end."""
    begin = bytes([0x40, 0x07, server]) + bytes(6) + marked
    return begin + bytes(i * 11 & 0xff for i in range(length - len(begin) - len(marked))) + marked


def packet(bed: Bed, family: Family, data: bytes, *, df: bool = True) -> Packet:
    """From the client to the VIP."""
    header = (IP(src=client4(), dst=bed.vip4, id=next(_numbers) & 0xffff,
                 flags="DF" if df else 0, tos=0x28) if family == 4
              else IPv6(src=client6(), dst=bed.vip6, tc=0x28))
    return header / UDP(sport=5000, dport=PORT) / Raw(data)


def link(bed: Bed) -> Packet:
    """From the client to the balancer."""
    return Ether(src=bed.client_mac, dst=bed.lb_mac)


class Ends:
    """Captures at the client and at the servers."""

    def __init__(self, bed: Bed, stack: contextlib.ExitStack) -> None:
        self.bed = bed
        self.client = stack.enter_context(Wire(bed.client, bed.client_interface))
        self._servers = {host.name: stack.enter_context(Wire(host.node, host.interface))
                         for host in bed.servers}

    def send(self, *packets: Packet) -> None:
        """As the client."""
        self.client.send(*(bytes(link(self.bed) / each) for each in packets))

    def got(self, host: Host, marked: bytes, count: int = 1) -> list[bytes]:
        """So many frames that have the mark, at a server."""
        frames = self._servers[host.name].receive(count, match=lambda frame: marked in frame)
        assert len(frames) == count, f"{len(frames)} of {count} at {host.name}"
        return frames

    def tunnelled(self, host: Host, wanted: int, of: str) -> list[bytes]:
        """So many frames to the server's address."""
        v6 = ":" in of
        packed = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, of)

        def match(frame: bytes) -> bool:
            if v6:  # but for what neighbours ask each other
                return frame[12:14] == b"\x86\xdd" and frame[38:54] == packed and frame[20] != 58
            return frame[12:14] == b"\x08\x00" and frame[30:34] == packed
        frames = self._servers[host.name].receive(wanted, match=match)
        assert len(frames) == wanted, f"{len(frames)} of {wanted} at {host.name}"
        return frames

    def nothing(self, marked: bytes, timeout: float = 0.3) -> None:
        """No frame with the mark comes to a server."""
        for wire in self._servers.values():
            assert not wire.receive(1, match=lambda frame: marked in frame, timeout=timeout)


@pytest.fixture
def ends(bed: Bed) -> Iterator[Ends]:
    with contextlib.ExitStack() as stack:
        yield Ends(bed, stack)


def reasons(loader: Loader, tier: str = "userspace") -> dict[str, int]:
    """What a tier counted, by reason."""
    found, = (each for each in loader.json("stats", "lb0")["tiers"] if each["tier"] == tier)
    return {name: item["packets"] for name, item in found["reasons"].items() if item["packets"]}


def wait_until(true: Callable[[], bool], told: Callable[[], object]) -> None:
    """Nobody tells when a counter moves."""
    deadline = Deadline(15)
    while not true():
        assert not deadline.passed(), told()
        time.sleep(0.05)


def counts(loader: Loader, reason: str, number: int, tier: str = "userspace") -> None:
    """Wait until so many are counted under a reason."""
    wait_until(lambda: reasons(loader, tier).get(reason, 0) == number,
               lambda: f"{reason} {number}: {reasons(loader, tier)}")


# Attached, served or not.


def test_without_the_service_nobody_serves_it(bed: Bed, loader: Loader) -> None:
    file = loader.write_config(base_config(bed, "userspace"))
    attached = loader.json("attach", "lb0", "-c", file)
    assert attached["attached"] == ["userspace"]
    assert "nobody serves it: loader run" in loader("status", "lb0").stdout
    tier, = loader.json("status", "lb0")["attached"]
    assert (tier["tier"], tier["served"], tier["stack"]) == ("userspace", False, True)
    assert loader.json("attach", "lb0", "-c", file)["tiers"][0]["outcome"] == "adopted"
    assert [row["server"] for row in loader.json("show", "servers")["tiers"][0]["servers"]] == [
        host.name for host in bed.servers]
    loader("apply", "-c", file)
    assert loader.json("stats", "lb0")["tiers"][0]["total"]["packets"] == 0
    assert loader.json("detach", "lb0")["detached"] == [{"interface": "lb0", "tier": "userspace"}]
    assert loader("status", "lb0", check=False).returncode == 7


def test_below_a_host_tier_it_has_that_ones_maps(bed: Bed, loader: Loader, tier: str) -> None:
    file = loader.write_config(base_config(bed, "auto"))
    for name in (tier, "userspace"):
        assert loader.json("attach", "lb0", "-t", name, "-c", file)["attached"] == [name]
    above, below = ({each["name"]: each["id"] for each in found["maps"]}
                    for found in loader.json("status", "lb0")["attached"])
    assert {name for name in above if above[name] != below[name]} == {
        "reason_stats", "vip_stats", "server_stats", "cid_stats"}
    loader("attach", "lb0", "-t", tier, "--reload", "-c", file)
    again = loader.json("attach", "lb0", "-t", "userspace", "-c", file)
    assert again["tiers"][0]["outcome"] == "replaced"
    loader("detach", "lb0", "-t", tier)
    left, = loader.json("status", "lb0")["attached"]
    assert (left["tier"], left["stack"]) == ("userspace", True)
    loader("apply", "-c", file)


def test_auto_is_better_and_has_it_below(bed: Bed, loader: Loader, ends: Ends) -> None:
    """What the driver forwards never comes to it."""
    with Service(bed, loader, tier="auto"):
        listed = loader.json("status", "lb0")["attached"]
        assert [(each["tier"], each["served"]) for each in listed] == [
            ("driver", True), ("userspace", True)]
        marked = mark()
        ends.send(packet(bed, 4, payload(1, marked)))
        ends.got(bed.servers[0], marked)
        counts(loader, "cid", 1, "driver")
        assert not reasons(loader)


# What it sends.


@each_mode
@each_family
def test_frames_are_the_drivers(bed: Bed, loader: Loader, ends: Ends, mode: Mode,
                                family: Family) -> None:
    """Octet for octet, by connection ID and by hash."""
    marked = mark()
    frames = [packet(bed, family, payload(2, marked)),
              packet(bed, family, payload(2, marked, 1300)),
              packet(bed, family, payload(1, marked)[:1] + b"\xe0" + marked + bytes(30))]

    def run() -> list[list[bytes]]:
        ends.send(*frames)
        got = [ends.got(bed.servers[1], marked, 2)]
        deadline = Deadline(10)
        while len(got) == 1 and not deadline.passed():
            for wire in ends._servers.values():
                found = wire.receive(1, match=lambda frame: marked in frame, timeout=0.2)
                got += [found] if found else []
        return got

    loader("attach", "lb0", "-c", loader.write_config(config_of(bed, "driver", mode, family)))
    wanted = run()
    loader("detach", "lb0")
    with Service(bed, loader, config=config_of(bed, "userspace", mode, family)):
        assert run() == wanted
        assert sum(reasons(loader).values()) == 3


@each_family
def test_padding_is_not_sent_along(bed: Bed, loader: Loader, ends: Ends, family: Family) -> None:
    """A frame may be longer than its packet; the tunnel says how long the packet is."""
    host = bed.servers[1]
    marked = mark()
    short = packet(bed, family, payload(2, marked))
    with Service(bed, loader, config=config_of(bed, "userspace", "ipip", family)):
        ends.client.send(bytes(link(bed) / short) + bytes(33))
        outer = Ether(ends.got(host, marked)[0]).payload
        stated = outer.len if family == 4 else outer.plen
        assert stated == len(short) + (20 if family == 4 else 0)


def test_a_way_that_xdp_has_not(bed: Bed, loader: Loader, ends: Ends, tier: str) -> None:
    """The first server is behind a bridge of the balancer's: its packets go by user space."""
    host = bed.servers[0]
    bed.lb.ip("link add br9 type bridge", "link set br9 up",
              f"addr del {host.lb_address4}/24 dev {host.lb_interface}",
              f"link set {host.lb_interface} master br9",
              f"addr add {host.lb_address4}/24 dev br9")
    with Service(bed, loader, tier=tier) as service:
        assert "1 of them without a way" in service.process.status
        marked = mark()
        ends.send(packet(bed, 4, payload(1, marked)))
        seen = Ether(ends.got(host, marked)[0])
        assert (seen[IP].dst, seen[IP].proto) == (host.address4, 4)
        counts(loader, "cid", 1)
        counts(loader, "no_next_hop", 1, tier)


def test_behind_many_extension_headers(bed: Bed, loader: Loader, ends: Ends) -> None:
    """More of them than the driver's tier looks behind."""
    with Service(bed, loader, config=config_of(bed, "driver", family=6)):
        marked = mark()
        whole = packet(bed, 6, payload(2, marked))
        header = whole.copy()
        header.remove_payload()
        for _ in range(9):
            header = header / IPv6ExtHdrDestOpt()
        ends.send(header / whole[UDP])
        ends.got(bed.servers[1], marked)
        counts(loader, "cid", 1)
        counts(loader, "ip_options", 1, "driver")


# Fragments.


def pieces(whole: Packet, size: int = 800) -> list[Packet]:
    """An IP packet in fragments."""
    if IP in whole:
        return [each.copy() for each in fragment(whole, fragsize=size)]
    octets = bytes(whole)
    upper, found = octets[40:], []
    for at in range(0, len(upper), size):
        part = IPv6(octets[:40])
        part.remove_payload()
        part.nh, part.plen = 44, None
        found.append(part / IPv6ExtHdrFragment(nh=17, offset=at // 8, m=at + size < len(upper),
                                               id=len(octets) << 16 | next(_numbers))
                     / Raw(upper[at:at + size]))
    for part in found:
        part[IPv6ExtHdrFragment].id = found[0][IPv6ExtHdrFragment].id
    return found


def inner(frame: bytes, mode: Mode) -> Packet:
    """The fragment in a frame at a server."""
    seen = Ether(frame)
    first = seen[IP] if IP in seen and seen.type == 0x0800 else seen[IPv6]
    octets = bytes(first)
    outer = {"ipip": 0, "gue": 12}.get(mode)
    if outer is not None:
        octets = octets[(20 if first.version == 4 else 40) + outer:]
    return IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)


def number(part: Packet) -> int:
    """What a datagram's fragments have in common."""
    found: int = part.id if part.version == 4 else part[IPv6ExtHdrFragment].id
    return found


def joined(parts: list[Packet]) -> tuple[Packet, bytes]:
    """Headers and the UDP datagram of fragments; its checksum is right."""
    held: dict[int, bytes] = {}
    for part in parts:
        if part.version == 4:
            octets = bytes(part)
            assert checksum(octets[:20]) == 0
            held[part.frag * 8] = octets[20:part.len]
        else:
            held[part[IPv6ExtHdrFragment].offset * 8] = bytes(part)[48:]
    datagram = b""
    for at in sorted(held):
        assert at == len(datagram)
        datagram += held[at]
    assert len(datagram) == int.from_bytes(datagram[4:6], "big")
    head = parts[0]
    if head.version == 4:
        pseudo = bytes(head)[12:20] + b"\0\x11" + datagram[4:6]
        assert checksum(pseudo + datagram) == 0
    else:
        assert in6_chksum(17, IPv6(src=head.src, dst=head.dst), datagram) in {0, 0xffff}
    return head, datagram


@each_mode
@each_family
def test_fragments_arrive_in_any_order(bed: Bed, loader: Loader, ends: Ends, mode: Mode,
                                       family: Family) -> None:
    """In order, reversed, two datagrams in turn: each fragment by itself, to one server."""
    host = bed.servers[1]
    to = bed.vip(family) if mode == "l2dsr" else host.address(family)
    with Service(bed, loader, config=config_of(bed, "driver", mode, family)):
        for turn in (1, -1):
            data = payload(2, mark(), 2900)
            parts = pieces(packet(bed, family, data, df=False))
            ends.send(*parts[::turn])
            frames = ends.tunnelled(host, len(parts), to)
            head, datagram = joined([inner(frame, mode) for frame in frames])
            assert datagram[8:] == data
            assert (head.ttl if family == 4 else head.hlim) == 63
            assert head.dst == (to if mode in {"l2dsr", "nat"} else bed.vip(family))
            assert int.from_bytes(datagram[2:4], "big") == (8443 if mode == "nat" else PORT)
        one, other = (pieces(packet(bed, family, payload(2, mark(), size), df=False))
                      for size in (2800, 2810))
        ends.send(*itertools.chain(*zip(other[::-1], one)))
        frames = ends.tunnelled(host, len(one) + len(other), to)
        found = [inner(frame, mode) for frame in frames]
        datagrams = [joined([part for part in found if number(part) == number(first[0])])[1]
                     for first in (one, other)]
        assert [len(datagram) for datagram in datagrams] == [2808, 2818]
        counts(loader, "cid", 16)
        counts(loader, "fragment", 16, "driver")


@each_family
def test_fragments_with_a_hole_go_nowhere(bed: Bed, loader: Loader, ends: Ends,
                                          family: Family) -> None:
    with Service(bed, loader, config=config_of(bed, "userspace", family=family)):
        marked = mark()
        ends.send(*pieces(packet(bed, family, payload(2, marked, 2900), df=False))[1:])
        ends.nothing(marked)
        assert not reasons(loader)
        counts(loader, "fragments_incomplete", 3)


@each_family
def test_overlapping_fragments_go_nowhere(bed: Bed, loader: Loader, ends: Ends, family: Family
                                          ) -> None:
    """RFC 5722: neither what came before nor what comes after."""
    with Service(bed, loader, config=config_of(bed, "userspace", family=family)):
        marked = mark()
        whole = packet(bed, family, payload(2, marked, 2900), df=False)
        parts = pieces(whole)
        wrong = parts[2].copy()
        if family == 4:
            wrong.frag -= 1
            del wrong.chksum
        else:
            wrong[IPv6ExtHdrFragment].offset -= 1
        ends.send(parts[1], parts[2], wrong, parts[0], parts[3])
        ends.nothing(marked)
        counts(loader, "fragments_incomplete", 5)


def test_what_may_be_fragmented_is_cut_for_the_tunnel(bed: Bed, loader: Loader, ends: Ends
                                                      ) -> None:
    """IPv4 without DF that does not fit with its outer header; each piece by itself."""
    config = config_of(bed, "driver")
    config["forwarding"]["server_mtu"] = 1400
    host = bed.servers[1]
    with Service(bed, loader, config=config):
        data = payload(2, mark(), 1440)
        ends.send(packet(bed, 4, data, df=False))
        frames = ends.tunnelled(host, 2, host.address4)
        assert all(len(frame) <= 1400 + 14 and Ether(frame)[IP].flags == "DF" for frame in frames)
        assert joined([inner(frame, "ipip") for frame in frames])[1][8:] == data
        counts(loader, "too_big", 1, "driver")
        counts(loader, "cid", 1)


@each_family
def test_too_long_is_answered(bed: Bed, loader: Loader, ends: Ends, family: Family) -> None:
    """The same answer as the driver's."""
    config = config_of(bed, "driver", family=family)
    config["forwarding"]["server_mtu"] = 1400
    marked, answers = mark(), []
    whole = packet(bed, family, payload(2, marked, 1440))
    loader("attach", "lb0", "-c", loader.write_config(config))
    ends.send(whole)
    answers += ends.client.receive(1, match=lambda frame: marked in frame)
    loader("detach", "lb0")
    config["interfaces"][0]["tier"] = "userspace"
    with Service(bed, loader, config=config):
        ends.send(whole)
        answers += ends.client.receive(1, match=lambda frame: marked in frame)
        assert len(answers) == 2 and answers[0] == answers[1]
        counts(loader, "too_big_answered", 1)


# Whoever does not keep up, and whoever ends.


def test_what_the_rings_do_not_hold_is_dropped_and_counted(bed: Bed, loader: Loader, ends: Ends
                                                           ) -> None:
    """While the service stands still its packets are dropped; the driver's go on."""
    frames = 3000
    with Service(bed, loader, config=config_of(bed, "driver", family=6)) as service:
        marked = mark()
        hard = packet(bed, 6, payload(2, marked, 1200))
        header = hard.copy()
        header.remove_payload()
        for _ in range(9):
            header = header / IPv6ExtHdrDestOpt()
        one = bytes(link(bed) / header / hard[UDP])
        service.process.send_signal(signal.SIGSTOP)
        ends.client.send(*[one] * frames)
        easy = mark()
        ends.send(packet(bed, 6, payload(2, easy)))
        ends.got(bed.servers[1], easy)
        service.process.send_signal(signal.SIGCONT)
        # The kernel tells of what was lost with the next packet that is not, on each CPU.
        cpus = os.sched_getaffinity(0)
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            ends.send(header / packet(bed, 6, payload(1, mark()))[UDP])
        os.sched_setaffinity(0, cpus)
        wait_until(lambda: sum(reasons(loader).values()) == frames + len(cpus),
                   lambda: str(reasons(loader)))
        found = reasons(loader)
        assert set(found) == {"cid", "overloaded"} and found["overloaded"] > frames // 4


def test_when_the_service_is_killed(bed: Bed, loader: Loader, ends: Ends) -> None:
    """What nobody takes goes on to the stack; XDP goes on; the next service takes over."""
    config = config_of(bed, "driver")
    with Service(bed, loader, config=config) as service:
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    assert "nobody serves it" in loader("status", "lb0").stdout
    marked, easy = mark(), mark()
    stack = loader.json("stats", "lb0")["tiers"][1]["stack"]
    ends.send(*pieces(packet(bed, 4, payload(2, marked, 1500), df=False)),
              packet(bed, 4, payload(2, easy)))
    ends.got(bed.servers[1], easy)
    assert loader.json("stats", "lb0")["tiers"][1]["stack"] != stack
    assert not reasons(loader)
    with Service(bed, loader, config=config) as service:
        service.says("lb0: userspace: adopted")
        again = payload(2, mark(), 1500)
        ends.send(*pieces(packet(bed, 4, again, df=False)))
        ends.tunnelled(bed.servers[1], 2, bed.servers[1].address4)
        counts(loader, "cid", 2)


def test_it_follows_the_tier_above(bed: Bed, loader: Loader, ends: Ends, tier: str) -> None:
    """New maps above are new maps below, as soon as the service looks."""
    with Service(bed, loader, tier=tier) as service:
        loader("attach", "lb0", "-t", tier, "--reload", "-c", service.file)
        service.reload(service.config)
        service.says("lb0: userspace: replaced")
        above, below = ({each["name"]: each["id"] for each in found["maps"]}
                        for found in loader.json("status", "lb0")["attached"])
        assert above["server_map"] == below["server_map"]
        host = bed.servers[1]
        packed = socket.inet_aton(host.address4)

        def come() -> bool:
            """What comes between the old ring and the new one is the stack's."""
            ends.send(*pieces(packet(bed, 4, payload(2, mark(), 1500), df=False)))
            frames = ends._servers[host.name].receive(
                2, match=lambda frame: frame[30:34] == packed, timeout=1)
            return len(frames) == 2
        wait_until(come, lambda: service.process.status)


def test_one_service_at_a_time(bed: Bed, loader: Loader) -> None:
    with Service(bed, loader, tier="userspace"):
        with Service(bed, loader, tier="userspace") as second:
            second.says("lb0: userspace: another loader run serves it")
