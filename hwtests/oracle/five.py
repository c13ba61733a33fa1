# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The data path's hash of five 32-bit words: two products, added up and folded."""

from __future__ import annotations

import struct

_LOW = 0xffffffff


def _halves(product: int) -> tuple[int, int]:
    return product & _LOW, product >> 32


def hash_five(octets: bytes) -> tuple[int, int]:
    """The two results for 20 octets as they lie in memory of a little-endian machine."""
    a, b, c, d, e = struct.unpack("<5I", octets)
    large = 1 << 31
    left = (a ^ 0xda779d50 | large) * (b ^ 0xf44213c9 | large)
    right = (c ^ 0xf89718ae | large) * (d ^ e ^ 0x5ac4662f | large)
    low, high = _halves((left ^ (a | b << 32)) + (right ^ (c | d << 32)) + e & (1 << 64) - 1)
    low, high = _halves((low ^ high) * 0xf045851f)
    return low ^ high, high


def hash_tuple(source: bytes, destination: bytes, ports: bytes) -> int:
    """What picks the row of a flow: IPv6's addresses are added up in pairs of words."""
    if len(source) == 4:
        return hash_five(source + destination + bytes(8) + ports)[0]
    summed = b"".join(
        struct.pack("<Q", (x + y) & 0xffffffffffffffff)
        for x, y in zip(struct.unpack("<2Q", source), struct.unpack("<2Q", destination)))
    return hash_five(summed + ports)[0]
