# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reads what the TC ingress program hands to user space, by libbpf's ring of perf events."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from types import TracebackType

from hwtests.lab import Node
from hwtests.lab.waiting import Deadline

_SAMPLE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
_LOST = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64)
_HEADER = struct.Struct("=5I")


@dataclass(frozen=True)
class Handed:
    """struct lb_handed, and the octets behind it."""

    length: int
    ifindex: int
    gso_size: int
    vlan: int
    frame: bytes


class Reader:
    """All of hand_map's rings, from entering on; at its end nobody reads any more."""

    def __init__(self, node: Node, interface: str, pages: int = 64) -> None:
        self._lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        self._lib.perf_buffer__new.restype = ctypes.c_void_p
        self._lib.perf_buffer__new.argtypes = [
            ctypes.c_int, ctypes.c_size_t, _SAMPLE, _LOST, ctypes.c_void_p, ctypes.c_void_p]
        # The node's own BPF file system, as its mount namespace has it.
        path = f"/proc/{node.pid}/root/sys/fs/bpf/shunt/abi1/{interface}/tc/hand_map"
        self.got: list[Handed] = []
        self.lost = 0
        self._map: int = self._lib.bpf_obj_get(os.fsencode(path))
        assert self._map >= 0, f"{path}: {os.strerror(ctypes.get_errno())}"
        self._callbacks = _SAMPLE(self._sample), _LOST(self._lose)
        self._buffer = ctypes.c_void_p(self._lib.perf_buffer__new(
            self._map, pages, *self._callbacks, None, None))
        assert self._buffer.value, os.strerror(ctypes.get_errno())

    def _sample(self, context: int | None, cpu: int, data: int, size: int) -> None:
        octets = ctypes.string_at(data, size)
        length, captured, ifindex, gso_size, vlan = _HEADER.unpack_from(octets)
        self.got.append(Handed(length, ifindex, gso_size, vlan,
                               octets[_HEADER.size:_HEADER.size + captured]))

    def _lose(self, context: int | None, cpu: int, number: int) -> None:
        self.lost += number

    def take(self, count: int, timeout: float = 10.0) -> list[Handed]:
        """The next ones, fewer only when the time is over."""
        deadline = Deadline(timeout)
        while len(self.got) < count and not deadline.passed():
            assert self._lib.perf_buffer__poll(self._buffer, 100) >= 0
        taken, self.got = self.got[:count], self.got[count:]
        return taken

    def close(self) -> None:
        """The rings go, and with the descriptor their places in the map."""
        self._lib.perf_buffer__free(self._buffer)
        os.close(self._map)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
