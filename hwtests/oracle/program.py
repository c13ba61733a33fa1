# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Loads a BPF object by libbpf, without the loader, and runs frames through its program.

By ctypes: what is used of libbpf here is its stable ABI, and nothing has to be built.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Mapping

_PERCPU_ARRAY = 6
_MAX_FRAME = 4096

_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _TestRun(ctypes.Structure):
    """struct bpf_test_run_opts."""

    _fields_ = [
        ("sz", ctypes.c_size_t), ("data_in", ctypes.c_void_p), ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32), ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p), ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32), ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32), ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32), ("batch_size", ctypes.c_uint32),
    ]


def load_library() -> ctypes.CDLL:
    """libbpf, with what returns more than a number."""
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name in ("bpf_object__open_file", "bpf_object__next_map", "bpf_object__next_program"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("bpf_map__name", "bpf_program__name"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


def possible_cpus() -> int:
    """How many values a per-CPU entry has."""
    text = Path("/sys/devices/system/cpu/possible").read_text()
    return int(re.split("[-,]", text.strip())[-1]) + 1


@dataclass(frozen=True)
class MapInfo:
    """One map of a loaded object."""

    name: str
    fd: int
    type: int
    key_size: int
    value_size: int
    flags: int


#: libbpf would tell each failure on stderr; errno and the log of bpftool say enough. One for the
#: process, as libbpf keeps it: whoever uses the library next calls it, too.
_SILENT = _PRINT(lambda level, text, args: 0)


class Program:
    """A loaded object with one program; sizes gives max_entries, flags map_flags, by map name."""

    def __init__(self, path: Path, sizes: Mapping[str, int] | None = None, *,
                 flags: Mapping[str, int] | None = None) -> None:
        self._lib = load_library()
        self._lib.libbpf_set_print(_SILENT)
        self._object = ctypes.c_void_p(self._lib.bpf_object__open_file(os.fsencode(path), None))
        if not self._object.value:
            raise OSError(ctypes.get_errno(), f"{path}: cannot be opened as a BPF object")
        for handle in self._handles("map"):
            name = self._lib.bpf_map__name(handle).decode()
            if sizes and name in sizes:
                self._lib.bpf_map__set_max_entries(handle, ctypes.c_uint32(sizes[name]))
            if flags and name in flags:
                self._lib.bpf_map__set_map_flags(handle, ctypes.c_uint32(flags[name]))
        error = self._lib.bpf_object__load(self._object)
        if error:
            self.close()
            raise OSError(-error, f"{path}: {os.strerror(-error)}: bpftool prog load tells more")
        self.maps = {info.name: info for info in map(self._map_info, self._handles("map"))}
        (program,) = self._handles("program")
        self.name = self._lib.bpf_program__name(program).decode()
        self.fd = int(self._lib.bpf_program__fd(program))

    def _handles(self, kind: str) -> list[ctypes.c_void_p]:
        following, handles = getattr(self._lib, f"bpf_object__next_{kind}"), []
        handle = following(self._object, None)
        while handle:
            handles.append(ctypes.c_void_p(handle))
            handle = following(self._object, handles[-1])
        return handles

    def _map_info(self, handle: ctypes.c_void_p) -> MapInfo:
        lib = self._lib
        return MapInfo(lib.bpf_map__name(handle).decode(), lib.bpf_map__fd(handle),
                       lib.bpf_map__type(handle), lib.bpf_map__key_size(handle),
                       lib.bpf_map__value_size(handle), lib.bpf_map__map_flags(handle))

    def _told(self, what: str) -> int:
        """A number that the kernel tells of the program's descriptor."""
        text = Path(f"/proc/self/fdinfo/{self.fd}").read_text()
        found = re.search(rf"^{what}:\s*(\d+)", text, re.MULTILINE)
        if not found:
            raise OSError(errno.ENOTSUP, f"this kernel does not tell {what}")
        return int(found[1])

    def verified_instructions(self) -> int:
        """How many instructions the verifier walked."""
        return self._told("verified_insns")

    def octets(self) -> tuple[int, int]:
        """Of BPF as the verifier left it, and of machine code: 0 where there is none."""
        shown = json.loads(subprocess.run(
            ["bpftool", "-j", "prog", "show", "id", str(self._told("prog_id"))], check=True,
            capture_output=True, text=True).stdout)
        return shown["bytes_xlated"], shown.get("bytes_jited", 0)

    def update(self, name: str, key: int | bytes, value: bytes) -> None:
        """Write one entry, for all CPUs the same one where each has its own and value is one."""
        info = self.maps[name]
        if info.type == _PERCPU_ARRAY and len(value) == info.value_size:
            value = value.ljust(-(-len(value) // 8) * 8, b"\0") * possible_cpus()
        assert len(value) == self._value_size(info), f"{name}: {len(value)} octets"
        octets = key.to_bytes(4, "little") if isinstance(key, int) else key
        error = self._lib.bpf_map_update_elem(info.fd, octets, value, ctypes.c_uint64(0))
        if error:
            raise OSError(-error, f"{name}[{key!r}]: {os.strerror(-error)}")

    @staticmethod
    def _value_size(info: MapInfo) -> int:
        """As system calls take it."""
        if info.type == _PERCPU_ARRAY:
            return -(-info.value_size // 8) * 8 * possible_cpus()
        return info.value_size

    def items(self, name: str) -> dict[bytes, bytes]:
        """All there is in a map; of each CPU, where each has its own."""
        info, found = self.maps[name], {}
        value = ctypes.create_string_buffer(self._value_size(info))
        key = ctypes.create_string_buffer(info.key_size)
        last = None
        while self._lib.bpf_map_get_next_key(info.fd, last, key) == 0:
            last = key.raw
            if self._lib.bpf_map_lookup_elem(info.fd, last, value) == 0:
                found[last] = value.raw
        return found

    def counts(self, name: str) -> list[tuple[int, int]]:
        """Packets and octets of every entry of a counter map, summed over the CPUs."""
        info = self.maps[name]
        found: list[tuple[int, int]] = []
        copies = possible_cpus() if info.type == _PERCPU_ARRAY else 1
        value = (ctypes.c_uint64 * (2 * copies))()
        while self._lib.bpf_map_lookup_elem(info.fd, len(found).to_bytes(4, "little"),
                                            ctypes.byref(value)) == 0:
            found.append((sum(value[0::2]), sum(value[1::2])))
        return found

    def run(self, frame: bytes) -> tuple[int, bytes]:
        """The program's verdict on a frame, and the frame as it left it."""
        out = ctypes.create_string_buffer(_MAX_FRAME)
        data = ctypes.create_string_buffer(frame, len(frame))
        options = _TestRun(sz=ctypes.sizeof(_TestRun), data_in=ctypes.addressof(data),
                           data_size_in=len(frame), data_out=ctypes.addressof(out),
                           data_size_out=len(out))
        error = self._lib.bpf_prog_test_run_opts(self.fd, ctypes.byref(options))
        if error:
            raise OSError(-error, f"test run of {len(frame)} octets: {os.strerror(-error)}")
        return int(options.retval), out.raw[:options.data_size_out]

    def close(self) -> None:
        """Unload it."""
        if self._object:
            self._lib.bpf_object__close(self._object)
            self._object = ctypes.c_void_p()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
