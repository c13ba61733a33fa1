# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Prints the demo: headings, commands with their output, and a table that is redrawn in place.

Colour and redrawing only on a terminal; elsewhere plain lines, a table only when it is final.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import Sequence, TextIO

_INDENT = "   "
_WIDTH = 88
_STYLES = {"bold": "\033[1m", "dim": "\033[2m", "good": "\033[32m", "bad": "\033[31m", "": ""}

#: A line and the name of its style.
Line = tuple[str, str]


class Screen:
    """Where the demo goes."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self.live = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._color = self.live and "NO_COLOR" not in os.environ
        self._columns = shutil.get_terminal_size().columns if self.live else 0
        #: Lines of the table that is on the screen and may be drawn over.
        self._drawn = 0

    def _write(self, text: str, style: str = "") -> None:
        code = _STYLES[style] if self._color and text else ""
        print(f"{code}{text}\033[0m" if code else text, file=self._out)

    def title(self, text: str) -> None:
        """What all of it is about."""
        self._write(text, "bold")

    def heading(self, text: str) -> None:
        """The beginning of a part."""
        self._erase()
        self._write("")
        self._write(text, "bold")
        self._out.flush()

    def say(self, text: str = "", style: str = "") -> None:
        """A paragraph, wrapped."""
        self._erase()
        width = min(_WIDTH, self._columns or _WIDTH) - len(_INDENT)
        for line in textwrap.wrap(text, width) or [""]:
            self._write((_INDENT + line).rstrip(), style)
        self._out.flush()

    def lines(self, lines: Sequence[Line]) -> None:
        """Lines as they are."""
        self._erase()
        for text, style in lines:
            self._write((_INDENT + text).rstrip(), style)
        self._out.flush()

    def command(self, words: Sequence[str], output: str) -> None:
        """A command and what it printed."""
        self.say("$ " + " ".join(words), "bold")
        body = output.rstrip("\n")
        self.lines([(line, "dim") for line in body.split("\n")] if body else [])

    def draw(self, lines: Sequence[Line], *, final: bool = False) -> None:
        """Draw a table over the last one; the final one stays."""
        if not (self.live or final):
            return
        # A line that the terminal wraps would be two, and the next table would miss its place.
        room = self._columns - len(_INDENT) - 1 if self.live else None
        self.lines([(text[:room], style) for text, style in lines])
        self._drawn = 0 if final else len(lines)

    def _erase(self) -> None:
        """Take away the table that was not the final one."""
        if self._drawn:
            self._out.write(f"\033[{self._drawn}A\033[J")
            self._drawn = 0

    def forget(self) -> None:
        """Leave on the screen what was drawn last."""
        self._drawn = 0


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[Line]:
    """Rows as aligned lines, the first as the heading; right: columns that are numbers."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
                 for i, cell in enumerate(row)]
        lines.append(("  ".join(cells).rstrip(), "" if number else "bold"))
    return lines


def octets(number: int) -> str:
    """A number of octets for people."""
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} B"
