# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Sends frames out of one port and reports those that come in: commands on stdin, a line of JSON
each, answers on stdout.

It needs nothing but Python's standard library, for peer.py also sends it to other machines.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any, Dict, List, Optional

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 0x10
TP_STATUS_VLAN_TPID_VALID = 0x40
RTMGRP_LINK = 1
LONGEST = 65536 + 18
BURST = 64


class Port:
    """A packet socket that shows frames as they were on the wire, VLAN tags in their place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = socket.if_nametoindex(name)
        # Protocol 0 first: a packet socket with a protocol hears all interfaces until bound.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._socket.bind((name, ETH_P_ALL))
        # Servers have link addresses of nobody. The kernel undoes this when the socket closes.
        self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack(
            "iHH8s", self.index, PACKET_MR_PROMISC, 0, b""))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Readable when a frame has come."""
        return self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Send a whole Ethernet frame; waits where the port's queue is full."""
        while True:
            try:
                self._socket.send(frame)
                return
            except (BlockingIOError, InterruptedError):
                select.select([], [self._socket], [], 1)
            except OSError as error:
                if error.errno != 105:  # ENOBUFS: the same, told in another way
                    raise
                select.select([], [], [], 0.001)

    def receive(self) -> Optional[bytes]:
        """A frame that has come already."""
        try:
            frame, notes, _, _ = self._socket.recvmsg(LONGEST, socket.CMSG_SPACE(20))
        except BlockingIOError:
            return None
        except OSError:
            return None  # ENETDOWN, once, when the port goes down: it may come up again
        for _, kind, data in notes:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if kind == PACKET_AUXDATA and status & TP_STATUS_VLAN_VALID:
                tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                frame = frame[:12] + struct.pack(">HH", tpid, tci) + frame[12:]
        return frame

    def wait(self, seconds: float) -> bool:
        """Until a frame has come."""
        return bool(select.select([self._socket], [], [], max(0.0, seconds))[0])

    def close(self) -> None:
        self._socket.close()


def carrier(name: str) -> bool:
    """Whether the link is there; a port that is down has none."""
    try:
        with open(f"/sys/class/net/{name}/carrier") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def wait_carrier(name: str, seconds: float) -> bool:
    """Wait until the link is there: many drivers take it away when a program is attached."""
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, RTMGRP_LINK))
        while not carrier(name):
            left = end - time.monotonic()
            if left <= 0 or not select.select([events], [], [], left)[0]:
                return carrier(name)
            events.recv(65536)
    return True


def mac_of(name: str) -> bytes:
    """The port's link address."""
    with open(f"/sys/class/net/{name}/address") as file:
        return bytes.fromhex(file.read().strip().replace(":", ""))


def has_default_route(name: str) -> bool:
    """Of either family, in any table that /proc shows."""
    with open("/proc/net/route") as file:
        rows = [line.split() for line in file][1:]
    found = any(row[0] == name and row[1] == row[7] == "00000000" for row in rows)
    try:
        with open("/proc/net/ipv6_route") as file:
            rows = [line.split() for line in file]
    except OSError:
        rows = []
    return found or any(row[-1] == name and row[1] == "00" for row in rows
                        if set(row[0]) == {"0"})


def driver_of(name: str) -> Optional[str]:
    """The driver's name; devices without a bus have none in sysfs."""
    try:
        return os.path.basename(os.readlink(f"/sys/class/net/{name}/device/driver"))
    except OSError:
        return None


