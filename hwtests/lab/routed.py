# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The one-link network with a router before it, and two balancers of which the router uses one.

::

    client c0 ---- r0 router r1 ---+         +---- eth0 s1
                                   | switch  |
                       lb  lb0 ----+         +---- eth0 s2
                       lb2 lb0 ----+

The client's addresses and the servers' are those of the other networks. Servers answer by the
first balancer's host, whichever brought the packet.
"""

from __future__ import annotations

from .bed import Bed, End, Family, Host, Plan, client4, client6, link_address, pair
from .errors import LabError
from .netns import Node


class RoutedBed(Bed):
    """Use it as a Bed: its balancer is the first; `use` chooses by which of both clients come."""

    router: Node
    lb2: Node

    router_interfaces = ("r0", "r1")
    #: Of the second balancer: no name that the first knows.
    lb2_interface = "up0"
    #: Link addresses of the balancers, and of the router on their side.
    macs = (Bed.lb_mac, link_address(0, 3))
    router_mac = link_address(0xfe00, 2)
    uplink4, uplink6 = "10.9.0.{}", "fd00:9::{}"

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__(plan, one_link=True)

    @property
    def balancers(self) -> list[Node]:
        """Both."""
        return [self.lb, self.lb2]

    @property
    def nodes(self) -> list[Node]:
        """All machines."""
        return [*super().nodes, self.router, self.lb2]

    def use(self, balancer: Node) -> None:
        """Another way to the VIPs from the next packet on."""
        host = 2 + self.balancers.index(balancer)
        self.router.ip(f"route replace {self.vip4} via {self.uplink4.format(host)}",
                       f"route replace {self.vip6} via {self.uplink6.format(host)}")

    @staticmethod
    def second_addresses(host: Host) -> list[str]:
        """Of the second balancer, on a server's network: the first's are the host's own."""
        return [f"10.2.{host.index}.3", f"fd00:2:{host.index:x}::3"]

    def narrow(self, mtu: int) -> None:
        """The way back to the client takes IP packets of no more than this; the way there does."""
        back, _ = self.router_interfaces
        self.router.ip(f"route replace 10.1.0.0/24 dev {back} mtu lock {mtu}",
                       f"route replace fd00:1::/64 dev {back} metric 256 mtu lock {mtu}")

    def fragment(self, mtu: int) -> None:
        """The router sends IPv4 packets for the VIP in pieces of no more than this, though their
        senders did not want it, and so gave all of them one identification (RFC 6864)."""
        _, uplink = self.router_interfaces
        self.router.run(["nft", "-f", "-"], input=f"""
table ip pieces {{
    chain in {{
        type filter hook prerouting priority 0
        ip daddr {self.vip4} ip frag-off set 0 ip id set numgen random mod 4294967295
    }}
}}
""")
        self.router.ip(f"route replace {self.vip4} via {self.uplink4.format(2)} dev {uplink} "
                       f"mtu lock {mtu}")

    def believed_mtu(self, node: Node, family: Family) -> int | None:
        """What a server's host has been told of the way to the client."""
        to = client4() if family == 4 else client6()
        words = node.run(["ip", f"-{family}", "route", "get", to]).stdout.split()
        return int(words[words.index("mtu") + 1]) if "mtu" in words else None

    def _make_nodes(self) -> None:
        super()._make_nodes()
        self.router, self.lb2 = Node(self.cell, "router"), Node(self.cell, "lb2")

    def _make_links(self) -> None:
        super()._make_links()
        back, _ = self.router_interfaces
        self.cell.run(["ip", "-batch", "-"], input=pair(
            End(self.router, back, link_address(0xfe00, 1), 1500),
            End(self.client, self.client_interface, self.client_mac, 1500)) + "\n")

    def _bridged(self) -> list[End]:
        mtu = self.plan.server_mtu
        _, uplink = self.router_interfaces
        return [End(self.lb, self.lb_interface, self.lb_mac, mtu),
                End(self.lb2, self.lb2_interface, self.macs[1], mtu),
                End(self.router, uplink, self.router_mac, mtu),
                *(End(h.node, h.interface, h.mac, mtu) for h in self.servers)]

    def _configure_lb(self) -> None:
        if self.plan.static_neighbours:
            raise LabError("a bed with a router has no fixed neighbours")
        back, uplink = self.router_interfaces
        self.router.ip(f"link set {back} up", f"link set {uplink} up",
                       f"addr add 10.1.0.1/24 dev {back}",
                       f"addr add fd00:1::1/64 dev {back} nodad",
                       f"addr add {self.uplink4.format(1)}/24 dev {uplink}",
                       f"addr add {self.uplink6.format(1)}/64 dev {uplink} nodad")
        self.router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        names = (self.lb_interface, self.lb2_interface)
        for node, name, host in zip(self.balancers, names, (2, 3)):
            lines = [f"link set {name} up", f"addr add {self.uplink4.format(host)}/24 dev {name}",
                     f"addr add {self.uplink6.format(host)}/64 dev {name} nodad"]
            for h in self.servers:
                four, six = ((h.lb_address4, h.lb_address6) if node is self.lb
                             else self.second_addresses(h))
                lines += [f"addr add {four}/24 dev {name}", f"addr add {six}/64 dev {name} nodad"]
            node.ip(*lines, f"route add 10.1.0.0/24 via {self.uplink4.format(1)}",
                    f"route add fd00:1::/64 via {self.uplink6.format(1)}")
            node.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.use(self.lb)
