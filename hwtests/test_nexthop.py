# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ways to servers by the kernel's routes and neighbours, and the words where there is none."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Iterator

import pytest

from hwtests.lab import Bed, Loader

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")


@dataclass(frozen=True)
class Way:
    """What shunt made of one server."""

    mac: str
    interface: str
    problem: str


class Balancer:
    """The generic tier on lb0, to which files with any servers are applied."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.lb = bed.lb
        self.loader = Loader(bed)
        self._write([bed.servers[0].address4])
        self.loader("attach", "lb0", "-t", "generic", "-c", self.file)

    def _write(self, servers: list[str]) -> None:
        """A server is an address, or l2dsr:ADDRESS."""
        def server(number: int, text: str) -> dict[str, Any]:
            mode, _, address = text.rpartition("!")
            return {"name": f"s{number}", "address": address, "mode": mode or "ipip"}

        self.file = self.loader.write_config({
            "version": 1,
            "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1", "source_v6": "fd00:1::1"},
            "fallback": {"rows": 1024},
            "limits": {"flows": 0},
            "pools": [{"name": "p",
                       "servers": [server(i, text) for i, text in enumerate(servers)]}],
            "vips": [{"name": "v", "address": self.bed.vip4, "port": 443, "pool": "p"}]})

    def ways(self, *servers: str) -> list[Way]:
        """The ways after an apply of a file with these servers."""
        self._write(list(servers))
        applied = self.loader.json("apply", "-c", self.file)["applied"][0]
        problems = {entry["server"]: entry["problem"] for entry in applied["unresolved"]}
        shown = self.loader.json("show", "servers")["tiers"][0]["servers"]
        ways = []
        for entry in shown:
            mac, _, interface = (entry["next_hop"] or "").partition(" ")
            ways.append(Way(mac, interface, problems.get(entry["server"], "")))
        assert len(ways) == len(servers)
        return ways

    def problem(self, server: str) -> str:
        """Why there is no way to this one."""
        way, = self.ways(server)
        assert way.problem
        return way.problem


@pytest.fixture(scope="module")
def balancer() -> Iterator[Balancer]:
    with Bed(servers=2) as bed:
        yield Balancer(bed)


def test_servers_on_their_links(balancer: Balancer) -> None:
    hosts = balancer.bed.servers
    ways = balancer.ways(*(h.address4 for h in hosts), *(h.address6 for h in hosts))
    assert ways == [Way(h.mac, h.lb_interface, "") for h in hosts] * 2


def test_the_same_interface_is_no_redirect(balancer: Balancer) -> None:
    """A server on the client's side: transmitted where the packet came in."""
    way, = balancer.ways("10.1.0.2")
    assert way.mac == balancer.bed.client_mac and "lbs" not in way.interface


def test_gateways_of_both_families(balancer: Balancer) -> None:
    first, second = balancer.bed.servers
    balancer.lb.ip(f"route add 10.51.0.0/24 via {second.address4}",
                   f"route add 10.50.0.0/24 via inet6 {first.address6} dev {first.lb_interface}",
                   f"route add fd97::/64 via {second.address6}")
    assert balancer.ways("10.51.0.9", "10.50.0.9", "fd97::9") == [
        Way(second.mac, second.lb_interface, ""), Way(first.mac, first.lb_interface, ""),
        Way(second.mac, second.lb_interface, "")]
    problem = balancer.problem("l2dsr!10.51.0.9")
    assert "same link" in problem and f"{second.address4} on {second.lb_interface}" in problem
    assert balancer.ways(f"l2dsr!{first.address4}") == [Way(first.mac, first.lb_interface, "")]


def _mtu(balancer: Balancer, server: str) -> int | None:
    way, = balancer.ways(server)
    assert way.problem == ""
    shown, = balancer.loader.json("show", "servers")["tiers"][0]["servers"]
    found: int | None = shown["mtu"]
    return found


def test_mtu_of_the_device_or_of_the_route(balancer: Balancer) -> None:
    host = balancer.bed.servers[0]
    device = int(balancer.lb.run(["cat", f"/sys/class/net/{host.lb_interface}/mtu"]).stdout)
    for address, other in ((host.address4, "10.53.0.9"), (host.address6, "fd53::9")):
        assert _mtu(balancer, address) == device
        balancer.lb.ip(f"route add {other} via {address} mtu 1399")
        assert _mtu(balancer, other) == 1399
        balancer.lb.ip(f"route change {other} via {address}")
        assert _mtu(balancer, other) == device


