# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One BPF instruction: its fields, what it does, how it is written."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END = range(0, 0xe0, 0x10)
JA, JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, CALL, EXIT, JLT, JLE, JSLT, JSLE = range(0, 0xe0, 0x10)
IMM, ABS, IND, MEM, MEMSX, ATOMIC = 0x00, 0x20, 0x40, 0x60, 0x80, 0xc0
REGISTER = 8
WIDE = LD | IMM | 0x18
FETCH = 1
FRAME = 10

MAP_HANDLE, MAP_VALUE = 1, 2
BPF_CALL, KERNEL_CALL = 1, 2

MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, RANDOM, EVENT, ADJUST_HEAD, ADJUST_META, ADJUST_TAIL = (
    1, 2, 3, 7, 25, 44, 54, 65)
#: How many arguments a helper reads; five where it is not told here.
HELPER_ARGUMENTS = {MAP_LOOKUP: 2, MAP_UPDATE: 4, MAP_DELETE: 2, RANDOM: 0, EVENT: 5,
                    ADJUST_HEAD: 2, ADJUST_META: 2, ADJUST_TAIL: 2}

_OPERATORS = {ADD: "+=", SUB: "-=", MUL: "*=", DIV: "/=", OR: "|=", AND: "&=", LSH: "<<=",
              RSH: ">>=", MOD: "%=", XOR: "^=", MOV: "=", ARSH: "s>>="}
_COMPARISONS = {JEQ: "==", JGT: ">", JGE: ">=", JSET: "&", JNE: "!=", JSGT: "s>", JSGE: "s>=",
                JLT: "<", JLE: "<=", JSLT: "s<", JSLE: "s<="}
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_HEADER = Path("/usr/include/linux/bpf.h")


@dataclass(frozen=True)
class Insn:
    """The fields as they are encoded; a wide one's immediate has both halves."""

    code: int
    dst: int
    src: int
    off: int
    imm: int

    @property
    def cls(self) -> int:
        return self.code & 7

    @property
    def op(self) -> int:
        """Of arithmetic and jumps."""
        return self.code & 0xf0

    @property
    def mode(self) -> int:
        """Of loads and stores."""
        return self.code & 0xe0

    @property
    def size(self) -> int:
        """Octets that a load or store moves."""
        return _SIZES[self.code & 0x18]

    @property
    def by_register(self) -> bool:
        return bool(self.code & REGISTER)

    @property
    def is_alu(self) -> bool:
        return self.cls in (ALU, ALU64)

    @property
    def is_load(self) -> bool:
        return self.cls == LDX and self.mode == MEM

    @property
    def is_store(self) -> bool:
        return self.cls == STX and self.mode == MEM

    @property
    def is_store_immediate(self) -> bool:
        return self.cls == ST and self.mode == MEM

    @property
    def is_atomic(self) -> bool:
        return self.cls == STX and self.mode == ATOMIC

    @property
    def is_jump(self) -> bool:
        return self.cls in (JMP, JMP32)

    @property
    def is_exit(self) -> bool:
        return self.code == JMP | EXIT

    @property
    def is_helper(self) -> bool:
        return self.code == JMP | CALL and self.src != BPF_CALL

    @property
    def is_call(self) -> bool:
        """Of a BPF function."""
        return self.code == JMP | CALL and self.src == BPF_CALL

    @property
    def is_goto(self) -> bool:
        return self.code in (JMP | JA, JMP32 | JA)

    @property
    def is_branch(self) -> bool:
        return self.is_jump and self.op not in (JA, CALL, EXIT)

    @property
    def jump(self) -> int:
        """How far a jump goes beyond the next instruction."""
        return self.imm if self.code == JMP32 | JA else self.off

    @property
    def reads(self) -> tuple[int, ...]:
        """The registers that it needs."""
        if self.cls == LDX:
            return self.src,
        if self.cls == ST:
            return self.dst,
        if self.cls == STX:
            exchange = (0,) if self.is_atomic and self.imm & 0xf0 == 0xf0 else ()
            return (self.dst, self.src, *exchange)
        if self.is_alu:
            source = (self.src,) if self.by_register and self.op not in (END, NEG) else ()
            return source if self.op == MOV else (self.dst, *source)
        if self.is_exit:
            return 0,
        if self.is_helper:
            return tuple(range(1, 1 + HELPER_ARGUMENTS.get(self.imm, 5)))
        if self.is_branch:
            return (self.dst, self.src) if self.by_register else (self.dst,)
        return ()

    @property
    def writes(self) -> tuple[int, ...]:
        """The registers that hold something else, or nothing, afterwards."""
        if self.cls in (LD, LDX) or self.is_alu:
            return self.dst,
        if self.is_atomic and self.imm & FETCH:
            return (0,) if self.imm & 0xf0 == 0xf0 else (self.src,)
        if self.is_helper or self.is_call:
            return 0, 1, 2, 3, 4, 5
        return ()

    def __str__(self) -> str:
        narrow = self.cls in (ALU, JMP32)
        dst, src = f"{'w' if narrow else 'r'}{self.dst}", f"{'w' if narrow else 'r'}{self.src}"
        value = src if self.by_register else str(self.imm)
        if self.code == WIDE:
            return f"{dst} = {self.imm:#x} ll"
        if self.is_load:
            return f"{dst} = *(u{self.size * 8} *)({src} {self.off:+d})"
        if self.is_store or self.is_store_immediate:
            what = src if self.is_store else str(self.imm)
            return f"*(u{self.size * 8} *)({dst} {self.off:+d}) = {what}"
        if self.is_atomic:
            return f"atomic {self.imm:#x} *(u{self.size * 8} *)({dst} {self.off:+d}), {src}"
        if self.is_alu and self.op == NEG:
            return f"{dst} = -{dst}"
        if self.is_alu and self.op == END:
            order = "bswap" if self.cls == ALU64 else "be" if self.by_register else "le"
            return f"r{self.dst} = {order}{self.imm} r{self.dst}"
        if self.is_alu and self.op in _OPERATORS:
            signed = "s" if self.off and self.op in (DIV, MOD, MOV) else ""
            return f"{dst} {signed}{_OPERATORS[self.op]} {value}"
        if self.is_exit:
            return "exit"
        if self.is_call:
            return "call of a function"
        if self.is_helper:
            return f"call {helper_name(self.imm) if self.src == 0 else 'of a kernel function'}"
        if self.is_goto:
            return f"goto {self.jump:+d}"
        if self.is_branch and self.op in _COMPARISONS:
            return f"if {dst} {_COMPARISONS[self.op]} {value} goto {self.off:+d}"
        return f"instruction {self.code:#04x}"


@functools.cache
def _helper_names() -> dict[int, str]:
    """By their numbers, as the kernel's header lists them."""
    if not _HEADER.exists():
        return {}
    names: dict[int, str] = {}
    for line in _HEADER.read_text().splitlines():
        found = re.match(r"\s+FN\((\w+)(?:, (\d+))?.*\\$", line)
        if found:
            names[int(found[2] or len(names))] = f"bpf_{found[1]}"
    return names


def helper_name(number: int) -> str:
    return _helper_names().get(number, f"helper {number}")
