# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Finds what a command left behind: files, mounts, interfaces, processes."""

from __future__ import annotations

import os
from pathlib import Path

from hwtests.lab.waiting import Deadline, wait_readable


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


class Traces:
    """Runs things with a directory for temporary files of their own, and finds what they left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.interfaces = self._interfaces()

    @staticmethod
    def _interfaces() -> list[str]:
        return sorted(os.listdir("/sys/class/net"))

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.directory), **more}

    def wait_process(self, name: str, timeout: float = 60.0) -> None:
        """Wait until a program of this name runs with the directory. No event tells of it, so this
        looks again and again."""
        deadline = Deadline(timeout)
        while not any(self._is_ours(entry) and self._name(entry) == name for entry in _processes()):
            assert not deadline.passed(), f"no process {name}"
            wait_readable([], Deadline(0.01))

    @staticmethod
    def _name(entry: Path) -> str:
        try:
            return (entry / "comm").read_text().strip()
        except OSError:
            return ""

    def _is_ours(self, entry: Path) -> bool:
        mark = f"TMPDIR={self.directory}".encode()
        try:
            return mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def left(self) -> list[str]:
        """Files, mounts and interfaces, and processes, which all inherit the variable."""
        found = [str(path) for path in self.directory.iterdir()]
        found += [f"process {entry.name}" for entry in _processes() if self._is_ours(entry)]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines()
                  if str(self.directory) in line]
        return found + sorted(set(self._interfaces()) - set(self.interfaces))
