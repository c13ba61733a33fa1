# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Builds kernel modules out of Debian's kernel source, for the kernel that is booted."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from .packages import Kernel, Refused, run

# Modules carry no BTF: pahole would be one more package, and nothing here looks for it.
COMMON = ("CONFIG_DEBUG_INFO_BTF_MODULES=",)


@dataclass(frozen=True)
class ModuleBuild:
    """One build. Without `own`, make runs in a copy of the kernel's folder; with it in a copy of
    `own`, whose Kbuild finds that folder's copy in kernel/."""

    name: str
    source: str  #: the kernel's folder, from the top of its tree
    variables: tuple[str, ...] = ()  #: for make
    #: (file, text, other text): what is changed in the copy; the text must be there once.
    edits: tuple[tuple[str, str, str], ...] = ()
    own: Path | None = None


def output(kernel: Kernel, name: str) -> Path:
    """The folder with a build's .ko files."""
    return kernel.home / "modules" / name


def build(kernel: Kernel, wanted: ModuleBuild, jobs: int) -> bool:
    """Into output(). False: it is there, made of the same."""
    target = output(kernel, wanted.name)
    stamp = target / "made-of"
    made_of = _digest(kernel, wanted)
    if stamp.exists() and stamp.read_text() == made_of:
        return False
    shutil.rmtree(target, ignore_errors=True)
    top = kernel.home / "build" / wanted.name
    shutil.rmtree(top, ignore_errors=True)
    if wanted.own is not None:
        shutil.copytree(wanted.own, top)
    copy = top / "kernel"
    shutil.copytree(kernel.source / wanted.source, copy)
    for file, text, other in wanted.edits:
        _edit(copy / file, text, other)
    inside = top if wanted.own is not None else copy
    run("make", "-C", kernel.headers, f"-j{jobs}", f"M={inside}", *COMMON, *wanted.variables,
        "modules")
    target.mkdir(parents=True)
    for built in inside.rglob("*.ko"):
        run("strip", "--strip-debug", "-o", target / built.name, built)
    stamp.write_text(made_of)
    return True


def _edit(path: Path, text: str, other: str) -> None:
    whole = path.read_text()
    if whole.count(text) != 1:
        raise Refused(f"{path}: {text!r} is there {whole.count(text)} times, not once")
    path.write_text(whole.replace(text, other))


def _digest(kernel: Kernel, wanted: ModuleBuild) -> str:
    """The kernel's own source comes with its version."""
    about = kernel.release, kernel.version, str(kernel.home), wanted
    found = hashlib.sha256(repr(about).encode())
    if wanted.own is not None:
        for path in sorted(path for path in wanted.own.rglob("*") if path.is_file()):
            found.update(f"{path.relative_to(wanted.own)}\0".encode() + path.read_bytes())
    return found.hexdigest() + "\n"
