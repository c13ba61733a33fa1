# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which tier an attach takes, and what it says of those it could not."""

from __future__ import annotations

import json
import subprocess

import pytest

from hwtests.attach.rig import IFACE, PEER, Rig, code, tier_row


def test_walks_down_and_says_why(rig: Rig) -> None:
    document = rig.attach()
    assert document["schema"] == "shunt/attach/1"
    assert [row["tier"] for row in document["tiers"]] == ["offload", "driver"]
    assert code(document, "offload") == "no-offload-device"
    assert tier_row(document, "offload")["reason"]["errno"] == "EINVAL"
    assert document["attached"] == ["driver"]
    row = tier_row(document, "driver")
    assert row["outcome"] == "new" and row["mode"] == "direct" and row["stack"] is True
    assert rig.programs() == {"driver": (row["program_id"], "shunt_driver")}


def test_lines_are_aligned(rig: Rig) -> None:
    lines = rig.loader("attach", IFACE).stdout.splitlines()
    assert lines[0].split() == ["tier", "usable", "code", "why"]
    why = lines[0].index("why")
    assert [line[:why].split() for line in lines if line[0] != " "][1:3] == [
        ["offload", "no", "no-offload-device"], ["driver", "yes"]]
    assert all(len(line) <= why or line[why - 1] == " " for line in lines[1:3])


def test_offload_reason_of_a_device_without_xdp(rig: Rig) -> None:
    try:
        document = rig.attach(interface="lo")
        assert code(document, "offload") == "no-ndo-bpf"
        assert code(document, "driver") == "no-native"
        assert "native mode" in tier_row(document, "driver")["reason"]["kernel"]
        assert document["attached"] == ["generic"]
    finally:
        rig.loader("detach", "lo")


@pytest.mark.parametrize("option", ["-t", "--require"])
def test_a_tier_that_cannot_be_had(rig: Rig, option: str) -> None:
    before = rig.traces()
    document = rig.attach(option, "offload", status=3)
    assert document["attached"] == [] and document["exit"] == 3
    assert document["error"]["code"] == "no-offload-device"
    done = rig.loader("attach", IFACE, option, "offload", check=False)
    assert done.returncode == 3 and "no offload engine" in done.stderr
    assert rig.traces() == before


@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_only_the_tier_asked_for(rig: Rig, tier: str) -> None:
    document = rig.attach("-t", tier)
    assert [row["tier"] for row in document["tiers"]] == [tier]
    assert list(rig.programs()) == [tier]


def test_mtu_refusal_falls_to_generic_visibly(rig: Rig) -> None:
    rig.node.ip(f"link set {PEER} mtu 9000", f"link set {IFACE} mtu 9000")
    before = rig.traces()
    for option in ("-t", "--require"):
        document = rig.attach(option, "driver", status=3)
        assert document["error"]["code"] == "mtu"
        assert rig.traces() == before
    document = rig.attach()
    assert code(document, "driver") == "mtu"
    assert "MTU" in tier_row(document, "driver")["reason"]["kernel"]
    assert document["attached"] == ["generic"] and list(rig.programs()) == ["generic"]
    # The better tier stays out of reach as long as the lower one is there.
    assert rig.attach("--require", "driver", status=3)["error"]["code"] == "busy-other-tier"


def test_the_file_says_how(rig: Rig) -> None:
    config = rig.config(interfaces=[{"name": IFACE, "tier": "generic"}])
    assert rig.attach("-c", config)["attached"] == ["generic"]
    rig.loader("detach", IFACE)
    assert rig.attach("-c", config, "-t", "auto")["attached"] == ["driver"]
    rig.loader("detach", IFACE)
    config = rig.config(interfaces=[{"name": IFACE, "require": "offload"}])
    assert rig.attach("-c", config, status=3)["attached"] == []


def test_floor_above_the_tier_asked_for(rig: Rig) -> None:
    document = rig.attach("-t", "generic", "--require", "driver", status=2)
    assert "below" in document["error"]["what"]


def test_dry_run_changes_nothing(rig: Rig) -> None:
    before = rig.traces()
    document = rig.attach("--dry-run", "-c", rig.config())
    assert document["attached"] == ["driver"] and document["dry_run"] is True
    assert rig.attach("--dry-run", "-t", "offload", status=3)["attached"] == []
    assert rig.traces() == before


def test_bad_file_changes_nothing(rig: Rig) -> None:
    before = rig.traces()
    config = rig.config(vips=[{"name": "www", "address": "203.0.113.80", "port": 4433,
                               "pool": "nowhere"}])
    document = rig.attach("-c", config, status=6)
    assert document["error"]["code"] == "config"
    assert rig.traces() == before


def test_no_such_interface(rig: Rig) -> None:
    for command in ("attach", "detach", "status"):
        for name in ("nosuch0", "a-name-that-no-interface-can-have"):
            document = json.loads(rig.loader(command, name, "--json", check=False).stdout)
            assert document["error"]["code"] == "no-interface" and document["exit"] == 5
    assert rig.pins() == []


@pytest.mark.parametrize("dropped,named", [
    ("-net_admin", "CAP_NET_ADMIN"), ("-bpf,-sys_admin", "CAP_BPF"),
    ("-perfmon,-sys_admin", "CAP_PERFMON"), ("-all", "CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON")])
def test_no_permission(rig: Rig, dropped: str, named: str) -> None:
    def without(*args: str) -> subprocess.CompletedProcess[str]:
        return rig.node.run(["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}",
                             rig.loader.path, *args], check=False)

    for args in (["attach", IFACE], ["detach", IFACE], ["status"]):
        done = without(*args)
        assert done.returncode == 4 and named in done.stderr
    assert rig.programs() == {} and rig.pins() == []


def test_no_more_rights_than_it_says(rig: Rig) -> None:
    held = "-all,+net_admin,+bpf,+perfmon"
    for args in (["attach", IFACE], ["attach", IFACE, "--reload"], ["status"], ["detach", IFACE]):
        rig.node.run(["setpriv", f"--bounding-set={held}", f"--inh-caps={held}",
                      rig.loader.path, *args])
    assert rig.programs() == {} and rig.pins() == []


def test_no_bpffs(rig: Rig) -> None:
    rig.sh("umount", "/sys/fs/bpf")
    try:
        done = rig.loader("attach", IFACE, check=False)
        assert done.returncode == 5 and "mount -t bpf bpf /sys/fs/bpf" in done.stderr
        assert rig.loader("status", check=False).returncode == 7
        assert rig.programs() == {}
    finally:
        rig.sh("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
