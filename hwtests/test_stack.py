# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The stack that the programs use, as the strictest kernel counts it.

512 octets hold a chain of calls. Newer kernels round a function's frame up to 16 octets where they
compile it, Linux 6.1 always to 32: what fits there fits everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.check_offload.program import Program, read
from hwtests.test_objects import each_compiler, objects  # noqa: F401 (a fixture)

STACK, ROUNDED_TO = 512, 32
MOVE, ADD, FRAME_POINTER = 0xbf, 0x07, 10
#: Of an instruction's code, the class: loads and stores.
LOADS, STORES = (0x01,), (0x02, 0x03)


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


@each_compiler
@pytest.mark.parametrize("name", ["driver", "generic", "ingress", "egress", "decap"])
def test_chains_of_calls_fit(objects: object, compiler: str, name: str) -> None:  # noqa: F811
    path: Path = objects(compiler, name)  # type: ignore[operator]
    program, = read(path).programs
    octets, names = deepest_chain(program)
    assert octets >= ROUNDED_TO
    assert octets <= STACK, " > ".join(names)
