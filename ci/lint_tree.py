# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What lint asks of the tree and no linter knows: lint_tree.py CHECK, with the files on stdin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterable, Iterator

LICENCE = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
SOURCES = {".c", ".h", ".S", ".py", ".sh", ".mk", ".scd"}
LONGEST = 500
LONG_FILES = Path("ci/lint-long")
PACKAGES = Path("ci/packages")
HOMES = re.compile(r"(?<![\w.:$}/*-])/(?:home|root|Users|work|workspace|farm|builds?)/\w")


def is_source(path: Path) -> bool:
    return path.suffix in SOURCES or path.name == "Makefile" or path == Path(".ci/run")


def licence(paths: list[Path]) -> Iterator[str]:
    """Each source says in its first lines what it may be used under."""
    for path in paths:
        text = path.read_text()
        if is_source(path) and text and LICENCE not in "\n".join(text.splitlines()[:4]):
            yield f"{path}: no line '{LICENCE}' at its top"


def paths(files: list[Path]) -> Iterator[str]:
    """No path that exists on one developer's machine only."""
    for path in files:
        if not is_source(path) and path.suffix not in {".md", ".yaml", ".service", ".json"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if HOMES.search(line):
                yield f"{path}:{number}: a path of one machine: {line.strip()[:80]}"


def length(files: list[Path]) -> Iterator[str]:
    """A longer file does more than one job, unless ci/lint-long has a reason."""
    reasons = dict(line.split(None, 1) for line in LONG_FILES.read_text().splitlines()
                   if line and not line.startswith("#"))
    for path in files:
        if not is_source(path):
            continue
        lines = len(path.read_text().splitlines())
        if lines > LONGEST and str(path) not in reasons:
            yield f"{path}: {lines} lines; split it, or give a reason in {LONG_FILES}"
        if lines <= LONGEST and str(path) in reasons:
            yield f"{path}: not long (any more); drop it from {LONG_FILES}"


# Programs, Python modules and C headers that a file uses, as places below /usr.

# Looked for from every place, because the first command of a line may take another one as argument.
SHELL_COMMAND = re.compile(
    r"(?=(?:^|[|;&(!]|\b(?:then|do|else|if|while|exec|xargs|command -v|needs|timeout [\w.]+)\s)"
    r"\s*@?([a-z][a-z0-9.+-]*)(?:[\s)]|$))", re.MULTILINE)
PYTHON_COMMAND = re.compile(r"\[\s*\"([a-z][a-z0-9.+-]*)\"\s*,")
PYTHON_IMPORT = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.MULTILINE)
INCLUDE = re.compile(r"^#include <([^>]+)>", re.MULTILINE)


def uses(path: Path, triplet: str) -> Iterator[str]:
    if not is_source(path):
        return
    text = path.read_text()
    if path.suffix in {".c", ".h"}:
        for header in INCLUDE.findall(text):
            yield f"include/{header}"
            yield f"include/{triplet}/{header}"
    elif path.suffix == ".py":
        yield from (f"lib/python3/dist-packages/{name}" for name in PYTHON_IMPORT.findall(text))
        yield from (f"bin/{name}" for name in PYTHON_COMMAND.findall(text))
    elif path.suffix not in {".S", ".scd"}:
        lines = (line.split(" #")[0] for line in text.splitlines() if not line.startswith("#"))
        yield from (f"bin/{name}" for name in SHELL_COMMAND.findall("\n".join(lines)))


def place(line: str) -> str:
    """/sbin/ip, /usr/bin/ip: bin/ip; .../dist-packages/yaml/__init__.py: .../dist-packages/yaml."""
    path = re.sub(r"^/(?:usr/)?", "", line)
    path = re.sub(r"^s?bin/", "bin/", path)
    module = re.match(r"lib/python3/dist-packages/\w+", path)
    return module.group() if module else path


def owners(wanted: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        package = listing.stem.split(":")[0]
        for line in listing.read_text(errors="replace").splitlines():
            where = place(line)
            if where in wanted:
                found.setdefault(where, set()).add(package)
    return found


def covered() -> set[str]:
    """What ci/packages names, what those depend on, and what every Debian system has."""
    query = subprocess.run(
        ["dpkg-query", "-W", "-f",
         "${Package}\t${Essential}\t${Priority}\t${Pre-Depends}, ${Depends}\n"],
        check=True, capture_output=True, text=True).stdout
    needs: dict[str, list[str]] = {}
    todo = [line.split()[0] for line in PACKAGES.read_text().splitlines()
            if line and not line.startswith("#")]
    for line in query.splitlines():
        package, essential, priority, depends = line.split("\t")
        needs[package] = re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", depends)
        if essential == "yes" or priority == "required":
            todo.append(package)
    known: set[str] = set()
    while todo:
        package = todo.pop()
        if package not in known:
            known.add(package)
            todo += needs.get(package, [])
    return known


def packages(files: list[Path]) -> Iterator[str]:
    """Every Debian package a file needs is in ci/packages, or comes with one that is."""
    triplet = subprocess.run(["gcc", "-dumpmachine"], check=True, capture_output=True,
                             text=True).stdout.strip()
    users = {use: path for path in files for use in uses(path, triplet)}
    known = covered()
    for use, owning in sorted(owners(set(users)).items()):
        if not owning & known:
            names = " or ".join(sorted(owning))
            yield f"{users[use]}: needs {use} of {names}: add it to {PACKAGES}"


CHECKS: dict[str, Callable[[list[Path]], Iterable[str]]] = {
    check.__name__: check for check in (licence, paths, length, packages)
}


def main() -> int:
    findings = list(CHECKS[sys.argv[1]]([Path(line.strip()) for line in sys.stdin]))
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
