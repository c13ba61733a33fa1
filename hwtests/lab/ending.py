# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lets a command that made a bed be interrupted by a signal and still clean up, once."""

from __future__ import annotations

import contextlib
import signal
from types import FrameType
from typing import Iterator

#: Signals that ask a command to end.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The command was asked to end; not an Exception, so that nothing on the way takes it for
    one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second ^C must not strike while things are being removed.
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Interrupted(number)


def interruptible() -> None:
    """From here on, each of the signals raises Interrupted."""
    for ending in ENDING:
        signal.signal(ending, _interrupt)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """An interruption waits until this is over; it comes right after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
