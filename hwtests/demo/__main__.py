# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command: ``python3 -m hwtests.demo [--quick]``, as root."""

from __future__ import annotations

import argparse
import os
import sys

from hwtests.lab import LabError
from hwtests.lab.ending import Interrupted, interruptible
from hwtests.lab.errors import require_root

from .screen import Screen
from .site import CONFIG
from .story import QUICK, Size, tell


def main() -> int:
    """Run the demo; the exit status is 0 only if all it showed was so."""
    parser = argparse.ArgumentParser(prog="python3 -m hwtests.demo", description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="one tier, fewer clients, no browser")
    size = QUICK if parser.parse_args().quick else Size()
    # Paths are shown as they are typed at the top of the tree.
    os.chdir(CONFIG.parents[2])
    interruptible()
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
