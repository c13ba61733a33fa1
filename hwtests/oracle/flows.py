# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Where flows without a routable connection ID go, and what is remembered of them: a second opinion
of bpf/include/lb/track.h, with a clock that stands still until it is told to go on: by a unit of
flow_recent_map's at least."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from .model import MIN_PACKET, Datagram, Decision, Model, parse

CID_OCTETS = 8
Key = tuple[object, ...]


@dataclass(frozen=True)
class Tracking:
    """What the file says of it, in ticks."""

    handshake: int = 1 << 22
    idle: int = 1 << 24
    second: int = 1 << 20
    budget: int = 1 << 30
    share: int = 1 << 30
    #: Room that user space has counted; None: nobody counts.
    room: int | None = None
    flows: int = 4096


@dataclass
class Flow:
    """An entry of conn_track."""

    server: str
    seen: int
    cid: bytes | None = None
    scid: bytes | None = None
    established: bool = False
    long_cid: bool = False
    packets: int = 1


@dataclass(frozen=True)
class Packet:
    """What a flow's packet is known by."""

    tuple: Key
    vip: str
    form: str
    cid: bytes | None
    scid: bytes | None

    @classmethod
    def of(cls, datagram: Datagram, vip: str) -> Packet:
        """The first of a datagram."""
        payload = datagram.payload
        where: Key = ("tuple", vip, datagram.source, datagram.ports[:2])
        if len(payload) < MIN_PACKET:
            return cls(where, vip, "other", None, None)
        if payload[0] < 0x80:
            return cls(where, vip, "short", payload[1:1 + CID_OCTETS], None)
        length = payload[5]
        cid = payload[6:6 + CID_OCTETS] if length >= CID_OCTETS else None
        behind = payload[6 + length:]
        scid = None
        if len(behind) >= 9 and len(behind) > behind[0]:
            whole = behind[1:1 + behind[0]]
            # Its length, its first and its last octets.
            scid = bytes([len(whole)]) + whole[:8] + whole[-8:]
        return cls(where, vip, "long", cid, scid)

    def belongs_to(self, flow: Flow) -> bool:
        """As far as can be told of a packet with the flow's tuple."""
        if self.form == "long":
            return self.scid == flow.scid
        return self.cid is None or flow.cid is None or self.cid == flow.cid


@dataclass
class Flows:
    """The flows of one balancer with one CPU."""

    model: Model
    tracking: Tracking
    now: int = 0
    table: dict[Key, Flow] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _second: int = 0
    _used: Counter[str] = field(default_factory=Counter)

    def route(self, frame: bytes) -> Decision:
        """What becomes of a frame."""
        stateless = self.model.route(frame)
        if not stateless.reason.startswith("hash_") and stateless.reason != "no_server":
            return stateless
        assert stateless.vip is not None
        packet = Packet.of(parse(frame), stateless.vip)
        found = self._find(packet)
        if found is None and stateless.server is not None:
            self._add(self._free_key(packet), "added",
                      Flow(stateless.server, self.now, packet.cid, packet.scid), packet.vip)
        if found is None:
            return stateless
        reason, server = found
        return replace(stateless, verdict="XDP_TX", reason=reason, server=server)

    def _live(self, key: Key) -> Flow | None:
        flow = self.table.get(key)
        if flow is None:
            return None
        patience = self.tracking.idle if flow.established else self.tracking.handshake
        return flow if self.now - flow.seen <= patience else None

    def _free_key(self, packet: Packet) -> Key:
        """The tuple's, unless it is another connection's."""
        return self._scid_key(packet) if self._live(packet.tuple) else packet.tuple

    @staticmethod
    def _scid_key(packet: Packet) -> Key:
        return (*packet.tuple, packet.scid)

    def _find(self, packet: Packet) -> tuple[str, str] | None:
        flow = self._live(packet.tuple)
        if flow and packet.belongs_to(flow):
            self._meet(flow, packet)
            return "flow", flow.server
        if packet.form == "long":
            other = self._live(self._scid_key(packet))
            if other:
                self._meet(other, packet)
            return ("flow", other.server) if other else None
        known = self._live(("cid", packet.vip, packet.cid)) if packet.cid else None
        if known:
            known.packets += 1
            known.seen = self.now
            if flow is None:
                self._add(packet.tuple, "added",
                          replace(known, cid=packet.cid, scid=None, packets=1), packet.vip)
            elif flow.server == known.server:
                self._meet(flow, packet)
            return "flow_cid", known.server
        if flow:
            self._meet(flow, packet)
            return "flow", flow.server
        return None

    def _meet(self, flow: Flow, packet: Packet) -> None:
        was = flow.seen, flow.established, flow.long_cid, flow.cid
        flow.packets += 1
        flow.seen = self.now
        if packet.form == "short":
            flow.established = True
        if packet.cid and flow.cid and (packet.cid == flow.cid) == (packet.form == "short"):
            flow.long_cid = True
        if packet.cid:
            flow.cid = packet.cid
        is_now = self.now, flow.established, flow.long_cid, flow.cid
        if packet.cid and flow.long_cid and was != is_now:
            self._tell(flow, packet.vip)

    def _tell(self, flow: Flow, vip: str) -> None:
        """The connection ID is its server's, and nobody else's."""
        key: Key = ("cid", vip, flow.cid)
        known = self._live(key)
        if known is None:
            self._add(key, "cid_added", replace(flow, packets=1, scid=None), vip)
        elif known.server == flow.server:
            known.packets += 1
            known.seen = self.now
            known.established, known.long_cid = flow.established, flow.long_cid

    def _add(self, key: Key, counter: str, flow: Flow, vip: str) -> None:
        refusal = self._refusal(vip)
        if refusal is None:
            counter = "expired" if key in self.table else counter
            self.table[key] = flow
        self.counts[refusal or counter] += 1

    def _refusal(self, vip: str) -> str | None:
        if self.now - self._second >= self.tracking.second:
            self._second, self._used = self.now, Counter()
        used = sum(self._used.values())
        if used >= self.tracking.budget:
            return "over_budget"
        if self.tracking.room is not None and used >= self.tracking.room:
            return "full"
        if self._used[vip] >= self.tracking.share:
            return "over_share"
        self._used[vip] += 1
        return None
