# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An attached program whose cache of decoded connection IDs is watched: frames by test runs on one
CPU, on the very maps that the loader fills.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, NamedTuple

from hwtests.lab import Bed, Loader
from hwtests.lab.waiting import Deadline
from hwtests.oracle import Model
from hwtests.oracle.corpus import ether, ip4, udp
from hwtests.oracle.keys import with_keys
from hwtests.oracle.plan import reasons
from hwtests.oracle.program import MapInfo, Program, load_library, possible_cpus
from hwtests.oracle.quic_lb import CidConfig

Config = dict[str, Any]

PERCPU_ARRAY = 6
PAGE = 256 * 2 * 32  #: octets of struct lb_cid_cache_page
PAGE_CIDS = 512
STATE = struct.Struct("<5I4x2Q")  #: struct lb_cid_cache_state
XDP_TX = 3
POOLS = ("a", "b")
#: Reasons of what the kernels themselves send on the link meanwhile.
OTHERS = {"not_udp", "not_ip", "not_vip"}

#: By config id: of the shortest CID, an odd one, one of a single pass, the longest.
SHAPES = ((1, 4), (3, 6), (8, 8), (4, 15))


def key_of(pool: str, number: int, version: int = 0) -> bytes:
    """A key that is always the same."""
    return random.Random(f"{pool}-{number}-{version}").randbytes(16)


def layout(pool: str, number: int, version: int = 0) -> CidConfig:
    """A config of a pool."""
    return CidConfig(number, *SHAPES[number], key_of(pool, number, version))


@dataclass
class File:
    """What a file says, as far as these tests change it. Each pool has all servers."""

    #: Another key, by pool and config id.
    keys: dict[tuple[str, int], int] = field(default_factory=dict)
    #: By pool: the number in the ids of its servers in their order; 0: it has none.
    ids: dict[str, list[int]] = field(default_factory=dict)
    #: Pool and place of servers that get no new connections.
    drained: set[tuple[str, int]] = field(default_factory=set)
    cached_cids: int = PAGE_CIDS

    def layout(self, pool: str, number: int) -> CidConfig:
        """A config of a pool, with the key that it has here."""
        return layout(pool, number, self.keys.get((pool, number), 0))

    def config(self, bed: Bed) -> Config:
        """All of it."""
        def known(pool: str, place: int) -> list[dict[str, Any]]:
            number = self.ids.get(pool, [1, 2, 3, 4])[place]
            return [{"config": cid, "id": number.to_bytes(shape[0], "big").hex()}
                    for cid, shape in enumerate(SHAPES) if number]
        return {
            "version": 1,
            "cid_configs": [
                {"id": cid, "pool": pool, "server_id_length": shape[0], "nonce_length": shape[1],
                 "key_file": key.hex()} for pool in POOLS for cid, shape in enumerate(SHAPES)
                if (key := self.layout(pool, cid).key)],
            "forwarding": {"mode": "l2dsr"},
            "fallback": {"rows": 16},
            "limits": {"flows": 0, "cached_cids": self.cached_cids},
            "pools": [{"name": pool, "servers": [
                {"name": f"{pool}-{host.name}", "address": host.address4,
                 "state": "drain" if (pool, place) in self.drained else "up",
                 "server_ids": known(pool, place)} for place, host in enumerate(bed.servers)]}
                for pool in POOLS],
            "vips": [{"name": pool, "address": bed.vip4, "port": bed.port + place, "pool": pool}
                     for place, pool in enumerate(POOLS)],
        }


class Answer(NamedTuple):
    """What became of a frame."""

    verdict: int
    reason: str
    server: str


class State(NamedTuple):
    """Of one CPU's cache."""

    window: int = 0
    rests: int = 0
    found: int = 0
    missed: int = 0
    poor: int = 0
    all_found: int = 0
    all_missed: int = 0

    @property
    def asked(self) -> tuple[int, int]:
        """Packets found and missed since the maps were made."""
        return self.all_found + self.found, self.all_missed + self.missed


