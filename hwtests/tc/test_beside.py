# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The TC programs beside those of others, by TCX and by clsact: nobody's place is taken, nothing of
theirs is gone afterwards, and what an older build attached by clsact is taken over."""

from __future__ import annotations

from typing import Iterator

import pytest

from hwtests.attach.rig import IFACE, PINS, Rig, fresh_rig
from hwtests.lab import Bed, tcx
from hwtests.lab.bed import built

ENDS = {tcx.INGRESS: ("ingress", "shunt_stack"), tcx.EGRESS: ("egress", "shunt_return")}
each_end = pytest.mark.parametrize("end", ENDS, ids=["ingress", "egress"])


@pytest.fixture
def rig(bed: Bed) -> Iterator[Rig]:
    with fresh_rig(bed) as made:
        yield made


def names(rig: Rig, end: int) -> list[str]:
    return [program.name for program in rig.tcx(end)]


def add_filter(rig: Rig, end: int, preference: int = 7, *words: str) -> None:
    """Of somebody else, in a clsact qdisc that is there."""
    rig.sh("tc", "filter", "add", "dev", IFACE, ENDS[end][0], "pref", str(preference), *words,
           "bpf", "da", "obj", str(built("bpf/next.bpf.o")), "sec", "tc")


@each_end
def test_another_was_first(rig: Rig, end: int) -> None:
    with tcx.Other(rig.node, IFACE, end, built("bpf/next.bpf.o")):
        before = rig.traces()
        rig.attach()
        assert names(rig, end) == ["tc_next", ENDS[end][1]]
        rig.attach("--reload")
        assert names(rig, end) == ["tc_next", ENDS[end][1]]
        rig.loader("detach", IFACE)
        assert rig.traces() == before


@each_end
def test_another_came_later(rig: Rig, end: int) -> None:
    rig.attach()
    with tcx.Other(rig.node, IFACE, end, built("bpf/next.bpf.o")):
        assert names(rig, end) == [ENDS[end][1], "tc_next"]
        rig.attach("--reload")
        assert names(rig, end) == [ENDS[end][1], "tc_next"]
        rig.loader("detach", IFACE)
        assert names(rig, end) == ["tc_next"] and rig.pins() == []


@each_end
@pytest.mark.parametrize("filters", [False, True], ids=["empty", "filter"])
def test_clsact_of_somebody_else_stays(rig: Rig, end: int, filters: bool) -> None:
    rig.sh("tc", "qdisc", "add", "dev", IFACE, "clsact")
    if filters:
        add_filter(rig, end)
    before = rig.traces()
    rig.attach()
    assert names(rig, end) == [ENDS[end][1]]
    rig.attach("--reload")
    rig.loader("detach", IFACE)
    assert rig.traces() == before


@each_end
def test_clsact_that_came_later_stays(rig: Rig, end: int) -> None:
    rig.attach()
    rig.sh("tc", "qdisc", "add", "dev", IFACE, "clsact")
    add_filter(rig, end)
    rig.loader("detach", IFACE)
    assert "name tc_next" in rig.sh("tc", "filter", "show", "dev", IFACE, ENDS[end][0])
    assert names(rig, end) == [] and rig.pins() == []


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "beside-another"])
def test_clsact_of_an_older_build(rig: Rig, shared: bool) -> None:
    """It had one filter, at the ingress, in a qdisc that it made and marked."""
    rig.attach()
    number = rig.node.run(["cat", f"/sys/class/net/{IFACE}/ifindex"]).stdout.strip()
    rig.sh("rm", *(f"{PINS}/{IFACE}/tc/{pin}" for pin in (
        "link-ingress", "link-egress", "prog-egress", "hand_map")))
    rig.sh("mkdir", f"{PINS}/{IFACE}/tc/clsact-{number}")
    rig.sh("tc", "qdisc", "add", "dev", IFACE, "clsact")
    rig.sh("tc", "filter", "add", "dev", IFACE, "ingress", "pref", "443", "handle", "0x51554943",
           "bpf", "da", "object-pinned", f"{PINS}/{IFACE}/tc/prog")
    if shared:
        add_filter(rig, tcx.INGRESS)
    (listed,) = rig.status()
    assert (listed["stack"], listed["stack_mode"]) == (True, "clsact")
    rig.attach()
    (listed,) = rig.status()
    assert (listed["stack"], listed["stack_mode"]) == (True, "tcx")
    assert names(rig, tcx.INGRESS) == ["shunt_stack"]
    assert names(rig, tcx.EGRESS) == ["shunt_return"]
    left = rig.sh("tc", "filter", "show", "dev", IFACE, "ingress")
    assert "shunt_stack" not in left and ("tc_next" in left) is shared
    assert ("clsact" in rig.sh("tc", "qdisc", "show", "dev", IFACE)) is shared
    rig.loader("detach", IFACE)
    assert names(rig, tcx.INGRESS) == names(rig, tcx.EGRESS) == [] and rig.pins() == []
