# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A simulated device that refuses, step by step: what is said, what is used in its place, and that
nothing stays behind."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from hwtests.vm.guest.rig import BUILD, Device, Loader, Traces, run, tiers


class Refusal(NamedTuple):
    """A switch, and all that is told of the tier that it takes away."""

    switch: str
    tier: str
    code: str
    stage: str
    what: str
    text: str
    kernel: str | None
    hint: str
    #: Whether a probe finds out without an attach.
    early: bool


REFUSED = "the device has an offload engine and refuses to use it"
REFUSALS = [
    Refusal("bpf_bind_accept", "offload", "offload-refused", "prog-load-dev", "n0, offload",
            REFUSED, None, "see dmesg", True),
    Refusal("bpf_bind_verifier_accept", "offload", "offload-refused", "prog-load-dev",
            "n0, offload", REFUSED, None, "see dmesg", True),
    Refusal("ports/0/bpf_map_accept", "offload", "map-type", "map-create",
            "n0, offload: meta_map of 1 entries", "the device does not take this type of map", None,
            "other firmware, or another tier", True),
    Refusal("ports/0/bpf_xdpoffload_accept", "offload", "offload-refused", "attach", "n0, offload",
            REFUSED, "netdevsim: XDP offload disabled in DebugFS", "see dmesg", False),
    Refusal("ports/0/bpf_xdpdrv_accept", "driver", "no-native", "attach", "n0, driver",
            "the driver does not support native XDP", "netdevsim: driver XDP disabled in DebugFS",
            "use the generic tier", False),
]

each_refusal = pytest.mark.parametrize("refusal", REFUSALS,
                                       ids=[refusal.switch.rsplit("/")[-1] for refusal in REFUSALS])


def told(refusal: Refusal, stage: str | None = None) -> dict[str, Any]:
    return {"code": refusal.code, "stage": stage or refusal.stage, "errno": "EOPNOTSUPP",
            "kernel": refusal.kernel, "what": refusal.what, "text": refusal.text,
            "hint": refusal.hint}


@each_refusal
def test_probe(loader: Loader, device: Device, refusal: Refusal) -> None:
    before = Traces.now()
    device.set(refusal.switch)
    found = loader.probe("n0")
    if refusal.early:
        reason = tiers(found)[refusal.tier]["reason"]
        # In a table there is no place for `what` but behind the text.
        reason["text"] = reason["text"].split(":")[0]
        assert reason == told(refusal)
    tried = loader.probe("n0", "--trial")
    stage = None if refusal.early else "trial-attach"
    assert tiers(tried)[refusal.tier]["reason"]["stage"] == stage or refusal.early
    assert tried["choice"] == {"offload": ["driver"],
                               "driver": ["offload", "generic"]}[refusal.tier]
    assert Traces.now() == before and not device.programs() and not device.bound()


@each_refusal
def test_asked_for(loader: Loader, device: Device, refusal: Refusal) -> None:
    """-t TIER and the file's own word: one line, status 3, and the device as it was found."""
    before = Traces.now()
    device.set(refusal.switch)
    document = loader.attach("n0", "-t", refusal.tier, status=3)
    assert (document["error"], document["attached"]) == (told(refusal), [])
    done = loader("attach", "n0", "-c", str(loader.file), "-t", refusal.tier, status=3)
    sentence = refusal.kernel or {"no-ndo-bpf": ""}.get(refusal.code, "EOPNOTSUPP")
    assert done.stderr == (f"shunt: {refusal.what}: {refusal.text} (kernel: {sentence}); "
                           f"{refusal.hint}\n")
    loader.write(interfaces=[{"name": "n0", "tier": refusal.tier}])
    assert loader.attach("n0", status=3)["error"] == told(refusal)
    assert Traces.now() == before and not device.programs() and not device.bound()


