# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The card of these tests."""

from __future__ import annotations

from typing import Iterator

import pytest

from .card import Card


@pytest.fixture(scope="session")
def slot() -> Card:
    """The module is loaded once."""
    return Card()


@pytest.fixture
def card(slot: Card) -> Iterator[Card]:
    """A card with firmware 2.0.6.124's limits and nothing on it; emptied afterwards."""
    yield slot
    slot.empty()
