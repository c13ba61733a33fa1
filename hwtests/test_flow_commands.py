# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What outlives whom: remembered flows through reloads and other files, and the commands that show
and forget them."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import Any

import pytest

from hwtests.lab import Bed, Loader, LabError
from hwtests.lab.bed import client4, client6
from hwtests.lab.waiting import Deadline

PORT = 4433
#: A short header; of its connection ID, config 7, nothing but this octet comes again.
UNROUTABLE = b"\x40\xe7"


class Site:
    """A tier on lb0, two VIPs, and a client that sends from many ports."""

    def __init__(self, bed: Bed, tier: str) -> None:
        self.bed, self.tier = bed, tier
        self.loader = Loader(bed)
        self.sent = 0

    def config(self, *servers: str, drained: str = "", **tracking: int) -> dict[str, Any]:
        """These servers; flows: of the limits."""
        hosts = {host.name: host for host in self.bed.servers}
        flows = tracking.pop("flows", 4096)
        return {
            "version": 1, "tracking": tracking, "limits": {"flows": flows},
            "interfaces": [{"name": "lb0", "tier": self.tier}],
            "forwarding": {"mode": "l2dsr"}, "fallback": {"rows": 16},
            "pools": [{"name": "web", "servers": [
                {"name": name, "address": hosts[name].address4, "state":
                 "drain" if name == drained else "up"} for name in servers]}],
            "vips": [{"name": "one", "address": self.bed.vip4, "port": PORT, "pool": "web"},
                     {"name": "two", "address": self.bed.vip4, "port": PORT + 1, "pool": "web"}],
        }

    def attach(self, config: dict[str, Any], *words: str) -> None:
        """With the file."""
        file = self.loader.write_config(config)
        self.loader("attach", "lb0", "-t", self.tier, "-c", file, *words)

    def apply(self, config: dict[str, Any]) -> None:
        """Another file for what is attached."""
        self.loader("apply", "-c", self.loader.write_config(config))

    def send(self, first: int, n: int, port: int = PORT) -> None:
        """One datagram from each of n ports, counted before this returns."""
        for source in range(first, first + n):
            with self.bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.bind((client4(), source))
                udp.sendto(UNROUTABLE + os.urandom(24), (self.bed.vip4, port))
        self.sent += n
        deadline = Deadline(5)
        while self.seen() < self.sent:
            assert not deadline.passed(), "not all that was sent has come"

    def seen(self) -> int:
        """By the tier, for the VIPs."""
        vips = self.loader.json("stats", "lb0")["tiers"][0]["vips"]
        return int(sum(vip["packets"] for vip in vips.values()))

    def entries(self) -> int:
        """Of conn_track, also those that are over."""
        shown = self.bed.lb.run(["bpftool", "-j", "map", "dump", "pinned",
                                 f"/sys/fs/bpf/shunt/abi1/lb0/{self.tier}/conn_track"])
        return len(json.loads(shown.stdout))

    def counter(self, name: str) -> int:
        """Of what became of new flows."""
        return int(self.loader.json("stats", "lb0")["tiers"][0]["flows"][name])

    def flows(self, *words: str) -> Any:
        """What `show flows` says of the tier."""
        return self.loader.json("show", "flows", *words)["tiers"][0]["flows"]

    def homes(self, *words: str) -> dict[str, str]:
        """Server by client and VIP."""
        return {f"{flow['vip']} {flow['client']}": flow["server"]
                for flow in self.flows("--all", *words)["list"]}


@pytest.fixture
def site(bed: Bed, tier: str) -> Site:
    """Nothing is attached yet."""
    return Site(bed, tier)


