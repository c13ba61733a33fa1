# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The loader on netdevsim, a device that takes any program and runs none: probe, attach, query,
swap and detach, alone and beside the host's tiers."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from hwtests.vm.guest.rig import (BUILD, CONFIG, SERVER_MAC, Device, Loader, Traces, in_bpf, pinned,
                                  run, tiers)

OFFLOAD, DRIVER, GENERIC = "shunt_offload", "shunt_driver", "shunt_generic"


def names(device: Device) -> dict[str, str]:
    """Which program is in which slot."""
    return {tier: name for tier, (_, name) in device.programs().items()}


def words(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Each line of a table with its blanks taken together."""
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_probe_loads_the_object(loader: Loader, device: Device) -> None:
    before = Traces.now()
    found = loader.probe("n0")
    row = tiers(found)["offload"]
    assert (row["usable"], row["note"]) == ("yes", "the program loads on the device")
    assert row["limits"]["maps"] == 12 and row["limits"]["insns"] > 500
    assert "driver" not in found["choice"] or found["interface"]["xdp_features"]
    assert found["choice"][0] == "offload" and found["interface"]["driver"] == "netdevsim"
    assert not found["trial"] and not found["attached"]
    assert Traces.now() == before and not device.bound()


def test_trial_attaches_and_leaves_nothing(loader: Loader, device: Device) -> None:
    before = Traces.now()
    found = loader.probe("n0", "--trial")
    assert {tier: (row["usable"], row["note"]) for tier, row in tiers(found).items()} == {
        "offload": ("yes", "tried: the program could be attached"),
        "driver": ("yes", "tried: a program could be attached"),
        "generic": ("yes", "tried: a program could be attached"),
        "userspace": ("yes", "where loader run serves it")}
    assert found["choice"] == ["offload", "driver"]
    assert Traces.now() == before and not device.bound() and not device.programs()


def test_probe_of_what_is_attached(loader: Loader, device: Device) -> None:
    loader.attach("n0")
    ids = {tier: number for tier, (number, _) in device.programs().items()}
    lines = words(loader("probe", "n0", "-c", str(loader.file)))
    assert f"offload yes attached: program {ids['offload']}" in lines
    assert f"driver yes attached: program {ids['driver']}" in lines
    assert "generic no shunt's driver tier is attached here busy-other-tier" in lines


def test_offload_alone(loader: Loader, device: Device) -> None:
    document = loader.attach("n0", "-t", "offload")
    assert document["attached"] == ["offload"]
    row = tiers(document)["offload"]
    assert (row["outcome"], row["mode"], row["stack"]) == ("new", "direct", False)
    assert names(device) == {"offload": OFFLOAD}
    assert device.offloaded() == row["program_id"] and device.bound() == [row["program_id"]]
    status = loader.status()
    assert list(status) == ["offload"] and status["offload"]["program"]["id"] == row["program_id"]
    bound = {entry["name"] for entry in status["offload"]["maps"]}
    assert {"sid_map", "row_map", "server_map", "reason_stats"} <= bound
    # The card's maps can be read back: what was written is what they hold.
    (shown,) = loader.json("show", "servers")["tiers"]
    (server,) = shown["servers"]
    assert (server["server"], server["next_hop"]) == ("web-1", f"{SERVER_MAC} n0")
    (counted,) = loader.json("stats", "n0")["tiers"]
    assert counted["tier"] == "offload" and counted["generation"] == 1, counted
    loader("detach", "n0")
    assert not device.programs() and not device.bound() and not in_bpf("map") and not pinned()


def test_auto_is_offload_and_driver(loader: Loader, device: Device) -> None:
    document = loader.attach("n0")
    assert document["attached"] == ["offload", "driver"]
    assert names(device) == {"offload": OFFLOAD, "driver": DRIVER}
    status = loader.status()
    assert list(status) == ["offload", "driver"]
    assert not status["offload"]["stack"] and status["driver"]["stack"]
    # The same file in two sets of maps.
    assert {entry["generation"] for entry in status.values()} == {1}
    ids = [{entry["id"] for entry in of["maps"]} for of in status.values()]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
    again = tiers(loader.attach("n0"))
    assert {row["outcome"] for row in again.values()} == {"adopted"}
    assert loader.status() == status


def test_apply_reaches_card_and_host(loader: Loader, device: Device) -> None:
    loader.attach("n0")
    loader.write(pools=[{**CONFIG["pools"][0], "servers": [
        {**CONFIG["pools"][0]["servers"][0], "weight": 7}]}])
    loader("apply", "-c", str(loader.file))
    shown = loader.json("show", "servers")["tiers"]
    assert [(of["tier"], of["generation"], of["servers"][0]["weight"]) for of in shown] == [
        ("offload", 2, 7), ("driver", 2, 7)]


@pytest.mark.parametrize("tier, program", [("driver", DRIVER), ("generic", GENERIC)])
def test_beside_each_host_tier(loader: Loader, device: Device, tier: str, program: str) -> None:
    loader.attach("n0", "-t", "offload")
    loader.attach("n0", "-t", tier)
    assert names(device) == {"offload": OFFLOAD, tier: program}
    loader("detach", "n0", "-t", "offload")
    assert names(device) == {tier: program} and not device.bound()
    loader.attach("n0", "-t", "offload")
    loader("detach", "n0", "-t", tier)
    assert names(device) == {"offload": OFFLOAD} and list(loader.status()) == ["offload"]
    loader.attach("n0", "-t", tier)
    assert words(loader("detach", "n0")) == ["n0: offload detached", f"n0: {tier} detached"]
    assert not device.programs()


def test_reload_swaps_both(loader: Loader, device: Device) -> None:
    loader.attach("n0")
    before = loader.status()
    document = loader.attach("n0", "--reload")
    assert {row["outcome"] for row in tiers(document).values()} == {"replaced"}
    after = loader.status()
    for tier in ("offload", "driver"):
        assert before[tier]["program"]["id"] != after[tier]["program"]["id"]
        assert not ({entry["id"] for entry in before[tier]["maps"]}
                    & {entry["id"] for entry in after[tier]["maps"]})
    # Nothing of the old ones is held any more.
    assert device.bound() == [device.offloaded()] == [after["offload"]["program"]["id"]]
    assert len([name for _, name in in_bpf("prog") if name.startswith("shunt_")]) == 4


def test_reload_with_other_limits(loader: Loader, device: Device) -> None:
    def entries() -> dict[str, Any]:
        found = loader.status()["offload"]["maps"]
        return {entry["name"]: entry["entries"] for entry in found}

    loader.attach("n0", "-t", "offload")
    small = entries()
    loader.write(limits={**CONFIG["limits"], "servers": 128})
    loader.attach("n0", "-t", "offload", "--reload")
    assert entries()["server_map"] > small["server_map"]


def test_detach_of_nothing(loader: Loader, device: Device) -> None:
    done = loader("detach", "n0", status=7)
    assert done.stderr == "shunt: n0: nothing is attached; loader attach IFACE\n"


def test_a_foreign_program_on_the_card(loader: Loader, device: Device) -> None:
    run("ip", "link", "set", "n0", "xdpoffload", "obj", BUILD / "bpf/pass.bpf.o", "sec", "xdp")
    number = device.offloaded()
    row = tiers(loader.probe("n0"))["offload"]
    assert (row["usable"], row["reason"]["code"]) == ("no", "busy-foreign-program")
    assert row["reason"]["text"] == (
        f"xdp_pass (program {number}) is attached, which is not shunt's")
    before = Traces.now()
    done = loader("attach", "n0", "-c", str(loader.file), "-t", "offload", status=3)
    assert done.stderr == (
        f"shunt: n0, offload: program id {number} xdp_pass: another program is attached; "
        "ip link set n0 xdpoffload off, or loader attach --replace n0\n")
    assert Traces.now() == before
    assert loader.attach("n0")["attached"] == ["driver"]
    assert loader.attach("n0", "--replace")["attached"] == ["offload", "driver"]
    assert names(device) == {"offload": OFFLOAD, "driver": DRIVER}


def test_a_foreign_program_in_the_driver(loader: Loader, device: Device) -> None:
    """The card is free for us: the host's slot stays somebody else's."""
    run("ip", "link", "set", "n0", "xdpdrv", "obj", BUILD / "bpf/pass.bpf.o", "sec", "xdp")
    document = loader.attach("n0")
    assert document["attached"] == ["offload"]
    assert {tier: row["reason"]["code"] for tier, row in tiers(document).items()
            if row["usable"] == "no"} == {"driver": "busy-foreign-program",
                                          "generic": "busy-other-mode"}
    assert names(device) == {"offload": OFFLOAD, "driver": "xdp_pass"}


@pytest.mark.parametrize("tier", ["offload", "driver", "generic"])
def test_require(loader: Loader, device: Device, tier: str) -> None:
    """All of them are met by the best there is."""
    assert loader.attach("n0", "--require", tier)["attached"] == ["offload", "driver"]


def test_a_device_of_two_entries(loader: Loader, small_device: Device) -> None:
    """The unchanged driver: too small for any configuration, and the verdict has the figures."""
    before = Traces.now()
    for found in (loader.probe("n0"), loader.attach("n0", "-t", "offload", status=3)):
        reason = tiers(found)["offload"]["reason"]
        print(reason)
        assert (reason["code"], reason["stage"], reason["errno"]) == (
            "map-limit", "map-create", "ENOMEM")
    assert Traces.now() == before
    document = loader.attach("n0")
    assert document["attached"] == ["driver"] and names(small_device) == {"driver": DRIVER}
