# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Waits for events up to a deadline, so that nothing in the lab has to sleep and hope."""

from __future__ import annotations

import ctypes
import os
import select
import time
from pathlib import Path
from types import TracebackType
from typing import Iterable

_IN_MODIFY = 0x2
_IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class Deadline:
    """A point in time that several waits in a row may share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def passed(self) -> bool:
        """Whether the time is over."""
        return self.left() == 0.0


def wait_readable(fds: Iterable[int], deadline: Deadline) -> set[int]:
    """The descriptors that have something to read; empty when the deadline passed first."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    # Rounded up: a last fraction of a millisecond must not become a busy loop.
    return {fd for fd, _ in poller.poll(int(deadline.left() * 1000) + 1)}


class Tail:
    """Reads the complete lines that a program appends to a file, as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rest = b""
        self._file = open(path, "rb")
        # Watched rather than polled; inotify is not in the standard library.
        self._inotify = int(_libc.inotify_init1(_IN_NONBLOCK_CLOEXEC))
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if _libc.inotify_add_watch(self._inotify, os.fsencode(path), _IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {path}")

    def fileno(self) -> int:
        """Becomes readable when the file has grown."""
        return self._inotify

    def lines(self) -> list[str]:
        """The complete lines written since the last call."""
        try:
            # Emptied first: what is written after this read raises a new event.
            os.read(self._inotify, 65536)
        except BlockingIOError:
            pass
        data = self._rest + self._file.read()
        *complete, self._rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in complete]

    def close(self) -> None:
        """Stop watching."""
        if self._inotify >= 0:
            os.close(self._inotify)
            self._inotify = -1
            self._file.close()

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
