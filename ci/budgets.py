# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each object may take: the lines of ci/budgets.tsv, and how a test holds a figure to them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

BUDGETS = Path(__file__).with_name("budgets.tsv")
MEASURES = {"verified": "verified instructions", "stack": "octets of stack",
            "jited": "octets of machine code", "words": "words of microcode"}


class Budget(NamedTuple):
    line: int
    #: By measure; what has no budget is not in it.
    limits: dict[str, int]


def budgets(path: Path = BUDGETS) -> dict[tuple[str, str], Budget]:
    """By object and compiler."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, compiler, *limits = line.split("\t")
        found[name, compiler] = Budget(number, {
            measure: int(limit) for measure, limit in zip(MEASURES, limits, strict=True)
            if limit != "-"})
    return found


def hold(name: str, compiler: str, measure: str, figure: int) -> None:
    """Fails, and names the line, when it is more than is allowed."""
    budget = budgets().get((name, compiler))
    assert budget, f"ci/budgets.tsv has no line for {name} by {compiler}"
    limit = budget.limits[measure]
    assert figure <= limit, (f"ci/budgets.tsv:{budget.line}: {name} by {compiler} takes {figure} "
                             f"{MEASURES[measure]}, {limit} are allowed")
