# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is left of an attachment: after detach nothing, after a crash what the next run takes up."""

from __future__ import annotations

import subprocess

import pytest

from hwtests.attach.rig import IFACE, PEER, PINS, Rig, tier_row


def test_detach_leaves_the_interface_as_found(rig: Rig) -> None:
    before = rig.traces()
    rig.attach("-c", rig.config())
    assert [program.name for program in rig.tcx()] == ["shunt_stack"]
    assert rig.loader("detach", IFACE).stdout == f"{IFACE}: driver detached\n"
    assert rig.traces() == before
    assert rig.loader("detach", IFACE, check=False).returncode == 7


def test_detach_leaves_no_folder_behind(rig: Rig) -> None:
    """Also where several change something at once: the folder is what they lock."""
    node = rig.node
    names = ["a0", "b0"]
    node.ip(*(f"link add {name} type veth peer name {name}p" for name in names))
    loops = [node.popen(["sh", "-ec", f"for i in 1 2 3 4 5 6; do {rig.loader.path} attach {name} "
                         f"-t generic -q; {rig.loader.path} detach {name} -q; done"],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for name in names]
    for loop in loops:
        said, _ = loop.communicate(timeout=60)
        assert (loop.returncode, said) == (0, "")
    assert rig.sh("find", "/sys/fs/bpf", "-name", "shunt") == ""


def test_quiet_says_nothing_but_errors(rig: Rig) -> None:
    for words in (["attach", "-c", rig.config(), "-q"], ["detach", "--quiet"]):
        done = rig.loader(*words, IFACE)
        assert (done.stdout, done.stderr) == ("", "")
    done = rig.loader("detach", IFACE, "-q", check=False)
    assert done.returncode == 7 and done.stdout == "" and done.stderr.count("\n") == 1
    assert rig.loader("probe", IFACE, "-q").stdout, "what was asked for is told all the same"


def test_detach_all_and_by_tier(rig: Rig) -> None:
    rig.attach()
    rig.attach("-t", "generic", interface="lo")
    assert rig.loader("detach", IFACE, "-t", "generic", check=False).returncode == 7
    assert {(a["interface"], a["tier"]) for a in rig.status()} == {
        (IFACE, "driver"), ("lo", "generic")}
    document = rig.loader.json("detach", "--all")
    assert document["schema"] == "shunt/detach/1"
    assert {(d["interface"], d["tier"]) for d in document["detached"]} == {
        (IFACE, "driver"), ("lo", "generic")}
    assert rig.status() == [] and rig.pins() == []


def test_names_with_dots(rig: Rig) -> None:
    """bpffs takes no dot in a name; VLAN interfaces usually have one."""
    name = f"{IFACE}.5"
    rig.node.ip(f"link add {name} type veth peer name {PEER}.5")
    try:
        rig.attach(interface=name)
        assert [a["interface"] for a in rig.status()] == [name]
        assert rig.loader("detach", "--all").stdout == f"{name}: driver detached\n"
        assert rig.pins() == []
    finally:
        rig.node.ip(f"link del {name}")


def test_device_removed_and_made_again(rig: Rig) -> None:
    rig.attach()
    rig.node.ip(f"link del {IFACE}")
    assert rig.status() == []
    rig.add_interface()
    assert rig.status() == []
    done = rig.loader("attach", IFACE)
    assert "not attached any more" in done.stderr
    assert list(rig.programs()) == ["driver"]
    rig.node.ip(f"link del {IFACE}")
    done = rig.loader("detach", IFACE, check=False)
    assert done.returncode == 5 and "no such interface" in done.stderr
    assert rig.pins() == []


def test_detach_all_removes_pins_of_devices_that_are_gone(rig: Rig) -> None:
    rig.attach()
    rig.node.ip(f"link del {IFACE}")
    done = rig.loader("detach", "--all", check=False)
    assert done.returncode == 7 and f"{PINS}/{IFACE}/driver" in done.stderr
    assert rig.pins() == []


def test_program_taken_off_behind_our_back(rig: Rig) -> None:
    before = rig.traces()
    rig.attach()
    rig.sh("ip", "link", "set", "dev", IFACE, "xdpdrv", "off")
    assert rig.status() == []
    rig.loader("detach", IFACE, check=False)
    assert rig.traces() == before


def test_change_broken_off_before_the_swap(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    rig.sh("mkdir", f"{PINS}/{IFACE}/new-driver")
    assert rig.status()[0]["program"]["id"] == first["program_id"]
    row = tier_row(rig.attach(), "driver")
    assert (row["outcome"], row["program_id"]) == ("adopted", first["program_id"])
    assert not any("new-driver" in pin for pin in rig.pins())


def test_change_broken_off_after_the_swap(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    rig.sh("mv", f"{PINS}/{IFACE}/driver", f"{PINS}/{IFACE}/new-driver")
    assert rig.status()[0]["program"]["id"] == first["program_id"]
    row = tier_row(rig.attach(), "driver")
    assert (row["outcome"], row["program_id"]) == ("adopted", first["program_id"])
    assert f"{PINS}/{IFACE}/driver/prog" in rig.pins()


@pytest.mark.parametrize("reload", [False, True])
def test_killed_anywhere(rig: Rig, reload: bool) -> None:
    """Whatever moment SIGKILL strikes at, the next loader gets along with what is left."""
    before = rig.traces()
    config = rig.config()
    if reload:
        rig.attach("-c", config)
    killed = 0
    for step in range(12):
        args = ["attach", IFACE, "-c", config, *(["--reload"] if reload else [])]
        done = rig.node.run(["timeout", "-s", "KILL", f"{0.005 + 0.009 * step:.3f}",
                             rig.loader.path, *args], check=False)
        killed += done.returncode != 0
        rig.attach("-c", config)
        assert rig.status()[0]["config"]["servers"] == 1
        assert len(rig.programs()) == 1
        if not reload:
            rig.loader("detach", IFACE)
            assert rig.traces() == before
    assert killed
    if reload:
        rig.loader("detach", IFACE)
        assert rig.traces() == before
