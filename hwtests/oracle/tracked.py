# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A host tier that remembers flows, as flows.py does, and time that is moved by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from .flows import Tracking
from .model import Model
from .plan import BASE, Table, Tier

SLOTS = 32
_LONG_CID, _ESTABLISHED = 1, 2
#: Long ago, for whoever has not been up for months.
_SINCE = 1 << 31
_COUNTERS = ("added", "cid_added", "over_budget", "over_share", "full", "expired")


@dataclass(frozen=True)
class Entry:
    """An entry of conn_track, without its times."""

    server: str
    cid: bytes
    established: bool
    long_cid: bool
    packets: int


class TrackedTier(Tier):
    """The program over maps in which flows are remembered."""

    def __init__(self, path: Path, model: Model, tracking: Tracking) -> None:
        self._tracking = tracking
        entries = 1
        while entries * SLOTS < tracking.flows:
            entries *= 2
        self._slots = entries * SLOTS
        super().__init__(path, model, {"conn_track": tracking.flows, "flow_recent_map": entries,
                                       "flow_budget_map": len(model.vips) + 1})

    def _setting_words(self, addresses: Table) -> list[int]:
        words = super()._setting_words(addresses)
        tracking = self._tracking
        longest = max(tracking.handshake, tracking.idle)
        shift = max(0, longest.bit_length() - 5)
        words[4:9] = [self._slots - 1, tracking.budget, tracking.share, tracking.handshake,
                      tracking.idle]
        words[11:17] = [tracking.second, shift, (longest >> shift) + 1, _SINCE,
                        *((2**32 - 1, 0) if tracking.room is None
                          else (tracking.room, (self._jiffies() + 2**30) % 2**32))]
        return words

    def _jiffies(self) -> int:
        """When the last packet of a flow came; there must have been one."""
        return max(int.from_bytes(value[8:12], "little")
                   for value in self.program.items("conn_track").values())

    def follow(self, model: Model, tracking: Tracking | None = None) -> None:
        """What an apply changes: the rows, and what is said of flows."""
        self._tracking = tracking or self._tracking
        self._model = model
        contents = self._contents(card=False)
        for name in ("row_map", "setting_map"):
            for index, value in enumerate(contents[name]):
                self.program.update(name, BASE + index, value)

    def flows(self) -> dict[bytes, Entry]:
        """conn_track, by key."""
        found = {}
        for key, value in self.program.items("conn_track").items():
            server, _, _, packets, cid, _, flags = struct.unpack("<4I8sII", value)
            found[key] = Entry(self._servers[server].name, cid, bool(flags & _ESTABLISHED),
                               bool(flags & _LONG_CID), packets)
        return found

    def kinds(self) -> list[int]:
        """Of the keys there are: enum lb_flow_kind, in order."""
        return sorted(key[23] for key in self.program.items("conn_track"))

    def pass_time(self, ticks: int) -> None:
        """As if so much had gone by: everything that holds a time is moved into the past."""
        for key, value in self.program.items("conn_track").items():
            words = list(struct.unpack("<8I", value))
            words[1:3] = [(word - ticks) % 2**32 for word in words[1:3]]
            self.program.update("conn_track", key, struct.pack("<8I", *words))
        shift = self._setting_words(Table([]))[12]
        for key, value in self.program.items("flow_recent_map").items():
            slots = [(slot - (ticks >> shift << 8)) % 2**16 if slot & 0xff else slot
                     for slot in struct.unpack(f"<{SLOTS}H", value)]
            self.program.update("flow_recent_map", key, struct.pack(f"<{SLOTS}H", *slots))
        for key, value in self.program.items("flow_budget_map").items():
            words = list(struct.unpack(f"<{len(value) // 4}I", value))
            words[0::4] = [(word - ticks) % 2**32 for word in words[0::4]]
            self.program.update("flow_budget_map", key, struct.pack(f"<{len(words)}I", *words))

    def flow_counts(self) -> dict[str, int]:
        """flow_stats, without what is zero."""
        counted = [packets for packets, _ in self.program.counts("flow_stats")]
        return {name: count for name, count in zip(_COUNTERS, counted, strict=True) if count}

    def flood(self, frames: Iterable[bytes]) -> None:
        """Run them, and ask nothing."""
        for frame in frames:
            self.program.run(frame)
        self._before = self._counts()

    def forget(self) -> None:
        """limits.flows: 0."""
        words = self._setting_words(Table([]))
        words[4] = 0
        self.program.update("setting_map", BASE, struct.pack("<18I", *words))
