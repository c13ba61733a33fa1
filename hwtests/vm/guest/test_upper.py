# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An interface below a bond that has XDP: bonds are not in every kernel that tests run on."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Iterator

import pytest

LOADER = os.environ["BUILD"] + "/loader"


def say(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def reasons(*argv: str) -> dict[str, Any]:
    """Of each tier that the command tried."""
    done = subprocess.run([LOADER, *argv, "--json"], capture_output=True, text=True)
    return {tier["tier"]: tier["reason"] for tier in json.loads(done.stdout)["tiers"]}


@pytest.fixture
def bond() -> Iterator[None]:
    say("modprobe", "bonding", "max_bonds=0")
    say("ip", "link", "add", "b0", "type", "bond", "mode", "active-backup")
    say("ip", "link", "add", "p0", "type", "veth", "peer", "name", "p1")
    say("ip", "link", "set", "p0", "master", "b0")
    for name in ("p1", "p0", "b0"):
        say("ip", "link", "set", name, "up")
    try:
        yield
    finally:
        say("ip", "link", "del", "b0")
        say("ip", "link", "del", "p0")


def test_attach_to_the_bond_instead(bond: None) -> None:
    say(LOADER, "attach", "b0", "-t", "generic")
    try:
        for found in (reasons("probe", "p0", "--trial"), reasons("attach", "p0")):
            for tier in ("driver", "generic"):
                assert found[tier]["code"] == "busy-upper-device"
                assert found[tier]["kernel"] == (
                    "Cannot attach when an upper device already has a program")
                assert found[tier]["hint"] == "loader attach b0: p0 belongs to it"
    finally:
        say(LOADER, "detach", "b0")
