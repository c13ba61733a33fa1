# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Map contents for a configuration, from what abi.h says of the layout: a second opinion.

Packets read the second generation here, which begins behind entries that nobody filled, so that
a program which forgets a base reads nothing.
"""

from __future__ import annotations

import re
import socket
import struct
from pathlib import Path
from typing import Iterable, Iterator, Mapping

from .aes_keys import expand, expand_inverse
from .five import hash_five
from .model import Cid, Decision, Model, Server
from .program import Program
from .quic_lb import CidConfig

TREE = Path(__file__).resolve().parents[2]
MAGIC = 0x34746e73
BASE = 3
#: ICMP answers a CPU and second: more than a test asks for.
ANSWERS = 1000000

_VERDICTS = {0: "XDP_ABORTED", 1: "XDP_DROP", 2: "XDP_PASS", 3: "XDP_TX", 4: "XDP_REDIRECT"}


def reasons() -> list[str]:
    """The names of counters.h in their order."""
    text = (TREE / "bpf/include/lb/counters.h").read_text()
    listed = text.split("#define LB_REASONS(X)")[1].split("enum lb_reason")[0]
    return re.findall(r"X\((\w+), (?:PASS|DROP|FORWARD|RETURN|ANSWER),", listed)


class Table:
    """Buckets of two slots, two buckets a key; grown until each key finds a place unmoved."""

    def __init__(self, entries: Iterable[tuple[bytes, int]]) -> None:
        wanted = list(entries)
        self.buckets: list[list[tuple[bytes, int]]] = []
        size = 1
        while not self._fill(wanted, size):
            size *= 2

    def _fill(self, entries: list[tuple[bytes, int]], size: int) -> bool:
        self.buckets = [[] for _ in range(size)]
        for key, value in entries:
            first, second = hash_five(key)
            for place in (first, second >> 8):
                bucket = self.buckets[place & (size - 1)]
                if len(bucket) < 2:
                    bucket.append((key, value))
                    break
            else:
                return False
        return True

    def values(self) -> list[bytes]:
        """The entries of the map."""
        return [b"".join(key + struct.pack("<I", value) for key, value in bucket).ljust(48, b"\0")
                for bucket in self.buckets]


def _address(text: str) -> bytes:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text).ljust(16, b"\0")


#: By mode; nat's is a flag.
OUTER_LENGTH = {1: 0, 2: 20, 3: 40, 4: 32, 5: 52, 6: 64, 7: 64}


def _server(model: Model, server: Server) -> bytes:
    source, destination = b"", b""
    mode, total = 1, 0
    six, port = ":" in server.address, b"\0\0"
    if server.mode in ("ipip", "gue"):
        mode = (4 if server.mode == "gue" else 2) + six
        source = _address(model.source6 if six else model.source4)
        destination = _address(server.address)
    if server.mode == "gue":
        port = model.gue_port.to_bytes(2, "big")
    if server.mode == "nat":
        mode, port = 6 + six, server.port.to_bytes(2, "big")
        destination = _address(server.address)
    if mode in (2, 4, 5, 6, 7):
        # DF, or what UDP's pseudo-header and port add, as they lie there; of nat nothing more
        rest = b"" if mode > 5 else port + b"\0\x11" if six else b"\x40\0"
        total = sum(number for number, in struct.iter_unpack("<H", source + destination + rest))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("<6s6sI16s16sBBH2sH", server.mac, b"\x02\0\0\0\0\0", 0, destination,
                       source, mode, OUTER_LENGTH[mode], total, port, 0xffff)


#: Octets before the body that the offsets of struct lb_cid_key count from.
LEAD = 10
ALGORITHMS = {"clear": 1, "single-pass": 2, "four-pass": 3}
LENGTH_CHECKS = {"none": 0, "at-least": 1, "equal": 2}
#: Any number will do, so long as conn_map has it too.
TAG = 0x5eed
CID_OCTETS, KEY_OCTETS = 48, 408


def _cid(cid: Cid) -> bytes:
    """struct lb_cid_config."""
    layout = cid.layout
    least = layout.body_length if LENGTH_CHECKS[cid.length_check] else 0
    return struct.pack("<4B16sI20sBB2x", ALGORITHMS[layout.algorithm], layout.server_id_length,
                       layout.nonce_length, LENGTH_CHECKS[cid.length_check],
                       b"\xff" * layout.server_id_length, TAG if layout.key else 0,
                       b"\xff" * (1 + layout.body_length if layout.key
                                  else layout.server_id_length), 1 + layout.body_length, least)


def _cid_key(layout: CidConfig) -> bytes:
    """struct lb_cid_key: for each half a load of eight octets that stays inside the body and its
    lead, shifted so that the half begins at the highest bit, and a load of the two octets after."""
    assert layout.key is not None
    length = layout.body_length
    half = (length + 1) // 2
    end, high = LEAD + length, min(half, 8)
    ones = bytearray(b"\xff" * half).ljust(10, b"\0")
    left, right = ones.copy(), ones.copy()
    if length % 2:
        left[half - 1], right[0] = 0xf0, 0x0f
    left_at = min(LEAD, end - 8)
    right_at = end - half if half > 8 else end - 8
    masks = [left[:8][::-1], right[:8][::-1],
             left[8:][::-1] + b"\0\0", right[8:][::-1] + b"\0\0",
             (b"\xff" * layout.server_id_length).ljust(16, b"\0")]
    passes = 3 if layout.server_id_length <= layout.nonce_length else 4
    numbers = (0 if layout.algorithm == "single-pass" else passes,
               left_at, 8 * (LEAD - left_at), LEAD + 8 if half > 8 else LEAD,
               right_at, 8 * (8 - high), end - 2, 8 if half == 9 else 0,
               8 * (length - half))
    words = [*expand(layout.key), *expand_inverse(layout.key)]
    return (b"".join(word[::-1] for word in words) + b"".join(masks)
            + struct.pack("<I9B3x", length, *numbers))


class Tier:
    """One tier's object, loaded and filled for a model; route() is the program's own answer."""

    def __init__(self, path: Path, model: Model, sizes: Mapping[str, int] | None = None) -> None:
        self._model = model
        self._pools = {pool: number for number, pool in enumerate(model.rows, start=1)}
        self._vips = {name: number
                      for number, (name, _) in enumerate(model.vips.values(), start=1)}
        self._servers = {server.number: server for server in model.servers.values()}
        self._reasons = reasons()
        contents = self._contents(path.name == "offload.bpf.o")
        entries = {name: BASE + len(values) for name, values in contents.items()}
        entries |= {"reason_stats": len(self._reasons), "vip_stats": len(self._vips) + 1,
                    "server_stats": len(self._servers) + 1,
                    "cid_stats": 8 * (len(self._pools) + 1),
                    "cid_seen_map": 8 * (len(self._pools) + 1)}
        self.program = Program(path, entries | dict(sizes or {}))
        try:
            for name in contents.keys() & self.program.maps.keys():
                for index, value in enumerate(contents[name]):
                    self.program.update(name, BASE + index, value)
            self.program.update("generation_map", 1, self._generation(contents))
            self.program.update("meta_map", 0, struct.pack("<4I", MAGIC, 1, 1, 0))
        except BaseException:
            self.close()
            raise
        self._before = self._counts()

    def _contents(self, card: bool) -> dict[str, list[bytes]]:
        model = self._model
        vips = Table((address.ljust(16, b"\0") + struct.pack(">H", port)
                      + struct.pack("<H", version),
                      self._pools[pool] << 16 | self._vips[name])
                     for (version, address, port), (name, pool) in model.vips.items())
        sids = Table((octets.ljust(16, b"\0") + struct.pack("<I", self._pools[pool] << 8 | config),
                      server.number)
                     for (pool, config, octets), server in model.server_ids.items())
        cids = [b"\0" * CID_OCTETS] * (8 * (len(self._pools) + 1))
        keys = [b"\0" * KEY_OCTETS] * len(cids)
        for (name, config), cid in model.cids.items():
            cids[8 * self._pools[name] + config] = _cid(cid)
            if cid.layout.key is not None:
                keys[8 * self._pools[name] + config] = _cid_key(cid.layout)
        tables = list(model.rows.items())
        rows = [b"\0" * 4] * len(tables[0][1])
        for pool, names in tables:
            rows += [struct.pack("<I", model.servers[pool, name].number if name else 0)
                     for name in names]
        unset = b"\0" * 56
        servers = [unset] + [unset if card and server.mode in ("gue", "nat")
                             else _server(model, server) for server in self._servers.values()]
        addresses = Table(self._addresses())
        return {"vip_map": vips.values(), "sid_map": sids.values(), "cid_config_map": cids,
                "cid_key_map": keys, "row_map": rows, "server_map": servers,
                "address_map": addresses.values(), "vip_address_map": self._vip_addresses(),
                "setting_map": [self._setting(addresses)]}

    def _addresses(self) -> Iterator[tuple[bytes, int]]:
        """VIPs' addresses alone, and nat servers' with their ports."""
        model = self._model
        for version, address in {(version, address) for version, address, _ in model.vips}:
            yield address.ljust(16, b"\0") + struct.pack("<I", version << 16 | 1 << 31), 1
        for (version, _, port), (name, pool) in model.vips.items():
            for server in model.servers.values():
                if server.pool == pool and server.mode == "nat":
                    key = struct.pack(">H", server.port or port) + struct.pack("<H", version)
                    yield (_address(server.address) + key,
                           self._vips[name] << 16 | server.number)

    def _vip_addresses(self) -> list[bytes]:
        """struct lb_vip, by number."""
        return [bytes(20)] + [
            address.ljust(16, b"\0") + struct.pack(">H", port) + struct.pack("<H", version)
            for version, address, port in self._model.vips]

    def _setting_words(self, addresses: Table) -> list[int]:
        """struct lb_setting. No flow is remembered: what comes must not depend on what came."""
        has_nat = any(server.mode == "nat" for server in self._servers.values())
        return [BASE, len(addresses.buckets) - 1, BASE, has_nat, 0, 0, 0, 0, 0, ANSWERS, *[0] * 8]

    def _setting(self, addresses: Table) -> bytes:
        return struct.pack("<18I", *self._setting_words(addresses))

    def _generation(self, contents: dict[str, list[bytes]]) -> bytes:
        rows = len(next(iter(self._model.rows.values())))
        # One page of cached connection IDs: frames that come twice are decoded once.
        return struct.pack("<12I", BASE, len(contents["vip_map"]) - 1, BASE,
                           len(contents["sid_map"]) - 1, 1, BASE, rows - 1, BASE, BASE,
                           BASE, 1, 0)

    def _counts(self) -> dict[str, list[tuple[int, int]]]:
        return {name: self.program.counts(name)
                for name in ("reason_stats", "vip_stats", "server_stats", "cid_stats")}

    def route(self, frame: bytes) -> Decision:
        """Run the frame; what was decided is what was counted."""
        verdict, out = self.program.run(frame)
        after = self._counts()
        counted = {name: self._one_more(name, after[name], len(frame)) for name in after}
        self._before = after
        reason, server = counted["reason_stats"], counted["server_stats"]
        assert reason is not None, "no reason was counted"
        names = {number: name for name, number in self._vips.items()}
        chosen = self._servers[server] if server is not None else None
        vip = counted["vip_stats"]
        cid = counted["cid_stats"]
        return Decision(_VERDICTS[verdict], self._reasons[reason],
                        cid & 7 if cid is not None else None,
                        names[vip] if vip is not None else None,
                        chosen.name if chosen else None, chosen.pool if chosen else None,
                        None if _VERDICTS[verdict] == "XDP_PASS" and out == frame else out)

    def _one_more(self, name: str, after: list[tuple[int, int]], length: int) -> int | None:
        grown = [(index, now[0] - was[0], now[1] - was[1])
                 for index, (was, now) in enumerate(zip(self._before[name], after)) if was != now]
        assert len(grown) <= 1 and all(more[1:] == (1, length) for more in grown), \
            f"{name}: one frame of {length} octets counted as {grown}"
        return grown[0][0] if grown else None

    def close(self) -> None:
        """Unload it."""
        self.program.close()
