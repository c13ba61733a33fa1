# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How a port is found: everything a run may change on it, for a comparison afterwards."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Iterator

from hwtests.lab.errors import search_path

PINS = Path("/sys/fs/bpf/shunt/abi1")
#: What stands for a dot in the names of pins, which bpffs does not take.
PIN_DOT = ":"
#: What XDP does not see where the NIC takes it off, or drops, or joins, before a program runs.
UNWANTED = ("rx-vlan-offload", "rx-vlan-stag-hw-parse", "rx-vlan-filter", "rx-vlan-stag-filter",
            "large-receive-offload", "rx-gro-hw")


def run(*argv: str, check: bool = True, input: str | None = None) -> str:
    """A command's output."""
    done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=30,
                          check=False, env={"PATH": search_path(), "LC_ALL": "C"})
    if check and done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def listed(*argv: str) -> list[dict[str, Any]]:
    """A command's output as a list of JSON objects; some print nothing for an empty one."""
    found: list[dict[str, Any]] = json.loads(run(*argv) or "[]")
    return found


def features(interface: str) -> dict[str, str]:
    """ethtool's features; a word in brackets tells of those that cannot be changed."""
    lines = run("ethtool", "-k", interface).splitlines()[1:]
    return {name.strip(): value.strip() for name, _, value in
            (line.partition(":") for line in lines)}


def routes(interface: str) -> list[str]:
    """Of all tables, without what ages."""
    return sorted(f"{family} {row['dst']} table {row.get('table', 'main')} "
                  f"via {row.get('gateway', '-')} type {row.get('type', 'unicast')}"
                  for family in ("-4", "-6")
                  for row in listed("ip", "-j", family, "route", "show", "table", "all", "dev",
                                    interface))


def look(interface: str) -> dict[str, Any]:
    """Everything a run may change."""
    (link,) = listed("ip", "-j", "-d", "link", "show", "dev", interface)
    (addresses,) = [row for row in listed("ip", "-j", "addr", "show", "dev", interface) if row]
    pins = PINS / interface.replace(".", PIN_DOT)
    return {
        "up": "UP" in link["flags"],
        "promiscuous": "PROMISC" in link["flags"],
        "promiscuity": link.get("promiscuity", 0),
        "mtu": link["mtu"],
        "mac": link["address"],
        "xdp": link.get("xdp"),
        "features": features(interface),
        "addresses": sorted(f"{row['local']}/{row['prefixlen']}"
                            for row in addresses["addr_info"]),
        "routes": routes(interface),
        "neighbours": sorted(f"{row['dst']} {row.get('lladdr')}" for row in listed(
            "ip", "-j", "neigh", "show", "dev", interface, "nud", "permanent")),
        "qdiscs": run("tc", "qdisc", "show", "dev", interface).split("\n"),
        "filters": run("tc", "filter", "show", "dev", interface, "ingress", check=False),
        "pins": sorted(str(path) for path in pins.rglob("*")) if pins.exists() else [],
    }


def differences(before: dict[str, Any], after: dict[str, Any], path: str = "") -> Iterator[str]:
    """What is not as it was, each in a line."""
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, f"{path}{key}.")
        elif was != now:
            yield f"{path}{key}: was {was}, is {now}"
