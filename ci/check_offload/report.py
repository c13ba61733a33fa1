# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What was found, for a person and as JSON."""

from __future__ import annotations

import functools
import os
import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

from ci.check_offload.btf import Line
from ci.check_offload.rules import FIRMWARE, RULES, Finding, stack_size
from ci.check_offload.words import Estimate

SCHEMA = "shunt/check-offload/1"
_WIDTH = 100


def _place(line: Line | None) -> str:
    if line is None:
        return ""
    path = Path(line.file)
    if path.is_absolute():
        path = Path(os.path.relpath(path))
    return f"{path}:{line.number}"


def _programs(estimates: list[Estimate]) -> list[dict[str, Any]]:
    return [{"name": one.program.name, "instructions": len(one.program.insns),
             "words": one.total, "stack": stack_size(one.trace),
             "deepest_packet_octet": one.trace.deepest} for one in estimates]


def as_json(path: Path, estimates: list[Estimate], findings: list[Finding]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "object": str(path),
        "verdict": verdict(findings),
        "programs": _programs(estimates),
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


def as_text(path: Path, estimates: list[Estimate], findings: list[Finding]) -> str:
    lines = [f"{path}: {_VERDICTS[verdict(findings)]}"]
    for one in _programs(estimates):
        lines.append(f"  {one['name']}: {one['instructions']} instructions, {one['words']} of "
                     f"{FIRMWARE.words} words, {one['stack']} of {FIRMWARE.stack} octets of stack")
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


# Where the words go.

@functools.cache
def _definitions(file: str) -> list[tuple[int, str]]:
    """First line and name of each function in a source that is written in the kernel's style."""
    try:
        text = Path(file).read_text()
    except OSError:
        return []
    return [(text.count("\n", 0, found.start()) + 1, found[1]) for found in re.finditer(
        r"^[A-Za-z_][^;{}()#]*?\b(\w+)\([^;{}]*\)\s*\{", text, re.MULTILINE)]


def _written_in(line: Line | None, compiled_into: str) -> str:
    """The source's function that an instruction comes from, which may be part of another now."""
    if line is None:
        return f"{compiled_into}()"
    name = compiled_into
    for number, function in _definitions(line.file):
        if number <= line.number:
            name = function
    return f"{name}()"


def words(estimate: Estimate, count: int) -> Iterator[str]:
    """The functions and the lines that cost most."""
    program = estimate.program
    functions, lines = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for at, cost in enumerate(estimate.words):
        line = program.lines[at]
        file = _place(line).rpartition(":")[0]
        functions[_written_in(line, program.function(at).name), file] += cost
        lines[_place(line), line.text if line else ""] += cost
    functions["what every program costs", ""] = estimate.overhead
    for head, table in (("function", functions), ("line", lines)):
        yield f"\n  words  {head}s of {program.name}"
        for (what, where), cost in table.most_common(count):
            yield f"  {cost:5}  {what:34} {where[:_WIDTH - 42]}".rstrip()


def listing(estimate: Estimate) -> Iterator[str]:
    """Each instruction with its words, below the line that it comes from."""
    program, line = estimate.program, None
    for at, (insn, cost) in enumerate(zip(program.insns, estimate.words)):
        if program.lines[at] != line:
            line = program.lines[at]
            if line:
                yield f"; {_place(line)}: {line.text}"
        yield f"{at:5} {cost or '-':>3}  {insn}"
