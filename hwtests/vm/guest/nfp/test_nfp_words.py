# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The offload object under firmware 2.0.6.124's limits: accepted, and in how many words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci.budgets import budgets, hold

from .card import Card

OBJECTS = Path(os.environ["BUILD"]) / "vm/objects"
FOR_CARD = [key for key, budget in budgets().items() if "words" in budget.limits]


@pytest.mark.parametrize("name, compiler", FOR_CARD)
def test_words(card: Card, name: str, compiler: str) -> None:
    program = card.load(OBJECTS / compiler / f"bpf/{name}.bpf.o")
    hold(name, compiler, "words", program.words)
    maps, entries = card.budget()
    assert (maps, entries) == (len(program.maps()), sum(program.maps().values()))
