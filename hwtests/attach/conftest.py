# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests of attaching share: one network a file, one fresh interface a test."""

from __future__ import annotations

from typing import Iterator

import pytest

from hwtests.attach.rig import IFACE, Rig
from hwtests.lab import Bed, Loader


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with Bed(servers=1, static_neighbours=True) as up:
        yield up


@pytest.fixture
def rig(bed: Bed) -> Iterator[Rig]:
    """A fresh interface; whatever a test leaves goes with it."""
    made = Rig(bed, Loader(bed))
    made.add_interface()
    yield made
    made.node.run(["ip", "link", "del", IFACE], check=False)
    made.loader("detach", "--all", check=False)
    assert made.pins() == []
