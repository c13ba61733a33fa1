# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The rows of a pool's fallback table: weighted Maglev over a power of two."""

from __future__ import annotations

from typing import Mapping

from .lookup3 import hash_octets

SEED = 0x6d61676c


def preference(name: str, rows: int) -> tuple[int, int]:
    """Where a server begins to look for a free row, and by how much it goes on."""
    first, second = hash_octets(name.encode(), SEED)
    return first & (rows - 1), (second | 1) & (rows - 1)


def fill(weights: Mapping[str, int], rows: int) -> list[str | None]:
    """The server of each row; None in all of them when nobody has weight."""
    names = sorted((name for name in weights if weights[name] > 0), key=str.encode)
    table: list[str | None] = [None] * rows
    if not names:
        return table
    most = max(weights[name] for name in names)
    walks = {name: preference(name, rows) for name in names}
    steps = dict.fromkeys(names, 0)
    credit = dict.fromkeys(names, 0)
    free = rows
    while free:
        for name in names:
            credit[name] += weights[name]
            while credit[name] >= most and free:
                credit[name] -= most
                offset, skip = walks[name]
                while table[row := (offset + steps[name] * skip) % rows] is not None:
                    steps[name] += 1
                table[row] = name
                free -= 1
    return table