class Attached(Program):
    """The attached program and the maps of it that matter here, by their pins."""

    def __init__(self, bed: Bed, tier: str) -> None:
        self._lib = load_library()
        self._pins = f"/proc/{bed.lb.pid}/root/sys/fs/bpf/shunt/abi1/{bed.lb_interface}/{tier}"
        self.name, self.maps = "", {}
        self._fds: list[int] = []
        self._reasons = reasons()
        self._servers = {bytes.fromhex(host.mac.replace(":", "")): host.name
                         for host in bed.servers}
        self._cpu = min(os.sched_getaffinity(0))
        try:
            self.fd = self._open("prog")
            for name, size in (("cid_cache_state", STATE.size), ("cid_cache_map", PAGE),
                               ("reason_stats", 16)):
                self.maps[name] = MapInfo(name, self._open(name), PERCPU_ARRAY, 4, size, 0)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> int:
        fd = int(self._lib.bpf_obj_get(os.fsencode(f"{self._pins}/{name}")))
        if fd < 0:
            raise OSError(-fd, f"{name}: {os.strerror(-fd)}")
        self._fds.append(fd)
        return fd

    def close(self) -> None:
        """Close what was opened; it stays attached."""
        while self._fds:
            os.close(self._fds.pop())

    def state(self) -> State:
        """Of the CPU that the frames run on."""
        (value,) = self.items("cid_cache_state").values()
        return State(*STATE.unpack_from(value, self._cpu * STATE.size))

    def begin(self, *, empty: bool = True) -> None:
        """As if nothing had been asked yet; empty: nor anything kept."""
        self.update("cid_cache_state", 0, bytes(STATE.size))
        for page in range(len(self.items("cid_cache_map")) if empty else 0):
            self.update("cid_cache_map", page, bytes(PAGE))

    def kept(self) -> int:
        """How many CIDs any CPU keeps, of whatever generation."""
        return sum(1 for page in self.items("cid_cache_map").values()
                   for at in range(0, PAGE * possible_cpus(), 32) if any(page[at:at + 32]))

    def route(self, frame: bytes) -> Answer:
        """What becomes of it."""
        before = self.counts("reason_stats")
        verdict, out = self.run(frame)
        after = self.counts("reason_stats")
        (reason,) = [name for name, was, now in zip(self._reasons, before, after)
                     if now != was and name not in OTHERS]
        return Answer(verdict, reason, self._servers.get(out[:6], ""))

    @contextlib.contextmanager
    def on_one_cpu(self) -> Iterator[None]:
        """Frames run where the caller runs, and each CPU has a cache of its own."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._cpu})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@dataclass
class Cached:
    """A network with an attached program, and what the oracle makes of the file that runs."""

    bed: Bed
    loader: Loader
    program: Attached
    file: File
    model: Model

    @classmethod
    @contextlib.contextmanager
    def attached(cls, bed: Bed, tier: str, file: File) -> Iterator[Cached]:
        """Attached for as long as it is entered, with nothing counted before."""
        loader, config = Loader(bed), file.config(bed)
        loader("attach", bed.lb_interface, "-t", tier, "-c", cls._write(bed, config))
        try:
            with contextlib.closing(Attached(bed, tier)) as program, program.on_one_cpu():
                yield cls(bed, loader, program, file, Model(config))
        finally:
            loader("detach", bed.lb_interface)

    @staticmethod
    def _write(bed: Bed, config: Config) -> str:
        path = bed.dir / "shunt.yaml"
        path.write_text(json.dumps(with_keys(config, bed.dir)))
        return str(path)

    def apply(self, file: File) -> None:
        """Bring another file in, even if it drops what is in use."""
        config = file.config(self.bed)
        self.loader("apply", "-c", self._write(self.bed, config), "--force")
        self.file, self.model = file, Model(config)

    def frame(self, pool: str, payload: bytes, behind: bytes = b"") -> bytes:
        """To the pool's VIP; behind: octets of the frame after the datagram."""
        return bytes(ether() / ip4(self.bed.vip4)
                     / udp(payload, dport=self.bed.port + POOLS.index(pool))) + behind

    def expected(self, frame: bytes) -> Answer:
        """By the oracle."""
        decision = self.model.route(frame)
        assert decision.verdict == "XDP_TX" and decision.server
        return Answer(XDP_TX, decision.reason, decision.server.split("-")[1])

    def right(self, frame: bytes) -> str:
        """It must go where the oracle says. The reason for that."""
        wanted, got = self.expected(frame), self.program.route(frame)
        assert got == wanted, f"{got} for {wanted}: {frame.hex()}"
        return got.reason

    def asked(self, frames: list[bytes], *, before: Callable[[], None] = lambda: None,
              empty: bool = True) -> tuple[int, int]:
        """All go where the oracle says; how many were found, and how many missed. In one window,
        so that no CPU rests in between; before: what is done first, each time that it is tried."""
        deadline = Deadline(30)
        while True:
            before()
            self.program.begin(empty=empty)
            for frame in frames:
                self.right(frame)
            state = self.program.state()
            if (state.all_found, state.all_missed) == (0, 0):
                return state.found, state.missed
            assert not deadline.passed(), "no window is long enough"

    def dcid(self, pool: str, number: int, server: int, low: int | None = None) -> bytes:
        """A connection ID of a server by its number."""
        cid = self.file.layout(pool, number)
        return cid.encode(server.to_bytes(cid.server_id_length, "big"),
                          random.randbytes(cid.nonce_length), low=low)