@each_refusal
def test_falls_back(loader: Loader, device: Device, refusal: Refusal) -> None:
    """auto takes the rest, and says why of each that it could not have."""
    device.set(refusal.switch)
    document = loader.attach("n0")
    rest = {"offload": ["driver"], "driver": ["offload", "generic"]}[refusal.tier]
    assert document["attached"] == rest and list(device.programs()) == rest[::-1]
    assert tiers(document)[refusal.tier]["reason"] == told(refusal)
    loader("detach", "n0")
    assert not device.programs() and not device.bound()


def test_down_to_generic(loader: Loader, device: Device) -> None:
    device.set("ports/0/bpf_xdpoffload_accept")
    device.set("ports/0/bpf_xdpdrv_accept")
    document = loader.attach("n0")
    assert document["attached"] == ["generic"]
    assert [row["reason"]["code"] for row in document["tiers"] if row["reason"]] == [
        "offload-refused", "no-native"]


@pytest.mark.parametrize("switch", ["bpf_bind_accept", "ports/0/bpf_map_accept",
                                    "ports/0/bpf_xdpoffload_accept"])
def test_require_offload(loader: Loader, device: Device, switch: str) -> None:
    """Better nothing than less than that."""
    before = Traces.now()
    device.set(switch)
    loader.write(interfaces=[{"name": "n0", "require": "offload"}])
    document = loader.attach("n0", status=3)
    assert document["attached"] == [] and document["error"]["errno"] == "EOPNOTSUPP"
    assert Traces.now() == before and not device.programs()


def test_require_driver(loader: Loader, device: Device) -> None:
    device.set("ports/0/bpf_xdpoffload_accept")
    device.set("ports/0/bpf_xdpdrv_accept")
    before = Traces.now()
    assert loader.attach("n0", "--require", "driver", status=3)["error"]["code"] == "no-native"
    assert Traces.now() == before


def test_a_swap_that_is_refused(loader: Loader, device: Device) -> None:
    """What runs goes on running, with its maps."""
    loader.attach("n0")
    before, seen = loader.status(), Traces.now()
    device.set("ports/0/bpf_xdpoffload_accept")
    document = loader.attach("n0", "--reload", "-t", "offload", status=3)
    assert document["error"]["code"] == "offload-refused"
    assert Traces.now() == seen and device.offloaded() == before["offload"]["program"]["id"]


def test_mtu(loader: Loader, device: Device) -> None:
    run("ip", "link", "set", "n0", "mtu", "9000")
    row = tiers(loader.attach("n0"))["driver"]
    assert (row["reason"]["code"], row["reason"]["kernel"]) == (
        "mtu", "netdevsim: MTU too large w/ XDP enabled")
    assert list(device.programs()) == ["generic", "offload"]


def test_tc_has_the_card(loader: Loader, device: Device) -> None:
    """One program a port, of XDP or of TC."""
    run("ethtool", "-K", "n0", "hw-tc-offload", "on")
    run("tc", "qdisc", "add", "dev", "n0", "clsact")
    run("tc", "filter", "add", "dev", "n0", "ingress", "bpf", "skip_sw", "obj",
        BUILD / "vm/bpf/tc.bpf.o", "sec", "tc")
    try:
        before = Traces.now()
        error = loader.attach("n0", "-t", "offload", status=3)["error"]
        assert (error["code"], error["errno"], error["kernel"]) == (
            "busy-foreign-program", "EBUSY", "netdevsim: TC program is already loaded")
        assert Traces.now() == before
    finally:
        run("tc", "qdisc", "delete", "dev", "n0", "clsact")


def test_without_cap_sys_admin(loader: Loader, device: Device) -> None:
    """CAP_BPF is enough for the host's tiers, and not for a card's maps."""
    done = run("setpriv", "--bounding-set=-sys_admin", loader.path, "probe", "n0", "--json")
    row = tiers(json.loads(done.stdout))["offload"]
    assert (row["usable"], row["reason"]["code"]) == ("unknown", "no-permission")
    assert "CAP_SYS_ADMIN" in row["reason"]["text"]
