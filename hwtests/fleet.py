#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Puts the probe reports of many hosts into one table: a row for each tier of each interface.

Reports are what ``shunt --probe --json`` or ``shunt --probe --all --json`` printed: any number in a
file, one behind the other. Standard library only, so that it runs wherever the reports end up.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Iterable, Iterator

REPORT, LIST, ERROR = "shunt/probe/1", "shunt/probe-list/1", "shunt/error/1"
SPACE = re.compile(r"\s*")
TIERS = {"offload": 0, "driver": 1, "generic": 2, "userspace": 3}


class Unreadable(Exception):
    """What was given is no report."""


@dataclass(frozen=True)
class Row:
    """One tier of one interface; empty where the report has null."""

    host: str
    interface: str
    driver: str
    firmware: str
    kernel: str
    tier: str
    usable: str
    chosen: str  #: yes where attach would use it
    reason: str  #: code; empty where it is usable
    what: str  #: why, and what would have to change


def skip_space(text: str, at: int) -> int:
    """Where the next document begins."""
    found = SPACE.match(text, at)
    return found.end() if found else at


def documents(text: str) -> Iterator[Any]:
    """Every JSON document in the text."""
    decoder, at = json.JSONDecoder(), skip_space(text, 0)
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        at = skip_space(text, at)
        yield document


def reports(document: Any) -> Iterator[dict[str, Any]]:
    """Those of each interface in a document."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == LIST:
        for entry in document["interfaces"]:
            yield from reports(entry)
    elif schema == REPORT:
        yield document
    elif schema == ERROR:
        error = document["error"]
        raise Unreadable(f"a probe that failed: {error['what'] or ''} {error['code']}")
    else:
        raise Unreadable(f"schema {schema!r}, not {REPORT} or {LIST}")


def rows(report: dict[str, Any]) -> Iterator[Row]:
    """Three for an interface."""
    interface = report["interface"]
    for tier in report["tiers"]:
        reason = tier["reason"] or {}
        words = [reason.get("text"), reason.get("kernel"), reason.get("hint")]
        yield Row(report["host"], interface["name"], interface["driver"] or "",
                  (interface["firmware"] or "").strip(), report["kernel"], tier["tier"],
                  tier["usable"], "yes" if tier["tier"] in report["choice"] else "",
                  reason.get("code", ""), "; ".join(word for word in words if word))


def natural(text: str) -> list[tuple[bool, int, str]]:
    """eth2 before eth10."""
    return [(piece.isdigit(), int(piece) if piece.isdigit() else 0, piece)
            for piece in re.split(r"(\d+)", text)]


def order(row: Row) -> tuple[Any, ...]:
    """By host, interface, and tier from the best."""
    return natural(row.host), natural(row.interface), TIERS.get(row.tier, len(TIERS))


def table(found: Iterable[Row], wide: bool) -> str:
    """Columns as wide as they need to be; the last one, if asked for, as long as it is."""
    heads = [field.name for field in fields(Row)][:None if wide else -1]
    lines = [heads, *([cell or "-" for cell in astuple(row)[:len(heads)]] for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


def read(name: str) -> set[Row]:
    """Of one file; ``-`` is the standard input. The same report twice counts once."""
    text = sys.stdin.read() if name == "-" else Path(name).read_text()
    if not text.strip():
        raise Unreadable("empty: the probe that was to write it printed nothing")
    return {row for document in documents(text) for report in reports(document)
            for row in rows(report)}


def main() -> int:
    """The exit status is 1 if anything could not be read; the rest is printed all the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="*", metavar="FILE", default=["-"],
                        help="reports; - or nothing: standard input")
    parser.add_argument("-t", "--tier", choices=TIERS, help="only rows of this tier")
    parser.add_argument("-w", "--wide", action="store_true",
                        help="with the reason's words and what to do")
    parser.add_argument("-j", "--json", action="store_true", help="one JSON document instead")
    options = parser.parse_args()
    found: set[Row] = set()
    status = 0
    for name in options.reports:
        try:
            found |= read(name)
        except (Unreadable, OSError, ValueError, KeyError, TypeError) as error:
            print(f"fleet: {name}: {error}", file=sys.stderr)
            status = 1
    chosen = sorted((row for row in found if options.tier in (None, row.tier)), key=order)
    if options.json:
        print(json.dumps({"schema": "shunt/fleet/1", "rows": [asdict(row) for row in chosen]}))
    else:
        print(table(chosen, options.wide), end="")
    return status


if __name__ == "__main__":
    sys.exit(main())
