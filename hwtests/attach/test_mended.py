# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An apply makes the maps what the file says, whatever somebody else wrote into them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwtests.attach.rig import IFACE, PINS, Rig
from hwtests.lab.loader import FEW_FLOWS


def _apply(rig: Rig, config: str) -> tuple[bool, int]:
    applied, = json.loads(rig.loader("apply", "-c", config, "--json").stdout)["applied"]
    return applied["changed"], applied["generation"]


def _dump(rig: Rig, name: str) -> list[dict[str, Any]]:
    pin = f"{PINS}/{IFACE}/driver/{name}"
    found: list[dict[str, Any]] = json.loads(rig.sh("bpftool", "-j", "map", "dump", "pinned", pin))
    return found


def _halves(rig: Rig, name: str) -> tuple[list[Any], list[Any]]:
    values = [element["value"] for element in _dump(rig, name)]
    return values[:len(values) // 2], values[len(values) // 2:]


def _spoil(rig: Rig, name: str, half: int) -> None:
    """Turns a bit of the first value of that half that is not all zero."""
    elements = _dump(rig, name)
    middle = len(elements) // 2
    part = elements[half * middle:(half + 1) * middle]
    element = next(e for e in part if any(int(octet, 16) for octet in e["value"]))
    value = [int(octet, 16) for octet in element["value"]]
    value[-1] ^= 0x80
    rig.sh("bpftool", "map", "update", "pinned", f"{PINS}/{IFACE}/driver/{name}", "key",
           *element["key"], "value", *map(str, value))


@pytest.mark.parametrize("name", ["sid_map", "row_map", "server_map", "address_map", "vip_map"])
def test_what_somebody_wrote_is_mended(rig: Rig, name: str) -> None:
    config = rig.config(fallback={"rows": 64},
                        limits={**FEW_FLOWS, "servers": 3, "server_ids": 4, "vips": 3})
    rig.attach("-c", config)
    wanted = _halves(rig, name)[0]
    assert _apply(rig, config) == (False, 1)
    _spoil(rig, name, 0)
    assert _halves(rig, name)[0] != wanted
    assert _apply(rig, config) == (True, 2)
    assert _halves(rig, name)[1] == wanted
    _spoil(rig, name, 1)
    assert _apply(rig, config) == (True, 3)
    assert _halves(rig, name)[0] == wanted
    assert _apply(rig, config) == (False, 3)
