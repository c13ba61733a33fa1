# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""``loader probe``: every verdict it can come to on this machine, and that it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any, Iterator, Sequence

import pytest

from hwtests.lab.bed import attach_xdp, built, pass_object
from hwtests.lab.netns import Cell, Node

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")

TIERS = ["offload", "driver", "generic", "userspace"]
PEER_MTU_SENTENCE = "veth: Peer MTU is too large to set XDP"


class Probe:
    """Two hosts joined by a veth, ``near`` here and ``far`` there, and the loader on the first."""

    def __init__(self, cell: Cell) -> None:
        self.here = Node(cell, "here")
        self.there = Node(cell, "there")
        self.link("near", "far")

    def link(self, near: str, far: str, near_options: str = "", far_options: str = "") -> None:
        self.here.ip(f"link add {near} {near_options} type veth peer name {far} {far_options} "
                     f"netns {self.there.inner_pid}", f"link set {near} up")
        self.there.ip(f"link set {far} up")

    def run(self, *args: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        return self.here.run([*under, built("loader"), "probe", *args], check=False)

    def json(self, *args: str, under: Sequence[str] = (), status: int = 0) -> Any:
        done = self.run(*args, "--json", under=under)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def attached(self, name: str = "near") -> Any:
        """What the kernel itself says about the hook."""
        return json.loads(self.here.run(["ip", "-j", "link", "show", name]).stdout)[0].get("xdp")

    def set_mtu(self, near: int, far: int) -> None:
        self.here.ip(f"link set near mtu {near}")
        self.there.ip(f"link set far mtu {far}")

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    with Cell("127.0.0.1 localhost\n") as made:
        yield made


@pytest.fixture
def probe(cell: Cell) -> Iterator[Probe]:
    made = Probe(cell)
    try:
        yield made
    finally:
        made.close()


def tiers(document: Any) -> dict[str, Any]:
    assert [tier["tier"] for tier in document["tiers"]] == TIERS
    return {tier["tier"]: tier for tier in document["tiers"]}


def verdicts(document: Any) -> dict[str, tuple[str, str | None]]:
    """Tier to verdict and reason code."""
    return {name: (tier["usable"], tier["reason"] and tier["reason"]["code"])
            for name, tier in tiers(document).items()}


def warnings(document: Any) -> set[str]:
    return {warning["code"] for warning in document["warnings"]}


def without(*capabilities: str) -> list[str]:
    """A command that runs another one as root less these capabilities."""
    return ["setpriv", "--bounding-set", ",".join(f"-{name}" for name in capabilities)]


# What devices can do ---------------------------------------------------------------------------

def test_lo_has_no_xdp_hook_but_generic(probe: Probe) -> None:
    found = probe.json("lo")
    assert verdicts(found) == {"offload": ("no", "no-ndo-bpf"), "driver": ("no", "no-ndo-bpf"),
                               "generic": ("yes", None), "userspace": ("yes", None)}
    assert tiers(found)["offload"]["reason"]["errno"] == "EOPNOTSUPP"
    assert found["choice"] == ["generic"]


def test_veth_has_no_offload_engine(probe: Probe) -> None:
    reason = tiers(probe.json("near"))["offload"]["reason"]
    assert reason["code"] == "no-offload-device"
    assert (reason["stage"], reason["errno"]) == ("prog-load-dev", "EINVAL")
    assert "veth" in reason["text"]


def test_veth_untried(probe: Probe) -> None:
    found = probe.json("near")
    known = found["interface"]["xdp_features"] is not None
    assert verdicts(found)["driver"] == (("yes", None) if known else ("unknown", "untried"))
    assert found["choice"] == (["driver"] if known else ["generic"])
    assert found["trial"] is False


def test_veth_tried_leaves_nothing_behind(probe: Probe) -> None:
    found = probe.json("near", "--trial")
    assert verdicts(found)["driver"] == verdicts(found)["generic"] == ("yes", None)
    assert found["choice"] == ["driver"]
    assert found["trial"] is True
    assert probe.attached() is None


def test_mtu_too_large_is_known_without_trying(probe: Probe) -> None:
    probe.set_mtu(1500, 9000)
    found = probe.json("near")
    assert verdicts(found)["driver"] == ("no", "mtu")
    assert "far" in tiers(found)["driver"]["reason"]["text"]
    assert found["choice"] == ["generic"]


def test_mtu_too_large_in_the_kernels_words(probe: Probe) -> None:
    probe.set_mtu(9000, 9000)
    reason = tiers(probe.json("near", "--trial"))["driver"]["reason"]
    assert reason == {"code": "mtu", "stage": "trial-attach", "errno": "ERANGE",
                      "kernel": PEER_MTU_SENTENCE, "what": "near, driver",
                      "text": "the MTU is too large for XDP",
                      "hint": "lower the MTU of near and of far to 3506 or less"}


def test_the_limit_given_for_the_mtu_is_the_kernels(probe: Probe) -> None:
    """Below what the facts alone refuse, the kernel may still refuse; above it, it always does."""
    probe.set_mtu(1500, 3507)
    assert verdicts(probe.json("near"))["driver"] == ("no", "mtu")
    assert verdicts(probe.json("near", "--trial"))["driver"] == ("no", "mtu")


@pytest.mark.parametrize("options", [[], ["--trial"]], ids=["untried", "tried"])
def test_too_few_queues(probe: Probe, options: list[str]) -> None:
    probe.link("narrow", "wide", "numrxqueues 1 numtxqueues 1", "numrxqueues 4 numtxqueues 4")
    found = probe.json("narrow", *options)
    if found["interface"]["xdp_features"] is None and not options:
        pytest.skip("this kernel does not tell a device's XDP features")
    assert verdicts(found)["driver"] == ("no", "queues")
    assert "wide" in tiers(found)["driver"]["reason"]["hint"]


# What is attached ------------------------------------------------------------------------------

def test_foreign_program_in_generic_mode(probe: Probe) -> None:
    attach_xdp(probe.here, "near", pass_object(), mode="xdpgeneric")
    found = probe.json("near", status=3)
    assert verdicts(found)["driver"] == ("no", "busy-other-mode")
    assert verdicts(found)["generic"] == ("no", "busy-foreign-program")
    assert found["choice"] == []
    shown = probe.run("near").stdout.splitlines()
    codes = {line.index("  " + code) for code in ("busy-other-mode", "busy-foreign-program",
                                                  "no-offload-device")
             for line in shown if line.endswith("  " + code)}
    assert len(codes) == 1, "codes stand in one column, however long the sentence before them"
    (program,) = found["attached"]
    assert (program["tier"], program["name"], program["ours"]) == ("generic", "xdp_pass", False)
    text = tiers(found)["generic"]["reason"]["text"]
    assert "xdp_pass" in text and str(program["program"]) in text


def test_foreign_program_in_driver_mode_stays(probe: Probe) -> None:
    attach_xdp(probe.here, "near", pass_object())
    before = probe.attached()
    found = probe.json("near", "--trial", status=3)
    assert verdicts(found)["driver"] == ("no", "busy-foreign-program")
    assert verdicts(found)["generic"] == ("no", "busy-other-mode")
    assert probe.attached() == before


def test_own_program(probe: Probe) -> None:
    attach_xdp(probe.here, "near", built("bpf/driver.bpf.o"))
    found = probe.json("near", "--trial")
    assert verdicts(found)["driver"] == ("yes", None)
    assert verdicts(found)["generic"] == ("no", "busy-other-tier")
    assert found["choice"] == ["driver"]
    assert found["attached"][0]["ours"] is True


def test_whose_a_program_is_takes_a_right(probe: Probe) -> None:
    attach_xdp(probe.here, "near", pass_object())
    found = probe.json("near", under=without("sys_admin"), status=4)
    assert verdicts(found)["driver"] == ("unknown", "no-permission")
    assert found["attached"][0]["ours"] is None


# Rights and names ------------------------------------------------------------------------------

@pytest.mark.parametrize(("dropped", "named"), [
    (["bpf", "sys_admin"], "CAP_BPF"),
    (["net_admin"], "CAP_NET_ADMIN"),
])
def test_missing_capability_is_named(probe: Probe, dropped: list[str], named: str) -> None:
    found = probe.json("near", under=without(*dropped), status=4)
    assert set(verdicts(found).values()) == {("unknown", "no-permission")}
    for tier in found["tiers"]:
        assert named in tier["reason"]["text"]
        assert named in tier["reason"]["hint"]
    assert found["interface"]["driver"] == "veth"
    assert found["interface"]["mtu"] == 1500
    assert found["choice"] == []


def test_the_verifier_without_perfmon(probe: Probe) -> None:
    """It refuses the program for a pointer; what is missing is a right."""
    found = probe.json("near", under=without("perfmon", "sys_admin"), status=4)
    for name in ("driver", "generic"):
        assert verdicts(found)[name] == ("unknown", "no-permission")
        assert "CAP_PERFMON" in tiers(found)[name]["reason"]["text"]
    assert verdicts(found)["offload"] == ("no", "no-offload-device")


def test_missing_capability_is_one_line_on_stderr(probe: Probe) -> None:
    done = probe.run("near", under=without("bpf", "sys_admin"))
    assert done.returncode == 4
    assert done.stderr == ("shunt: near: cannot be told: CAP_BPF is missing; "
                           "run as root, or with CAP_BPF\n")


def test_nobody_still_sees_the_facts(probe: Probe) -> None:
    found = probe.json("near", under=["setpriv", "--reuid", "65534", "--regid", "65534",
                                      "--clear-groups", "--bounding-set", "-all"], status=4)
    assert found["interface"]["driver"] == "veth"
    assert {usable for usable, _ in verdicts(found).values()} == {"unknown"}


def test_root_of_a_user_namespace_is_not_enough(probe: Probe) -> None:
    found = probe.json("lo", under=["unshare", "--user", "--map-root-user", "--net"], status=4)
    assert {code for _, code in verdicts(found).values()} == {"no-permission"}
    assert "user namespace" in tiers(found)["driver"]["reason"]["text"]


def test_no_such_interface(probe: Probe) -> None:
    done = probe.run("nope")
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and "nope" in done.stderr
    error = probe.json("nope", status=5)["error"]
    assert (error["code"], error["errno"]) == ("no-interface", "ENODEV")


@pytest.mark.parametrize("name", ["", "sixteen-letters!", "a/b"])
def test_names_no_interface_can_have(probe: Probe, name: str) -> None:
    assert probe.json(name, status=5)["error"]["code"] == "no-interface"


# The command -----------------------------------------------------------------------------------

@pytest.mark.parametrize(("tier", "status"), [("generic", 0), ("skb", 0), ("offload", 3),
                                              ("hw", 3), ("fast", 2)])
def test_require(probe: Probe, tier: str, status: int) -> None:
    assert probe.run("near", "--require", tier).returncode == status


def test_required_tier_that_is_not_there_is_one_line(probe: Probe) -> None:
    probe.set_mtu(9000, 9000)
    done = probe.run("near", "--require", "driver", "--trial")
    assert done.returncode == 3
    assert done.stderr == ("shunt: near: driver: the MTU is too large for XDP; "
                           "lower the MTU of near and of far to 3506 or less\n")


def test_without_a_name_all_that_carry_ethernet(probe: Probe) -> None:
    def names(*args: str) -> set[str]:
        found = probe.json(*args)
        assert {entry["schema"] for entry in found["interfaces"]} == {"shunt/probe/1"}
        return {entry["interface"]["name"] for entry in found["interfaces"]}

    everything = {link["ifname"] for link in json.loads(
        probe.here.run(["ip", "-j", "link"]).stdout)}
    assert "near" in names() and "lo" not in names()
    assert names("--all") == everything


def test_a_name_and_all_exclude_each_other(probe: Probe) -> None:
    assert probe.run("near", "--all").returncode == 2


def test_probe_is_an_option_too(probe: Probe) -> None:
    done = probe.here.run([built("loader"), "--probe", "near", "--json"])
    assert json.loads(done.stdout) == probe.json("near")


def test_text(probe: Probe) -> None:
    probe.set_mtu(9000, 9000)
    lines = probe.run("near", "--trial").stdout.splitlines()
    assert lines[0].startswith("near      veth   mtu 9000   queues ")
    assert lines[0].endswith("link up")
    assert lines[1] == "attached  nothing"
    assert lines[3] == "tier      usable   why"
    assert lines[4].split()[:2] == ["offload", "no"]
    assert lines[4].endswith("  no-offload-device")
    driver = next(i for i, line in enumerate(lines) if line.startswith("driver "))
    assert lines[driver].endswith("  mtu")
    assert lines[driver + 1].strip() == f'kernel: "{PEER_MTU_SENTENCE}"'
    assert lines[driver + 2].strip() == "lower the MTU of near and of far to 3506 or less"
    assert "choice    generic   (loader attach near)" in lines


def test_json_shape(probe: Probe) -> None:
    found = probe.json("near")
    assert set(found) == {"schema", "interface", "attached", "tiers", "choice", "warnings",
                          "trial", "host", "kernel", "loader"}
    assert found["schema"] == "shunt/probe/1"
    assert (found["host"], found["kernel"]) == (os.uname().nodename, os.uname().release)
    version = probe.here.run([built("loader"), "version", "--json"]).stdout
    assert found["loader"] == json.loads(version)["version"]
    assert {"name", "ifindex", "driver", "bus", "firmware", "mtu", "queues"} <= set(
        found["interface"])
    assert set(found["interface"]["queues"]) == {"used", "max"}
    offload = tiers(found)["offload"]
    assert set(offload["reason"]) == {"code", "stage", "errno", "kernel", "what", "text", "hint"}
    assert offload["limits"] is None


def test_many_interfaces_cost_little_more_than_one(probe: Probe) -> None:
    """The host's verifier takes nearly all of the time, and is asked once a tier."""
    def fastest(*args: str) -> float:
        times = []
        for _ in range(4):
            start = time.monotonic()
            probe.json(*args)
            times.append(time.monotonic() - start)
        return min(times)

    for number in range(6):
        probe.link(f"near{number}", f"far{number}")
    assert fastest("--all") < 3 * fastest("near")


# Warnings --------------------------------------------------------------------------------------

def test_peer_without_a_program(probe: Probe) -> None:
    (warning,) = [w for w in probe.json("near")["warnings"] if w["code"] == "veth-peer"]
    assert "far" in warning["hint"]
    attach_xdp(probe.there, "far", pass_object())
    assert "veth-peer" not in warnings(probe.json("near"))


def test_vlan_tags_hidden_from_xdp(probe: Probe) -> None:
    assert "rx-vlan-offload" in warnings(probe.json("near"))
    probe.here.ethtool("near", rxvlan="off")
    assert "rx-vlan-offload" not in warnings(probe.json("near"))


def test_device_without_ethernet(probe: Probe) -> None:
    made = probe.here.run(["ip", "tuntap", "add", "tun0", "mode", "tun"], check=False)
    if made.returncode:
        pytest.skip(f"no tun device here: {made.stderr.strip()}")
    assert "not-ethernet" in warnings(probe.json("tun0"))


def test_no_bpf_file_system(probe: Probe) -> None:
    without_bpffs = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/bpf && exec "$@"', "sh"]
    assert "no-bpffs" in warnings(probe.json("near", under=without_bpffs))
    assert "no-bpffs" not in warnings(probe.json("near"))


def test_encapsulation_and_mtu(probe: Probe) -> None:
    config = probe.here.cell.dir / "probe.yaml"
    for mode in ("ipip", "gue", "l2dsr"):
        config.write_text(json.dumps({"version": 1, "forwarding": {"mode": mode}}))
        found = probe.json("near", "-c", str(config))
        told = [code for code in warnings(found) if code.startswith("mtu-")]
        assert told == ([f"mtu-{mode}"] if mode != "l2dsr" else [])
