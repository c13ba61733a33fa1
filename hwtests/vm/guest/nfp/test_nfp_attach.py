# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The driver's attach: what it refuses and in which words, live swap, both ports, both hooks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from .card import CASES, PINS, Card, Program, Refused, say

PASS = CASES / "ok_pass.bpf.o"
#: Looks at no octet behind an IPv4 header of 60 octets and a UDP header.
PARSES = CASES / "ok_parse_transmit.bpf.o"
#: Not for a card.
HOST = Path(os.environ["BUILD"]) / "bpf/pass.bpf.o"
CARD, NATIVE, GENERIC = "xdpoffload", "xdpdrv", "xdpgeneric"


def _attach(program: Program | None, mode: str = CARD, port: str = Card.port) -> str:
    """What ip says of it: nothing, where it worked."""
    what = ["pinned", str(program.pin)] if program else ["off"]
    done = subprocess.run(["ip", "-force", "link", "set", "dev", port, mode, *what],
                          capture_output=True, text=True)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


def _on_host(name: str) -> Program:
    pin = PINS / name
    say("bpftool", "prog", "load", HOST, pin, "type", "xdp")
    return Program(pin)


def _hooks(port: str = Card.port) -> list[str]:
    """What is attached, as ip calls it."""
    (link,) = json.loads(say("ip", "-d", "-j", "link", "show", "dev", port))
    names = {1: NATIVE, 2: GENERIC, 3: CARD}
    shown = link.get("xdp", {})
    attached = shown.get("attached", [shown] if shown else [])
    return sorted(names[entry["mode"]] for entry in attached)


def test_running_program_is_replaced_without_a_stop(card: Card) -> None:
    assert _attach(card.load(PASS, "first")) == ""
    second = card.load(PARSES, "second")
    assert _attach(second) == ""
    assert card.running() == {"running": 1, "words": second.words, "loads": 2, "starts": 1,
                              "stops": 0}


def test_firmware_without_live_reload(card: Card) -> None:
    card.limits(live_reload=0)
    first = card.load(PASS, "first")
    assert _attach(first) == ""
    second = card.load(PARSES, "second")
    assert "nfp: FW does not support live reload" in _attach(second)
    assert card.running()["words"] == first.words
    assert _attach(None) == "" and _attach(second) == ""
    assert card.running() == {"running": 1, "words": second.words, "loads": 2, "starts": 2,
                              "stops": 1}


def test_packet_is_split_before_what_the_program_looks_at(card: Card) -> None:
    card.limits(inline_mtu=1)
    assert ("nfp: BPF offload not supported with potential packet access beyond HW packet split "
            "boundary") in _attach(card.load(PARSES))
    assert _attach(card.load(PASS, "other")) == ""


def test_program_of_just_the_length_the_firmware_takes(card: Card) -> None:
    words = card.load(PARSES, "first").words
    card.limits(max_words=words)
    card.load(PARSES, "second")
    card.limits(max_words=words - 1)
    with pytest.raises(Refused) as refused:
        card.load(PARSES, "third")
    assert f"instruction limit reached ({words - 1} NFP instructions)" in refused.value.kernel


@pytest.mark.parametrize("limits, sentence", [
    ({"abi": 4}, "Invalid argument"),  # of an ABI the driver does not know: no BPF at all
    ({"refuse_reconfig": 1}, "nfp: FW command error while loading BPF"),
])
def test_firmware_refuses(card: Card, limits: dict[str, int], sentence: str) -> None:
    card.limits(**limits)
    assert sentence in _attach(card.load(PASS))
    assert _hooks() == []


def test_card_and_host_program_at_once(card: Card) -> None:
    on_card, on_host = card.load(PASS, "card"), _on_host("host")
    for mode in (NATIVE, GENERIC):
        assert _attach(on_card) == "" and _attach(on_host, mode) == ""
        assert _hooks() == sorted([CARD, mode])
        assert _attach(None, mode) == ""
        assert _hooks() == [CARD]


def test_programs_are_for_one_place(card: Card) -> None:
    on_card, on_host = card.load(PASS, "card"), _on_host("host")
    assert "Using device-bound program without HW_MODE flag" in _attach(on_card, NATIVE)
    assert "Invalid argument" in _attach(on_host)
    assert _hooks() == []


def test_program_of_one_port_runs_on_the_other(card: Card) -> None:
    card.limits(ports=2)
    program = card.load(PASS)
    assert _attach(program, port="nfp1") == ""
    assert card.running("nfp1")["words"] == program.words
    assert not card.running()["running"]


def test_frames_cross_the_cable(card: Card) -> None:
    card.limits(ports=2)
    say("ip", "link", "set", "nfp0", "up")
    say("ip", "link", "set", "nfp1", "up")
    frame = b"\xff" * 6 + b"\x02" + bytes(5) + b"\x88\xb5" + b"over the cable" + bytes(40)
    for program, mode in ((None, NATIVE), (_on_host("native"), NATIVE)):
        assert _attach(program, mode) == ""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as near, \
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)) as far:
            far.bind(("nfp0", 0x88b5))
            far.settimeout(5)
            near.bind(("nfp1", 0))
            near.send(frame)
            assert far.recv(2000) == frame
