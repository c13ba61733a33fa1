# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The offload object under firmware 2.0.6.124's limits: accepted, and in how many words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .card import Card

TREE = Path(__file__).resolve().parents[4]
OBJECTS = Path(os.environ["BUILD"]) / "vm/objects"
BUDGETS = [line.split("\t") for line in (TREE / "ci/words.tsv").read_text().splitlines()
           if not line.startswith("#")]


@pytest.mark.parametrize("name, compiler, budget", BUDGETS)
def test_words(card: Card, name: str, compiler: str, budget: str) -> None:
    program = card.load(OBJECTS / compiler / f"bpf/{name}.bpf.o")
    assert program.words <= int(budget)
    maps, entries = card.budget()
    assert (maps, entries) == (len(program.maps()), sum(program.maps().values()))