def test_flows_are_shown_and_forgotten(site: Site) -> None:
    site.attach(site.config("s1", "s2"))
    site.send(20000, 150)
    site.send(20000, 5, PORT + 1)
    site.send(20000, 1)
    shown = site.flows()
    assert (shown["count"], shown["left_out"], len(shown["list"])) == (155, 55, 100)
    assert shown["room"] == 4096
    assert len(site.flows("--all")["list"]) == 155
    (flow,) = [flow for flow in site.flows("--all", "--vip", "one")["list"]
               if flow["client"] == f"{client4()}:20000"]
    assert (flow["packets"], flow["state"], flow["kind"]) == (2, "established", "tuple")
    assert 0 <= flow["idle"] <= flow["age"] < 60
    words = site.loader("show", "flows").stdout
    assert "155 flows, 55 of them not shown: --all shows them" in words
    counted = site.loader.json("stats", "lb0")["tiers"][0]["flows"]
    assert counted["added"] == 155 and not counted["over_budget"]
    assert re.search(r"^added +155  new flows", site.loader("stats", "--by", "flow").stdout, re.M)
    by_server = {name: site.flows("--server", name)["count"] for name in ("s1", "s2")}
    assert sum(by_server.values()) == 155 and all(by_server.values())
    assert site.flows("--server", "web/s1")["count"] == by_server["s1"]
    assert site.flows("--client", client4())["count"] == 155
    assert site.flows("--client", client6())["count"] == 0
    assert site.loader.json("flush", "flows", "--vip", "two")["flushed"] == 5
    assert "forgotten" in site.loader("flush", "flows", "--server", "s1").stdout
    assert set(site.homes().values()) == {"s2"}
    site.loader("flush", "flows", "--all")
    assert site.flows()["count"] == 0


@pytest.mark.parametrize("words", [["--vip", "three"], ["--server", "s9"],
                                   ["--client", "somewhere"]])
def test_names_that_nothing_has(site: Site, words: list[str]) -> None:
    site.attach(site.config("s1", "s2"))
    for command in ("show", "flush"):
        failed = site.loader.json(command, "flows", *words, check=False)
        assert failed["error"]["code"] == "usage"
        with pytest.raises(LabError, match=f"{words[1]}: nothing is called so"):
            site.loader(command, "flows", *words)


def test_everything_is_said_and_nothing_is_not(site: Site) -> None:
    """--all or some of it, and never both."""
    site.attach(site.config("s1", "s2"))
    ways: list[list[str]] = [[], ["--all", "--vip", "one"]]
    for words in ways:
        with pytest.raises(LabError, match="say which"):
            site.loader("flush", "flows", *words)


@pytest.mark.parametrize("flows", [4096, 8192, 2048])
def test_flows_survive_a_reload(site: Site, flows: int) -> None:
    """The maps are new, and conn_track is not, or what it held is carried into another."""
    site.attach(site.config("s1", "s2"))
    site.send(20000, 50)
    before = site.homes()
    site.attach(site.config("s1", "s2", drained="s1", flows=flows), "--reload")
    assert site.homes() == before and site.flows()["room"] == flows
    site.send(20000, 50)
    assert site.homes() == before
    assert {flow["packets"] for flow in site.flows("--all")["list"]} == {2}


def test_flows_survive_what_attaches_again(site: Site) -> None:
    """`run`, begun and ended, with the file changed meanwhile."""
    site.attach(site.config("s1", "s2"))
    site.send(20000, 50)
    before = site.homes()
    file = site.loader.write_config(site.config("s1", "s2", drained="s2"))
    for _ in range(2):
        with site.loader.start("run", "-c", str(file)):
            site.send(20000, 50)
    assert site.homes() == before


def test_a_server_that_leaves_takes_its_flows_along(site: Site) -> None:
    """One that drains does not; and one that comes gets none of them with the number."""
    site.attach(site.config("s1", "s2"))
    site.send(20000, 50)
    before = site.homes()
    assert set(before.values()) == {"s1", "s2"}
    site.apply(site.config("s1", "s2", drained="s1"))
    assert site.homes() == before
    site.apply(site.config("s2"))
    assert site.homes() == {flow: name for flow, name in before.items() if name == "s2"}
    site.apply(site.config("s2", "s1"))
    site.send(20000, 50)
    after = site.homes()
    assert len(after) == 50 and set(after.values()) == {"s1", "s2"}


def test_the_service_sweeps(site: Site) -> None:
    """What is over goes without a packet of its own; the data path hears how much room there is."""
    config = site.config("s1", "s2", handshake_timeout=1, idle_timeout=2, flows=160)
    file = site.loader.write_config(config)
    with site.loader.start("run", "-c", str(file)):
        site.send(20000, 160)
        room = site.loader.json("stats", "lb0")["tiers"][0]["conn_track"]
        assert room["room"] == 160 and room["used"] <= 160
        deadline = Deadline(15)
        while site.entries():
            assert not deadline.passed(), "what is over stays"
        site.send(21000, 100)
        site.send(22000, 100)
        deadline = Deadline(15)
        port = 23000
        while not site.counter("full"):
            assert not deadline.passed(), "the map never counted as full"
            site.send(port, 50)
            port += 50
        assert site.entries() <= 160
