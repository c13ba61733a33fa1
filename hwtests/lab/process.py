# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Starts a long-running program in a node, waits until it is ready, and ends it by its PID."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Mapping, Sequence

from .errors import LabError
from .netns import Node
from .waiting import Deadline, Tail, wait_readable

_SHOWN_LINES = 30
_numbers = itertools.count(1)


class ProcessFailed(LabError):
    """A program ended too early, too late or badly; the text ends with its last output."""


class Process:
    """A program in a node with its output in files; use it as a context manager.

    With notify it is given a NOTIFY_SOCKET, and `wait_ready` waits for its READY=1.
    """

    def __init__(self, node: Node, argv: Sequence[str | os.PathLike[str]], *,
                 name: str | None = None, notify: bool = False,
                 env: Mapping[str, str] | None = None, log_dir: Path | None = None,
                 cwd: str | os.PathLike[str] | None = None) -> None:
        self.node = node
        self.argv = [os.fspath(a) for a in argv]
        self.name = name or f"{node.name}-{Path(self.argv[0]).name}"
        number = next(_numbers)
        logs = log_dir or node.cell.dir
        self.stdout = logs / f"{self.name}-{number}.out"
        self.stderr = logs / f"{self.name}-{number}.err"
        #: The text after STATUS= of the last notification.
        self.status = ""
        self._notify: socket.socket | None = None
        environment = dict(env or {})
        try:
            if notify:
                # In the bed's own directory: a socket's path may have 107 bytes only.
                path = node.cell.dir / f"notify-{number}"
                self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._notify.bind(str(path))
                self._notify.setblocking(False)
                environment["NOTIFY_SOCKET"] = str(path)
            with open(self.stdout, "w") as out, open(self.stderr, "w") as err:
                self.popen = node.popen(self.argv, stdout=out, stderr=err, env=environment,
                                        cwd=cwd)
        except BaseException:
            if self._notify is not None:
                self._notify.close()
            raise
        # Readable once the program has ended: so "or it died" is part of every wait.
        self._pidfd = os.pidfd_open(self.popen.pid)

    @property
    def pid(self) -> int:
        """The program's PID, as the test sees it."""
        return self.popen.pid

    def fileno(self) -> int:
        """Becomes readable when the program has ended."""
        return self._pidfd

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def output(self, lines: int = _SHOWN_LINES) -> str:
        """The last lines of both outputs, for a message."""
        parts = []
        for path in (self.stdout, self.stderr):
            text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
            if text:
                parts.append(f"--- {path.name}\n" + "\n".join(text))
        return "\n".join(parts) or "(no output)"

    def fail(self, what: str) -> ProcessFailed:
        """An error about this program, for the caller to raise."""
        if self.running():
            state = "still running"
        else:
            state = f"ended with status {self.popen.returncode}"
        return ProcessFailed(f"{self.name}: {what} ({state})\n$ {' '.join(self.argv)}\n"
                             f"{self.output()}")

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Wait for READY=1."""
        if self._notify is None:
            raise LabError(f"{self.name} was started without notify=True")
        deadline = Deadline(timeout)
        while True:
            ready = wait_readable([self._notify.fileno(), self._pidfd], deadline)
            if self._notify.fileno() in ready:
                for line in self._notify.recv(4096).decode(errors="replace").splitlines():
                    if line.startswith("STATUS="):
                        self.status = line.removeprefix("STATUS=")
                    if line == "READY=1":
                        return
            elif self._pidfd in ready:
                raise self.fail("ended before it was ready")
            elif deadline.passed():
                raise self.fail(f"not ready after {timeout:g} s")

    def wait_line(self, pattern: str, timeout: float = 10.0, *, path: Path | None = None
                  ) -> re.Match[str]:
        """Wait for a line in which the pattern is found, from the output's beginning on."""
        wanted = re.compile(pattern)
        deadline = Deadline(timeout)
        with Tail(path or self.stderr) as tail:
            ended = False
            while True:
                for line in tail.lines():
                    found = wanted.search(line)
                    if found:
                        return found
                if ended:
                    raise self.fail(f"ended without a line like {pattern!r}")
                if deadline.passed():
                    raise self.fail(f"no line like {pattern!r} after {timeout:g} s")
                ended = self._pidfd in wait_readable([tail.fileno(), self._pidfd], deadline)

    def wait_udp(self, port: int, timeout: float = 10.0) -> None:
        """Wait until the program's namespace has a UDP socket on the port, v4 or v6.

        For programs that do not say when they are ready. The kernel raises no event for a bound
        UDP socket, so this alone looks again and again.
        """
        local = re.compile(rf"^ *\d+: [0-9A-F]+:{port:04X} ", re.MULTILINE)
        deadline = Deadline(timeout)
        while True:
            for table in ("udp", "udp6"):
                try:
                    text = Path(f"/proc/{self.node.pid}/net/{table}").read_text()
                except OSError as gone:
                    raise self.fail(f"node {self.node.name} is gone") from gone
                if local.search(text):
                    return
            if wait_readable([self._pidfd], Deadline(min(0.01, deadline.left()))):
                raise self.fail(f"ended before it listened on UDP port {port}")
            if deadline.passed():
                raise self.fail(f"not listening on UDP port {port} after {timeout:g} s")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        self.popen.send_signal(number)

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for its end and give its exit status."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.fail(f"not finished after {timeout:g} s") from None

    def terminate(self, timeout: float = 20.0) -> int:
        """Ask it to end, insist after the timeout, and give its exit status."""
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode

    def close(self) -> None:
        """End it and let go of everything but the output files."""
        self.terminate()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
