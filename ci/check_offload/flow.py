# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Walks all paths of a program and notes, for each instruction, what its registers held.

A state that an earlier one covers is not walked again; where too many of one shape come to one
place, their numbers are joined, so the walk comes to an end. Pointers are never joined.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from ci.check_offload import btf as types
from ci.check_offload import insn as bpf
from ci.check_offload import scalar
from ci.check_offload.insn import FRAME, Insn
from ci.check_offload.program import Map, Object, Program
from ci.check_offload.scalar import Scalar
from ci.check_offload.state import (EMPTY, UNKNOWN, Frame, Kind, Reg, Slot, State, covers, join,
                                    number, shape)

#: States of one shape that are kept apart at one place: enough for any loop over the stack, until
#: the program turns out to be a large one.
APART, APART_IF_LARGE = 512, 6
LARGE = 60_000
#: What each octet of xdp_md loads.
_CONTEXT = {0: Kind.PACKET, 4: Kind.END, 8: Kind.META}


@dataclass
class Facts:
    """Of one instruction, over all paths that reach it."""

    #: The pointer that a load or store goes by, each as it was met.
    pointers: dict[Reg, None] = field(default_factory=dict)
    #: Whether one of them led to the stack of a caller.
    callers_stack: bool = False
    #: Bounds of source and destination of arithmetic, of the source of a store.
    source: tuple[int, int] | None = None
    target: tuple[int, int] | None = None
    source_is_pointer: bool = False
    #: Bits of an atomic's operand: those that are one, those that may be.
    added: list[Scalar] = field(default_factory=list)
    #: r1 to r5 of a call.
    arguments: dict[tuple[Reg | None, ...], None] = field(default_factory=dict)
    #: What the program returns.
    results: dict[Reg, None] = field(default_factory=dict)


@dataclass
class Trace:
    """A whole program's facts; what no path reaches has none."""

    program: Program
    facts: dict[int, Facts] = field(default_factory=dict)
    #: Function: octets of stack that it uses, in slots of eight.
    depths: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    #: The furthest octet of the packet that is touched.
    deepest: int = 0
    steps: int = 0


def _bounds(old: tuple[int, int] | None, new: Scalar) -> tuple[int, int]:
    return (new.low, new.high) if old is None else (min(old[0], new.low), max(old[1], new.high))


class Liveness:
    """Which registers are read before they are written, from each instruction on."""

    def __init__(self, program: Program) -> None:
        self.live: list[int] = [0] * (len(program.insns) + 1)
        self.entry = {function.start: 0 for function in program.functions}
        changed = True
        while changed:
            changed = False
            for function in program.functions:
                while self._pass(program, function.start, function.end):
                    changed = True
                self.entry[function.start] = self.live[function.start]

    def _pass(self, program: Program, start: int, end: int) -> bool:
        changed = False
        for at in range(end - 1, start - 1, -1):
            insn = program.insns[at]
            after = 0
            for successor in successors(program, at):
                after |= self.live[successor]
            for reg in insn.writes:
                after &= ~(1 << reg)
            if insn.is_call:
                after |= self.entry[program.calls[at]] & 0x3e
            for reg in insn.reads:
                after |= 1 << reg
            if after != self.live[at]:
                self.live[at], changed = after, True
        return changed


def successors(program: Program, at: int) -> tuple[int, ...]:
    """Within the function; a call comes back."""
    insn = program.insns[at]
    if insn.is_exit:
        return ()
    following = at + (2 if insn.code == bpf.WIDE else 1)
    if insn.is_goto:
        return following + insn.jump,
    if insn.is_branch:
        return following, following + insn.off
    return following,