class Agent:
    """Answers the commands."""

    def __init__(self, name: str, stdin: int, stdout: int) -> None:
        self._in, self._out = stdin, stdout
        self._lines: List[bytes] = []
        self._rest = b""
        self.port = Port(name)
        self.nic = b""
        #: Of the command that is answered: who was interrupted in waiting asks something else.
        self._number = 0

    def answer(self, **fields: Any) -> None:
        """One line."""
        data = json.dumps({"number": self._number, **fields}).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data):]

    def command(self) -> Optional[Dict[str, Any]]:
        """The next one; None at the end of the input, which also ends a stream."""
        while not self._lines:
            data = os.read(self._in, 1 << 20)
            if not data:
                return None
            *self._lines, self._rest = (self._rest + data).split(b"\n")
        command: Dict[str, Any] = json.loads(self._lines.pop(0))
        self._number = command.pop("number")
        return command

    def take(self, into: List[bytes]) -> None:
        """All that has come from the NIC that is tested, and not from the wire's other talk."""
        while True:
            frame = self.port.receive()
            if frame is None:
                return
            if frame[6:12] == self.nic and frame[0] & 1 == 0:
                into.append(frame)

    def run(self) -> None:
        """Until the input ends."""
        with open("/proc/sys/kernel/osrelease") as file:
            kernel = file.read().strip()
        name = self.port.name
        self.answer(mac=mac_of(name).hex(), driver=driver_of(name), kernel=kernel,
                    host=socket.gethostname(), default_route=has_default_route(name),
                    carrier=carrier(name))
        while True:
            command = self.command()
            if command is None:
                return
            do = command.pop("do")
            if do == "nic":
                self.nic = bytes.fromhex(command["mac"])
                self.answer(done=True)
            elif do == "carrier":
                self.answer(carrier=wait_carrier(name, command["seconds"]))
            elif do == "exchange":
                self.exchange(**command)
            elif do == "stream":
                self.stream(**command)
            else:
                self.answer(error=f"no such command: {do}")

    def exchange(self, frames: List[str], back: List[int], seconds: float, linger: float) -> None:
        """Send the frames in bursts; after each wait until as many have come back as are due.

        back: how many of the frames before a burst's end must have come back by then.
        """
        got: List[bytes] = []
        self.take([])
        for start in range(0, len(frames), BURST):
            for frame in frames[start:start + BURST]:
                self.port.send(bytes.fromhex(frame))
            due = sum(back[:start + BURST])
            end = time.monotonic() + seconds
            while True:
                self.take(got)
                if len(got) >= due or not self.port.wait(end - time.monotonic()):
                    break
        end = time.monotonic() + linger
        while self.port.wait(end - time.monotonic()):
            self.take(got)
            if time.monotonic() >= end:
                break
        self.answer(frames=[frame.hex() for frame in got])

    def stream(self, frame: str, at: int, interval: float, linger: float) -> None:
        """Send the frame again and again, numbered in the four octets from at, until `halt`.

        `more`: n answers when n further ones have been sent.
        """
        head, tail = bytes.fromhex(frame)[:at], bytes.fromhex(frame)[at + 4:]
        got: List[bytes] = []
        sent, wanted = 0, None
        self.take([])
        following = time.monotonic()
        self.answer(sent=0)
        while True:
            left = following - time.monotonic()
            readable = select.select([self.port, self._in], [], [], max(0.0, left))[0]
            if self.port in readable:
                self.take(got)
            if self._in in readable:
                command = self.command()
                if command is None or command["do"] == "halt":
                    break
                wanted = sent + command["n"]
            if time.monotonic() >= following:
                try:
                    self.port.send(head + sent.to_bytes(4, "big") + tail)
                    sent += 1
                except OSError:
                    pass  # the link is away for a moment: not sent, not counted
                following = max(following + interval, time.monotonic())
            if wanted is not None and sent >= wanted:
                self.answer(sent=sent)
                wanted = None
        end = time.monotonic() + linger
        while self.port.wait(end - time.monotonic()):
            self.take(got)
            if time.monotonic() >= end:
                break
        self.answer(sent=sent, frames=[frame.hex() for frame in got])


def main(name: str) -> int:
    try:
        agent = Agent(name, 0, 1)
    except OSError as error:
        print(json.dumps({"number": 0, "error": f"{name}: {error.strerror or error}"}))
        return 1
    try:
        agent.run()
    except BrokenPipeError:
        return 1
    except OSError as error:
        agent.answer(error=f"{name}: {error.strerror}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
