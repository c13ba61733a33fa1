# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Puts raw frames onto an interface of a node and takes frames off it."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Callable

from .netns import Node
from .waiting import Deadline, wait_readable

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_LONGEST_FRAME = 65536 + 14

Match = Callable[[bytes], bool]


class Wire:
    """A packet socket on one interface; open it before sending what it is to see.

    With native XDP on the interface, only frames that the program passes are seen here: capture
    at the far end of the link to see what was sent, at the next hop to see what came out.
    """

    def __init__(self, node: Node, interface: str) -> None:
        self.node = node
        self.interface = interface
        # Protocol 0 first: a packet socket with a protocol hears all interfaces until bound.
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            # Else each frame sent here would come back as if it had been received.
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self._socket.bind((interface, _ETH_P_ALL))
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def send(self, *frames: bytes) -> None:
        """Send whole Ethernet frames (bytes(packet) for scapy)."""
        for frame in frames:
            if self._socket.send(frame) != len(frame):
                raise OSError(f"{self.node.name}/{self.interface}: frame sent only in part")

    def receive(self, count: int = 1, *, match: Match | None = None,
                timeout: float = 10.0) -> list[bytes]:
        """Up to count frames for which match is true; fewer only when the time is over."""
        deadline = Deadline(timeout)
        frames: list[bytes] = []
        while len(frames) < count:
            try:
                frame = self._socket.recv(_LONGEST_FRAME)
            except BlockingIOError:
                if not wait_readable([self._socket.fileno()], deadline) and deadline.passed():
                    break
                continue
            if match is None or match(frame):
                frames.append(frame)
            if deadline.passed():
                break
        return frames

    def pending(self, match: Match | None = None) -> list[bytes]:
        """The matching frames that have arrived already, without waiting."""
        frames: list[bytes] = []
        while True:
            try:
                frame = self._socket.recv(_LONGEST_FRAME)
            except BlockingIOError:
                return frames
            if match is None or match(frame):
                frames.append(frame)

    def fileno(self) -> int:
        """Becomes readable when a frame has come."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def udp_to(address: str, port: int | None = None) -> Match:
    """Matches an untagged IPv4 or IPv6 frame with UDP for the address (no extension headers)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)

    def match(frame: bytes) -> bool:
        if family == socket.AF_INET:
            if frame[12:14] != b"\x08\x00" or frame[23:24] != b"\x11" or frame[30:34] != packed:
                return False
            transport = 14 + (frame[14] & 0x0f) * 4
        else:
            if frame[12:14] != b"\x86\xdd" or frame[20:21] != b"\x11" or frame[38:54] != packed:
                return False
            transport = 14 + 40
        return port is None or frame[transport + 2:transport + 4] == port.to_bytes(2, "big")
    return match
