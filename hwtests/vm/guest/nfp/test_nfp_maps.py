# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Maps on the card as user space sees them: the driver's control messages, byte order, counters."""

from __future__ import annotations

import struct
import subprocess

import pytest

from .card import CASES, PINS, Card, Map, Refused, say

#: Its counters: 8 bytes that the program adds to, 4 that it adds to, 4 that it leaves alone.
COUNTING = CASES / "ok_hash_and_counter.bpf.o"
KEY = struct.pack("<I", 3)


def _made(card: Card, kind: str, entries: int) -> Map:
    """A map of 4 bytes to 8 bytes that no program has."""
    pin = PINS / kind
    say("bpftool", "map", "create", pin, "type", kind, "key", "4", "value", "8", "entries",
        str(entries), "name", kind, "dev", card.port)
    return Map.pinned(pin)


def test_hash_keeps_what_it_is_given(card: Card) -> None:
    table = _made(card, "hash", 3)
    for number in range(3):
        table.update(struct.pack("<I", number), struct.pack("<Q", number * 1000 + 7))
    assert table.lookup(struct.pack("<I", 2)) == struct.pack("<Q", 2007)
    table.update(struct.pack("<I", 2), bytes(8), "exist")
    assert table.lookup(struct.pack("<I", 2)) == bytes(8)
    assert sorted(table.keys()) == [struct.pack("<I", number) for number in range(3)]


@pytest.mark.parametrize("key, flag, error", [
    (9, "any", "Argument list too long"),  # the firmware's word for full
    (1, "noexist", "File exists"),
    (9, "exist", "No such file or directory"),
])
def test_hash_refuses(card: Card, key: int, flag: str, error: str) -> None:
    table = _made(card, "hash", 3)
    for number in range(3):
        table.update(struct.pack("<I", number), bytes(8))
    assert error in table.refuses(lambda: table.update(struct.pack("<I", key), bytes(8), flag))


def test_hash_forgets(card: Card) -> None:
    table = _made(card, "hash", 3)
    table.update(KEY, bytes(8))
    table.delete(KEY)
    assert table.lookup(KEY) is None and table.keys() == []
    assert "No such file" in table.refuses(lambda: table.delete(KEY))


def test_array_is_there_from_the_start(card: Card) -> None:
    table = _made(card, "array", 4)
    assert [struct.unpack("<I", key)[0] for key in table.keys()] == [0, 1, 2, 3]
    assert table.lookup(KEY) == bytes(8)
    assert "Invalid argument" in table.refuses(lambda: table.delete(KEY))


def test_several_entries_in_a_message(card: Card) -> None:
    """Firmware that packs them answers a walk from a few messages; what is seen is the same."""
    card.limits(multi_entry=1)
    table = _made(card, "hash", 64)
    for number in range(10):
        table.update(struct.pack("<I", number), struct.pack("<Q", number))
    assert sorted(table.keys()) == sorted(struct.pack("<I", number) for number in range(10))


def test_counters_are_in_host_order_for_user_space(card: Card) -> None:
    """On the card each word is big-endian, the low one first; the driver turns them."""
    counters = card.load(COUNTING).map("counters")
    counters.update(KEY, struct.pack("<QII", 0xfffffff0, 0x01020304, 0x0a0b0c0d))
    card.count(counters.number, KEY, 0, 8, 1500)
    card.count(counters.number, KEY, 8, 4, 1)
    assert counters.lookup(KEY) == struct.pack("<QII", 0xfffffff0 + 1500, 0x01020305, 0x0a0b0c0d)


@pytest.mark.parametrize("offset, size", [(12, 4), (8, 8), (2, 4), (16, 4)])
def test_only_what_the_program_counts_can_be_counted(card: Card, offset: int, size: int) -> None:
    counters = card.load(COUNTING).map("counters")
    with pytest.raises(OSError, match="Invalid argument"):
        card.count(counters.number, KEY, offset, size, 1)


def test_counters_must_be_zero_when_a_program_finds_them(card: Card) -> None:
    first = card.load(COUNTING)
    counters, table = first.map("counters"), first.map("table")
    reuse = ["map", "name", "counters", "id", str(counters.number),
             "map", "name", "table", "id", str(table.number)]
    card.count(counters.number, KEY, 8, 4, 1)
    card.load(COUNTING, "second", reuse)  # they grew under a program: it knows what they are
    fresh = PINS / "fresh"
    say("bpftool", "map", "create", fresh, "type", "array", "key", "4", "value", "16", "entries",
        "16", "name", "counters", "dev", card.port)
    Map.pinned(fresh).update(KEY, struct.pack("<QII", 1, 0, 0))
    with pytest.raises(Refused) as refused:
        card.load(COUNTING, "third", ["map", "name", "counters", "pinned", str(fresh)])
    assert "may already be initialized to non-zero value" in refused.value.verifier


def test_budget_is_all_maps_together_and_comes_back(card: Card) -> None:
    program = card.load(COUNTING)
    assert card.budget() == (2, 65536 + 16)
    program.pin.unlink()
    card.empty()
    assert card.budget() == (0, 0)


def test_firmware_that_does_not_answer(card: Card) -> None:
    table = _made(card, "array", 4)
    card.switch(mute=1)
    try:
        assert "timed out" in table.refuses(lambda: table.lookup(KEY))
    finally:
        card.switch(mute=0)
    assert table.lookup(KEY) == bytes(8)


def test_card_pulled_under_a_map(card: Card) -> None:
    pin = card.load(COUNTING).pin
    table = _made(card, "array", 4)
    card.pull()
    try:
        done = subprocess.run(["bpftool", "prog", "show", "pinned", pin], capture_output=True,
                              text=True)
        assert "No such device" in done.stderr
        assert "No such device" in table.refuses(lambda: table.lookup(KEY))
    finally:
        card.put_in()
    assert card.budget() == (0, 0)
