# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""AES-128 round keys of both directions (FIPS 197 sections 5.2, 5.3.5), to fill maps by hand.

The S-box is computed from its definition, so that no table is shared with the programs.
"""

from __future__ import annotations

from functools import lru_cache

ROUNDS = 10


def _times(a: int, b: int) -> int:
    """The product in GF(2^8)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11b if a & 0x80 else 0)
        b >>= 1
    return product


@lru_cache(maxsize=None)
def _substitute(octet: int) -> int:
    inverse = next((x for x in range(256) if _times(octet, x) == 1), 0)
    result = 0x63
    for turn in range(5):
        result ^= (inverse << turn | inverse >> (8 - turn)) & 0xff
    return result


def expand(key: bytes) -> list[bytes]:
    """44 words for encryption."""
    words = [key[i:i + 4] for i in range(0, 16, 4)]
    constant = 1
    while len(words) < 4 * (ROUNDS + 1):
        last = words[-1]
        if len(words) % 4 == 0:
            last = bytes(_substitute(octet) for octet in last[1:] + last[:1])
            last = bytes([last[0] ^ constant]) + last[1:]
            constant = _times(constant, 2)
        words.append(bytes(a ^ b for a, b in zip(words[-4], last)))
    return words


@lru_cache(maxsize=None)
def _unmix(word: bytes) -> bytes:
    """Inverse MixColumns on one column."""
    return bytes(_times(word[i], 14) ^ _times(word[(i + 1) % 4], 11)
                 ^ _times(word[(i + 2) % 4], 13) ^ _times(word[(i + 3) % 4], 9)
                 for i in range(4))


def expand_inverse(key: bytes) -> list[bytes]:
    """44 words for the equivalent inverse cipher, in the order that it takes them."""
    words = expand(key)
    found: list[bytes] = []
    for number in range(ROUNDS, -1, -1):
        columns = words[4 * number:4 * number + 4]
        found += columns if number in (0, ROUNDS) else [_unmix(column) for column in columns]
    return found
