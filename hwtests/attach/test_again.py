# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Attaching where a program is already: ours is adopted or replaced, a foreign one left alone."""

from __future__ import annotations

from typing import Any

import pytest

from hwtests.attach.rig import IFACE, PEER, PINS, Rig, code, map_ids, tier_row
from hwtests.lab import tcx
from hwtests.lab.bed import attach_xdp, pass_object
from hwtests.lab.loader import FEW_FLOWS


def test_second_attach_adopts(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    before = rig.traces()
    second = tier_row(rig.attach(), "driver")
    assert second["outcome"] == "adopted" and second["program_id"] == first["program_id"]
    assert rig.traces() == before


def test_adopts_the_lower_tier_too(rig: Rig) -> None:
    first = tier_row(rig.attach("-t", "generic"), "generic")
    document = rig.attach()
    assert code(document, "driver") == "busy-other-tier"
    assert tier_row(document, "generic")["outcome"] == "adopted"
    assert tier_row(document, "generic")["program_id"] == first["program_id"]


def test_adopting_puts_a_lost_stack_program_back(rig: Rig) -> None:
    rig.attach()
    rig.sh("rm", f"{PINS}/{IFACE}/tc/link-ingress")
    assert rig.status()[0]["stack"] is False
    rig.attach()
    assert rig.status()[0]["stack"] is True


@pytest.mark.parametrize("lost", ["prog-egress", "link-egress", "build"])
def test_adopting_mends_the_stack_programs(rig: Rig, lost: str) -> None:
    """As an older loader left them, or one that was killed."""
    rig.attach()
    folder = f"{PINS}/{IFACE}/tc"
    if lost == "build":
        mark = next(pin for pin in rig.pins() if pin.startswith(f"{folder}/build-"))
        rig.sh("mv", mark, f"{folder}/build-0")
    else:
        rig.sh("rm", f"{folder}/{lost}")
    rig.attach()
    assert f"{folder}/{lost}" in rig.pins() or lost == "build"
    assert [program.name for program in rig.tcx(tcx.INGRESS)] == ["shunt_stack"]
    assert [program.name for program in rig.tcx(tcx.EGRESS)] == ["shunt_return"]
    assert [pin for pin in rig.pins() if pin.startswith(f"{folder}/build-")] != [
        f"{folder}/build-0"]


def test_older_program_is_replaced_on_its_maps(rig: Rig) -> None:
    config = rig.config()
    first = tier_row(rig.attach("-c", config), "driver")
    maps = map_ids(rig)
    mark = next(pin for pin in rig.pins() if "/driver/build-" in pin)
    rig.sh("mv", mark, f"{PINS}/{IFACE}/driver/build-0")
    assert rig.status()[0]["program"]["current"] is False
    second = tier_row(rig.attach("-c", config), "driver")
    assert second["outcome"] == "replaced" and second["program_id"] != first["program_id"]
    assert map_ids(rig) == maps
    assert rig.status()[0]["program"]["current"] is True
    assert rig.status()[0]["generation"] == 1 and second["config"]["changed"] is False


def test_older_program_with_too_small_maps_gets_new_ones(rig: Rig) -> None:
    rig.attach("-c", rig.config(limits={**FEW_FLOWS, "servers": 2}))
    maps = map_ids(rig)
    mark = next(pin for pin in rig.pins() if "/driver/build-" in pin)
    rig.sh("mv", mark, f"{PINS}/{IFACE}/driver/build-0")
    row = tier_row(rig.attach("-c", rig.config()), "driver")
    assert row["outcome"] == "replaced"
    assert set(map_ids(rig).values()).isdisjoint(maps.values())
    assert rig.status()[0]["config"]["servers"] == 1


def test_reload_makes_everything_new(rig: Rig) -> None:
    config = rig.config()
    first = tier_row(rig.attach("-c", config), "driver")
    maps = map_ids(rig)
    second = tier_row(rig.attach("-c", config, "--reload"), "driver")
    assert second["outcome"] == "replaced" and second["program_id"] != first["program_id"]
    assert set(map_ids(rig).values()).isdisjoint(maps.values())
    assert rig.status()[0]["config"] == {"vips": 1, "pools": 1, "servers": 1, "unresolved": 0}
    assert [program.name for program in rig.tcx(tcx.INGRESS)] == ["shunt_stack"]
    assert [program.name for program in rig.tcx(tcx.EGRESS)] == ["shunt_return"]


def test_file_that_outgrows_the_maps(rig: Rig) -> None:
    rig.attach("-c", rig.config(limits={**FEW_FLOWS, "servers": 1}))
    servers = [{"name": f"web-{k}", "address": f"10.2.1.{k}"} for k in range(2, 40)]
    more = rig.config(pools=[{"name": "web", "servers": servers}], cid_configs=[])
    document = rig.attach("-c", more, status=1)
    assert document["error"]["code"] == "capacity"
    assert rig.status()[0]["config"]["servers"] == 1
    assert tier_row(rig.attach("-c", more, "--reload"), "driver")["outcome"] == "replaced"
    assert rig.status()[0]["config"]["servers"] == len(servers)


def test_sharing_is_done_or_refused_aloud(rig: Rig) -> None:
    config = rig.config(interfaces=[{"name": IFACE, "sharing": "dispatcher"}])
    before = rig.traces()
    done = rig.loader("attach", IFACE, "-c", config)
    listed, = rig.status()
    if listed["mode"] == "direct":
        assert "freplace" in done.stderr
        assert rig.programs()["driver"][1] == "shunt_driver"
    else:
        assert rig.programs()["driver"][1] == "xdp_dispatcher"
    assert listed["config"]["servers"] == 1
    assert tier_row(rig.attach("-c", config), "driver")["outcome"] == "adopted"
    assert tier_row(rig.attach("-c", config, "--reload"), "driver")["outcome"] == "replaced"
    rig.loader("detach", IFACE)
    assert rig.traces() == before


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
def test_foreign_program_is_left_alone(rig: Rig, mode: Any) -> None:
    attach_xdp(rig.node, IFACE, pass_object(), mode=mode)
    before = rig.traces()
    (where, (number, name)), = rig.programs().items()
    document, probe = rig.attach(status=3), rig.loader.json("probe", IFACE, check=False)
    for tier in ("driver", "generic"):
        assert code(document, tier) == code(probe, tier) == (
            "busy-foreign-program" if tier == where else "busy-other-mode")
        assert tier_row(document, tier)["reason"]["hint"] == (
            f"ip link set {IFACE} {mode} off, or loader attach --replace {IFACE}")
        assert f"{where}: program id {number} {name}" in tier_row(document, tier)["reason"]["what"]
    assert rig.traces() == before
    assert rig.loader("detach", IFACE, check=False).returncode == 7
    assert rig.traces() == before


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_replace_takes_the_foreign_place(rig: Rig, mode: Any, tier: str) -> None:
    attach_xdp(rig.node, IFACE, pass_object(), mode=mode)
    row = tier_row(rig.attach("-t", tier, "--replace"), tier)
    assert rig.programs() == {tier: (row["program_id"], f"shunt_{tier}")}


def test_failed_replace_puts_the_foreign_program_back(rig: Rig) -> None:
    rig.node.ip(f"link set {PEER} mtu 9000", f"link set {IFACE} mtu 9000")
    attach_xdp(rig.node, IFACE, pass_object(), mode="xdpgeneric")
    before = rig.traces()
    document = rig.attach("-t", "driver", "--replace", status=3)
    assert document["error"]["code"] == "mtu"
    assert rig.traces() == before