class Walk:
    """One program, all its paths."""

    def __init__(self, whole: Object, program: Program) -> None:
        self.whole, self.program = whole, program
        self.trace = Trace(program)
        self.live = Liveness(program).live
        self.meeting = self._meeting_points()
        self.known: dict[int, dict[object, list[State]]] = defaultdict(lambda: defaultdict(list))
        self.todo: list[tuple[int, State]] = []

    def _meeting_points(self) -> set[int]:
        found = {function.start for function in self.program.functions}
        for at, insn in enumerate(self.program.insns):
            if insn.is_branch or insn.is_goto:
                found.add(successors(self.program, at)[-1])
            elif insn.is_call:
                found.add(at + 1)
        return found

    def run(self) -> Trace:
        self._enter(self.program.functions[0].start, [Reg(Kind.CONTEXT)])
        for function in self.program.functions:
            if function.arguments is not None:
                self._enter(function.start, [self._argument(one) for one in function.arguments])
        while self.todo:
            at, state = self.todo.pop()
            if at in self.meeting:
                kept = self._keep(at, state)
                if kept is None:
                    continue
                state = kept
            self._step(at, state)
        return self.trace

    def _enter(self, start: int, arguments: list[Reg]) -> None:
        regs: list[Reg | None] = [None] * 11
        regs[1:1 + len(arguments)] = arguments
        regs[FRAME] = Reg(Kind.STACK, place=0)
        self.todo.append((start, State([Frame(regs, {}, start)])))
        self.trace.depths[start] += 0

    def _argument(self, kind: int) -> Reg:
        """What the verifier knows of a global function's argument."""
        plain = self.whole.btf.plain(kind)
        if plain.kind != types.PTR:
            return UNKNOWN
        target = self.whole.btf.plain(plain.size)
        if target.name == "xdp_md":
            return Reg(Kind.CONTEXT)
        return Reg(Kind.MEMORY, maybe_null=True)

    # States that meet.

    def _keep(self, at: int, state: State) -> State | None:
        """The state to go on with; None if all that it can do was seen."""
        self._drop_dead(at, state)
        alike = self.known[at][shape(state)]
        if any(covers(old, state) for old in reversed(alike)):
            return None
        limit = APART if self.trace.steps < LARGE else APART_IF_LARGE
        if len(alike) >= limit:
            state = join(alike.pop(), state)
            alike[:] = [old for old in alike if not covers(state, old)]
        alike.append(state.copy())
        return state

    def _drop_dead(self, at: int, state: State) -> None:
        live = self.live[at]
        for frame, above in zip(reversed(state.frames), [None, *reversed(state.frames)]):
            if above is not None:
                live = self.live[above.call + 1] & 0x3c0
            for reg in range(10):
                if not live >> reg & 1:
                    frame.regs[reg] = None

    # One instruction.

    def _step(self, at: int, state: State) -> None:
        self.trace.steps += 1
        insn = self.program.insns[at]
        facts = self.trace.facts.setdefault(at, Facts())
        if insn.is_alu:
            self._arithmetic(at, insn, state, facts)
        elif insn.code == bpf.WIDE:
            self._wide(at, insn, state)
        elif insn.cls == bpf.LDX:
            self._load(at, insn, state, facts)
        elif insn.cls in (bpf.ST, bpf.STX):
            self._store(at, insn, state, facts)
        elif insn.is_helper:
            self._helper(at, insn, state, facts)
        elif insn.is_call:
            self._call(at, state)
            return
        elif insn.is_exit:
            self._exit(state, facts)
            return
        elif insn.is_branch:
            self._branch(at, insn, state)
            return
        for following in successors(self.program, at):
            self.todo.append((following, state))

    def _arithmetic(self, at: int, insn: Insn, state: State, facts: Facts) -> None:
        regs, wide = state.regs, insn.cls == bpf.ALU64
        one = UNKNOWN if insn.op == bpf.MOV else regs[insn.dst] or UNKNOWN
        two = (regs[insn.src] or UNKNOWN) if insn.by_register and insn.op not in (
            bpf.END, bpf.NEG) else number(scalar.constant(insn.imm))
        facts.target = _bounds(facts.target, scalar.UNKNOWN if one.is_pointer else one.number)
        facts.source = _bounds(facts.source, scalar.UNKNOWN if two.is_pointer else two.number)
        if insn.op == bpf.MOV and insn.by_register and wide and not insn.off:
            if not two.is_pointer and not two.number.is_constant and not two.ident:
                two = self._named(at, insn.src, two, state)
            regs[insn.dst] = two
        elif one.is_pointer or two.is_pointer:
            regs[insn.dst] = self._moved(at, insn.op, one, two) if wide else UNKNOWN
        elif insn.off and insn.op in (bpf.MOV, bpf.DIV, bpf.MOD):
            regs[insn.dst] = UNKNOWN
        else:
            regs[insn.dst] = number(scalar.compute(insn.op, wide, one.number, two.number))

    def _named(self, at: int, source: int, value: Reg, state: State) -> Reg:
        """Two registers that hold one number from now on: what is learnt of one holds for both."""
        for reg in state.holders(at + 1):
            state.replace(at + 1, {reg: reg._replace(ident=0)})
        value = value._replace(ident=at + 1)
        state.regs[source] = value
        return value

    def _moved(self, at: int, op: int, one: Reg, two: Reg) -> Reg:
        """A pointer plus or minus a number."""
        if op == bpf.ADD and two.is_pointer and not one.is_pointer:
            one, two = two, one
        if op not in (bpf.ADD, bpf.SUB) or two.is_pointer or one.kind in (
                Kind.CONTEXT, Kind.END, Kind.HANDLE, Kind.OTHER):
            return one if op == bpf.ADD and not two.is_pointer and (
                two.number == scalar.constant(0)) else UNKNOWN
        if two.number.is_constant:
            by = scalar.signed(two.number.value)
            return one._replace(offset=one.offset + (by if op == bpf.ADD else -by), beyond=False)
        moved = scalar.compute(op, True, one.number, two.number)
        # A look-up's id serves to tell NULL; a packet pointer's tells equal offsets.
        ident = at + 1 if one.kind is Kind.PACKET else one.ident
        return one._replace(number=moved, ident=ident, beyond=False)

    def _wide(self, at: int, insn: Insn, state: State) -> None:
        if at in self.program.maps:
            state.regs[insn.dst] = Reg(Kind.HANDLE, place=self.program.maps[at])
        elif insn.src:
            state.regs[insn.dst] = Reg(Kind.OTHER)
        else:
            state.regs[insn.dst] = number(scalar.constant(insn.imm))

    # Memory.

    def _met(self, insn: Insn, pointer: Reg, state: State, facts: Facts) -> None:
        """Notes by what pointer memory is reached, and how far."""
        facts.pointers.pop(pointer, None)
        facts.pointers[pointer] = None
        if pointer.kind is Kind.STACK:
            facts.callers_stack |= pointer.place != len(state.frames) - 1
            fixed = pointer.fixed
            self._deep(state, pointer,
                       pointer.offset + scalar.signed(pointer.number.low) + insn.off
                       if fixed is None else fixed + insn.off)
        elif pointer.kind is Kind.PACKET:
            last = pointer.offset + pointer.number.high + insn.off + insn.size
            self.trace.deepest = max(self.trace.deepest, last)

    def _deep(self, state: State, pointer: Reg, offset: int) -> None:
        assert isinstance(pointer.place, int)
        start = state.frames[pointer.place].start
        if -512 <= offset:
            self.trace.depths[start] = max(self.trace.depths[start], -(offset // 8 * 8))

    def _load(self, at: int, insn: Insn, state: State, facts: Facts) -> None:
        pointer = state.regs[insn.src] or UNKNOWN
        self._met(insn, pointer, state, facts)
        loaded = number(scalar.sized(insn.size if insn.is_load else 8))
        if pointer.kind is Kind.CONTEXT:
            kind = _CONTEXT.get(pointer.offset + insn.off) if insn.size == 4 else None
            loaded = Reg(kind) if kind else loaded
        elif pointer.kind is Kind.STACK and pointer.fixed is not None and insn.is_load:
            loaded = self._fill(state, pointer, pointer.fixed + insn.off, insn.size)
        state.regs[insn.dst] = loaded

    @staticmethod
    def _fill(state: State, pointer: Reg, offset: int, size: int) -> Reg:
        """What a load from the stack gives."""
        assert isinstance(pointer.place, int)
        slot = state.frames[pointer.place].stack.get(offset >> 3, EMPTY)
        if slot.saved is not None:
            if size == 8 and slot.size == 8:
                return slot.saved
            if slot.saved.is_pointer:
                return UNKNOWN
            if offset & 7 == 0 and size == slot.size:
                return number(scalar.half(slot.saved.number, size))
            return number(scalar.sized(size))
        first = offset & 7
        if first + size <= 8 and set(slot.octets[first:first + size]) == {"0"}:
            return number(scalar.constant(0))
        return number(scalar.sized(size))

    def _store(self, at: int, insn: Insn, state: State, facts: Facts) -> None:
        pointer = state.regs[insn.dst] or UNKNOWN
        self._met(insn, pointer, state, facts)
        value = number(scalar.constant(insn.imm)) if insn.cls == bpf.ST else (
            state.regs[insn.src] or UNKNOWN)
        facts.source_is_pointer |= value.is_pointer
        if insn.is_atomic:
            facts.added.append(value.number if not value.is_pointer else scalar.UNKNOWN)
            del facts.added[8:]
            for reg in insn.writes:
                state.regs[reg] = number(scalar.sized(insn.size))
            value = UNKNOWN
        if pointer.kind is not Kind.STACK:
            return
        assert isinstance(pointer.place, int)
        stack = state.frames[pointer.place].stack
        if pointer.fixed is None:
            for where, slot in stack.items():
                stack[where] = Slot(None, 0, slot.octets.replace("0", "m"))
            return
        offset = pointer.fixed + insn.off
        where, first = offset >> 3, offset & 7
        old = stack.get(where, EMPTY)
        written = "0" if value.number == scalar.constant(0) and not value.is_pointer else "m"
        octets = (old.octets[:first] + written * insn.size + old.octets[first + insn.size:])[:8]
        if first == 0 and not insn.is_atomic and written == "m" and (
                value.is_pointer or value.number != scalar.UNKNOWN):
            stack[where] = Slot(value, insn.size, octets)
        else:
            stack[where] = Slot(None, 0, octets)

    # Calls.

    def _helper(self, at: int, insn: Insn, state: State, facts: Facts) -> None:
        regs = state.regs
        count = bpf.HELPER_ARGUMENTS.get(insn.imm, 5)
        facts.arguments[tuple(regs[1:1 + count])] = None
        for reg in regs[1:1 + count]:
            if reg and reg.kind is Kind.STACK and reg.fixed is not None:
                self._deep(state, reg, reg.fixed)
        table = regs[1].place if regs[1] else None
        regs[0:6] = [UNKNOWN, None, None, None, None, None]
        if insn.src == 0 and insn.imm == bpf.MAP_LOOKUP and isinstance(table, Map):
            for old in state.holders(at + 1):
                state.replace(at + 1, {old: old._replace(ident=0)})
            state.regs[0] = Reg(Kind.VALUE, place=table, maybe_null=True, ident=at + 1)
        elif insn.src == 0 and insn.imm in (bpf.ADJUST_HEAD, bpf.ADJUST_TAIL, bpf.ADJUST_META):
            for kind in (Kind.PACKET, Kind.END, Kind.META):
                state.forget(kind)

    def _call(self, at: int, state: State) -> None:
        start = self.program.calls[at]
        if self.program.function(start).arguments is not None:
            # A global function is walked by itself; the caller learns nothing of its result.
            state.regs[0:6] = [number(scalar.UNKNOWN), None, None, None, None, None]
            self.todo.append((at + 1, state))
            return
        self.trace.depths[start] += 0
        regs: list[Reg | None] = [None, *state.regs[1:6], None, None, None, None,
                                  Reg(Kind.STACK, place=len(state.frames))]
        if len(state.frames) < 8:
            state.frames.append(Frame(regs, {}, start, at))
            self.todo.append((start, state))

    def _exit(self, state: State, facts: Facts) -> None:
        result = state.regs[0] or UNKNOWN
        if len(state.frames) == 1:
            if state.frames[0].start == self.program.functions[0].start:
                facts.results[result._replace(ident=0)] = None
            return
        call = state.frames.pop().call
        state.regs[0:6] = [result, None, None, None, None, None]
        self.todo.append((call + 1, state))

    # Branches.

    def _branch(self, at: int, insn: Insn, state: State) -> None:
        regs, wide = state.regs, insn.cls == bpf.JMP
        one = regs[insn.dst] or UNKNOWN
        two = (regs[insn.src] or UNKNOWN) if insn.by_register else number(scalar.constant(insn.imm))
        following, target = successors(self.program, at)
        # The last in is the first out: on without a jump, as the kernel goes.
        for taken, where in ((True, target), (False, following)):
            way = state.copy()
            if self._goes(insn, wide, one, two, way, taken):
                self.todo.append((where, way))

    def _goes(self, insn: Insn, wide: bool, one: Reg, two: Reg, state: State, taken: bool) -> bool:
        """Whether a branch can go this way; the state then knows that it did."""
        op = insn.op
        if one.is_pointer and two.is_pointer:
            return self._compare_end(insn, one, two, state, taken)
        if one.is_pointer or two.is_pointer:
            return self._compare_null(insn, wide, one, two, state, taken)
        if two.number.is_constant:
            known = scalar.decided(op, wide, one.number, two.number)
            if known is not None:
                return known == taken
            return self._learn(op, wide, insn.dst, one, two.number.value, state, taken)
        if one.number.is_constant:
            op = {bpf.JGT: bpf.JLT, bpf.JLT: bpf.JGT, bpf.JGE: bpf.JLE, bpf.JLE: bpf.JGE,
                  bpf.JSGT: bpf.JSLT, bpf.JSLT: bpf.JSGT, bpf.JSGE: bpf.JSLE,
                  bpf.JSLE: bpf.JSGE}.get(op, op)
            known = scalar.decided(op, wide, two.number, one.number)
            if known is not None:
                return known == taken
            return self._learn(op, wide, insn.src, two, one.number.value, state, taken)
        return True

    @staticmethod
    def _learn(op: int, wide: bool, where: int, reg: Reg, against: int, state: State,
               taken: bool) -> bool:
        known = scalar.refine(op, wide, reg.number, against, taken)
        if known is None:
            return False
        if reg.ident:
            state.replace(reg.ident, {old: old._replace(number=known)
                                      for old in state.holders(reg.ident)
                                      if old.kind is Kind.SCALAR})
        state.regs[where] = reg._replace(number=known)
        return True

    @staticmethod
    def _compare_null(insn: Insn, wide: bool, one: Reg, two: Reg, state: State,
                      taken: bool) -> bool:
        pointer, other = (one, two) if one.is_pointer else (two, one)
        if insn.op not in (bpf.JEQ, bpf.JNE) or other.number != scalar.constant(0) or not wide:
            return True
        is_null = taken == (insn.op == bpf.JEQ)
        if not pointer.maybe_null:
            return not is_null
        if pointer.ident:
            state.replace(pointer.ident, {
                old: number(scalar.constant(0)) if is_null else old._replace(maybe_null=False)
                for old in state.holders(pointer.ident)})
        else:
            state.regs[insn.dst if one.is_pointer else insn.src] = (
                number(scalar.constant(0)) if is_null else pointer._replace(maybe_null=False))
        return True

    @staticmethod
    def _compare_end(insn: Insn, one: Reg, two: Reg, state: State, taken: bool) -> bool:
        """A pointer once found beyond the packet's end stays there."""
        op, where, pointer = insn.op, insn.dst, one
        if one.kind is Kind.END and two.kind is Kind.PACKET:
            op = {bpf.JGT: bpf.JLT, bpf.JLT: bpf.JGT, bpf.JGE: bpf.JLE,
                  bpf.JLE: bpf.JGE}.get(op, op)
            where, pointer = insn.src, two
        elif not (one.kind is Kind.PACKET and two.kind is Kind.END):
            return True
        if op not in (bpf.JGT, bpf.JLE):
            return True
        is_beyond = taken == (op == bpf.JGT)
        if pointer.beyond:
            return is_beyond
        if is_beyond:
            state.regs[where] = pointer._replace(beyond=True)
        return True


def walk(whole: Object, program: Program) -> Trace:
    return Walk(whole, program).run()
