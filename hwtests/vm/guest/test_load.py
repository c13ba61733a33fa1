# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every program loads on this kernel, whichever compiler made it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

OBJECTS = Path(os.environ["BUILD"]) / "vm/objects"


@pytest.mark.parametrize("compiler", ["clang-14", "clang-16", "clang-19"])
@pytest.mark.parametrize("name", ["driver", "generic", "offload", "ingress", "egress", "decap"])
def test_loads(name: str, compiler: str) -> None:
    pin = Path("/sys/fs/bpf/loaded")
    try:
        done = subprocess.run(["bpftool", "prog", "load", OBJECTS / compiler / f"bpf/{name}.bpf.o",
                               pin], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    finally:
        pin.unlink(missing_ok=True)
