# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The TC programs as this kernel takes them: by TCX from Linux 6.6 on, before by clsact. A server
that answers from its own address is routed by the host, and the client hears the VIP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.vm.guest.rig import BUILD, PINS, Loader, ip, pinned, run

NEAR, SERVER_SIDE = "t0", "u0"
VIPS = {4: "203.0.113.80", 6: "2001:db8:80::80"}
CLIENTS = {4: "10.61.0.2", 6: "fd00:61::2"}
SERVERS = {4: "10.62.0.2", 6: "fd00:62::2"}
PORT, SERVED, CLIENT = 4433, 8443, 40001
HAS_TCX = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 6)
MODE = "tcx" if HAS_TCX else "clsact"
NEXT = BUILD / "bpf/next.bpf.o"

#: Both wait no longer than the emulated machine may take.
HEAR = """
import socket, sys
family, address, port, vip, vip_port = sys.argv[1:]
near = socket.socket(int(family), socket.SOCK_DGRAM)
near.settimeout(30)
near.bind((address, int(port)))
near.connect((vip, int(vip_port)))
print("ready", flush=True)
print(near.recv(2000).decode(), flush=True)
"""
SAY = """
import socket, sys
family, address, port, client, client_port, text = sys.argv[1:]
far = socket.socket(int(family), socket.SOCK_DGRAM)
far.bind((address, int(port)))
far.sendto(text.encode(), (client, int(client_port)))
"""
FAMILIES = {4: 2, 6: 10}


def inside(name: str, *command: str) -> list[str]:
    """A command in a namespace: ip's own way would hide the BPF file system, which nobody needs."""
    return ["ip", "netns", "exec", name, *command]


@dataclass(frozen=True)
class Routed:
    """A client and a server, each in a namespace of its own, and this host in between."""

    loader: Loader

    def answer(self, version: int, text: str) -> str:
        """What the client hears from the VIP when the server says it."""
        family = str(FAMILIES[version])
        hearing = subprocess.Popen(
            inside("client", sys.executable, "-c", HEAR, family, CLIENTS[version], str(CLIENT),
                   VIPS[version], str(PORT)), stdout=subprocess.PIPE, text=True)
        with hearing:
            assert hearing.stdout and hearing.stdout.readline() == "ready\n"
            run(*inside("server", sys.executable, "-c", SAY, family, SERVERS[version],
                        str(SERVED), CLIENTS[version], str(CLIENT), text))
            return hearing.stdout.readline().strip()

    def stack(self) -> dict[str, Any]:
        """What the TC programs counted."""
        (tier,) = [tier for tier in self.loader.json("stats", NEAR)["tiers"]
                   if tier["tier"] == "generic"]
        stack: dict[str, Any] = tier["stack"]
        return stack

    def filters(self) -> str:
        """All of clsact's, and whether it is there."""
        return "".join(run("tc", *words, "dev", NEAR, *end).stdout for words, end in (
            (("qdisc", "show"), ()), (("filter", "show"), ("ingress",)),
            (("filter", "show"), ("egress",))))


@pytest.fixture
def routed(loader: Loader) -> Iterator[Routed]:
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("0")
    ip("netns add client", "netns add server",
       f"link add {NEAR} type veth peer name t1 netns client",
       f"link add {SERVER_SIDE} type veth peer name u1 netns server",
       f"address add 10.61.0.1/24 dev {NEAR}", f"address add 10.62.0.1/24 dev {SERVER_SIDE}",
       f"address add fd00:61::1/64 dev {NEAR} nodad",
       f"address add fd00:62::1/64 dev {SERVER_SIDE} nodad",
       f"link set {NEAR} up", f"link set {SERVER_SIDE} up")
    for name, device, places, gateways in (
            ("client", "t1", CLIENTS, ("10.61.0.1", "fd00:61::1")),
            ("server", "u1", SERVERS, ("10.62.0.1", "fd00:62::1"))):
        run("ip", "-n", name, "-batch", "-", input="".join(f"{line}\n" for line in (
            f"address add {places[4]}/24 dev {device}",
            f"address add {places[6]}/64 dev {device} nodad", f"link set {device} up",
            *(f"route add default via {gateway}" for gateway in gateways))))
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path(f"/proc/sys/net/{switch}").write_text("1")
    loader.write(
        cid_configs=[],
        pools=[{"name": f"p{version}", "servers": [
            {"name": "s", "address": SERVERS[version], "port": SERVED, "mode": "nat"}]}
            for version in (4, 6)],
        vips=[{"name": f"v{version}", "address": VIPS[version], "port": PORT,
               "pool": f"p{version}"} for version in (4, 6)])
    yield Routed(loader)
    run(loader.path, "detach", "--all", check=False)
    ip(f"link delete {NEAR}", f"link delete {SERVER_SIDE}", "netns delete client",
       "netns delete server")


