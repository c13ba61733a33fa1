# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A BPF object file as it lies on disk: sections, symbols, relocations."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

MACHINE_BPF = 247
SYMTAB, NOBITS, REL = 2, 8, 9
ALLOC, EXECUTABLE = 2, 4
HEADER = 64
GLOBAL = 1
OBJECT, FUNCTION, SECTION = 1, 2, 3


class NotAnObject(Exception):
    """What is wrong with a file that should be a BPF object."""


@dataclass
class Symbol:
    name: str
    kind: int
    binding: int
    section: int
    value: int
    size: int


@dataclass
class Section:
    index: int
    name: str
    kind: int
    flags: int
    data: bytes
    size: int
    link: int
    info: int
    relocations: dict[int, Symbol] = field(default_factory=dict)

    @property
    def is_code(self) -> bool:
        return bool(self.flags & EXECUTABLE) and self.size > 0


@dataclass
class Elf:
    sections: list[Section]
    symbols: list[Symbol]

    def find(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.name == name), None)


def _string(table: bytes, offset: int) -> str:
    return table[offset:table.index(b"\0", offset)].decode()


def read(path: Path) -> Elf:
    """The whole file; NotAnObject if it is none, or not for BPF on a little-endian machine."""
    octets = path.read_bytes()
    try:
        return _parse(octets)
    except (struct.error, IndexError, ValueError) as broken:
        raise NotAnObject(f"an ELF file that contradicts itself: {broken}") from broken


def _complete(octets: bytes, at: int, length: int) -> None:
    if len(octets) < at + length:
        raise NotAnObject(f"cut short: it has {len(octets):,} octets of the {at + length:,} that "
                          "it should have; build or copy it again")


def _parse(octets: bytes) -> Elf:
    if octets[:4] != b"\x7fELF":
        raise NotAnObject("not an ELF file")
    if octets[4:6] != b"\x02\x01":
        raise NotAnObject("not a 64-bit little-endian ELF file")
    _complete(octets, 0, HEADER)
    machine, = struct.unpack_from("<H", octets, 18)
    if machine != MACHINE_BPF:
        raise NotAnObject(f"an ELF file for machine {machine}, not for BPF ({MACHINE_BPF})")
    table, = struct.unpack_from("<Q", octets, 40)
    size, count, names = struct.unpack_from("<HHH", octets, 58)
    _complete(octets, table, size * count)
    headers = [struct.unpack_from("<IIQQQQIIQQ", octets, table + i * size) for i in range(count)]
    sections = [
        Section(i, "", kind, flags, b"" if kind == NOBITS else octets[at:at + length], length,
                link, info)
        for i, (_, kind, flags, _, at, length, link, info, _, _) in enumerate(headers)]
    for section, header in zip(sections, headers):
        if section.kind != NOBITS:
            _complete(octets, header[4], section.size)
        section.name = _string(sections[names].data, header[0])
    symbols: list[Symbol] = []
    for section in sections:
        if section.kind == SYMTAB:
            symbols = _symbols(section, sections)
    for section in sections:
        if section.kind == REL:
            for offset, info in struct.iter_unpack("<QQ", section.data):
                sections[section.info].relocations[offset] = symbols[info >> 32]
    return Elf(sections, symbols)


def _symbols(table: Section, sections: list[Section]) -> list[Symbol]:
    strings = sections[table.link].data
    found = []
    for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data):
        symbol = Symbol(_string(strings, name), info & 15, info >> 4, section, value, size)
        if symbol.kind == SECTION:
            symbol.name = sections[section].name
        found.append(symbol)
    return found
