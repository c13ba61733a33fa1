# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A balancer whose XDP tier passes all up that is for a VIP, and its TC programs' counters."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from hwtests.lab import Bed, Loader
from hwtests.lab.bed import FAMILIES

#: An address that no route of the balancer leads to: its packets are passed up.
NOWHERE = "198.18.0.1"


class Site:
    """Attached while it is entered."""

    def __init__(self, bed: Bed, *, tier: str = "driver", **more: Any) -> None:
        self.bed, self.tier = bed, tier
        self.loader = Loader(bed)
        self.config: dict[str, Any] = {
            "version": 1,
            "cid_configs": [],
            "forwarding": {"mode": "l2dsr"},
            "pools": [{"name": "web", "servers": [{"name": "web-1", "address": NOWHERE}]}],
            "vips": [{"name": f"v{family}", "address": bed.vip(family), "port": bed.port,
                      "pool": "web"} for family in FAMILIES],
            **more}

    @property
    def interface(self) -> str:
        """Where everything is attached."""
        return self.bed.lb_interface

    def stack(self) -> dict[str, Any]:
        """What the TC programs have counted."""
        (tier,) = self.loader.json("stats", self.interface)["tiers"]
        stack: dict[str, Any] = tier["stack"]
        return stack

    def __enter__(self) -> Site:
        self.loader("attach", self.interface, "-t", self.tier, "-c",
                    self.loader.write_config(self.config))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.loader("detach", self.interface)


def growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    """What the counters have grown by: "in.vips.v4" to those of its counts that did."""
    found: dict[str, dict[str, int]] = {}
    for path, counts in _leaves(after):
        old = dict(_leaves(before))[path]
        if changed := {name: counts[name] - old[name] for name in counts
                       if counts[name] != old[name]}:
            found[path] = changed
    return found


def _leaves(tree: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, int]]]:
    if "packets" in tree:
        return [(path[1:], tree)]
    return [leaf for name, below in tree.items() for leaf in _leaves(below, f"{path}.{name}")]
