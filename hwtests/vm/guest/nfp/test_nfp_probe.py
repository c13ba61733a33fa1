# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The loader's probe on the card: what it takes of it, and with one limit too small at a time the
code, the driver's own sentence and the figures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .card import Card, say

LOADER = Path(os.environ["BUILD"]) / "loader"
CONFIG: dict[str, Any] = {
    "version": 1,
    "fallback": {"rows": 64},
    "cid_configs": [{"id": 0, "server_id_length": 4, "nonce_length": 6}],
    "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
    "pools": [{"name": "web", "servers": [
        {"name": "web-1", "address": "10.2.1.2",
         "server_ids": [{"config": 0, "id": "01020304"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "shunt.yaml"
    path.write_text(json.dumps(CONFIG))
    return path


def probe(file: Path, *words: str) -> Any:
    """The offload tier's part of the document."""
    done = subprocess.run([LOADER, "probe", Card.port, "--json", "-c", file, *words],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr  # generic is always there
    document = json.loads(done.stdout)
    assert document["interface"]["driver"] == "nfp"
    assert document["interface"]["firmware"].endswith("ebpf")
    return document["tiers"][0]


def test_it_loads_and_leaves_nothing(card: Card, file: Path) -> None:
    card.limits()
    before = card.running()
    found = probe(file)
    assert (found["usable"], found["reason"]) == ("yes", None)
    limits = found["limits"]
    assert 100 < limits["words"] <= 1600 and limits["insns"] > 100
    assert limits["maps"] == len(limits["sizes"])
    assert limits["elements"] == sum(size["entries"] for size in limits["sizes"].values())
    assert all(size["entries"] == size["asked"] for size in limits["sizes"].values())
    assert card.running() == before


def test_tried_and_taken_off_again(card: Card, file: Path) -> None:
    card.limits()
    found = probe(file, "--trial")
    assert (found["usable"], found["note"]) == ("yes", "tried: the program could be attached")
    assert json.loads(say("ip", "-j", "link", "show", card.port))[0].get("xdp") is None


@pytest.mark.parametrize("entries", [3000, 12000])
def test_sizes_follow_the_card(card: Card, file: Path, entries: int) -> None:
    """One budget for all maps: the largest give way, down to what the file needs."""
    card.limits(max_elems=entries)
    found = probe(file)
    assert found["usable"] == "yes", found
    sizes = found["limits"]["sizes"]
    assert entries / 4 < found["limits"]["elements"] <= entries
    assert sizes["row_map"]["entries"] >= 2 * 2 * 64  # two generations, a pool and pool 0
    assert sizes["sid_map"]["entries"] < sizes["sid_map"]["asked"]
    assert sizes["vip_map"] == {"entries": 256, "asked": 256}


def test_routes_do_not_follow_the_sizes(card: Card, tmp_path: Path) -> None:
    """Rows and their servers are the file's in both tiers, though the card's maps are smaller."""
    card.limits(max_elems=3000)
    file = tmp_path / "shunt.yaml"
    file.write_text(json.dumps({**CONFIG, "pools": [{"name": "web", "servers": [
        {"name": f"web-{number}", "address": f"10.2.1.{number}", "weight": number}
        for number in range(1, 6)]}]}))
    try:
        say(LOADER, "attach", card.port, "-c", file)
        shown = {tier["tier"]: tier["rows"]
                 for tier in json.loads(say(LOADER, "show", "rows", "--json"))["tiers"]}
        entries = {tier["tier"]: {each["name"]: each["entries"] for each in tier["maps"]}
                   for tier in json.loads(say(LOADER, "status", "--json"))["attached"]}
    finally:
        say(LOADER, "detach", card.port)
    assert shown["offload"] == shown["driver"]
    assert len(set(shown["driver"][0]["rows"])) == 5
    for name in ("row_map", "sid_map", "server_map"):
        assert entries["offload"][name] < entries["driver"][name]


def test_encrypted_configs_are_the_host_tiers(card: Card, tmp_path: Path) -> None:
    card.limits()
    key, file = tmp_path / "3.key", tmp_path / "shunt.yaml"
    key.write_text("000102030405060708090a0b0c0d0e0f")
    key.chmod(0o600)
    file.write_text(json.dumps({**CONFIG, "cid_configs": [
        *CONFIG["cid_configs"],
        {"id": 3, "server_id_length": 4, "nonce_length": 6, "key_file": str(key)}]}))
    done = subprocess.run([LOADER, "probe", card.port, "--json", "-c", file], text=True,
                          capture_output=True)
    (warning,) = [each for each in json.loads(done.stdout)["warnings"]
                  if each["code"] == "needs-cid-key"]
    assert warning["text"].startswith("encrypted CID configs (3): ")


class Small(NamedTuple):
    """A limit too small, and what is told."""

    limits: dict[str, int]
    code: str
    kernel: str  #: a pattern: the driver's sentence
    text: str  #: another
    hint: str = ""


FEWER = "fewer rows, VIPs, servers or ids in the file, or fewer maps of others on the card"
OTHER = "other firmware, or another tier"
SMALL = [
    Small({"max_elems": 300}, "map-limit",
          r"NFP net bpf: map with too many elements: (\d+), left: (\d+)",
          r"the maps need (\d+) entries, and after \d+ of them the device has no room for the "
          r"\d+ of \w+", FEWER),
    Small({"max_elems": 100}, "map-limit",
          r"NFP net bpf: map with too many elements: 256, left: 100",
          "row_map needs 256 entries, the device takes 64", FEWER),
    Small({"max_maps": 5}, "map-limit", "NFP net bpf: too many maps for a device",
          r"the maps need \d+ entries, .*", FEWER),
    Small({"max_entry": 48}, "map-limit", "NFP net bpf: map elements too large: 56, "
          r"FW max element size \(key\+value\): 48",
          "the device does not take generation_map, not even with one entry", OTHER),
    Small({"max_value": 40}, "map-limit", "NFP net bpf: map value size 48, FW max is 40",
          "the device does not take generation_map, not even with one entry", OTHER),
    Small({"map_types": 1 << 1}, "map-type", "NFP net bpf: map type not supported",
          r"the device does not take this type of map: meta_map of 1 entries", OTHER),
    Small({"map_lookup": 0}, "helper", r"\[nfp\] map_lookup: not supported by FW",
          "the device lacks a helper that the program calls", OTHER),
    Small({"adjust_head": 0}, "helper", r"\[nfp\] adjust_head not supported by FW",
          "the device lacks a helper that the program calls", OTHER),
    Small({"stack": 64}, "stack", r"\[nfp\] stack too large: program \d+B > FW stack 64B",
          "the program's stack is too large for the device"),
    Small({"max_words": 100}, "too-long",
          r"NFP net bpf: instruction limit reached \(100 NFP instructions\)",
          "the program is too long for the device"),
]


@pytest.mark.parametrize("small", SMALL, ids=["-".join(small.limits) + str(
    *small.limits.values()) for small in SMALL])
def test_a_limit_too_small(card: Card, file: Path, small: Small) -> None:
    card.limits(**{**small.limits})
    found = probe(file)
    assert found["usable"] == "no"
    reason = found["reason"]
    assert reason["code"] == small.code
    assert re.fullmatch(small.kernel, reason["kernel"]), reason
    assert re.fullmatch(small.text, reason["text"]), reason
    assert (reason["hint"] or "") == small.hint
    assert card.budget() == (0, 0)


def test_packet_split_is_found_by_trying(card: Card, file: Path) -> None:
    card.limits(inline_mtu=2)
    assert probe(file)["usable"] == "yes"
    reason = probe(file, "--trial")["reason"]
    assert (reason["code"], reason["stage"]) == ("packet-split", "trial-attach")
    assert "packet split boundary" in reason["kernel"]
    assert reason["hint"].startswith(f"ip link set {card.port} mtu N (now 1500): 1888 with")


def test_firmware_that_does_not_answer_is_asked_once(card: Card, file: Path) -> None:
    card.limits()
    card.switch(mute=1)
    began = time.monotonic()
    reason = probe(file)["reason"]
    # The driver waits for five seconds: once, and not for each of a dozen maps.
    assert time.monotonic() - began < 30
    assert (reason["code"], reason["errno"]) == ("unknown", "ETIMEDOUT")
    assert reason["hint"] == "the device does not answer: reload its driver"


def test_without_the_right_to_make_maps_on_it(card: Card, file: Path) -> None:
    done = subprocess.run(["setpriv", "--bounding-set=-sys_admin", LOADER, "probe", card.port,
                           "--json"], capture_output=True, text=True)
    tier = json.loads(done.stdout)["tiers"][0]
    assert (tier["usable"], tier["reason"]["code"]) == ("unknown", "no-permission")
    assert "CAP_SYS_ADMIN" in tier["reason"]["text"]
