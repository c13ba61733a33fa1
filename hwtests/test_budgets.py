# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each object takes of the kernel and of a card, by each compiler: no more than ci/budgets.tsv
allows."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from ci.budgets import budgets, hold
from ci.check_offload.program import read
from ci.object_sizes import ROUNDED_TO, deepest_chain, words
from hwtests.oracle.program import Program
from hwtests.test_objects import COMPILERS, OBJECTS, each_compiler, objects  # noqa: F401 (fixture)

#: What no kernel and no card goes beyond.
STACK, WORDS = 512, 2560

each_object = pytest.mark.parametrize("name", OBJECTS)


def test_there_is_a_line_for_each() -> None:
    assert set(budgets()) == {(name, compiler) for name in OBJECTS for compiler in COMPILERS}
    for (name, _), budget in budgets().items():
        assert ("words" in budget.limits) == (name == "offload")
        assert budget.limits["stack"] <= STACK
        assert budget.limits.get("words", 0) <= WORDS


def test_too_much_names_the_line() -> None:
    name, compiler = next(iter(budgets()))
    budget = budgets()[name, compiler]
    limit = budget.limits["verified"]
    hold(name, compiler, "verified", limit)
    with pytest.raises(AssertionError, match=f"^ci/budgets.tsv:{budget.line}: {name} by "
                                             f"{compiler} takes {limit + 1} verified instr"):
        hold(name, compiler, "verified", limit + 1)


@each_compiler
@each_object
def test_verified_instructions(objects: Any, compiler: str, name: str) -> None:  # noqa: F811
    with Program(objects(compiler, name)) as program:
        hold(name, compiler, "verified", program.verified_instructions())


@each_compiler
@each_object
def test_machine_code(objects: Any, compiler: str, name: str) -> None:  # noqa: F811
    if platform.machine() != "x86_64":
        pytest.skip("the budgets are for x86-64")
    with Program(objects(compiler, name)) as program:
        _, jited = program.octets()
    if not jited:
        pytest.skip("the kernel does not compile, or does not tell")
    hold(name, compiler, "jited", jited)


@each_compiler
@each_object
def test_chains_of_calls(objects: Any, compiler: str, name: str) -> None:  # noqa: F811
    path: Path = objects(compiler, name)
    program, = read(path).programs
    octets, _ = deepest_chain(program)
    assert octets >= ROUNDED_TO
    hold(name, compiler, "stack", octets)


@each_compiler
def test_words(objects: Any, compiler: str) -> None:  # noqa: F811
    """By the linter's count, which is the driver's: hwtests/vm/guest/nfp asks that one."""
    found = words(read(objects(compiler, "offload")))
    assert found
    hold("offload", compiler, "words", found)
