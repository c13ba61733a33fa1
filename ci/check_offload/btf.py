# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The object's own description of its types, its functions and its source lines (BTF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Iterator

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF = 1, 2, 3, 4, 5, 6, 7, 8
VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC = 9, 10, 11, 12, 13, 14, 15
FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = 16, 17, 18, 19

#: What follows a type's twelve octets: a fixed part, and one for each of its members.
_EXTRA = {INT: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8),
          FUNC_PROTO: (0, 8), VAR: (4, 0), DATASEC: (0, 12), DECL_TAG: (4, 0), ENUM64: (0, 12)}
_SAME = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)


@dataclass
class Type:
    name: str
    kind: int
    #: A size, or the number of another type: the kind says which.
    size: int
    #: (name, type, offset in bits) of a structure; (name, type, 0) of a prototype; (count) of an
    #: array as the only one's third.
    members: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """Where an instruction comes from."""

    file: str
    number: int
    text: str


@dataclass
class Btf:
    types: list[Type]
    #: By section, then by offset.
    lines: dict[str, dict[int, Line]]
    functions: dict[str, dict[int, int]]

    def plain(self, number: int) -> Type:
        """Without names and qualifiers."""
        found = self.types[number]
        while found.kind in _SAME:
            found = self.types[found.size]
        return found

    def size(self, number: int) -> int:
        found = self.plain(number)
        if found.kind == PTR:
            return 8
        if found.kind == ARRAY:
            return found.members[0][2] * self.size(found.members[0][1])
        return found.size

    def section(self, name: str) -> Iterator[tuple[str, int]]:
        """Name and type of each variable in a data section."""
        for entry in self.types:
            if entry.kind == DATASEC and entry.name == name:
                for _, number, _ in entry.members:
                    yield self.types[number].name, self.types[number].size


def parse(btf: bytes, extension: bytes) -> Btf:
    magic, _, _, header, types, types_length, strings, strings_length = struct.unpack_from(
        "<HBBIIIII", btf)
    if magic != 0xeb9f:
        raise ValueError(f"BTF begins with {magic:#x}")
    names = btf[header + strings:header + strings + strings_length]
    found = _types(btf[header + types:header + types + types_length], names)
    lines: dict[str, dict[int, Line]] = {}
    functions: dict[str, dict[int, int]] = {}
    if extension:
        _, _, _, start, funcs, funcs_length, places, places_length = struct.unpack_from(
            "<HBBIIIII", extension)
        for section, (offset, number) in _records(
                extension[start + funcs:start + funcs + funcs_length], names, "<II"):
            functions.setdefault(section, {})[offset] = number
        for section, (offset, file, text, place) in _records(
                extension[start + places:start + places + places_length], names, "<IIII"):
            lines.setdefault(section, {})[offset] = Line(
                _name(names, file), place >> 10, _name(names, text).strip())
    return Btf(found, lines, functions)


def _name(names: bytes, offset: int) -> str:
    return names[offset:names.index(b"\0", offset)].decode()


def _types(octets: bytes, names: bytes) -> list[Type]:
    found = [Type("void", 0, 0)]
    at = 0
    while at < len(octets):
        name, info, size = struct.unpack_from("<III", octets, at)
        kind, count = info >> 24 & 31, info & 0xffff
        fixed, each = _EXTRA.get(kind, (0, 0))
        at += 12
        entry = Type(_name(names, name), kind, size)
        if kind == ARRAY:
            element, _, length = struct.unpack_from("<III", octets, at)
            entry.members = [("", element, length)]
        elif kind in (STRUCT, UNION):
            entry.members = [(_name(names, member), number, offset) for member, number, offset
                             in struct.iter_unpack("<III", octets[at:at + count * each])]
        elif kind == FUNC_PROTO:
            entry.members = [(_name(names, member), number, 0) for member, number
                             in struct.iter_unpack("<II", octets[at:at + count * each])]
        elif kind == DATASEC:
            entry.members = [("", number, offset) for number, offset, _
                             in struct.iter_unpack("<III", octets[at:at + count * each])]
        at += fixed + count * each
        found.append(entry)
    return found


def _records(octets: bytes, names: bytes, form: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The records of one part of .BTF.ext, each with its section."""
    if not octets:
        return
    size, = struct.unpack_from("<I", octets)
    at = 4
    while at < len(octets):
        name, count = struct.unpack_from("<II", octets, at)
        at += 8
        for _ in range(count):
            yield _name(names, name), struct.unpack_from(form, octets, at)
            at += size
