# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What registers and stack hold at one instruction of a path, when two states are alike."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from ci.check_offload import scalar
from ci.check_offload.program import Map
from ci.check_offload.scalar import Scalar

ZERO = scalar.constant(0)


class Kind(enum.Enum):
    """What a register points to, if it does."""

    SCALAR = "number"
    CONTEXT = "context"
    STACK = "stack"
    PACKET = "packet"
    END = "packet end"
    META = "packet metadata"
    HANDLE = "map"
    VALUE = "map value"
    MEMORY = "memory of unknown kind"
    OTHER = "something else"


class Reg(NamedTuple):
    """A number, or a pointer: a place, a constant offset and an offset that is not."""

    kind: Kind
    number: Scalar = ZERO
    offset: int = 0
    #: The stack's frame; the map.
    place: int | Map | None = None
    maybe_null: bool = False
    #: Registers of one id hold the same number, or came out of the same look-up; packet pointers
    #: of one id have the same variable offset.
    ident: int = 0
    #: A packet pointer that was found to lie beyond the packet's end.
    beyond: bool = False

    @property
    def is_pointer(self) -> bool:
        return self.kind is not Kind.SCALAR

    @property
    def fixed(self) -> int | None:
        """The whole offset, where it is constant."""
        return self.offset + scalar.signed(self.number.value) if self.number.is_constant else None


UNKNOWN = Reg(Kind.SCALAR, scalar.UNKNOWN)


def number(value: Scalar, ident: int = 0) -> Reg:
    return Reg(Kind.SCALAR, value, ident=ident)


class Slot(NamedTuple):
    """Eight octets of the stack: a register that was saved there whole or in part, or octets."""

    saved: Reg | None
    #: How many octets the saved register has; they are the lowest.
    size: int
    #: An octet each, from the lowest: "0" zero, "m" anything, "-" not written.
    octets: str


EMPTY = Slot(None, 0, "-" * 8)


@dataclass
class Frame:
    """A function's registers and stack; where it was called from."""

    regs: list[Reg | None]
    stack: dict[int, Slot]
    #: The function's first instruction.
    start: int
    #: The call in the caller; -1 where the walk began.
    call: int = -1

    def copy(self) -> Frame:
        return Frame(self.regs[:], self.stack.copy(), self.start, self.call)


@dataclass
class State:
    """A path's frames, the running function's last."""

    frames: list[Frame]

    def copy(self) -> State:
        return State([frame.copy() for frame in self.frames])

    @property
    def regs(self) -> list[Reg | None]:
        return self.frames[-1].regs

    def forget(self, wanted: Kind) -> None:
        """Pointers that a helper made worthless."""
        for frame in self.frames:
            frame.regs = [None if reg and reg.kind is wanted else reg for reg in frame.regs]
            for at, slot in frame.stack.items():
                if slot.saved and slot.saved.kind is wanted:
                    frame.stack[at] = Slot(None, 0, "m" * 8)

    def replace(self, ident: int, change: dict[Reg, Reg]) -> None:
        """Each register and slot of this id that is among the first, by what it maps to."""
        for frame in self.frames:
            frame.regs = [change.get(reg, reg) if reg and reg.ident == ident else reg
                          for reg in frame.regs]
            for at, slot in frame.stack.items():
                if slot.saved and slot.saved.ident == ident:
                    frame.stack[at] = slot._replace(saved=change.get(slot.saved, slot.saved))

    def holders(self, ident: int) -> set[Reg]:
        """What is of this id, in registers and in slots."""
        found: set[Reg] = set()
        for frame in self.frames:
            found.update(reg for reg in frame.regs if reg and reg.ident == ident)
            found.update(slot.saved for slot in frame.stack.values()
                         if slot.saved and slot.saved.ident == ident)
        return found


def _shape(reg: Reg | None) -> object:
    """What two registers must have in common to be joined."""
    if reg is None or reg.kind is Kind.SCALAR:
        return None
    if reg.kind is Kind.PACKET:
        return Kind.PACKET, reg.beyond
    return reg.kind, reg.place, reg.fixed, reg.maybe_null


def shape(state: State) -> object:
    """States of one shape differ in numbers and in places of the packet only."""
    return tuple(
        (frame.call, tuple(map(_shape, frame.regs)),
         tuple(sorted((at, _shape(slot.saved)) for at, slot in frame.stack.items()
                      if slot.saved and slot.saved.is_pointer)))
        for frame in state.frames)


def _covers(old: Reg | None, new: Reg | None) -> bool:
    if old == new or old is None:
        return True
    if new is None or old.kind is not new.kind:
        return False
    if old.kind is Kind.SCALAR:
        return old.ident in (0, new.ident) and old.number.covers(new.number)
    if old.kind is Kind.PACKET:
        # Its place counts for the estimate only; the deepest octet is noted as it is reached.
        return old.beyond == new.beyond
    return old._replace(ident=0, number=ZERO) == new._replace(ident=0, number=ZERO) and (
        old.number.covers(new.number))


def covers(old: State, new: State) -> bool:
    """What can happen from the new state was followed from the old one. Both have one shape."""
    for one, two in zip(old.frames, new.frames):
        for before, now in zip(one.regs, two.regs):
            if not _covers(before, now):
                return False
        for at, slot in one.stack.items():
            other = two.stack.get(at, EMPTY)
            if slot == other:
                continue
            if slot.saved is None:
                if "0" in slot.octets and not (other.saved is None and all(
                        have == "0" for need, have in zip(slot.octets, other.octets)
                        if need == "0")):
                    return False
            elif slot.size != other.size or not _covers(slot.saved, other.saved):
                return False
    return True


def _join(old: Reg | None, new: Reg | None) -> Reg | None:
    if old == new or old is None or new is None:
        return old if old == new else None
    if old.kind is not new.kind:
        return None
    number_ = scalar.widen(old.number, new.number)
    if old.kind is Kind.SCALAR:
        return Reg(Kind.SCALAR, number_, ident=old.ident if old.ident == new.ident else 0)
    if old.kind is Kind.PACKET:
        return old
    return old._replace(number=number_, ident=old.ident if old.ident == new.ident else 0)


def _join_slots(old: Slot, new: Slot) -> Slot:
    if old == new:
        return old
    if old.saved and new.saved and old.size == new.size:
        saved = _join(old.saved, new.saved)
        if saved:
            return Slot(saved, old.size, old.octets)
    octets = "".join("-" if "-" in pair else "0" if pair == ("0", "0") else "m"
                     for pair in zip(old.octets, new.octets))
    return Slot(None, 0, octets)


def join(old: State, new: State) -> State:
    """A state that covers both, which have one shape."""
    frames = []
    for one, two in zip(old.frames, new.frames):
        regs = [_join(before, now) for before, now in zip(one.regs, two.regs)]
        stack = {at: _join_slots(one.stack.get(at, EMPTY), two.stack.get(at, EMPTY))
                 for at in {*one.stack, *two.stack}}
        frames.append(Frame(regs, stack, one.start, one.call))
    return State(frames)
