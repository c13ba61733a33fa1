# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command: ``python3 -m bench.whole --json FILE [--quick]``, as root."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from pathlib import Path

from hwtests.lab import LabError
from hwtests.lab.ending import Interrupted, interruptible
from hwtests.lab.errors import require_root

from .measure import Results, measure
from .report import document, table
from .stand import CASES, open_stand

ROUNDS, SECONDS = 6, 0.25
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2
#: A busy machine gets fewer rounds, so that the whole of it takes two minutes at most.
LIMIT = 85.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m bench.whole", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures, there, too")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS:g} s a figure")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help=f"for each figure of a case (default {SECONDS:g})")
    args = parser.parse_args()
    # Who names the rounds gets them.
    args.limit = LIMIT if args.rounds is None else math.inf
    if args.rounds is None:
        args.rounds = QUICK_ROUNDS if args.quick else ROUNDS
    if args.seconds is None:
        args.seconds = QUICK_SECONDS if args.quick else SECONDS
    if args.rounds < 1 or not 0.01 <= args.seconds <= 60:
        parser.error("give at least 1 round, of 0.01 to 60 seconds")
    return args


def _tell(text: str) -> None:
    """On a terminal only: what is under way, on one line."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def _run(rounds: int, seconds: float, limit: float) -> Results:
    with contextlib.ExitStack() as stack:
        stands = []
        for case in CASES:
            _tell(f"whole: building: {case}")
            stands.append(stack.enter_context(open_stand(case)))
        results = measure(stands, rounds, seconds,
                          lambda number: _tell(f"whole: round {number + 1} of {rounds}"), limit)
    _tell("")
    return results


def main() -> int:
    """Run the bench; failures are one line."""
    args = _arguments()
    interruptible()
    try:
        require_root()
        results = _run(args.rounds, args.seconds, args.limit)
        print(table(results))
        if args.json:
            args.json.write_text(json.dumps(document(results), indent=2) + "\n")
    except (LabError, OSError) as error:
        print(f"whole: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("whole: interrupted; all that it made is gone again", file=sys.stderr)
        return 128 + interrupted.number
    return 0


if __name__ == "__main__":
    sys.exit(main())
