# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""python3 -m ci.check_offload [--json|--words [N]|--listing] OBJECT...

Exit code 0 if a card takes them all, 1 if not, 2 if one is no BPF object. With --json one document
an object, each on a line of its own."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from ci.check_offload import flow, program, report, rules
from ci.check_offload.elf import NotAnObject
from ci.check_offload.words import Estimate


def judge(path: Path, options: argparse.Namespace) -> int:
    try:
        whole = program.read(path)
    except (OSError, NotAnObject) as problem:
        text = problem.strerror if isinstance(problem, OSError) else str(problem)
        print(f"{path}: {text}", file=sys.stderr)
        if options.json:
            print(json.dumps({"schema": report.SCHEMA, "object": str(path), "verdict": "error",
                              "error": text}))
        return 2
    traces = [flow.walk(whole, one) for one in whole.programs]
    estimates = [Estimate(trace) for trace in traces]
    findings = rules.check(whole, estimates)
    if options.json:
        print(json.dumps(report.as_json(path, estimates, findings)))
        return 1 if findings else 0
    print(report.as_text(path, estimates, findings))
    for one in estimates:
        if options.words:
            print("\n".join(report.words(one, options.words)))
        if options.listing:
            print("\n".join(report.listing(one)))
    return 1 if findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="check_offload", description="Would a Netronome card take these BPF objects?")
    parser.add_argument("object", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--words", type=int, nargs="?", const=25, metavar="N",
                        help="the N functions and lines that become most words of microcode")
    parser.add_argument("--listing", action="store_true", help="the words of each instruction")
    options = parser.parse_args()
    # A reader who has seen enough, as head does, is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return max(judge(path, options) for path in options.object)


if __name__ == "__main__":
    sys.exit(main())
