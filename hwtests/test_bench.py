# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The bench runs, its packets go the way each case is named for, and no algorithm has become many
times dearer than another. Never an absolute time: those are for make bench to show."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from hwtests.lab.bed import built

#: Median of a few short rounds on a machine that does other things: far above what is ever seen.
GENEROUS = 4.0
#: Of the frames that the bare program does: a balancer does half of them, AES a fourth.
FAR_BELOW_ONE = 1 / GENEROUS

Document = dict[str, Any]


def run(*options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([built("bench"), *options], capture_output=True, text=True, timeout=240,
                          **more)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Tiny rounds. The bench itself ends in failure when a packet was counted under another reason
    than its case's, or came out otherwise than from the program alone."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    chart = path.with_suffix(".svg")
    done = run("--quick", "--rounds", "3", "--packets", "20000", "--veth", "--control",
               "--json", str(path),
               "--svg", str(chart))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "noise:" in done.stdout
    loaded: Document = json.loads(path.read_text())
    loaded["chart"] = chart.read_text()
    return loaded


@pytest.fixture(scope="module")
def every_street(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """One tiny round of all that takes the balancer's place, those included that are left out of a
    quick run."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    done = run("--only", "not UDP", "--rounds", "1", "--packets", "20000", "--veth",
               "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    loaded: Document = json.loads(path.read_text())
    return loaded


def net(document: Document, routed_by: str, connections: int = 1, tier: str = "driver",
        mode: str = "ipip/4", ip_version: int = 4) -> float:
    wanted = {"routed_by": routed_by, "connections": connections, "tier": tier, "mode": mode,
              "ip_version": ip_version}
    found = [case for case in document["cases"] if wanted.items() <= case.items()]
    assert len(found) == 1, wanted
    median: float = found[0]["net_ns"]["median"]
    return median


def test_says_what_it_was_measured_on(document: Document) -> None:
    assert document["schema"] == "shunt/bench/2"
    assert document["kernel"].split()[0] == os.uname().release
    assert "clang" in document["compiler"]
    assert document["rounds"] == 3 and document["servers"] == 1024
    for figure in (document["noise_ns"], *(case["net_ns"] for case in document["cases"])):
        assert figure["p10"] <= figure["median"] <= figure["p90"]


def test_the_chart_shows_the_figures(document: Document) -> None:
    picture = ElementTree.fromstring(document["chart"])
    texts = [element.text or "" for element in picture.iter() if element.tag.endswith("text")]
    shown = f'{net(document, "clear"):.0f}'
    assert "clear, driver, ipip/4, v4" in texts
    assert texts[texts.index("clear, driver, ipip/4, v4") + 1] == shown
    assert any(text.startswith("Through veth") for text in texts)


def test_every_tier_and_mode_is_there(document: Document) -> None:
    cases = document["cases"]
    assert {case["tier"] for case in cases} == {
        "driver", "generic", "offload", "tc in", "tc out"}
    assert {(case["mode"], case["ip_version"]) for case in cases} == {
        ("ipip/4", 4), ("ipip/4", 6), ("ipip/6", 6), ("l2dsr", 4), ("l2dsr", 6),
        ("gue/4", 4), ("gue/6", 6), ("nat/4", 4), ("nat/6", 6)}
    assert {case["routed_by"] for case in cases} == {
        "clear", "single pass", "three encrypts", "four encrypts", "hash fallback",
        "not for a VIP", "not UDP", "tracked flow", "tracked, by DCID", "spoofed, untracked",
        "spoofed, no budget", "spoofed, remembered", "for a VIP, unread", "answer of nat",
        "single pass, cached", "three encr., cached"}
    assert all(case["gross_ns"]["median"] > 0 for case in cases)


def test_ciphers_cost_what_their_blocks_do(document: Document) -> None:
    clear = net(document, "clear")
    assert net(document, "not for a VIP") < clear * GENEROUS / 2
    assert net(document, "single pass") < clear * GENEROUS
    assert net(document, "three encrypts") < net(document, "single pass") * GENEROUS
    assert net(document, "four encrypts") < net(document, "three encrypts") * GENEROUS / 2


def test_what_was_decoded_lately_needs_no_cipher(document: Document) -> None:
    for plain, cached in (("single pass", "single pass, cached"),
                          ("three encrypts", "three encr., cached")):
        assert net(document, cached) < net(document, plain)
        # More than the cache holds: it rests, and that is nearly as if it were not there.
        assert net(document, cached, 512000) < net(document, plain, 512000) * GENEROUS / 2


def test_connections_do_not_count(document: Document) -> None:
    """A connection that decodes has no state: only the servers' tables leave the first cache."""
    for routed_by in ("clear", "single pass", "three encrypts", "four encrypts"):
        assert net(document, routed_by, 512000) < net(document, routed_by, 1) * GENEROUS


def test_a_flood_costs_little_more_than_without_tracking(document: Document) -> None:
    """What is new and over the budget finds out without a look-up in conn_track."""
    flood, stateless = net(document, "spoofed, no budget"), net(document, "spoofed, untracked")
    assert flood < stateless * GENEROUS * 2
    assert flood < net(document, "spoofed, remembered")


def test_generic_runs_the_same_text(document: Document) -> None:
    for routed_by in ("clear", "three encrypts"):
        assert net(document, routed_by, tier="generic") < net(document, routed_by) * GENEROUS / 2


def through_veth(document: Document, program: str, tier: str = "driver", mode: str | None = None,
                 connections: int = 1000, cores: int = 1) -> dict[str, Any]:
    """The case of live frames."""
    wanted = {"program": program, "tier": tier, "mode": mode, "connections": connections,
              "cores": cores}
    found = [case for case in document["veth"]["cases"] if wanted.items() <= case.items()]
    assert len(found) == 1, wanted
    case: dict[str, Any] = found[0]
    return case


def ratio(document: Document, program: str, tier: str = "driver", mode: str | None = None,
          connections: int = 1000, cores: int = 1) -> float:
    """How many times as many frames as the case it is compared with."""
    case = through_veth(document, program, tier, mode, connections, cores)
    median: float = case["ratio"]["median"]
    return median


def test_live_frames_go_through(document: Document) -> None:
    """Ratios only. The bench has already failed if frames did not come back or went another way."""
    for mode in ("ipip/4", "l2dsr", "nat/4"):
        assert ratio(document, "clear", "driver", mode) > FAR_BELOW_ONE
    assert ratio(document, "clear", "generic", "ipip/4") > FAR_BELOW_ONE
    assert ratio(document, "three encrypts", "driver", "ipip/4") > FAR_BELOW_ONE / 2
    assert ratio(document, "spoofed, no budget", "driver", "ipip/4") > FAR_BELOW_ONE / 2
    assert ratio(document, "XDP_DROP") > 0.8
    assert ratio(document, "ip_forward", "kernel") > 1
    if len(os.sched_getaffinity(0)) > 1:
        assert ratio(document, "clear", "driver", "ipip/4", cores=2) > 1


def test_floors_are_below_what_stands_on_them(document: Document) -> None:
    for floor in ("bare, and counts", "bare, and wraps"):
        assert FAR_BELOW_ONE < ratio(document, floor) < GENEROUS / 2
        assert (through_veth(document, floor)["ns"]["median"]
                < through_veth(document, "three encrypts", "driver", "ipip/4")["ns"]["median"])


def test_processes_take_the_balancers_place(document: Document) -> None:
    """nginx comes with the packages of the tests; each frame costs it a system call or more."""
    for program, tier, mode in (("clear", "userspace", "ipip/4"),
                                ("nginx UDP proxy", "process", None)):
        assert through_veth(document, program, tier, mode)["lost"]["median"] < 0.5
        assert ratio(document, program, tier, mode) > 2


def test_what_is_left_out_when_it_has_to_be_quick(document: Document, every_street: Document
                                                  ) -> None:
    def cases(of: Document) -> set[tuple[Any, ...]]:
        return {(case["program"], case["tier"], case["mode"], case["connections"], case["cores"])
                for case in of["veth"]["cases"]}
    more = cases(every_street) - cases(document)
    assert cases(document) < cases(every_street)
    assert more >= {("clear", "driver", "ipip/4", 64000, 1), ("clear", "generic", "l2dsr", 1000, 1),
                    ("clear", "generic", "nat/4", 1000, 1),
                    ("hash fallback", "driver", "ipip/4", 1000, 1),
                    ("spoofed, no budget", "driver", "ipip/4", 64000, 1)}
    assert ratio(every_street, "three encrypts", "generic", "ipip/4") > FAR_BELOW_ONE / 2
    assert ratio(every_street, "clear", "driver", "ipip/4", connections=64000) > FAR_BELOW_ONE
    assert ratio(every_street, "hash fallback", "driver", "ipip/4") > FAR_BELOW_ONE


def test_times_belong_together(every_street: Document) -> None:
    """Of a single round. On the clock nothing can be faster than by CPU time: or that missed what
    softirqs take, as it does where the kernel accounts for them elsewhere."""
    bare = {tier: through_veth(every_street, "bare XDP_TX", tier)["ns"]["median"]
            for tier in ("driver", "generic")}
    for case in every_street["veth"]["cases"]:
        ns = case["ns"]["median"]
        assert case["mpps"]["median"] * ns == pytest.approx(1000 * case["cores"], rel=0.05)
        assert case["above_bare_ns"]["median"] == pytest.approx(
            ns - bare.get(case["tier"], bare["driver"]), abs=0.01, rel=1e-4)
        assert case["clock_mpps"]["median"] < 1.1 * case["mpps"]["median"], case


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """A machine without nginx: in its place is a file that nobody can execute."""
    path = tmp_path / "bench.json"
    hide = "mount --bind /dev/null /usr/sbin/nginx && exec \"$@\""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", built("bench"), "--quick", "--only",
         "not UDP", "--rounds", "1", "--packets", "2000", "--veth", "--json", str(path)],
        capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and done.stderr == ""
    line, = (line for line in done.stdout.splitlines() if line.startswith("nginx"))
    assert line.endswith("not here")
    programs = {case["program"] for case in json.loads(path.read_text())["veth"]["cases"]}
    assert "clear" in programs and "nginx UDP proxy" not in programs


def test_maps_are_as_small_as_promised(document: Document) -> None:
    """Octets do not depend on what else the machine does; times are for make bench to show."""
    figures = {figure["what"]: figure["value"] for figure in document["control"]["figures"]}
    assert figures["all maps of a tier, default limits, 1000000 flows"] < 160
    assert figures["all maps of a tier, default limits, 0 flows"] < 16
    assert all(value > 0 for value in figures.values())


def test_aims_say_whether_they_are_reached(document: Document) -> None:
    assert len(document["aims"]) > 10
    for aim in document["aims"]:
        reached = (aim["got"] >= aim["at_least"] if "at_least" in aim
                   else aim["got"] <= aim["at_most"])
        assert reached is aim["reached"], aim


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    for options in (["--rounds", "0"], ["--packets", "x"], ["--fast"], ["word"]):
        assert run(*options).returncode == 2
    done = run("--only", "no such case")
    assert done.returncode == 1 and "no such case" in done.stderr
    done = run("--only", "VIP", "--rounds", "1", "--packets", "100", "--json",
               str(tmp_path / "none" / "bench.json"))
    assert done.returncode == 1 and "No such file" in done.stderr


def test_without_root_it_says_what_to_do() -> None:
    done = run(user=65534, group=65534, extra_groups=[])
    assert done.returncode == 4
    assert done.stderr.splitlines() == ["bench: root is needed, for BPF programs: sudo make bench"]
