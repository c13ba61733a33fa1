# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An object's programs as the kernel gets them: maps by name, functions linked, lines known."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from ci.check_offload import btf as types
from ci.check_offload import elf
from ci.check_offload.btf import Btf, Line
from ci.check_offload.insn import MAP_HANDLE, MAP_VALUE, WIDE, Insn

#: What libbpf makes a map of, each with flags that no card takes.
_GLOBALS = (".data", ".rodata", ".bss", ".kconfig")
_FILLER = Insn(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Map:
    name: str
    kind: int
    key: int
    value: int
    entries: int
    flags: int


@dataclass
class Function:
    """A function within a program, from its first instruction to before the next one's."""

    name: str
    start: int
    end: int
    #: The types of a global function's arguments; None where the callers decide.
    arguments: list[int] | None


@dataclass
class Program:
    """Instructions in the order in which the kernel gets them, a wide one on two places."""

    name: str
    section: str
    insns: list[Insn] = field(default_factory=list)
    lines: list[Line | None] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    #: By instruction: the map that is named, the first instruction of the function called.
    maps: dict[int, Map] = field(default_factory=dict)
    calls: dict[int, int] = field(default_factory=dict)
    #: By instruction: the section of the variable that is named.
    variables: dict[int, str] = field(default_factory=dict)

    def function(self, at: int) -> Function:
        return next(one for one in self.functions if one.start <= at < one.end)


@dataclass
class Object:
    maps: list[Map]
    programs: list[Program]
    #: Section of variables or constants: their names.
    globals: dict[str, list[str]]
    btf: Btf


class _Linker:
    """Puts a program's functions behind it, as libbpf does."""

    def __init__(self, file: elf.Elf, btf: Btf, maps: dict[str, Map]) -> None:
        self.file, self.btf, self.maps = file, btf, maps
        self.decoded = {section.index: _decode(section.data) for section in file.sections
                        if section.is_code}
        self.functions = sorted(
            (symbol for symbol in file.symbols
             if symbol.kind == elf.FUNCTION and symbol.section in self.decoded),
            key=lambda symbol: (symbol.section, symbol.value))

    def function_at(self, section: int, offset: int) -> elf.Symbol:
        for symbol in self.functions:
            if symbol.section == section and symbol.value <= offset < symbol.value + symbol.size:
                return symbol
        raise elf.NotAnObject(
            f"section {self.file.sections[section].name}: no function at octet {offset}")

    def link(self, main: elf.Symbol) -> Program:
        program = Program(main.name, self.file.sections[main.section].name)
        placed: dict[tuple[int, int], int] = {}
        self._append(program, main, placed, is_main=True)
        return program

    def _append(self, program: Program, symbol: elf.Symbol, placed: dict[tuple[int, int], int],
                is_main: bool = False) -> None:
        section = self.file.sections[symbol.section]
        first, count, start = symbol.value // 8, symbol.size // 8, len(program.insns)
        placed[section.index, symbol.value] = start
        arguments = None
        if not is_main and symbol.binding == elf.GLOBAL:
            arguments = self._arguments(section.name, symbol.value)
        program.functions.append(Function(symbol.name, start, start + count, arguments))
        program.insns += self.decoded[section.index][first:first + count]
        lines = self.btf.lines.get(section.name, {})
        line = None
        for offset in range(symbol.value, symbol.value + symbol.size, 8):
            here = lines.get(offset)
            line = here if here is not None and here.number else line
            program.lines.append(line)
        called = []
        for at in range(start, start + count):
            offset = (first + at - start) * 8
            insn, target = program.insns[at], section.relocations.get(offset)
            if insn.code == WIDE and target is not None:
                self._name(program, at, target)
            elif insn.is_call:
                where = self._called(section, offset, insn, target)
                called.append((at, self.function_at(*where)))
        for at, callee in called:
            if (callee.section, callee.value) not in placed:
                self._append(program, callee, placed)
            program.calls[at] = placed[callee.section, callee.value]

    @staticmethod
    def _called(section: elf.Section, offset: int, insn: Insn,
                target: elf.Symbol | None) -> tuple[int, int]:
        if target is None:
            return section.index, offset + 8 + insn.imm * 8
        return target.section, target.value + 8 + insn.imm * 8

    def _name(self, program: Program, at: int, target: elf.Symbol) -> None:
        """What a wide load's relocation stands for."""
        if target.name in self.maps:
            program.maps[at] = self.maps[target.name]
            kind = MAP_HANDLE
        else:
            program.variables[at] = self.file.sections[target.section].name if (
                target.section < len(self.file.sections)) else target.name
            kind = MAP_VALUE
        insn = program.insns[at]
        program.insns[at] = Insn(insn.code, insn.dst, kind, insn.off, insn.imm)

    def _arguments(self, section: str, offset: int) -> list[int] | None:
        number = self.btf.functions.get(section, {}).get(offset)
        if number is None:
            return None
        prototype = self.btf.types[self.btf.types[number].size]
        return [kind for _, kind, _ in prototype.members]


def _decode(octets: bytes) -> list[Insn]:
    found: list[Insn] = []
    for code, registers, off, imm in struct.iter_unpack("<BBhi", octets):
        if found and found[-1].code == WIDE:
            low = found[-1]
            found[-1] = Insn(low.code, low.dst, low.src, low.off,
                             (imm & 0xffffffff) << 32 | low.imm & 0xffffffff)
            found.append(_FILLER)
        else:
            found.append(Insn(code, registers & 15, registers >> 4, off, imm))
    return found


def _maps(btf: Btf) -> list[Map]:
    """As libbpf reads them: a structure of pointers, whose targets are the answers."""
    found = []
    for name, number in btf.section(".maps"):
        numbers, sizes = {}, {}
        for member, kind, _ in btf.plain(number).members:
            pointer = btf.plain(kind)
            if pointer.kind != types.PTR:
                continue
            target = btf.plain(pointer.size)
            if target.kind == types.ARRAY:
                numbers[member] = target.members[0][2]
            if member in ("key", "value"):
                sizes[member] = btf.size(pointer.size)
        found.append(Map(name, numbers.get("type", 0),
                         sizes.get("key", numbers.get("key_size", 0)),
                         sizes.get("value", numbers.get("value_size", 4)),
                         numbers.get("max_entries", 0), numbers.get("map_flags", 0)))
    return found


def _globals(file: elf.Elf, btf: Btf) -> dict[str, list[str]]:
    found = {}
    for section in file.sections:
        if section.flags & elf.ALLOC and section.size and section.name.startswith(_GLOBALS):
            found[section.name] = [symbol.name for symbol in file.symbols
                                   if symbol.section == section.index
                                   and symbol.kind == elf.OBJECT]
    extern = [name for name, _ in btf.section(".kconfig")]
    if extern:
        found[".kconfig"] = extern
    return found


def read(path: Path) -> Object:
    """NotAnObject if the file is no BPF object with its types."""
    file = elf.read(path)
    described = file.find(".BTF")
    if described is None:
        raise elf.NotAnObject("no .BTF section: compile it with -g, and strip it with "
                              "llvm-strip -g at most")
    extension = file.find(".BTF.ext")
    try:
        btf = types.parse(described.data, extension.data if extension else b"")
    except (struct.error, ValueError, IndexError) as broken:
        raise elf.NotAnObject(f"its .BTF section is damaged: {broken}") from broken
    maps = _maps(btf)
    linker = _Linker(file, btf, {one.name: one for one in maps})
    programs = [linker.link(symbol) for symbol in linker.functions
                if file.sections[symbol.section].name != ".text"
                and symbol.binding == elf.GLOBAL]
    if not programs:
        raise elf.NotAnObject("no program in it")
    return Object(maps, programs, _globals(file, btf), btf)
