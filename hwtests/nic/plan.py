# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a run would do with the ports, and what is in its way; asks only, changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Sequence

from hwtests.lab.bed import built
from hwtests.lab.errors import search_path

from . import found
from .peer import Where

SYS = Path("/sys/class/net")
#: Where all servers of the corpus are: documentation's (RFC 5737, RFC 3849), so nobody's.
PREFIXES = ("198.51.100.0/24", "2001:db8:1::/64")


@dataclass(frozen=True)
class Obstacle:
    """One thing in the way; forced: the operator may say that it is none."""

    text: str
    forced: bool = False


def loader(*args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """The loader that was built here. It dies with us, so that nothing is attached after us."""
    return subprocess.run(["setpriv", "--pdeathsig", "KILL", str(built("loader")), *args],
                          capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, "PATH": search_path()})


def loader_json(*args: str, check: bool = True) -> dict[str, Any]:
    """Its document; with check, a failure raises with the document's own words."""
    done = loader(*args, "--json")
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise OSError(f"loader {' '.join(args)}: {done.stderr.strip()}") from None
    if check and done.returncode != 0:
        raise OSError(f"loader {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()} "
                      f"{json.dumps(document.get('error'))}")
    return document


@dataclass
class Plan:
    """One NIC, and the port cabled to it if there is one."""

    nic: str
    peer: Where | None
    probe: dict[str, Any] = field(default_factory=dict)
    obstacles: list[Obstacle] = field(default_factory=list)

    @property
    def ports(self) -> list[str]:
        """The ports of this machine."""
        here = [self.peer.interface] if self.peer and not self.peer.host else []
        return [self.nic, *here]

    @property
    def tiers(self) -> list[str]:
        """Those to be tried."""
        return [row["tier"] for row in self.probe["tiers"] if row["usable"] != "no"]

    def make(self) -> Plan:
        """Look at everything; an interface that is not there is the only obstacle then."""
        for name in self.ports:
            if not (SYS / name).exists():
                self.obstacles.append(Obstacle(f"{name}: no such interface"))
        if len(set(self.ports)) < len(self.ports):
            self.obstacles.append(Obstacle("NIC and PEER are the same port"))
        if not self.obstacles:
            self.probe = loader_json("probe", self.nic, check=False)
            self.obstacles += self._on_nic()
            for name in self.ports:
                self.obstacles += _in_use(name)
            self.obstacles += _routes_taken()
            self.obstacles += self._forwarding()
        return self

    def _on_nic(self) -> Iterator[Obstacle]:
        if "tiers" not in self.probe:
            yield Obstacle(f"loader probe {self.nic}: {self.probe['error']['text']}")
            return
        for warning in self.probe["warnings"]:
            if warning["code"] == "no-bpffs":
                yield Obstacle(f"{warning['text']}: {warning['hint']}")
        if (SYS / self.nic / "type").read_text().strip() != "1":
            yield Obstacle(f"{self.nic} is not Ethernet")
        for program in self.probe["attached"]:
            yield Obstacle(f"{self.nic}: XDP program id {program['program']} {program['name']} is "
                           f"attached ({program['tier']}): the hook must be free")
        if "error" not in loader_json("status", check=False):
            yield Obstacle("shunt is attached on this machine: its configuration is one for all "
                           "interfaces, and the tests apply others (loader status)")
        if Path(f"/proc/sys/net/ipv6/conf/{self.nic}/disable_ipv6").read_text().strip() != "0":
            yield Obstacle(f"{self.nic} has no IPv6: "
                           f"sysctl -w net.ipv6.conf.{self.nic}.disable_ipv6=0")

    def _forwarding(self) -> Iterator[Obstacle]:
        for path in (f"ipv4/conf/{self.nic}/forwarding", "ipv6/conf/all/forwarding"):
            if Path("/proc/sys/net", path).read_text().strip() != "0":
                yield Obstacle(f"net.{path.replace('/', '.')} is on: test packets that XDP leaves "
                               "to the host may be forwarded", forced=True)

    def describe(self) -> str:
        """For the operator."""
        lines = [loader("probe", self.nic).stdout.rstrip(), ""] if self.probe else []
        lines += [f"hwtest on {self.nic}" + (f", cabled to {self.peer}" if self.peer else
                                             " alone: without PEER no packet is sent")]
        if self.probe and "tiers" in self.probe:
            lines += [
                f"  tiers       {', '.join(self.tiers)}; then what attach takes by itself",
                f"  {self.nic:<11} XDP and tc programs attached and detached, many times; the link "
                "may go down for seconds each time",
                "              set up if it is down; off: " + (", ".join(
                    to_switch_off(self.nic)) or "no feature"),
                f"  routes      {', '.join(PREFIXES)} to {self.nic}, with permanent neighbours",
            ]
            if self.peer:
                lines += [f"  {str(self.peer):<11} promiscuous; sends about 12,000 frames a tier, "
                          "of up to 1,514 octets, from 192.0.2.77 and 2001:db8:77::77"]
            lines += ["  afterwards  all of it is taken back, and compared with before"]
        for obstacle in self.obstacles:
            lines.append(("  in the way  " if not obstacle.forced else "  in use      ")
                         + obstacle.text)
        return "\n".join(lines)


def to_switch_off(interface: str) -> list[str]:
    """Features in the way of the tests that can be switched."""
    now = found.features(interface)
    return [name for name in found.UNWANTED if now.get(name) == "on"]


def _in_use(interface: str) -> Iterator[Obstacle]:
    for family in ("-4", "-6"):
        for row in found.listed("ip", "-j", family, "route", "show", "table", "all", "dev",
                                interface):
            if row["dst"] == "default":
                yield Obstacle(f"{interface} carries the default route", forced=True)
    (shown,) = [row for row in found.listed("ip", "-j", "addr", "show", "dev", interface) if row]
    addresses = [row["local"] for row in shown["addr_info"] if row["scope"] != "link"]
    if addresses:
        yield Obstacle(f"{interface} has addresses: {', '.join(addresses)}", forced=True)
    uppers = sorted(path.name for path in (SYS / interface).glob("upper_*"))
    if uppers:
        yield Obstacle(f"{interface} is part of "
                       f"{', '.join(name.partition('_')[2] for name in uppers)}", forced=True)


def _routes_taken() -> Iterator[Obstacle]:
    for prefix in PREFIXES:
        family = "-6" if ":" in prefix else "-4"
        for row in found.listed("ip", "-j", family, "route", "show", "root", prefix, "table",
                                "all"):
            yield Obstacle(f"{row['dst']} has a route already (dev {row.get('dev')}): the tests "
                           f"need {prefix} for themselves")


def refusals(obstacles: Sequence[Obstacle], force: bool) -> list[Obstacle]:
    """Those that stop a run."""
    return [one for one in obstacles if not (one.forced and force)]
