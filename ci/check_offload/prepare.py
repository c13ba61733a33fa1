# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the card's JIT knows of a program and rewrites in it before it translates it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ci.check_offload import insn as bpf
from ci.check_offload.flow import Facts, Trace, successors
from ci.check_offload.insn import Insn
from ci.check_offload.state import Kind, Reg

_LONGEST_COPY, _LONGEST_CACHE = 128, 64


@dataclass
class Meta:
    """An instruction as the JIT sees it: perhaps rewritten, perhaps part of another."""

    insn: Insn
    facts: Facts | None
    pointer: Reg | None = None
    skipped: bool = False
    is_target: bool = False
    negated: bool = False
    #: The length of the copy that it begins, below zero if that goes downwards; its store.
    copy: int = 0
    store: Insn | None = None
    #: The part of the packet that is read at once, and whether here.
    cache: tuple[int, int] | None = None
    fills_cache: bool = False
    clears_top: bool = False

    @property
    def kind(self) -> Kind | None:
        return self.pointer.kind if self.pointer else None


class Prepared:
    """A program's instructions, after all that the JIT does to them before it translates."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.program = trace, trace.program
        self.metas = [Meta(insn, trace.facts.get(at))
                      for at, insn in enumerate(self.program.insns)]
        self._find_pointers()
        self._find_targets()
        self._find_dead()
        self._find_wide_reads()
        self._rewrite()
        self._gather_copies()
        self._cache_packets()

    def saves(self, start: int) -> bool:
        """Whether the function there puts registers aside."""
        function = self.program.function(start)
        return any(insn.dst in (6, 7, 8, 9)
                   for insn in self.program.insns[function.start:function.end])

    def _find_pointers(self) -> None:
        for meta in self.metas:
            if meta.facts:
                pointers = [one for one in meta.facts.pointers if one.is_pointer]
                meta.pointer = pointers[-1] if pointers else None

    def _find_targets(self) -> None:
        for at, insn in enumerate(self.program.insns):
            if insn.is_branch or insn.is_goto:
                self.metas[successors(self.program, at)[-1]].is_target = True
        for start in self.program.calls.values():
            self.metas[start].is_target = True

    def _find_dead(self) -> None:
        """What the kernel removes: code that no path reaches, and jumps over nothing else."""
        for at, meta in enumerate(self.metas):
            before = self.metas[at - 1] if at else None
            is_half = before is not None and before.insn.code == bpf.WIDE
            meta.skipped = meta.facts is None and not (is_half and before and before.facts)
        for at, meta in enumerate(self.metas):
            if meta.facts is None:
                continue
            if meta.insn.is_branch:
                following, target = successors(self.program, at)
                is_fixed = self.metas[following].facts is None
                meta.skipped = self._is_gap(at) if is_fixed else self.metas[target].facts is None
            elif meta.insn.is_goto:
                meta.skipped = self._is_gap(at)

    def _is_gap(self, at: int) -> bool:
        target = successors(self.program, at)[-1]
        return target > at and all(meta.facts is None for meta in self.metas[at + 1:target])

    def _find_wide_reads(self) -> None:
        """After which operations of 32 bits the upper half is read, and so must be cleared."""
        count = len(self.metas)
        wide = [0] * (count + 1)
        entry: dict[int, int] = {}
        result: dict[int, int] = {}
        changed = True
        while changed:
            changed = False
            for function in self.program.functions:
                for at in range(function.end - 1, function.start - 1, -1):
                    if self.metas[at].facts is None:
                        continue
                    after = self._wide_after(at, wide, result.get(function.start, 0), entry)
                    if after != wide[at]:
                        wide[at], changed = after, True
                entry[function.start] = wide[function.start]
            for at, start in self.program.calls.items():
                both = result.get(start, 0) | wide[at + 1] & 1
                if both != result.get(start, 0):
                    result[start], changed = both, True
        for function in self.program.functions:
            for at in range(function.start, function.end):
                insn, meta = self.program.insns[at], self.metas[at]
                if meta.facts and (insn.cls == bpf.ALU or insn.is_load and insn.size < 8):
                    live = 0
                    for successor in successors(self.program, at):
                        live |= wide[successor]
                    meta.clears_top = bool(live >> insn.dst & 1)

    def _wide_after(self, at: int, wide: list[int], result: int, entry: dict[int, int]) -> int:
        insn = self.program.insns[at]
        live = 0
        for successor in successors(self.program, at):
            live |= wide[successor]
        for reg in insn.writes:
            live &= ~(1 << reg)
        if insn.is_exit:
            function = self.program.function(at)
            # The kernel takes the result of what it checks by itself for one of 64 bits.
            is_checked = function is self.program.functions[0] or function.arguments is not None
            return 1 if is_checked else result
        if insn.is_call:
            return live | entry.get(self.program.calls[at], 0) & 0x3e
        for reg in insn.reads:
            if self._reads_wide(at, insn, reg):
                live |= 1 << reg
        return live

    def _reads_wide(self, at: int, insn: Insn, reg: int) -> bool:
        if insn.cls in (bpf.STX, bpf.ST) and reg == insn.src and reg != insn.dst:
            facts = self.metas[at].facts
            return insn.size == 8 or bool(facts and facts.source_is_pointer)
        if insn.cls == bpf.ALU:
            return insn.op == bpf.END and insn.imm == 64
        return insn.cls != bpf.JMP32

    # What the JIT rewrites before it translates.

    def _rewrite(self) -> None:
        for meta in self.metas:
            # The context is at hand without a register.
            if (meta.insn.code, meta.insn.dst, meta.insn.src) == (
                    bpf.ALU64 | bpf.MOV | bpf.REGISTER, 6, 1):
                meta.skipped = True
            if not meta.skipped:
                break
        for meta in self.metas:
            insn = meta.insn
            if meta.skipped or insn.by_register or insn.imm >= 0:
                continue
            if insn.is_alu and insn.op in (bpf.ADD, bpf.SUB):
                meta.insn = replace(insn, code=insn.code ^ bpf.ADD ^ bpf.SUB, imm=-insn.imm)
            elif insn.is_jump and insn.op in (bpf.JGE, bpf.JSGE, bpf.JLT, bpf.JSLT):
                meta.negated = True
                meta.insn = replace(insn, imm=-insn.imm)

    def _is_copy(self, at: int) -> bool:
        load, store = self.metas[at], self.metas[at + 1]
        return (load.insn.is_load and store.insn.is_store
                and load.kind in (Kind.PACKET, Kind.VALUE) and store.kind is Kind.PACKET
                and load.insn.size == store.insn.size and load.insn.dst == store.insn.src
                and not store.is_target)

    def _continues(self, at: int, before: int) -> bool:
        """Whether the pair here copies what lies beside what the pair before copied."""
        load, store = self.metas[at].insn, self.metas[at + 1].insn
        old_load, old_store = self.metas[before].insn, self.metas[before + 1].insn
        if ((load.dst, load.src, store.dst, load.size) != (
                old_load.dst, old_load.src, old_store.dst, old_load.size)
                or self.metas[at].is_target):
            return False
        return (load.off - old_load.off, store.off - old_store.off) in (
            (load.size, load.size), (-load.size, -load.size))

    def _crosses(self, at: int, head: int) -> bool:
        """Whether the load here may read what the copy has stored."""
        first, store = self.metas[head], self.metas[head + 1]
        assert first.pointer and store.pointer
        if first.kind is not store.kind:
            return False
        if first.pointer.ident != store.pointer.ident:
            return True
        begin, end = (one.insn.off + first.pointer.offset for one in (first, store))
        end = store.insn.off + first.pointer.offset
        here = self.metas[at].insn.off + first.pointer.offset
        return here > begin and begin < end <= here or here < begin and begin > end >= here

    def _gather_copies(self) -> None:
        """Loads and stores in turn become one command."""
        at, pairs = 0, list[int]()

        def close() -> None:
            if len(pairs) > 1:
                head, last = self.metas[pairs[0]], self.metas[pairs[-1]].insn
                store = self.metas[pairs[0] + 1]
                length = len(pairs) * head.insn.size
                if last.off < head.insn.off:
                    store.insn = replace(store.insn, off=self.metas[pairs[-1] + 1].insn.off)
                    head.insn = replace(head.insn, off=last.off)
                    length = -length
                head.copy, head.store, store.skipped = length, store.insn, True
                for pair in pairs[1:]:
                    self.metas[pair].skipped = self.metas[pair + 1].skipped = True
            pairs.clear()

        while at + 1 < len(self.metas):
            if not self._is_copy(at):
                close()
                at += 1
                continue
            if pairs and (not self._continues(at, pairs[-1]) or self._crosses(at, pairs[0])
                          or len(pairs) * self.metas[at].insn.size >= _LONGEST_COPY):
                close()
            pairs.append(at)
            at += 2
        close()

    def _cache_packets(self) -> None:
        """Loads near each other with nothing between that could change the packet."""
        node: Meta | None = None
        low = high = 0
        is_open = False
        for meta in self.metas:
            if meta.is_target:
                is_open = False
            insn = meta.insn
            if meta.skipped:
                continue
            if insn.is_store and meta.kind is Kind.PACKET or insn.code == bpf.JMP | bpf.CALL:
                is_open = False
                continue
            if not insn.is_load:
                continue
            if meta.kind is not Kind.PACKET or meta.copy:
                is_open = False
                continue
            assert meta.pointer
            if is_open and node and node.pointer and (
                    node.pointer.ident, node.pointer.offset) == (
                    meta.pointer.ident, meta.pointer.offset):
                first, last = min(low, insn.off), max(high, insn.off + insn.size)
                if last - first <= _LONGEST_CACHE:
                    low, high = first, last
                    continue
            if node:
                node.cache = low, high
            is_open, node = True, meta
            meta.fills_cache = True
            low, high = insn.off, insn.off + insn.size
        if node:
            node.cache = low, high
        cache = (0, 0)
        for meta in self.metas:
            if meta.skipped or not meta.insn.is_load or meta.kind is not Kind.PACKET or meta.copy:
                continue
            if meta.fills_cache and meta.cache:
                cache = meta.cache
            meta.cache = cache
