# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The user-space balancer: the tier that `loader run` serves itself."""

from __future__ import annotations

from hwtests.lab import Bed, Loader
from hwtests.running import base_config


def test_without_the_service_nobody_serves_it(bed: Bed, loader: Loader) -> None:
    file = loader.write_config(base_config(bed, "userspace"))
    attached = loader.json("attach", "lb0", "-c", file)
    assert attached["attached"] == ["userspace"]
    assert "nobody serves it: loader run" in loader("status", "lb0").stdout
    tier, = loader.json("status", "lb0")["attached"]
    assert (tier["tier"], tier["served"], tier["stack"]) == ("userspace", False, True)
    assert loader.json("attach", "lb0", "-c", file)["tiers"][0]["outcome"] == "adopted"
    assert [row["server"] for row in loader.json("show", "servers")["tiers"][0]["servers"]] == [
        host.name for host in bed.servers]
    loader("apply", "-c", file)
    assert loader.json("stats", "lb0")["tiers"][0]["total"]["packets"] == 0
    assert loader.json("detach", "lb0")["detached"] == [{"interface": "lb0", "tier": "userspace"}]
    assert loader("status", "lb0", check=False).returncode == 7


def test_below_a_host_tier_it_has_that_ones_maps(bed: Bed, loader: Loader, tier: str) -> None:
    file = loader.write_config(base_config(bed, "auto"))
    for name in (tier, "userspace"):
        assert loader.json("attach", "lb0", "-t", name, "-c", file)["attached"] == [name]
    above, below = ({each["name"]: each["id"] for each in found["maps"]}
                    for found in loader.json("status", "lb0")["attached"])
    assert {name for name in above if above[name] != below[name]} == {
        "reason_stats", "vip_stats", "server_stats", "cid_stats"}
    loader("attach", "lb0", "-t", tier, "--reload", "-c", file)
    again = loader.json("attach", "lb0", "-t", "userspace", "-c", file)
    assert again["tiers"][0]["outcome"] == "replaced"
    loader("detach", "lb0", "-t", tier)
    left, = loader.json("status", "lb0")["attached"]
    assert (left["tier"], left["stack"]) == ("userspace", True)
    loader("apply", "-c", file)
