# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is known of a number in a register: bits, and bounds of 64 and of 32 bits.

It knows what Linux 6.1's verifier knows, and forgets what that forgets, because the card's driver
asks that verifier: it refuses a product of two small numbers of which one was lost from sight.
"""

from __future__ import annotations

from typing import NamedTuple

from ci.check_offload import insn as bpf

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
TOP = 1 << 63


class Scalar(NamedTuple):
    """Where mask is 0, value has the bit. Bounds: unsigned, signed, unsigned of the low half."""

    value: int
    mask: int
    low: int
    high: int
    slow: int
    shigh: int
    wlow: int
    whigh: int

    @property
    def is_constant(self) -> bool:
        return self.mask == 0

    @property
    def is_half_constant(self) -> bool:
        return self.mask & M32 == 0

    def covers(self, other: Scalar) -> bool:
        """Whatever the other may be, this one may be too."""
        return (not other.mask & ~self.mask and not (self.value ^ other.value) & ~self.mask
                and self.low <= other.low and other.high <= self.high
                and self.slow <= other.slow and other.shigh <= self.shigh
                and self.wlow <= other.wlow and other.whigh <= self.whigh)


UNKNOWN = Scalar(0, M64, 0, M64, -TOP, TOP - 1, 0, M32)


def signed(number: int) -> int:
    number &= M64
    return number - (1 << 64) if number & TOP else number


def constant(number: int) -> Scalar:
    number &= M64
    return Scalar(number, 0, number, number, signed(number), signed(number), number & M32,
                  number & M32)


def between(low: int, high: int) -> Scalar:
    """At least this, at most that."""
    known = _settled(0, M64, low, high, -TOP, TOP - 1, 0, M32)
    assert known is not None
    return known


def sized(octets: int) -> Scalar:
    """What a load of so many octets gives."""
    return UNKNOWN if octets == 8 else between(0, (1 << octets * 8) - 1)


def _settled(value: int, mask: int, low: int, high: int, slow: int, shigh: int, wlow: int,
             whigh: int) -> Scalar | None:
    """Each part told what the others know; None if they cannot all be true."""
    for _ in range(2):
        low, high = max(low, value), min(high, value | mask)
        wlow, whigh = max(wlow, value & M32), min(whigh, (value | mask) & M32)
        if low >> 32 == high >> 32:
            wlow, whigh = max(wlow, low & M32), min(whigh, high & M32)
        if mask >> 32 == 0:
            top = value >> 32 << 32
            low, high = max(low, top | wlow), min(high, top | whigh)
        if high < TOP:
            slow, shigh = max(slow, low), min(shigh, high)
        elif low >= TOP:
            slow, shigh = max(slow, signed(low)), min(shigh, signed(high))
        if slow >= 0:
            low, high = max(low, slow), min(high, shigh)
        elif shigh < 0:
            low, high = max(low, slow & M64), min(high, shigh & M64)
        if low > high or slow > shigh or wlow > whigh:
            return None
        same = ~((1 << (low ^ high).bit_length()) - 1) & M64
        value, mask = value | low & same & mask, mask & ~same
        half = ~((1 << (wlow ^ whigh).bit_length()) - 1) & M32
        value, mask = value | wlow & half & mask, mask & ~half
    return Scalar(value, mask, low, high, slow, shigh, wlow, whigh)


def _or_unknown(known: Scalar | None) -> Scalar:
    return UNKNOWN if known is None else known


def half(number: Scalar, octets: int = 4) -> Scalar:
    """Cut to so many octets, with zeros above."""
    limit = (1 << octets * 8) - 1
    if octets == 4:
        low, high = number.wlow, number.whigh
    elif number.low & ~limit == number.high & ~limit:
        low, high = number.low & limit, number.high & limit
    else:
        low, high = 0, limit
    return _or_unknown(_settled(number.value & limit, number.mask & limit, low, high, 0, limit,
                                low & M32, high & M32))


def join(one: Scalar, two: Scalar) -> Scalar:
    """Either of the two."""
    mask = one.mask | two.mask | one.value ^ two.value
    return Scalar(one.value & ~mask, mask, min(one.low, two.low), max(one.high, two.high),
                  min(one.slow, two.slow), max(one.shigh, two.shigh),
                  min(one.wlow, two.wlow), max(one.whigh, two.whigh))


def widen(old: Scalar, new: Scalar) -> Scalar:
    """A join that comes to an end in a loop: a bound that moved goes to the next that matters."""
    both = join(old, new)
    low = both.low if both.low == old.low else 0
    high = both.high if both.high == old.high else next(
        limit for limit in (0xff, 0xffff, M32, M64) if both.high <= limit)
    return Scalar(both.value, both.mask, low, max(high, both.value | both.mask),
                  both.slow if both.slow == old.slow else -TOP,
                  both.shigh if both.shigh == old.shigh else TOP - 1, 0, M32)


def _add(one: Scalar, two: Scalar) -> Scalar:
    masks, values = one.mask + two.mask & M64, one.value + two.value & M64
    unsure = masks + values & M64 ^ values | one.mask | two.mask
    low, high = one.low + two.low, one.high + two.high
    slow, shigh = one.slow + two.slow, one.shigh + two.shigh
    wlow, whigh = one.wlow + two.wlow, one.whigh + two.whigh
    return _bounded(values & ~unsure, unsure, low, high, slow, shigh, wlow, whigh)


def _sub(one: Scalar, two: Scalar) -> Scalar:
    values = one.value - two.value & M64
    unsure = (values + one.mask & M64) ^ (values - two.mask & M64) | one.mask | two.mask
    low, high = one.low - two.high, one.high - two.low
    slow, shigh = one.slow - two.shigh, one.shigh - two.slow
    wlow, whigh = one.wlow - two.whigh, one.whigh - two.wlow
    return _bounded(values & ~unsure & M64, unsure, low, high, slow, shigh, wlow, whigh)


def _bounded(value: int, mask: int, low: int, high: int, slow: int, shigh: int, wlow: int,
             whigh: int) -> Scalar:
    """Bounds that left their range are none."""
    if low < 0 or high > M64:
        low, high = 0, M64
    if slow < -TOP or shigh >= TOP:
        slow, shigh = -TOP, TOP - 1
    if wlow < 0 or whigh > M32:
        wlow, whigh = 0, M32
    return _or_unknown(_settled(value, mask, low, high, slow, shigh, wlow, whigh))


def _zeros(number: Scalar) -> int:
    """How many of the lowest bits are known to be zero."""
    may_be_one = number.value | number.mask | 1 << 64
    return (may_be_one & -may_be_one).bit_length() - 1


def _mul(one: Scalar, two: Scalar) -> Scalar:
    zeros = min(_zeros(one) + _zeros(two), 63)
    mask = M64 >> zeros << zeros
    if one.is_constant and two.is_constant:
        return constant(one.value * two.value)
    low, high, slow, shigh = 0, M64, -TOP, TOP - 1
    if one.slow >= 0 and two.slow >= 0 and one.high <= M32 and two.high <= M32:
        low, high = one.low * two.low, one.high * two.high
    wlow, whigh = 0, M32
    if one.whigh <= 0xffff and two.whigh <= 0xffff:
        wlow, whigh = one.wlow * two.wlow, one.whigh * two.whigh
    return _or_unknown(_settled(0, mask, low, high, slow, shigh, wlow, whigh))


def _and(one: Scalar, two: Scalar) -> Scalar:
    value = one.value & two.value
    mask = (one.value | one.mask) & (two.value | two.mask) & ~value
    return _or_unknown(_settled(value, mask, 0, min(one.high, two.high), -TOP, TOP - 1,
                                0, min(one.whigh, two.whigh)))


def _or(one: Scalar, two: Scalar) -> Scalar:
    value = one.value | two.value
    return _or_unknown(_settled(value, (one.mask | two.mask) & ~value, max(one.low, two.low), M64,
                                -TOP, TOP - 1, max(one.wlow, two.wlow), M32))


def _xor(one: Scalar, two: Scalar) -> Scalar:
    mask = one.mask | two.mask
    return _or_unknown(_settled((one.value ^ two.value) & ~mask, mask, 0, M64, -TOP, TOP - 1, 0,
                                M32))


def _shift(op: int, number: Scalar, by: int, bits: int) -> Scalar:
    limit = (1 << bits) - 1
    if op == bpf.LSH:
        low, high = number.low << by, number.high << by
        if high > limit:
            low, high = 0, limit
        return _or_unknown(_settled(number.value << by & limit, number.mask << by & limit, low,
                                    high, -TOP, TOP - 1, 0, M32))
    if op == bpf.RSH:
        return _or_unknown(_settled(number.value >> by, number.mask >> by, number.low >> by,
                                    number.high >> by, -TOP, TOP - 1, 0, M32))
    if bits == 32:
        # The sign is that of the low half, which is not followed here.
        known = number.high >> 31 == 0
        return between(0, number.high >> by) if known else sized(4)
    value, mask = signed(number.value) >> by, signed(number.mask) >> by
    return _or_unknown(_settled(value & ~mask & M64, mask & M64, 0, M64, number.slow >> by,
                                number.shigh >> by, 0, M32))


_OPERATIONS = {bpf.ADD: _add, bpf.SUB: _sub, bpf.MUL: _mul, bpf.AND: _and, bpf.OR: _or,
               bpf.XOR: _xor}


def compute(op: int, wide: bool, one: Scalar, two: Scalar) -> Scalar:
    """The result of an arithmetic instruction on two numbers."""
    if op == bpf.MOV:
        return two if wide else half(two)
    known = two.is_constant if wide else two.is_half_constant
    if not known and op not in (bpf.ADD, bpf.SUB, bpf.AND):
        return UNKNOWN
    if op in (bpf.LSH, bpf.RSH, bpf.ARSH):
        bits = 64 if wide else 32
        if two.high >= bits:
            return UNKNOWN if wide else sized(4)
        return _shift(op, one if wide else half(one), two.low, bits)
    if op not in _OPERATIONS:
        return UNKNOWN if wide or op in (bpf.END, bpf.NEG) else sized(4)
    result = _OPERATIONS[op](one, two)
    return result if wide else half(result)


def decided(op: int, wide: bool, one: Scalar, two: Scalar) -> bool | None:
    """Whether the comparison holds; None if that is not known. The second number is a constant."""
    if not wide:
        one, two = half(one), half(two)
    number = two.value
    if op in (bpf.JEQ, bpf.JNE):
        if one.is_constant:
            return (one.value == number) == (op == bpf.JEQ)
        return None
    if op == bpf.JSET:
        if one.value & number:
            return True
        return False if not (one.value | one.mask) & number else None
    if op in (bpf.JSGT, bpf.JSGE, bpf.JSLT, bpf.JSLE):
        if not wide:
            return None if not one.is_constant else _holds(op, _half_signed(one.value),
                                                           _half_signed(number))
        low, high, against = one.slow, one.shigh, signed(number)
    else:
        low, high, against = one.low, one.high, number
    first, last = _holds(op, low, against), _holds(op, high, against)
    return first if first == last else None


def _half_signed(number: int) -> int:
    return number - (1 << 32) if number & 1 << 31 else number


def _holds(op: int, one: int, two: int) -> bool:
    if op in (bpf.JGT, bpf.JSGT):
        return one > two
    if op in (bpf.JGE, bpf.JSGE):
        return one >= two
    if op in (bpf.JLT, bpf.JSLT):
        return one < two
    return one <= two


_OPPOSITE = {bpf.JEQ: bpf.JNE, bpf.JNE: bpf.JEQ, bpf.JGT: bpf.JLE, bpf.JLE: bpf.JGT,
             bpf.JGE: bpf.JLT, bpf.JLT: bpf.JGE, bpf.JSGT: bpf.JSLE, bpf.JSLE: bpf.JSGT,
             bpf.JSGE: bpf.JSLT, bpf.JSLT: bpf.JSGE}


def refine(op: int, wide: bool, one: Scalar, number: int, taken: bool) -> Scalar | None:
    """What the first number is known to be where a comparison with a constant went this way."""
    value, mask, low, high, slow, shigh, wlow, whigh = one
    number &= M64 if wide else M32
    if op == bpf.JSET:
        if not taken:
            keep = ~number & M64
            return _settled(value & keep, mask & keep, 0, M64, -TOP, TOP - 1, 0, M32)
        if number & number - 1 == 0:
            return _settled(value | number, mask & ~number, low, high, slow, shigh, wlow, whigh)
        return one
    if not taken:
        op = _OPPOSITE[op]
    if op == bpf.JNE:
        return one
    if op == bpf.JEQ:
        if wide:
            return constant(number)
        return _settled(value & ~M32 | number, mask & ~M32, low, high, slow, shigh, number, number)
    if op in (bpf.JSGT, bpf.JSGE, bpf.JSLT, bpf.JSLE):
        if not wide:
            return one
        against = signed(number)
        if op in (bpf.JSGT, bpf.JSGE):
            slow = max(slow, against + (op == bpf.JSGT))
        else:
            shigh = min(shigh, against - (op == bpf.JSLT))
        return _settled(value, mask, low, high, slow, shigh, wlow, whigh)
    if op in (bpf.JGT, bpf.JGE):
        least = number + (op == bpf.JGT)
        low, wlow = (max(low, least), wlow) if wide else (low, max(wlow, least))
    else:
        most = number - (op == bpf.JLT)
        high, whigh = (min(high, most), whigh) if wide else (high, min(whigh, most))
    return _settled(value, mask, low, high, slow, shigh, wlow, whigh)
