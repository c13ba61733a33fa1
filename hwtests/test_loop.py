# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two balancers whose only server is the other one: no file shows it, so a packet goes round. Each
takes one off its TTL, so it goes round no longer than that, and is counted where it ends."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any, Iterator, Literal

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]

from hwtests.conftest import HostTier
from hwtests.lab import Family, Loader, Wire
from hwtests.lab.bed import FAMILIES, client4, client6
from hwtests.lab.routed import RoutedBed
from hwtests.lab.waiting import Deadline, wait_readable

TTL = 41
PORT = RoutedBed.port


@pytest.fixture(scope="module")
def bed() -> Iterator[RoutedBed]:
    up = RoutedBed()
    with up:
        up.attach_pass()
        yield up


def address(balancer: int, family: Family) -> str:
    """A balancer's own."""
    return (RoutedBed.uplink4 if family == 4 else RoutedBed.uplink6).format(2 + balancer)


def config(bed: RoutedBed, mode: str, balancer: int, family: Family) -> dict[str, Any]:
    """l2dsr: both have the VIP. nat: the VIP of the one is the server of the other."""
    vip = bed.vip(family) if mode == "l2dsr" else address(balancer, family)
    return {"version": 1, "forwarding": {"mode": mode}, "limits": {"flows": 1000},
            "pools": [{"name": "web", "servers": [
                {"name": "other", "address": address(1 - balancer, family)}]}],
            "vips": [{"name": "www", "address": vip, "port": PORT, "pool": "web"}]}


class Balancer:
    """One of the two, attached with a file of its own."""

    def __init__(self, bed: RoutedBed, number: int, tier: HostTier, mode: str, family: Family
                 ) -> None:
        self.interface = (bed.lb_interface, bed.lb2_interface)[number]
        self.loader = Loader(bed, node=bed.balancers[number])
        file = self.loader.write_config(config(bed, mode, number, family),
                                        bed.dir / f"loop{number}.yaml")
        self.loader("attach", self.interface, "-t", tier, "-c", file)

    def __enter__(self) -> Balancer:
        return self

    def __exit__(self, *error: object) -> None:
        self.loader("detach", self.interface)

    def reasons(self) -> Counter[str]:
        """Packets by reason: those for the VIP."""
        (shown,) = self.loader.json("stats", self.interface)["tiers"]
        return Counter({name: count["packets"] for name, count in shown["reasons"].items()
                        if name in ("hash_no_dcid", "flow", "ttl_expired") and count["packets"]})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["l2dsr", "nat"])
def test_a_packet_that_goes_round_dies(bed: RoutedBed, tier: HostTier, family: Family,
                                       mode: Literal["l2dsr", "nat"]) -> None:
    with ExitStack() as stack:
        balancers = [stack.enter_context(Balancer(bed, number, tier, mode, family))
                     for number in (0, 1)]
        vip = bed.vip(family) if mode == "l2dsr" else address(0, family)
        inside = (IP(src=client4(), dst=vip, ttl=TTL) if family == 4
                  else IPv6(src=client6(), dst=vip, hlim=TTL))
        with Wire(bed.router, bed.router_interfaces[1]) as wire:
            wire.send(bytes(Ether(dst=bed.macs[0], src=bed.router_mac) / inside
                            / UDP(sport=5000, dport=PORT) / b"\x40"))
        deadline, seen = Deadline(10.0), [Counter[str]()] * 2
        while not any(reasons["ttl_expired"] for reasons in seen):
            assert not deadline.passed(), seen
            wait_readable([], Deadline(0.05))
            seen = [balancer.reasons() for balancer in balancers]
        # Of 41, 40 passes take one each; the 41st, at the first balancer again, finds none to take.
        assert seen[0]["ttl_expired"] == 1 and not seen[1]["ttl_expired"]
        for reasons in seen:
            assert sum(reasons.values()) - reasons["ttl_expired"] == (TTL - 1) // 2
