# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""TCX programs of a node, which tc and bpftool do not show: lists them, adds those of others."""

from __future__ import annotations

import ctypes
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .errors import LabError
from .netns import Node

INGRESS, EGRESS = 46, 47  # enum bpf_attach_type of Linux 6.6
_MOST = 64


@dataclass(frozen=True)
class Program:
    """One of a list, in the order in which they see a packet."""

    id: int
    name: str


class _Info(ctypes.Structure):
    """The beginning of struct bpf_prog_info."""

    _fields_ = [("type", ctypes.c_uint32), ("id", ctypes.c_uint32), ("tag", ctypes.c_uint8 * 8),
                ("lengths", ctypes.c_uint32 * 2), ("pointers", ctypes.c_uint64 * 2),
                ("load_time", ctypes.c_uint64), ("uid", ctypes.c_uint32),
                ("n_maps", ctypes.c_uint32), ("map_ids", ctypes.c_uint64),
                ("name", ctypes.c_char * 16)]


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name in ("bpf_object__open_file", "bpf_object__next_program"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def _program(library: ctypes.CDLL, number: int) -> Program:
    fd = library.bpf_prog_get_fd_by_id(number)
    if fd < 0:
        raise LabError(f"program {number}: {os.strerror(ctypes.get_errno())}")
    info, length = _Info(), ctypes.c_uint32(ctypes.sizeof(_Info))
    error = library.bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length))
    os.close(fd)
    if error:
        raise LabError(f"program {number}: {os.strerror(-error)}")
    return Program(number, info.name.decode())


def programs(node: Node, interface: str, end: int) -> list[Program]:
    """What is at that end of the interface; nothing where the kernel has no TCX."""
    library = _library()

    def ask() -> list[int]:
        ids, count = (ctypes.c_uint32 * _MOST)(), ctypes.c_uint32(_MOST)
        error = library.bpf_prog_query(socket.if_nametoindex(interface), end, 0, None, ids,
                                       ctypes.byref(count))
        return [] if error else ids[:count.value]
    return [_program(library, number) for number in node.inside(ask)]


class Other:
    """A TCX program of somebody else, there while it is entered: the first program of an object."""

    def __init__(self, node: Node, interface: str, end: int, path: Path) -> None:
        self._library = _library()
        self._object = ctypes.c_void_p(
            self._library.bpf_object__open_file(os.fsencode(path), None))
        if not self._object.value or self._library.bpf_object__load(self._object):
            raise LabError(f"{path}: does not load")
        first = ctypes.c_void_p(self._library.bpf_object__next_program(self._object, None))
        program = self._library.bpf_program__fd(first)
        self._link = node.inside(lambda: int(self._library.bpf_link_create(
            program, socket.if_nametoindex(interface), end, None)))
        if self._link < 0:
            self._library.bpf_object__close(self._object)
            raise LabError(f"TCX on {interface}: {os.strerror(-self._link)}")

    def close(self) -> None:
        """Take it off."""
        self._library.bpf_link_detach(self._link)
        os.close(self._link)
        self._library.bpf_object__close(self._object)

    def __enter__(self) -> Other:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
