# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Bob Jenkins' lookup3 over octets (hashlittle2), as published; the project hashes words with it.

Written over octets although the data path hashes words, so that the two have no line in common:
on whole little-endian words they must agree, and over octets there are published results.
"""

from __future__ import annotations

import struct
from typing import Iterable

# How far the first, second and third partner is rotated, one triple a half round of the mixing.
_MIX = ((4, 6, 8), (16, 19, 4))
_FINAL = (14, 11, 25, 16, 4, 14, 24)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & 0xffffffff


def hashlittle2(octets: bytes, primary: int = 0, secondary: int = 0) -> tuple[int, int]:
    """The two results for any octets and two start values: (pc, pb) of the original."""
    m = 0xffffffff
    a = b = c = (0xdeadbeef + len(octets) + primary) & m
    c = (c + secondary) & m
    rest = octets
    while len(rest) > 12:
        x, y, z = struct.unpack("<3I", rest[:12])
        a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
        for i, j, k in _MIX:
            a = ((a - c) & m) ^ _rotate(c, i)
            c = (c + b) & m
            b = ((b - a) & m) ^ _rotate(a, j)
            a = (a + c) & m
            c = ((c - b) & m) ^ _rotate(b, k)
            b = (b + a) & m
        rest = rest[12:]
    if not rest:
        return c, b
    x, y, z = struct.unpack("<3I", rest.ljust(12, b"\0"))
    state = [(a + x) & m, (b + y) & m, (c + z) & m]
    # Each step changes one of c, a, b, c, ... by the one before it: c by b, a by c, b by a.
    for step, bits in enumerate(_FINAL):
        target, partner = (2, 0, 1)[step % 3], (1, 2, 0)[step % 3]
        value = state[target] ^ state[partner]
        state[target] = (value - _rotate(state[partner], bits)) & m
    return state[2], state[1]


def hash_words(words: Iterable[int], seed: int) -> tuple[int, int]:
    """The project's hash of 32-bit words as they lie in memory of a little-endian machine."""
    return hashlittle2(b"".join(struct.pack("<I", word) for word in words), seed)


def hash_octets(octets: bytes, seed: int) -> tuple[int, int]:
    """The same for octets, padded with zeros to whole words."""
    return hashlittle2(octets + b"\0" * (-len(octets) % 4), seed)
