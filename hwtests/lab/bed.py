# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lays out the test network: a client, the balancer's host and N servers behind one VIP.

Routed (the default): each server has its own link, a packet leaves the balancer by another
interface than it came in by (XDP_REDIRECT)::

    client c0 ---- lb0 lb lbs1 ---- eth0 s1
                          lbs2 ---- eth0 s2

One link: all hang on a bridge, a packet leaves by the interface it came in by (XDP_TX)::

    client c0 ----+         +---- eth0 s1
                  | switch  |
        lb lb0 ---+         +---- eth0 s2

Addresses are the same in both. Each server has the VIP on lo, so its replies leave with the VIP
as their source; the way back is plain routing through the balancer's host.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from .errors import LabError, require_commands
from .netns import Cell, Node

Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)

PORT = 4433
#: Where servers listen that do not have the VIP.
NAT_PORT = 8443
VIP4 = "203.0.113.80"
VIP6 = "2001:db8:80::80"
#: Further addresses of the client, for address rebinding: client4(0) is the first.
CLIENT_ADDRESSES = 4
MAX_SERVERS = 200


def client4(index: int = 0) -> str:
    """An IPv4 address of the client."""
    return f"10.1.0.{2 + index}"


def client6(index: int = 0) -> str:
    """An IPv6 address of the client."""
    return f"fd00:1::{2 + index:x}"


@dataclass(frozen=True)
class Plan:
    """What to build."""

    servers: int = 2
    #: All on one bridge: egress is ingress. Else one link per server.
    one_link: bool = False
    #: MTU on the balancer's side towards the servers. Clients probe to more than 1444 bytes of
    #: payload: at 1500, IPIP and GUE over IPv4 just fit and 40 bytes of encapsulation do not, and
    #: the probes are lost without a word. 1500 is there for the case that wants just that.
    server_mtu: int = 1600
    #: Permanent neighbour entries on all nodes: no ARP or ND frames in captures.
    static_neighbours: bool = False
    #: Let the balancer's kernel forward (needed for the way back, and for XDP_PASS).
    forwarding: bool = True
    #: Servers know nothing of the VIP: they listen at their own addresses, on NAT_PORT.
    nat: bool = False


@dataclass(frozen=True)
class Host:
    """A server's place in the network, as the balancer sees it."""

    index: int
    node: Node
    interface: str
    mac: str
    address4: str
    address6: str
    #: The balancer's interface, link address and addresses towards this server.
    lb_interface: str
    lb_mac: str
    lb_address4: str
    lb_address6: str

    @property
    def name(self) -> str:
        """The node's name: s1, s2, ..."""
        return self.node.name

    def address(self, family: Family) -> str:
        """The server's own address."""
        return self.address4 if family == 4 else self.address6


@dataclass(frozen=True)
class End:
    """One end of a link."""

    node: Node
    name: str
    mac: str
    mtu: int


def pair(end: End, peer: End) -> str:
    """What iproute2 is told to make a link."""
    return (f"link add {end.name} address {end.mac} mtu {end.mtu} netns {end.node.inner_pid} "
            f"type veth peer name {peer.name} address {peer.mac} mtu {peer.mtu} "
            f"netns {peer.node.inner_pid}")


def link_address(net: int, host: int) -> str:
    """A locally administered link address: fixed, so that tests can state whole frames."""
    return f"02:00:00:{net >> 8:02x}:{net & 0xff:02x}:{host:02x}"


