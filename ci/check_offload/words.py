# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How many words of microcode each instruction becomes on the card: an estimate, close to exact.

The costs are those of the nfp driver's JIT in Linux 6.1, counted. They came out exact for all the
accepted programs in hwtests/offload_cases, which say how many words the driver made of them, and
for objects of 1,920 to 4,683 words. The driver goes by the path that the kernel saw last, and the
kernel leaves out paths that differ only in numbers it does not need: so a program can be a few
words off.
"""

from __future__ import annotations

from ci.check_offload import insn as bpf
from ci.check_offload.flow import Trace
from ci.check_offload.insn import FRAME, Insn
from ci.check_offload.prepare import Meta, Prepared
from ci.check_offload.scalar import M32
from ci.check_offload.state import Kind

#: Before the first instruction; the two ends behind the last, and room for the prefetch.
_INTRO, _OUTRO, _PREFETCH = 2, 13, 8
#: Two routines that save and restore r6 to r9, if a function needs them.
_SAVE = 18
_WINDOW, _FRAME_ALIGN = 32, 64


def _immediate(number: int) -> int:
    """To load a constant of 32 bits: one word if 16 bits in a row say it, or say its opposite."""
    number &= M32
    return 1 if any(not value & hole for value in (number, ~number & M32)
                    for hole in (0xffff0000, 0xff0000ff, 0x0000ffff)) else 2


def _operand(number: int) -> int:
    """For a constant in an operation: none if it is small."""
    return 0 if number & M32 <= 0xff else _immediate(number)


def _address(number: int) -> int:
    """For a constant in an operation of the kind that leaves it one bit less."""
    return 0 if number & M32 <= 0x7f else _immediate(number)


def _round_up(number: int, to: int) -> int:
    return -(-number // to) * to


class Estimate(Prepared):
    """The words of one program, by instruction."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace)
        self.words = [0] * len(self.metas)
        for function in self.program.functions:
            self.depth = self._depth(function.start)
            for at in range(function.start, function.end):
                self.words[at] = self._cost(at)
            if function is not self.program.functions[0]:
                self.words[function.start] += 1

    @property
    def overhead(self) -> int:
        saves = any(self.saves(function.start) for function in self.program.functions[1:])
        return _INTRO + _OUTRO + _PREFETCH + (_SAVE if saves else 0)

    @property
    def total(self) -> int:
        return self.overhead + sum(self.words)

    def _depth(self, start: int) -> int:
        depth = self.trace.depths.get(start, 0)
        if start != self.program.functions[0].start:
            depth += 4 + (32 if self.saves(start) else 0)
        return _round_up(depth, 4)

    # The translation.

    def _cost(self, at: int) -> int:
        meta, insn = self.metas[at], self.metas[at].insn
        if meta.skipped:
            return 0
        if at and self.program.insns[at - 1].code == bpf.WIDE:
            return self._wide(at - 1)
        if insn.code == bpf.WIDE:
            return 0
        if insn.is_alu:
            return self._arithmetic(meta, insn)
        if insn.is_load:
            return self._load(meta, insn)
        if insn.is_store:
            return self._store(meta, insn)
        if insn.is_atomic:
            return self._atomic(meta, insn)
        if insn.is_helper:
            return self._helper(at, meta, insn)
        if insn.is_call:
            return self._call(at)
        if insn.is_exit:
            return 1 if at < self.program.functions[0].end else 2
        return self._jump(meta, insn) if insn.is_jump else 0

    def _wide(self, at: int) -> int:
        if at in self.program.maps:
            return 2
        number = self.program.insns[at].imm
        low, high = number & M32, number >> 32
        return _immediate(low) + (1 if low == high else _immediate(high))

    def _arithmetic(self, meta: Meta, insn: Insn) -> int:
        wide, op, top = insn.cls == bpf.ALU64, insn.op, int(meta.clears_top)
        facts = meta.facts
        assert facts and facts.source and facts.target
        if op == bpf.MOV:
            if insn.by_register:
                return 2 + _operand(self.depth) if wide and insn.src == FRAME else 2
            return _immediate(insn.imm) + (_immediate(insn.imm >> 32) if wide else 1)
        if op == bpf.NEG:
            return 2 if wide else 1 + top
        if op == bpf.END:
            return 5 if insn.imm == 64 else 3
        if op == bpf.MUL:
            extra = 0 if insn.by_register else _operand(insn.imm)
            right = facts.source[1] if insn.by_register else insn.imm & M32
            return extra + (7 if max(facts.target[1], right) > 0xffff else 4)
        if op == bpf.DIV:
            return _divide(facts.source[0] if insn.by_register else insn.imm)
        if op in (bpf.LSH, bpf.RSH, bpf.ARSH):
            by = (insn.imm, insn.imm) if not insn.by_register else facts.source
            return _shift_wide(op, *by) if wide else _shift(op, *by) + top
        if insn.by_register:
            return 2 if wide else 1 + top
        if not wide:
            return _with_constant(op, insn.imm) + top
        if (op, insn.imm) in ((bpf.AND, -1), (bpf.OR, 0), (bpf.XOR, 0)):
            return 0
        return _with_constant(op, insn.imm) + _with_constant(op, insn.imm >> 32)

    def _load(self, meta: Meta, insn: Insn) -> int:
        if meta.copy:
            return self._copy(meta, insn)
        if meta.kind is Kind.CONTEXT:
            return 2
        if meta.kind is Kind.STACK:
            return self._stack(meta, insn)
        top = int(meta.clears_top)
        if meta.kind is Kind.VALUE:
            words = _address(insn.off) + (2 if insn.off else 0) + 1
            return words + (2 if insn.size == 8 else 1 + top)
        if meta.cache is None:
            return 0
        low, high = meta.cache
        words = _address(low) + 1 + (high - low > 32) if meta.fills_cache else 0
        first = (insn.off - low) % 4
        if insn.size == 8:
            return words + (2 if first == 0 else 4)
        return words + (1 if first + insn.size <= 4 else 2) + top

    @staticmethod
    def _copy(meta: Meta, insn: Insn) -> int:
        assert meta.store
        length, store = abs(meta.copy), meta.store.off
        words = _address(insn.off) + (2 if meta.kind is Kind.VALUE and insn.off else 0)
        words += (length > 32) + 1 + _round_up(length, 4) // 4 + _address(store)
        if length <= 8 or length <= 32 and length % 4 == 0:
            words += 1
        elif length <= 32 or length % 4 == 0:
            words += 2
        elif length <= 40:
            words += 2 + _address(store + 32)
        else:
            words += 3 + _address(store + length // 4 * 4)
        return words + 2

    def _store(self, meta: Meta, insn: Insn) -> int:
        if meta.kind is Kind.CONTEXT:
            return 5
        if meta.kind is Kind.STACK:
            return self._stack(meta, insn)
        return _address(insn.off) + _round_up(insn.size, 4) // 4 + 1

    def _stack(self, meta: Meta, insn: Insn) -> int:
        """The stack is a row of registers of four octets: what does not fit one costs more."""
        assert meta.facts and meta.pointer
        offsets = [one.fixed for one in meta.facts.pointers if one.fixed is not None]
        off, size, is_load = self.depth + insn.off + (offsets or [0])[-1], insn.size, insn.is_load
        words, steps, by_pointer = 0, False, True
        if len(set(offsets)) > 1 or meta.facts.callers_stack:
            words, steps = _operand(insn.off) + 1, True
        elif off + size <= 64:
            by_pointer = False
        elif off // _WINDOW == (off + size - 1) // _WINDOW:
            words, off = _operand(off // _WINDOW * _WINDOW) + 1, off % _WINDOW
        else:
            words, steps = _operand(off // 4 * 4) + 1, True
        narrow = is_load and size < 8
        clears = narrow and meta.clears_top
        if by_pointer:
            words += 1 + (2 if clears else 3)
        return words + clears + _slices(off, size, is_load, steps)

    def _atomic(self, meta: Meta, insn: Insn) -> int:
        assert meta.facts
        over = any(one.value > 0xffff or one.mask > 0xffff for one in meta.facts.added)
        small = any(one.value & ~one.mask <= 0xffff for one in meta.facts.added)
        words = _operand(insn.off) + (2 if insn.off else 0)
        if small:
            words += 3
        if over:
            words += 2 + (insn.size == 8)
        return words + (5 if small and over else 0)

    def _helper(self, at: int, meta: Meta, insn: Insn) -> int:
        assert meta.facts
        if insn.imm == bpf.ADJUST_HEAD:
            return 5 if self._is_plain_adjustment(at) else 16
        if insn.imm == bpf.MAP_LOOKUP:
            places = {one[1].fixed for one in meta.facts.arguments if one[1] is not None}
            return 3 if places == {-self.depth} else 8
        return {bpf.ADJUST_TAIL: 11, bpf.RANDOM: 3, bpf.EVENT: 3}.get(insn.imm, 0)

    def _is_plain_adjustment(self, at: int) -> bool:
        """The only call, by a constant that the card always grants."""
        calls = {where for where, meta in enumerate(self.metas)
                 if meta.facts and meta.insn.is_helper and meta.insn.imm == bpf.ADJUST_HEAD}
        facts = self.metas[at].facts
        assert facts
        by = {one[1].number for one in facts.arguments if one[1] is not None}
        if calls != {at} or len(by) != 1:
            return False
        number = by.pop()
        value = number.value & M32
        value -= (1 << 32) if value >> 31 else 0
        return number.is_constant and -84 <= value <= 46

    def _call(self, at: int) -> int:
        frame = _round_up(self.depth, _FRAME_ALIGN)
        words = 3 if self.saves(self.program.calls[at]) else 2
        return words + (2 * _operand(frame) + 7 if frame else 0)

    @staticmethod
    def _jump(meta: Meta, insn: Insn) -> int:
        if insn.is_goto:
            return 1
        wide, op = insn.cls == bpf.JMP, insn.op
        low, high = insn.imm & M32, insn.imm >> 32 & M32
        if insn.by_register:
            if op in (bpf.JNE, bpf.JSET):
                return 4 if wide else 2
            return 2 + (2 if op == bpf.JEQ else 1) * wide
        if op == bpf.JEQ and wide:
            return 2 + (1 + _operand(low) if low else 0) + (1 + _operand(high) if high else 0)
        if op == bpf.JNE:
            if insn.imm == 0:
                return 2
            return _operand(low) + 2 + (_operand(high) + 2 if wide else 0)
        if op == bpf.JSET:
            return _operand(low) + 2 + (1 if wide and high else 0)
        if op == bpf.JEQ:
            return _operand(low) + 2
        return _operand(low) + 2 + (_operand(high) + 1 if wide else 0)


def _with_constant(op: int, number: int) -> int:
    number &= M32
    if op in (bpf.AND, bpf.OR, bpf.XOR) and number in (0, M32):
        changes = {bpf.AND: number == 0, bpf.OR: number == M32, bpf.XOR: number == M32}
        return int(changes[op])
    return _operand(number) + 1


def _shift(op: int, low: int, high: int) -> int:
    if low != high:
        return 2
    return 0 if low == 0 else 2 if op == bpf.ARSH else 1


def _shift_wide(op: int, low: int, high: int) -> int:
    if low == high:
        if low == 0:
            return 0
        return 2 if op != bpf.ARSH or low == 32 else 3
    if high < 32:
        return 5 if op == bpf.LSH else 4
    if low >= 32:
        return 3
    return 10 if op == bpf.LSH else 9


def _divide(by: int) -> int:
    """By a constant: a product with its reciprocal, which may need 33 bits."""
    if by <= 0:
        return 0
    if by > M32:
        return 1
    if by > 1 << 31:
        return _operand(by) + 3
    magic, shift, is_wide = _reciprocal(by, 32)
    exponent = (by - 1).bit_length()
    before = 0
    if is_wide and not by & 1:
        before = (by & -by).bit_length() - 1
        magic, shift, is_wide = _reciprocal(by >> before, 32 - before)
    if by == 1 << exponent:
        return _operand(magic) + 1
    if is_wide:
        return _operand(magic) + 11
    return _operand(magic) + 8 + (before > 0)


def _reciprocal(by: int, bits: int) -> tuple[int, int, bool]:
    """The factor, the shift behind it, and whether the factor has more than 32 bits."""
    shift = (by - 1).bit_length()
    low, high = (1 << 32 + shift) // by, ((1 << 32 + shift) + (1 << 32 + shift - bits)) // by
    while shift > 0 and low >> 1 < high >> 1:
        low, high, shift = low >> 1, high >> 1, shift - 1
    return high & M32, shift, high > M32


def _slices(off: int, size: int, is_load: bool, steps: bool) -> int:
    """Pieces that lie within one word of the stack and within one half of the register."""
    words, gpr, octet, previous, is_first = 0, 0, 0, -1, True
    while size:
        piece = min(off + min(size, 4 - octet), off // 4 * 4 + 4) - off
        is_last = piece == size
        if steps:
            off %= 4
        is_new, is_far = gpr != previous, off // 4 > 7
        increments = steps and is_new and not is_last
        if piece == 4:
            words += 1
        elif is_load:
            words += 1 + (is_far and (is_first or not is_new)) + increments
        else:
            words += 1 + (is_far and (is_first or is_last))
            if is_new or is_last:
                words += is_far + increments
        previous, is_first = gpr, False
        octet += piece
        if octet >= 4:
            octet, gpr = octet - 4, gpr + 1
        size, off = size - piece, off + piece
    return words