def test_routes_that_lead_nowhere(balancer: Balancer) -> None:
    kinds = {"blackhole": "blackhole", "unreachable": "unreachable", "prohibit": "prohibit"}
    for number, kind in enumerate(kinds):
        balancer.lb.ip(f"route add {kind} 10.60.{number}.0/24",
                       f"route add {kind} fd60:{number}::/64")
    for number, word in enumerate(kinds.values()):
        for way in balancer.ways(f"10.60.{number}.1", f"fd60:{number}::1"):
            assert word in way.problem and way.mac == ""
    assert balancer.problem("192.0.2.200") == "no route"
    assert balancer.problem("2001:db8:ffff::1") == "no route"
    assert "this host" in balancer.problem("10.2.1.1")
    assert "broadcast" in balancer.problem("10.2.1.255")


def test_a_dead_neighbour_is_named_and_costs_the_others_nothing(balancer: Balancer) -> None:
    host = balancer.bed.servers[0]
    dead4, dead6, alive = balancer.ways("10.2.1.99", "fd00:2:1::99", host.address4)
    assert dead4.problem == f"next hop 10.2.1.99 on {host.lb_interface} does not answer (ARP)"
    assert dead6.problem == (f"next hop fd00:2:1::99 on {host.lb_interface} does not answer "
                             "(neighbour discovery)")
    assert alive == Way(host.mac, host.lb_interface, "")


@pytest.mark.parametrize("state, usable", [("permanent", True), ("noarp", True),
                                           ("reachable", True), ("stale", True), ("delay", True),
                                           ("probe", True)])
def test_neighbour_states(balancer: Balancer, state: str, usable: bool) -> None:
    interface = balancer.bed.servers[0].lb_interface
    mac = "02:00:00:00:77:77"
    balancer.lb.ip(f"neigh replace 10.2.1.77 lladdr {mac} dev {interface} nud {state}")
    try:
        assert balancer.ways("10.2.1.77") == [Way(mac, interface, "")]
    finally:
        balancer.lb.ip(f"neigh del 10.2.1.77 dev {interface}")


def test_devices_that_do_not_serve(balancer: Balancer) -> None:
    balancer.lb.ip("link add br0 type bridge", "link set br0 up", "addr add 10.70.0.1/24 dev br0",
                   "tuntap add mode tun name tun0", "link set tun0 up",
                   "addr add 10.71.0.1/24 dev tun0")
    try:
        assert "bridge device br0, which XDP cannot transmit to" in balancer.problem("10.70.0.2")
        assert "tun0, which is not Ethernet" in balancer.problem("10.71.0.2")
    finally:
        balancer.lb.ip("link del br0", "link del tun0")


def test_no_carrier(balancer: Balancer) -> None:
    balancer.lb.ip("link add v0 type veth peer name v1", "link set v0 up",
                   "addr add 10.72.0.1/24 dev v0")
    try:
        assert balancer.problem("10.72.0.2") == "v0 has no carrier"
    finally:
        balancer.lb.ip("link del v0")


def test_a_thousand_dead_servers_share_the_time(balancer: Balancer) -> None:
    """They are asked for together; the kernel's table may be too small for them, which is said."""
    balancer.lb.ip("addr add 10.80.0.1/16 dev lbs1")
    begin = time.monotonic()
    ways = balancer.ways(*(f"10.80.{i >> 8}.{i & 255}" for i in range(2, 1002)))
    assert time.monotonic() - begin < 8
    assert all("does not answer (ARP)" in way.problem or "gc_thresh3" in way.problem
               for way in ways)
    balancer.lb.ip("addr del 10.80.0.1/16 dev lbs1")


def test_each_of_many_gets_its_own_answer(balancer: Balancer) -> None:
    """Routes are asked for by the dozen: ways, refusals and both families in turn."""
    first, second = balancer.bed.servers
    balancer.lb.ip(f"route add 10.91.0.0/24 via {first.address4}",
                   f"route add 10.92.0.0/24 via {second.address4}",
                   "route add prohibit 10.93.0.0/24", "route add blackhole 10.94.0.0/24",
                   f"route add fd91::/64 via {second.address6}")
    kinds = [("10.91.0.{}", Way(first.mac, first.lb_interface, "")),
             ("10.93.0.{}", Way("", "", "the route says prohibit")),
             ("10.92.0.{}", Way(second.mac, second.lb_interface, "")),
             ("10.94.0.{}", Way("", "", "the route is a blackhole")),
             ("fd91::{}", Way(second.mac, second.lb_interface, ""))]
    many = [kinds[i % 5 if i % 7 else i % 3] for i in range(150)]
    ways = balancer.ways(*(text.format(i + 1) for i, (text, _) in enumerate(many)))
    assert ways == [way for _, way in many]


def test_many_servers_behind_a_gateway_are_quick(balancer: Balancer) -> None:
    host = balancer.bed.servers[0]
    balancer.lb.ip(f"route add 10.90.0.0/16 via {host.address4}")
    begin = time.monotonic()
    ways = balancer.ways(*(f"10.90.{i >> 8}.{i & 255}" for i in range(1, 1001)))
    assert set(ways) == {Way(host.mac, host.lb_interface, "")}
    assert time.monotonic() - begin < 5
