# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What ``loader stats`` must show more of after frames that the oracle has judged."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterable, Mapping

from .model import Decision

Growth = dict[str, tuple[int, int]]


def difference(before: dict[str, Any], after: dict[str, Any]) -> Growth:
    """Packets and octets that a section of the statistics has grown by, by name."""
    none = {"packets": 0, "octets": 0}
    changes = {name: (after[name]["packets"] - before.get(name, none)["packets"],
                      after[name]["octets"] - before.get(name, none)["octets"])
               for name in after}
    return {name: change for name, change in changes.items() if change != (0, 0)}


def sums(pairs: Iterable[tuple[str | None, int]]) -> Growth:
    """The same for names with the lengths of frames; None counts for nothing."""
    packets: Counter[str] = Counter()
    octets: Counter[str] = Counter()
    for name, length in pairs:
        if name is not None:
            packets[name] += 1
            octets[name] += length
    return {name: (packets[name], octets[name]) for name in packets}


def counted_under(decision: Decision, config: Mapping[str, Any]) -> dict[str, str | None]:
    """Section of the statistics to the name that a frame counts for in it."""
    cid = None if decision.config_id is None else str(decision.config_id)
    if any((entry["id"], entry.get("pool")) == (decision.config_id, decision.pool)
           for entry in config["cid_configs"]):
        cid = f"{decision.pool}/{cid}"
    return {"vips": decision.vip, "configs": cid,
            "servers": None if decision.server is None else f"{decision.pool}/{decision.server}"}
