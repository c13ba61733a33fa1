# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The programs of hwtests/offload_cases, judged by the driver as their first comment has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .card import CASES, Card, Refused

SOURCES = Path(__file__).resolve().parents[3] / "offload_cases"


def _said(case: str) -> dict[str, str]:
    """The lines of the first comment that have a name."""
    return dict(re.findall(r"^// (\w+): (.*)$", (SOURCES / f"{case}.bpf.c").read_text(), re.M))


@pytest.mark.parametrize("case", sorted(path.name.removesuffix(".bpf.c")
                                        for path in SOURCES.glob("*.bpf.c")))
def test_case(card: Card, case: str) -> None:
    said = _said(case)
    try:
        words = card.load(CASES / f"{case}.bpf.o").words
    except Refused as refused:
        assert said["verdict"] == "refused", refused
        where = refused.kernel if said.get("log") == "kernel" else refused.verifier
        assert said.get("driver", "") in where, refused
    else:
        assert said["verdict"] == "accepted", f"accepted, {words} words"
        assert words == int(said["words"])