class Bed:
    """The network, up while the object is entered: ``with Bed(servers=2) as bed: ...``."""

    vip4 = VIP4
    vip6 = VIP6
    port = PORT

    client: Node
    lb: Node
    #: The bridge of the one-link plan, else None.
    switch: Node | None
    servers: list[Host]

    client_interface = "c0"
    client_mac = link_address(0, 2)
    lb_interface = "lb0"
    lb_mac = link_address(0, 1)

    def __init__(self, plan: Plan | None = None, *, servers: int | None = None,
                 one_link: bool | None = None, server_mtu: int | None = None,
                 static_neighbours: bool | None = None, nat: bool | None = None) -> None:
        base = plan or Plan()
        self.plan = Plan(
            servers=base.servers if servers is None else servers,
            one_link=base.one_link if one_link is None else one_link,
            server_mtu=base.server_mtu if server_mtu is None else server_mtu,
            static_neighbours=(base.static_neighbours if static_neighbours is None
                               else static_neighbours),
            forwarding=base.forwarding, nat=base.nat if nat is None else nat)
        if not 1 <= self.plan.servers <= MAX_SERVERS:
            raise LabError(f"a bed has 1 to {MAX_SERVERS} servers, not {self.plan.servers}")
        self._cell: Cell | None = None

    @property
    def cell(self) -> Cell:
        """The namespaces that hold everything."""
        if self._cell is None:
            raise LabError("the bed is not up: use `with Bed() as bed:`")
        return self._cell

    @property
    def dir(self) -> Path:
        """A directory with a short name, removed with the bed."""
        return self.cell.dir

    @property
    def nodes(self) -> list[Node]:
        """All machines."""
        switch = [self.switch] if self.switch else []
        return [self.client, self.lb, *switch, *(host.node for host in self.servers)]

    @property
    def balancers(self) -> list[Node]:
        """The balancers' machines."""
        return [self.lb]

    @property
    def lb_interfaces(self) -> list[str]:
        """Every interface of the balancer, the client's side first."""
        return list(dict.fromkeys([self.lb_interface, *(h.lb_interface for h in self.servers)]))

    def endpoints(self, host: Host) -> list[tuple[str, int]]:
        """Where a server listens, an address of each family."""
        return [(host.address(family), NAT_PORT) if self.plan.nat else (self.vip(family), self.port)
                for family in FAMILIES]

    def vip(self, family: Family) -> str:
        """The virtual address."""
        return self.vip4 if family == 4 else self.vip6

    @staticmethod
    def vip_name(family: Family | None = None) -> str:
        """A name that every node resolves to the VIP, of one family or both."""
        return "vip.test" if family is None else f"v{family}.vip.test"

    def up(self) -> None:
        """Build everything; on any failure or interruption nothing stays."""
        if self._cell is not None:
            raise LabError("the bed is up already")
        names = [f"{self.vip(family)} {self.vip_name(family)} {self.vip_name()}"
                 for family in FAMILIES]
        self._cell = Cell("\n".join(["127.0.0.1 localhost", "::1 localhost", *names, ""]))
        try:
            self._make_nodes()
            self._make_links()
            self._configure_client()
            self._configure_lb()
            for host in self.servers:
                self._configure_server(host)
            self._tame_veth()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Remove everything."""
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.close()

    def _make_nodes(self) -> None:
        self.client = Node(self.cell, "client")
        self.lb = Node(self.cell, "lb")
        self.switch = Node(self.cell, "switch") if self.plan.one_link else None
        self.servers = []
        for k in range(1, self.plan.servers + 1):
            one = self.plan.one_link
            self.servers.append(Host(
                index=k, node=Node(self.cell, f"s{k}"), interface="eth0", mac=link_address(k, 2),
                address4=f"10.2.{k}.2", address6=f"fd00:2:{k:x}::2",
                lb_interface=self.lb_interface if one else f"lbs{k}",
                lb_mac=self.lb_mac if one else link_address(k, 1),
                lb_address4=f"10.2.{k}.1", lb_address6=f"fd00:2:{k:x}::1"))

    def _make_links(self) -> None:
        """Make all veth pairs at their places, never passing through the host's namespace."""
        mtu = self.plan.server_mtu
        lines: list[str] = []
        if self.switch is None:
            lines.append(pair(End(self.lb, self.lb_interface, self.lb_mac, 1500),
                              End(self.client, self.client_interface, self.client_mac, 1500)))
            for h in self.servers:
                lines.append(pair(End(self.lb, h.lb_interface, h.lb_mac, mtu),
                                  End(h.node, h.interface, h.mac, mtu)))
        else:
            for port, end in enumerate(self._bridged(), start=1):
                lines.append(pair(end, End(self.switch, f"p-{end.node.name}",
                                           link_address(0xff00, port), max(mtu, 1500))))
        # Run in the cell's own namespace, which has no interface but lo: older kernels look for a
        # name that is taken where the command runs, not where the interface is to be.
        self.cell.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")
        if self.switch is not None:
            self.switch.ip(
                "link add br0 type bridge stp_state 0 mcast_snooping 0 forward_delay 0",
                *(f"link set p-{end.node.name} master br0 up" for end in self._bridged()),
                "link set br0 up")

    def _bridged(self) -> list[End]:
        """What hangs on the bridge of the one-link plan. The client's MTU is 1500 in both plans;
        its port must take what the bridge takes."""
        mtu = self.plan.server_mtu
        return [End(self.lb, self.lb_interface, self.lb_mac, mtu),
                End(self.client, self.client_interface, self.client_mac, 1500),
                *(End(h.node, h.interface, h.mac, mtu) for h in self.servers)]

    def _configure_client(self) -> None:
        lines = [f"link set {self.client_interface} up"]
        for i in range(CLIENT_ADDRESSES):
            lines += [f"addr add {client4(i)}/24 dev {self.client_interface}",
                      f"addr add {client6(i)}/64 dev {self.client_interface} nodad"
                      + (" preferred_lft 0" if i else "")]
        if self.plan.static_neighbours:
            lines += [f"neigh replace {lb} lladdr {self.lb_mac} nud permanent "
                      f"dev {self.client_interface}" for lb in ("10.1.0.1", "fd00:1::1")]
        # A default route rather than one to the VIPs: a browser asks for IPv6 addresses only
        # where the IPv6 internet seems to be reachable.
        lines += ["route add default via 10.1.0.1", "route add default via fd00:1::1"]
        self.client.ip(*lines)

    def _configure_lb(self) -> None:
        lines = [f"link set {name} up" for name in self.lb_interfaces]
        lines += [f"addr add 10.1.0.1/24 dev {self.lb_interface}",
                  f"addr add fd00:1::1/64 dev {self.lb_interface} nodad"]
        for h in self.servers:
            lines += [f"addr add {h.lb_address4}/24 dev {h.lb_interface}",
                      f"addr add {h.lb_address6}/64 dev {h.lb_interface} nodad"]
            if self.plan.static_neighbours:
                lines += [f"neigh replace {address} lladdr {h.mac} nud permanent "
                          f"dev {h.lb_interface}" for address in (h.address4, h.address6)]
        if self.plan.static_neighbours:
            lines += [f"neigh replace {address} lladdr {self.client_mac} nud permanent "
                      f"dev {self.lb_interface}"
                      for i in range(CLIENT_ADDRESSES) for address in (client4(i), client6(i))]
        self.lb.ip(*lines)
        if self.plan.forwarding:
            self.lb.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)

    def _configure_server(self, h: Host) -> None:
        neighbours = [f"neigh replace {address} lladdr {h.lb_mac} nud permanent dev {h.interface}"
                      for address in (h.lb_address4, h.lb_address6)
                      if self.plan.static_neighbours]
        vips = [] if self.plan.nat else [f"addr add {self.vip4}/32 dev lo",
                                         f"addr add {self.vip6}/128 dev lo nodad"]
        h.node.ip(f"link set {h.interface} up",
                  f"addr add {h.address4}/24 dev {h.interface}",
                  f"addr add {h.address6}/64 dev {h.interface} nodad",
                  *vips, *neighbours,
                  f"route add default via {h.lb_address4}",
                  f"route add default via {h.lb_address6}")
        # The VIP must be neither answered for nor announced by ARP: on the one link all servers
        # have it.
        h.node.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)

    def _tame_veth(self) -> None:
        # The checksum trap. A veth sender leaves the UDP checksum to the "device" and only marks
        # the packet so; XDP_REDIRECT and bpf_xdp_adjust_head lose the mark, and the receiver
        # drops the packet (UdpInCsumErrors). With tx off the client's kernel sums before sending.
        self.client.ethtool(self.client_interface, tx="off")
        # The redirect trap. A frame redirected into a veth is handed to NAPI at the far end,
        # which veth runs only with an XDP program there or with GRO on; else it is lost and no
        # counter of the sender says so.
        # With nat both hold for the way back, too: answers are rewritten, and leave for the client.
        for h in self.servers:
            h.node.ethtool(h.interface, gro="on", **({"tx": "off"} if self.plan.nat else {}))
        if self.plan.nat:
            self.client.ethtool(self.client_interface, gro="on")

    def attach_pass(self) -> None:
        """Put a pass program on the peer of each interface of the balancer, where XDP_TX needs it.

        The peer trap: frames sent by XDP_TX on a veth go to the peer's XDP ring, which only
        exists with an XDP program there (GRO is not enough). Without it the first 256 vanish and
        each later one fails, visible in the driver's xdp_tx_errors alone. Called after
        everything else on purpose: it also switches off segmentation offload of the far end.
        """
        obj = pass_object()
        if self.switch is not None:
            for node in self.balancers:
                attach_xdp(self.switch, f"p-{node.name}", obj)
            return
        attach_xdp(self.client, self.client_interface, obj)
        for h in self.servers:
            attach_xdp(h.node, h.interface, obj)

    def route_vip(self, host: Host) -> None:
        """Let the balancer's kernel send the VIP to one server: the network without a balancer."""
        self.lb.ip(f"route replace {self.vip4} via {host.address4}",
                   f"route replace {self.vip6} via {host.address6}")

    def unroute_vip(self) -> None:
        """Undo route_vip: what the balancer passes up finds no way on."""
        self.lb.ip(f"route del {self.vip4}", f"route del {self.vip6}")

    def table(self) -> str:
        """Names and addresses, for people."""
        rows = [("node", "interface", "IPv4", "IPv6", "MAC"),
                ("client", self.client_interface, client4(), client6(), self.client_mac),
                ("lb", self.lb_interface, "10.1.0.1", "fd00:1::1", self.lb_mac)]
        rows += [("lb", h.lb_interface, h.lb_address4, h.lb_address6, h.lb_mac)
                 for h in self.servers]
        rows += [(h.name, h.interface, h.address4, h.address6, h.mac) for h in self.servers]
        rows += [("s*", "lo (VIP)", self.vip4, self.vip6, "")]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                         for row in rows)

    def __enter__(self) -> Bed:
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.down()


def build_dir() -> Path:
    """Where make puts what it builds: BUILD, which counts from the tree as make does."""
    return Path(__file__).resolve().parents[2] / (os.environ.get("BUILD") or "build")


def built(name: str, *, target: str | None = None) -> Path:
    """A file that make must have built."""
    path = (build_dir() / name).resolve()
    if not path.exists():
        raise LabError(f"{path} is not built: run `make {target or 'build/' + name}` first")
    return path


def pass_object() -> Path:
    """The XDP program that passes every frame."""
    return built("bpf/pass.bpf.o")


def attach_xdp(node: Node, interface: str, obj: Path, section: str = "xdp",
               mode: Literal["xdpdrv", "xdpgeneric"] = "xdpdrv") -> None:
    """Attach an XDP object with iproute2: for helpers of the bed, not for the balancer."""
    require_commands({"ip": "iproute2"})
    node.run(["ip", "link", "set", "dev", interface, mode, "obj", obj, "sec", section])


def detach_xdp(node: Node, interface: str,
               mode: Literal["xdpdrv", "xdpgeneric"] = "xdpdrv") -> None:
    """Undo attach_xdp; the mode must be the one of the attachment."""
    node.run(["ip", "link", "set", "dev", interface, mode, "off"])
