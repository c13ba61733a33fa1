# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The figures as a table for people and as JSON."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .measure import CONNECTIONS, LOADS, QUANTITIES, REQUESTS, Compared, Measured, Results
from .stand import cores

SCHEMA = "shunt/bench-whole/1"


#: The two tables: what is shown of a quantity besides its median, and its heading.
RATES = {"connections": "conns/s", "download": "down Mb/s", "upload": "up Mb/s",
         "p50": "p50 us", "p99": "p99 us"}
COSTS = {"connection_cpu": "conn us", "request_cpu": "req us", "download_cpu": "down us/Mb",
         "upload_cpu": "up us/Mb"}


def _cell(compared: Compared) -> str:
    if compared.added:
        return f"{compared.value.median:10.0f} {compared.added.median:+6.0f}"
    return f"{compared.value.median:10.0f} {compared.ratio.median:6.2f}"


def _spread(name: str, compared: Compared) -> str:
    spread = compared.added or compared.ratio
    form = "{:+.0f}" if compared.added else "{:.2f}"
    return f"{name} " + form.format(spread.p10) + " to " + form.format(spread.p90)


def _table(results: Results, title: str, names: dict[str, str]) -> list[str]:
    compare = {quantity.name: "added" if quantity.difference else "ratio"
               for quantity in QUANTITIES}
    return [
        f"{title:<14} {'tier':<9}" + " ".join(f"{heading:>10} {compare[name]:>6}"
                                              for name, heading in names.items()),
        *(f"{measured.case.routed_by:<14} {measured.case.tier or '':<9}"
          + " ".join(_cell(measured.quantities[name]) for name in names)
          for measured in results.cases),
        ""]


def table(results: Results) -> str:
    """For people."""
    noise = [_spread(name, compared) for name, compared in results.noise.items()]
    return "\n".join([
        *_table(results, "real QUIC", RATES),
        *_table(results, "its CPU time", COSTS),
        f"conns: handshake, request, close, {CONNECTIONS.connections} at a time; req: "
        f"{REQUESTS.rate} requests a second over {REQUESTS.connections} connections, from when due",
        f"ratio, added: to no balancer, where the kernel routes over the same links, in the same "
        f"round; median of {results.rounds} rounds",
        f"client, one server and all between share {cores()} cores: the ends' TLS and system calls "
        "bound conns and Mb",
        "CPU time: of client, server and loader run, with the softirq of what they send but for "
        "ksoftirqd's",
        "noise: no balancer, measured twice a round (p10 to p90): " + ", ".join(noise[:4]) + ",",
        "       " + ", ".join(noise[4:]),
        ""])


def _compared(compared: Compared) -> dict[str, Any]:
    document = {"value": compared.value.json(), "ratio": compared.ratio.json()}
    if compared.added:
        document["added"] = compared.added.json()
    return document


def _case(measured: Measured) -> dict[str, Any]:
    return {
        "routed_by": measured.case.routed_by,
        "tier": measured.case.tier,
        "connections": measured.connections,
        "packets": {"by_reason": {name: n for name, n in measured.reasons.items() if n},
                    "server": measured.server["packets"],
                    "stale": measured.server["stale"]},
        "figures": {name: _compared(compared) for name, compared in measured.quantities.items()},
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else "unknown"


def document(results: Results) -> dict[str, Any]:
    """For programs."""
    system = os.uname()
    return {
        "schema": SCHEMA,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kernel": f"{system.release} {system.machine}",
        "processor": _processor(),
        "cores": cores(),
        "rounds": results.rounds,
        "seconds": results.seconds,
        "loads": {load.kind: {"connections": load.connections,
                              **({"rate": load.rate} if load.rate else {})} for load in LOADS},
        "units": {quantity.name: quantity.unit for quantity in QUANTITIES},
        "noise": {name: _compared(compared) for name, compared in results.noise.items()},
        "cases": [_case(measured) for measured in results.cases],
    }
