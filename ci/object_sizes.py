# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""python3 -m ci.object_sizes OBJECT: what its program takes, as far as the object tells, as JSON.

The stack is counted as the strictest kernel does. 512 octets hold a chain of calls. Newer kernels
round a function's frame up to 16 octets where they compile it, Linux 6.1 always to 32: what fits
there fits everywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ci.check_offload import flow
from ci.check_offload.program import Object, Program, read
from ci.check_offload.words import Estimate

ROUNDED_TO = 32
MOVE, ADD, FRAME_POINTER = 0xbf, 0x07, 10
#: Of an instruction's code, the class: loads and stores.
LOADS, STORES = (0x01,), (0x02, 0x03)
#: The one program that is made for a card.
FOR_CARD = "shunt_offload"


def frames(program: Program) -> dict[int, int]:
    """By where a function begins: the octets of its frame."""
    found = {}
    for function in program.functions:
        deepest, points = 0, set()
        for insn in program.insns[function.start:function.end]:
            kind = insn.code & 7
            if kind in LOADS and insn.src == FRAME_POINTER or \
                    kind in STORES and insn.dst == FRAME_POINTER:
                deepest = max(deepest, -insn.off)
            elif insn.code == MOVE and insn.src == FRAME_POINTER:
                points.add(insn.dst)
            elif insn.code == ADD and insn.dst in points and insn.imm & 1 << 31:
                deepest = max(deepest, (1 << 32) - (insn.imm & 0xffffffff))
        found[function.start] = deepest
    return found


def deepest_chain(program: Program) -> tuple[int, list[str]]:
    """The octets of the chain of calls that takes the most, and its functions."""
    own = frames(program)

    def below(start: int) -> tuple[int, list[str]]:
        function = program.function(start)
        called = {program.calls[at] for at in range(function.start, function.end)
                  if at in program.calls}
        octets, names = max((below(each) for each in called), default=(0, []))
        rounded = -(-max(own[start], 1) // ROUNDED_TO) * ROUNDED_TO
        return octets + rounded, [f"{function.name} {own[start]}", *names]
    return below(0)


def words(whole: Object) -> int | None:
    """Of microcode, as the card's driver makes it; None for a program of the host."""
    program, = whole.programs
    return Estimate(flow.walk(whole, program)).total if program.name == FOR_CARD else None


def main() -> None:
    whole = read(Path(sys.argv[1]))
    program, = whole.programs
    stack, chain = deepest_chain(program)
    print(json.dumps({"stack": stack, "chain": chain, "words": words(whole)}))


if __name__ == "__main__":
    main()
