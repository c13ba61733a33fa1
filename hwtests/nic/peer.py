# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The port at the other end of the cable: agent.py in a process here, or on another host by ssh."""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Sequence, cast

#: A frame comes back in microseconds; what took this long does not come any more.
PATIENCE = 3.0
#: For frames that nobody expects.
LINGER = 0.05
INTERVAL = 0.001
ANSWER_TIMEOUT = 120.0


class PeerError(Exception):
    """The other end cannot be used; one line."""


@dataclass(frozen=True)
class Where:
    """What PEER names: a port here, or user@host and a port there."""

    interface: str
    host: str | None = None

    @classmethod
    def parse(cls, text: str) -> Where:
        """IFACE or ssh:user@host:IFACE."""
        if not text.startswith("ssh:"):
            return cls(text)
        host, _, interface = text[4:].rpartition(":")
        if not host or not interface:
            raise PeerError(f"PEER={text}: not ssh:user@host:IFACE")
        return cls(interface, host)

    def __str__(self) -> str:
        return f"ssh:{self.host}:{self.interface}" if self.host else self.interface


def command(where: Where, ssh: Sequence[str]) -> list[str]:
    """What starts the agent. Its text goes as an argument, so nothing is left on the other host."""
    source = (Path(__file__).parent / "agent.py").read_bytes()
    if where.host is None:
        return [sys.executable, "-c", source.decode(), where.interface]
    # One line without quotes in it: whatever shell the other user has.
    text = base64.b64encode(source).decode()
    start = f"python3 -c 'import base64;exec(base64.b64decode(\"{text}\"))'"
    start += " " + shlex.quote(where.interface)
    return [*ssh, "-T", where.host,
            f"if [ $(id -u) = 0 ]; then exec {start}; else exec sudo -n {start}; fi"]


class Peer:
    """The agent, started and asked."""

    def __init__(self, where: Where, ssh: Sequence[str] = ("ssh", "-oBatchMode=yes")) -> None:
        self.where = where
        # Not ended by ^C, which is ours to handle: it ends when its input does.
        self._process = subprocess.Popen(command(where, ssh), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, start_new_session=True)
        self._number = 0
        self._data = b""
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise
        self.mac = bytes.fromhex(self.facts["mac"])
        #: While a stream is on, the agent knows no other commands than its own.
        self.streaming = False

    def _tell(self, **words: Any) -> None:
        into = cast(IO[bytes], self._process.stdin)
        try:
            into.write(json.dumps(words).encode() + b"\n")
            into.flush()
        except BrokenPipeError:
            raise PeerError(f"{self.where}: the agent has ended") from None

    def _answer(self) -> dict[str, Any]:
        out = cast(IO[bytes], self._process.stdout).fileno()
        # Read here and not by a file object, whose buffer select() would not know of.
        while b"\n" not in self._data:
            if not select.select([out], [], [], ANSWER_TIMEOUT)[0]:
                raise PeerError(f"{self.where}: no answer in {ANSWER_TIMEOUT:g} s")
            data = os.read(out, 1 << 20)
            if not data:
                raise PeerError(f"{self.where}: the agent did not start or was lost (exit status "
                                f"{self._process.wait()})")
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"PEER {self.where}: {answer['error']}")
        return answer

    def ask(self, **words: Any) -> dict[str, Any]:
        """Its answer to this; one to something older is nobody's any more."""
        self._number += 1
        self._tell(number=self._number, **words)
        while True:
            answer = self._answer()
            if answer["number"] == self._number:
                return answer

    def listen_to(self, nic: bytes) -> None:
        """Whose frames count: those with this source address."""
        self.ask(do="nic", mac=nic.hex())

    def wait_carrier(self, seconds: float) -> bool:
        """Whether the link is there in time."""
        return bool(self.ask(do="carrier", seconds=seconds)["carrier"])

    def exchange(self, frames: Sequence[bytes], back: Sequence[bool] | None = None, *,
                 patience: float = PATIENCE, linger: float = LINGER) -> list[bytes]:
        """Send frames and give what came back; back: which of them should."""
        due = [1] * len(frames) if back is None else [int(one) for one in back]
        got = self.ask(do="exchange", frames=[frame.hex() for frame in frames], back=due,
                       seconds=patience, linger=linger)["frames"]
        return [bytes.fromhex(frame) for frame in got]

    def stream(self, frame: bytes, at: int, *, linger: float = 0.3) -> Stream:
        """Send the frame all the time, numbered in the octets from at."""
        self.streaming = True
        self.ask(do="stream", frame=frame.hex(), at=at, interval=INTERVAL, linger=linger)
        return Stream(self)

    def close(self) -> None:
        """End the agent, which takes its socket and so the port's promiscuity with it."""
        cast(IO[bytes], self._process.stdin).close()
        cast(IO[bytes], self._process.stdout).close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class Stream:
    """Frames that are being sent while something is changed."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.sent = 0
        self.frames: list[bytes] = []

    def more(self, n: int = 100) -> None:
        """Return when n further ones have been sent."""
        self.sent = self._peer.ask(do="more", n=n)["sent"]

    def halt(self) -> None:
        """No more; frames is then what came back, in order."""
        answer = self._peer.ask(do="halt")
        self._peer.streaming = False
        self.sent = answer["sent"]
        self.frames = [bytes.fromhex(frame) for frame in answer["frames"]]

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.halt()
