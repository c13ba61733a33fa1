# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Leaves the ports as they were found: a process of its own that takes back what a run has changed
as soon as the run ends, in whatever way, SIGKILL included.

It is told of each step before the step is done. When its input ends it undoes all in reverse, looks
whether everything is as before, and says so in one JSON object.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, Sequence, cast

from . import found

TREE = Path(__file__).resolve().parents[2]
TIMEOUT = 90


class Keeper:
    """The run's end of it."""

    def __init__(self, interfaces: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hwtests.nic.keeper", *interfaces], cwd=TREE, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._line()

    def _line(self) -> str:
        line = cast(IO[str], self._process.stdout).readline()
        if not line:
            raise OSError("the process that is to restore the ports has ended: nothing is changed "
                          "without it")
        return line

    def undo_by(self, *argv: str) -> None:
        """How to take back the step that is done next; returns when that is safe."""
        into = cast(IO[str], self._process.stdin)
        into.write(json.dumps(argv) + "\n")
        into.flush()
        self._line()

    def close(self) -> dict[str, Any]:
        """Have everything undone: {"restored": whether all is as it was, "differences": [...]}"""
        cast(IO[str], self._process.stdin).close()
        try:
            report: dict[str, Any] = json.loads(self._line())
        except OSError as error:
            report = {"restored": False, "differences": [str(error)]}
        self._process.wait(TIMEOUT)
        return report


def _undo(steps: list[list[str]]) -> list[str]:
    failed = []
    for argv in reversed(steps):
        try:
            found.run(*argv)
        except (OSError, subprocess.TimeoutExpired) as error:
            failed.append(str(error))
    return failed


def _compare(before: dict[str, Any]) -> list[str]:
    """What is not as it was. A killed run's sockets are closed a moment after its pipe, and nobody
    tells when: a difference counts if it lasts."""
    deadline = time.monotonic() + 5
    while True:
        wrong = list(found.differences(before, {name: found.look(name) for name in before}))
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.1)


def main(interfaces: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    before = {name: found.look(name) for name in interfaces}
    print("ready", flush=True)
    steps: list[list[str]] = []
    told = True
    for line in sys.stdin:
        steps.append(json.loads(line))
        print("noted", flush=True)
    failed = _undo(steps)
    try:
        wrong = _compare(before)
    except (OSError, ValueError) as error:
        wrong = [str(error)]
    # A step may be undone by another one, or never have been done: what counts is how it is now.
    report = {"restored": not wrong, "differences": wrong, "failed": failed if wrong else []}
    try:
        print(json.dumps(report), flush=True)
    except OSError:
        told = False
    if not told:
        state = "as before" if not wrong else "not as before: " + "; ".join(wrong)
        print(f"hwtest: the run was lost; {', '.join(interfaces)}: {state}", file=sys.stderr)
    return 0 if not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
