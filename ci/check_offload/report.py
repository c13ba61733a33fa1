# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What was found, for a person and as JSON."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

from ci.check_offload.btf import Line
from ci.check_offload.flow import Trace
from ci.check_offload.rules import FIRMWARE, RULES, Finding, stack_size

SCHEMA = "shunt/check-offload/1"
_WIDTH = 100


def _place(line: Line | None) -> str:
    if line is None:
        return ""
    path = Path(line.file)
    if path.is_absolute():
        path = Path(os.path.relpath(path))
    return f"{path}:{line.number}"


def _programs(traces: list[Trace]) -> list[dict[str, Any]]:
    return [{"name": trace.program.name, "instructions": len(trace.program.insns),
             "stack": stack_size(trace), "deepest_packet_octet": trace.deepest}
            for trace in traces]


def as_json(path: Path, traces: list[Trace], findings: list[Finding]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "object": str(path),
        "verdict": verdict(findings),
        "programs": _programs(traces),
        "findings": [{
            "rule": one.rule, "refused": RULES[one.rule].refused, "says": RULES[one.rule].says,
            "detail": one.detail, "to_do": RULES[one.rule].to_do, "function": one.function,
            "file": one.line.file if one.line else "", "line": one.line.number if one.line else 0,
            "source": one.line.text if one.line else "", "instruction": one.instruction,
            "at": one.at} for one in findings],
    }


def verdict(findings: list[Finding]) -> str:
    """What the driver says; "wrong" is what it takes and the card then gets wrong."""
    if any(RULES[one.rule].refused for one in findings):
        return "refused"
    return "wrong" if findings else "accepted"


_VERDICTS = {"accepted": "a card takes it",
             "refused": "a card refuses it",
             "wrong": "a card takes it, and packets are lost"}


def as_text(path: Path, traces: list[Trace], findings: list[Finding]) -> str:
    lines = [f"{path}: {_VERDICTS[verdict(findings)]}"]
    for one in _programs(traces):
        lines.append(f"  {one['name']}: {one['instructions']} instructions, "
                     f"{one['stack']} of {FIRMWARE.stack} octets of stack, packets read up to "
                     f"octet {one['deepest_packet_octet']}")
    for finding in findings:
        rule = RULES[finding.rule]
        lines += ["", f"  {finding.rule}  " + ", ".join(
            word for word in (_place(finding.line),
                              f"{finding.function}()" if finding.function else "",
                              finding.detail) if word)]
        rows = [("rule", rule.says), ("source", finding.line.text if finding.line else ""),
                ("instruction", f"{finding.at}: {finding.instruction}" if finding.at >= 0
                 else finding.instruction),
                ("to do", rule.to_do)]
        for head, text in rows:
            if text:
                lines += textwrap.wrap(text, _WIDTH, initial_indent=f"    {head:12}",
                                       subsequent_indent=" " * 16)
    return "\n".join(lines)
