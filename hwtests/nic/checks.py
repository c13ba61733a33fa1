# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Frames through the NIC: routed, forwarded, passed and counted as the oracle says."""

from __future__ import annotations

import pytest

from hwtests.nic import frames
from hwtests.nic.plan import loader_json
from hwtests.nic.stage import Stage
from hwtests.oracle.corpus import main_config


def test_attached_as_asked(stage: Stage) -> None:
    """Without PEER this is all that can be seen of it."""
    shown = loader_json("status", stage.ports.nic)["attached"]
    assert [row["tier"] for row in shown] == stage.attached
    assert all(row["program"]["current"] and row["stack"] for row in shown)
    if stage.tier != "auto":
        assert stage.attached == [stage.tier]


def test_every_server_has_a_way(stage: Stage) -> None:
    """Out of the port that packets come in by: so nothing is redirected."""
    stage.apply(frames.on_wire(main_config()))
    for tier in loader_json("show", "servers")["tiers"]:
        assert len(tier["servers"]) == 9
        for server in tier["servers"]:
            mac = frames.server_mac(server["address"]).hex(":")
            assert server["next_hop"] == f"{mac} {stage.ports.nic}"


@pytest.mark.parametrize("group", frames.GROUPS)
def test_corpus(wired: Stage, group: str) -> None:
    """The main scenario: four VIPs and pools, ipip to IPv4 and IPv6 servers, l2dsr."""
    wired.play(frames.group(group))


@pytest.mark.parametrize("name", frames.CLEAR)
def test_clear_ids_of_every_length(wired: Stage, name: str) -> None:
    """All 120 pairs between them."""
    wired.play(frames.clear(name))


@pytest.mark.parametrize("name", frames.KEYED)
def test_encrypted_ids(wired: Stage, name: str) -> None:
    """A card leaves them to the host: there they are to be passed as they came."""
    wired.play(frames.keyed(name))


def test_full_frames(wired: Stage) -> None:
    wired.play(frames.full(wired.ports.ends))
