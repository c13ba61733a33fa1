# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""python3 -m ci.check_offload OBJECT... [--json]: 0 if a card takes them all, 1 if not, 2 if one is
no BPF object. With --json one document an object, each on a line of its own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ci.check_offload import flow, program, report, rules
from ci.check_offload.elf import NotAnObject


def judge(path: Path, as_json: bool) -> int:
    try:
        whole = program.read(path)
    except (OSError, NotAnObject) as problem:
        text = problem.strerror if isinstance(problem, OSError) else str(problem)
        print(f"{path}: {text}", file=sys.stderr)
        if as_json:
            print(json.dumps({"schema": report.SCHEMA, "object": str(path), "verdict": "error",
                              "error": text}))
        return 2
    traces = [flow.walk(whole, one) for one in whole.programs]
    findings = rules.check(whole, traces)
    if as_json:
        print(json.dumps(report.as_json(path, traces, findings)))
    else:
        print(report.as_text(path, traces, findings))
    return 1 if findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="check_offload", description="Would a Netronome card take these BPF objects?")
    parser.add_argument("object", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    return max(judge(path, options.json) for path in options.object)


if __name__ == "__main__":
    sys.exit(main())
