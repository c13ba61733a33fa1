# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What can be read of an attachment: the status command, the counts of the stack's program."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from hwtests.attach.rig import IFACE, Rig
from hwtests.lab.bed import client4


def test_status(rig: Rig) -> None:
    rig.attach("-c", rig.config())
    listed, = rig.status()
    assert {k: type(v) for k, v in listed.items()} == {
        "interface": str, "ifindex": int, "tier": str, "program": dict, "mode": str,
        "stack": bool, "stack_mode": str, "served": bool, "age": float, "generation": int,
        "config": dict, "maps": list}
    assert listed["program"]["id"] == rig.programs()["driver"][0]
    assert listed["generation"] == 1 and 0 <= listed["age"] < 60
    assert {"name", "id", "entries", "key_size", "value_size"} == set(listed["maps"][0])
    assert "1 VIPs, 1 servers" in rig.loader("status", IFACE).stdout


@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_stack_counts(rig: Rig, tier: str) -> None:
    """By VIP, what the tier left of it to the stack, and as one what is for none."""
    bed = rig.bed
    # Nobody knows the way to this server, so its packets are left to the stack.
    config = rig.config(pools=[{"name": "web", "servers": [
        {"name": "web-1", "address": "198.18.0.1"}]}])
    rig.attach("-c", config, "-t", tier, interface=bed.lb_interface)
    try:
        before = stack_stats(rig, bed.lb_interface)
        with bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((client4(), 0))
            for _ in range(5):
                sender.sendto(b"\x40" + b"x" * 99, (bed.vip4, bed.port))
            for _ in range(3):
                sender.sendto(b"y" * 50, (bed.vip4, bed.port + 1))
        # Refused only after all of them were counted; it is counted itself.
        with bed.client.socket(socket.AF_INET, socket.SOCK_STREAM) as last:
            with pytest.raises(ConnectionRefusedError):
                last.connect(("10.1.0.1", 9))
        after = stack_stats(rig, bed.lb_interface)
        vip = {"packets": 5, "octets": 5 * (14 + 20 + 8 + 100), "drops": 0, "redirects": 0}
        assert before["vips"]["www"]["packets"] == 0 and after["vips"]["www"] == vip
        # More where the client's own stack has something to say, as in its first seconds.
        assert after["other"]["packets"] - before["other"]["packets"] >= 4
    finally:
        rig.loader("detach", bed.lb_interface)


def stack_stats(rig: Rig, interface: str) -> dict[str, Any]:
    """What came up."""
    (tier,) = rig.loader.json("stats", interface)["tiers"]
    came: dict[str, Any] = tier["stack"]["in"]
    return came
