# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command: ``python3 -m hwtests.demo [--quick]``, as root."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from hwtests.lab import LabError
from hwtests.lab.errors import require_root

from .screen import Screen
from .site import CONFIG, ENDING
from .story import QUICK, Size, tell


class Interrupted(BaseException):
    """The demo was asked to end; not an Exception, so that nothing on the way takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second ^C must not strike while things are being removed.
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Interrupted(number)


def main() -> int:
    """Run the demo; the exit status is 0 only if all it showed was so."""
    parser = argparse.ArgumentParser(prog="python3 -m hwtests.demo", description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="one tier, fewer clients, no browser")
    size = QUICK if parser.parse_args().quick else Size()
    # Paths are shown as they are typed at the top of the tree.
    os.chdir(CONFIG.parents[2])
    for ending in ENDING:
        signal.signal(ending, _interrupt)
    screen = Screen()
    try:
        require_root()
        tell(screen, size)
    except LabError as error:
        screen.forget()
        sys.stdout.flush()
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read this has gone; so that the interpreter does not try again at its end:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Interrupted as interrupted:
        screen.forget()
        sys.stdout.flush()
        print("\ndemo: interrupted; all that it made is gone again", file=sys.stderr)
        return 128 + interrupted.number
    return 0


if __name__ == "__main__":
    sys.exit(main())
