# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests of attaching share: one network a file, one fresh interface a test."""

from __future__ import annotations

from typing import Iterator

import pytest

from hwtests.attach.rig import Rig, fresh_rig
from hwtests.lab import Bed


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with Bed(servers=1, static_neighbours=True) as up:
        yield up


@pytest.fixture
def rig(bed: Bed) -> Iterator[Rig]:
    with fresh_rig(bed) as made:
        yield made