def attach(loader: Loader, *words: str) -> None:
    loader("attach", NEAR, "-t", "generic", "-c", str(loader.file), *words)


def test_the_way_back(loader: Loader, routed: Routed) -> None:
    attach(loader)
    assert loader.status()["generic"]["stack_mode"] == MODE
    for version in (4, 6):
        assert routed.answer(version, f"over IPv{version}") == f"over IPv{version}"
        out = routed.stack()["out"]
        assert out["vips"][f"v{version}"]["redirects"] == 1
        assert out["servers"][f"p{version}/s"] == out["vips"][f"v{version}"]
    attach(loader, "--reload")
    assert routed.answer(4, "again") == "again"
    assert routed.stack()["out"]["vips"]["v4"]["redirects"] == 2


def test_leaves_what_it_found(loader: Loader, routed: Routed) -> None:
    before = routed.filters()
    assert "clsact" not in before
    attach(loader)
    assert ("clsact" in routed.filters()) is not HAS_TCX
    loader("detach", NEAR)
    assert routed.filters() == before and not pinned()


#: Our own priority may be taken, by filters that ours can stand beside, or cannot.
@pytest.mark.parametrize("end", ["ingress", "egress"])
@pytest.mark.parametrize("preference,protocol", [(7, "all"), (443, "all"), (443, "ip")])
def test_beside_filters(loader: Loader, routed: Routed, end: str, preference: int, protocol: str
                        ) -> None:
    run("tc", "qdisc", "add", "dev", NEAR, "clsact")
    run("tc", "filter", "add", "dev", NEAR, end, "pref", str(preference), "protocol", protocol,
        "bpf", "da", "obj", str(NEXT), "sec", "tc")
    before = routed.filters()
    attach(loader)
    assert ("shunt_stack" in routed.filters()) is not HAS_TCX
    assert ("shunt_return" in routed.filters()) is not HAS_TCX
    assert loader.status()["generic"]["stack_mode"] == MODE
    attach(loader, "--reload")
    assert routed.answer(4, "beside") == "beside"
    loader("detach", NEAR)
    assert routed.filters() == before


def test_filters_that_came_later_stay(loader: Loader, routed: Routed) -> None:
    attach(loader)
    if HAS_TCX:
        run("tc", "qdisc", "add", "dev", NEAR, "clsact")
    run("tc", "filter", "add", "dev", NEAR, "egress", "pref", "7", "bpf", "da", "obj", str(NEXT),
        "sec", "tc")
    loader("detach", NEAR)
    assert "tc_next" in routed.filters() and "shunt" not in routed.filters() and not pinned()


def test_lost_programs_are_put_back(loader: Loader, routed: Routed) -> None:
    attach(loader)
    for end in ("ingress", "egress"):
        if HAS_TCX:
            (PINS / NEAR / f"tc/link-{end}").unlink()
        else:
            run("tc", "filter", "del", "dev", NEAR, end)
        attach(loader)
        assert loader.status()["generic"]["stack_mode"] == MODE
        assert routed.answer(4, end) == end


@pytest.mark.skipif(HAS_TCX, reason="TCX needs no qdisc")
def test_an_ingress_qdisc_in_the_way(loader: Loader, routed: Routed) -> None:
    """There is no egress then, which is said; the rest works."""
    run("tc", "qdisc", "add", "dev", NEAR, "ingress")
    before = routed.filters()
    done = loader("attach", NEAR, "-t", "generic", "-c", str(loader.file))
    assert f"{NEAR}: no tc egress program" in done.stderr
    assert loader.status()["generic"]["stack_mode"] == "clsact"
    loader("detach", NEAR)
    assert routed.filters() == before
