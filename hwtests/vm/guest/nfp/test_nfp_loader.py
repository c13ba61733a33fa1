# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""shunt's loader on the card: attach, live swap, two tiers, a card that goes, its counters."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest

from .card import Card, KernelLog, say

LOADER = Path(os.environ["BUILD"]) / "loader"
CONFIG = {
    "version": 1,
    "cid_configs": [{"id": 0, "server_id_length": 4, "nonce_length": 8}],
    "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
    "fallback": {"rows": 128},
    "pools": [{"name": "web", "servers": [
        {"name": "web-1", "address": "10.1.0.2",
         "server_ids": [{"config": 0, "id": "01020304"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
}
SERVER = struct.pack("<I", 1)  #: the file's only one, by its index
#: What the maps are made for, so that they are small.
SMALL = {"servers": 7, "server_ids": 16, "vips": 4, "pools": 2, "flows": 4096}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small file: each entry is a message to the card."""
    path = tmp_path / "shunt.yaml"
    path.write_text(json.dumps({**CONFIG, "limits": SMALL}))  # JSON is YAML
    return path


@pytest.fixture(autouse=True)
def detached(card: Card) -> Iterator[None]:
    """Nothing of shunt's stays."""
    yield
    _loader("detach", card.port)


def _loader(*words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit status and document."""
    done = subprocess.run([LOADER, *words, "--json"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def _attach(config: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status, and the tiers by name."""
    status, document = _loader("attach", Card.port, "-c", config, *words)
    return status, {tier["tier"]: tier for tier in document["tiers"]}


def _map(card: Card, name: str) -> int:
    """The id of a map of the card's tier."""
    (maps,) = [entry["maps"] for entry in _loader("status", card.port)[1]["attached"]
               if entry["tier"] == "offload"]
    (number,) = [entry["id"] for entry in maps if entry["name"] == name]
    return int(number)


def _up(card: Card) -> None:
    """With a way to the file's server: a card that was put in is a new device."""
    say("ip", "address", "add", "10.1.0.1/24", "dev", card.port)
    say("ip", "link", "set", card.port, "up")
    say("ip", "neighbour", "add", "10.1.0.2", "dev", card.port, "lladdr", "02:00:00:00:00:02")


@pytest.mark.parametrize("limits, code, sentence", [
    ({"inline_mtu": 1}, "packet-split",
     "nfp: BPF offload not supported with potential packet access beyond HW packet split boundary"),
    ({"refuse_reconfig": 1}, "unknown", "nfp: FW command error while loading BPF"),
    ({"abi": 4}, "unknown", None),
])
def test_refused_attach(card: Card, config: Path, limits: dict[str, int], code: str,
                        sentence: str | None) -> None:
    """The card is left as it was, and the next tier is taken."""
    card.limits(**limits)
    _up(card)
    status, tiers = _attach(config, "-t", "offload")
    assert status == 3
    assert tiers["offload"]["reason"]["code"] == code
    assert tiers["offload"]["reason"]["kernel"] == sentence
    assert not card.running()["running"]
    status, tiers = _attach(config)
    assert status == 0
    assert [name for name, tier in tiers.items() if tier["usable"] == "yes"] == ["driver"]
    assert not card.running()["running"]


def test_attach_and_detach(card: Card, config: Path) -> None:
    card.limits()
    _up(card)
    status, tiers = _attach(config, "-t", "offload")
    assert status == 0 and tiers["offload"]["outcome"] == "new"
    assert card.running() | {"words": 0} == {"running": 1, "words": 0, "loads": 1, "starts": 1,
                                             "stops": 0}
    assert card.budget()[0] > 0
    assert _loader("detach", card.port)[0] == 0
    assert not card.running()["running"]
    card.empty()
    assert card.budget() == (0, 0)


def test_card_with_just_the_room(card: Card, config: Path) -> None:
    """What was tried and closed leaves the card a moment later, and is not in the way."""
    card.limits()
    _up(card)
    _attach(config, "-t", "offload")
    maps, entries = card.budget()
    for room, status in ((entries, 0), (entries - 1, 0), (100, 3)):
        card.limits(max_maps=maps, max_elems=room)
        _up(card)
        assert _attach(config, "-t", "offload")[0] == status, room
        assert card.budget()[1] <= room


def test_auto_is_the_card_and_the_driver(card: Card, config: Path) -> None:
    card.limits()
    _up(card)
    status, tiers = _attach(config)
    assert status == 0
    assert {name: tier["outcome"] for name, tier in tiers.items()} == {"offload": "new",
                                                                       "driver": "new"}
    _, shown = _loader("status", card.port)
    assert [(entry["tier"], entry["generation"]) for entry in shown["attached"]] == [
        ("offload", 1), ("driver", 1)]


def test_reload_is_a_live_swap(card: Card, config: Path) -> None:
    card.limits()
    _up(card)
    _attach(config, "-t", "offload")
    status, tiers = _attach(config, "-t", "offload", "--reload")
    assert status == 0 and tiers["offload"]["outcome"] == "replaced"
    assert card.running() | {"words": 0} == {"running": 1, "words": 0, "loads": 2, "starts": 1,
                                             "stops": 0}


def test_reload_on_firmware_without_live_reload(card: Card, config: Path) -> None:
    card.limits(live_reload=0)
    _up(card)
    _attach(config, "-t", "offload")
    status, tiers = _attach(config, "-t", "offload", "--reload")
    assert status == 3
    assert tiers["offload"]["reason"]["kernel"] == "nfp: FW does not support live reload"
    assert card.running()["loads"] == 1  # what ran runs on
    status, tiers = _attach(config, "-t", "offload")
    assert status == 0 and tiers["offload"]["outcome"] == "adopted"


def test_mtu_that_the_running_program_does_not_go_with(card: Card, config: Path) -> None:
    card.limits(inline_mtu=2)  # 96 octets of a packet stay together
    _up(card)
    say("ip", "link", "set", card.port, "mtu", "90")
    assert _attach(config, "-t", "offload")[0] == 0
    log = KernelLog()
    done = subprocess.run(["ip", "link", "set", card.port, "mtu", "1500"], capture_output=True,
                          text=True)
    assert done.returncode and "busy" in done.stderr
    assert ("BPF offload active, potential packet access beyond hardware packet boundary"
            in log.text())


def test_card_pulled_and_put_in_again(card: Card, config: Path) -> None:
    card.limits()
    _up(card)
    _attach(config)
    card.pull()
    try:
        status, document = _loader("status", card.port)
        assert (status, document["error"]["code"]) == (5, "no-interface")
    finally:
        card.put_in()
    _up(card)
    assert _loader("status", card.port)[1]["error"]["code"] == "not-attached"
    status, tiers = _attach(config)
    assert status == 0
    assert [tier["outcome"] for tier in tiers.values()] == ["new", "new"]
    assert card.running()["running"]


def test_counters_of_the_card(card: Card, config: Path) -> None:
    """What its program counts is shown in stats, tier by tier."""
    card.limits()
    _up(card)
    _attach(config)
    number = _map(card, "server_stats")
    card.count(number, SERVER, 0, 8, 3)
    card.count(number, SERVER, 8, 8, 0x100000000)
    _, document = _loader("stats", card.port, "-c", config)
    assert {tier["tier"]: tier["servers"]["web/web-1"] for tier in document["tiers"]} == {
        "offload": {"packets": 3, "octets": 0x100000000},
        "driver": {"packets": 0, "octets": 0},
    }


def _checksum(header: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack(">H", ~total & 0xffff)


def _datagram() -> bytes:
    """A short-header QUIC packet to the VIP with a connection ID of web-1."""
    payload = b"\x40" + b"\x0c" + bytes.fromhex("01020304") + bytes(8) + bytes(30)
    udp = struct.pack(">4H", 40000, 4433, 8 + len(payload), 0) + payload
    start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(udp), 7, 0x4000, 64, 17)
    ends = socket.inet_aton("10.1.0.9") + socket.inet_aton("203.0.113.80")
    return start + _checksum(start + bytes(2) + ends) + ends + udp


def test_what_the_card_passes_is_the_drivers(card: Card, config: Path) -> None:
    """The stand-in passes all, as a card does with what it cannot decide."""
    card.limits(ports=2)
    _up(card)
    say("ip", "link", "set", "nfp1", "up")
    assert sorted(_attach(config)[1]) == ["driver", "offload"]
    mac = Path("/sys/class/net/nfp0/address").read_text()
    packet = _datagram()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as far:
        far.bind(("nfp1", 0x0800))
        far.settimeout(0.5)
        frame, sent = bytes(24), 0
        while frame[14 + 9] != 4:  # what else goes over the cable is no IP in IP
            try:
                frame = far.recv(2000)
            except TimeoutError:  # the cable may not be there yet
                assert sent < 20
                sent += 1
                far.send(bytes.fromhex(mac.replace(":", "")) + b"\x02" + bytes(5) + b"\x08\x00"
                         + packet)
    assert frame[:6] == bytes.fromhex("020000000002")
    assert frame[26:34] == socket.inet_aton("10.1.0.1") + socket.inet_aton("10.1.0.2")
    assert frame[34 + 16:] == packet[16:]
    document = _loader("stats", card.port, "-c", config)[1]
    counts = {tier["tier"]: tier["reasons"]["cid"]["packets"] for tier in document["tiers"]}
    assert counts["offload"] == 0 and 1 <= counts["driver"] <= sent
