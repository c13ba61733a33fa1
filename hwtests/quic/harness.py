# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Starts and watches the QUIC test server, and makes the packets no client would send."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, NamedTuple

PATIENCE = 20.0
CLIENT = ["gtlsclient", "--exit-on-all-streams-close", "--no-quic-dump", "--no-http-dump",
          f"--timeout={int(PATIENCE)}s"]
V1 = 0x00000001
UNKNOWN_VERSION = 0x1A2A3A4A

Event = dict[str, Any]
Match = Callable[[Event], bool]


class Files(NamedTuple):
    """What every server is started with."""
    binary: Path
    cert: Path
    key: Path
    secret: Path


class Address(NamedTuple):
    host: str
    port: int


class Server:
    """A running server and the events it has told so far."""

    def __init__(self, files: Files, name: str, *options: str, host: str = "127.0.0.1") -> None:
        self.name = name
        self.events: list[Event] = []
        self.more = threading.Condition()
        ready, told = os.pipe()
        try:
            self.process = subprocess.Popen(
                [files.binary, "--listen", f"[{host}]:0" if ":" in host else f"{host}:0",
                 "--cert", files.cert, "--key", files.key, "--name", name,
                 "--secret-file", files.secret, "--ready-fd", str(told), *options],
                stdout=subprocess.PIPE, pass_fds=[told], text=True)
        finally:
            os.close(told)
        # Read at all times: a full pipe would stop the server.
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        readable, _, _ = select.select([ready], [], [], PATIENCE)
        said = os.read(ready, 64) if readable else b""
        os.close(ready)
        assert said == b"READY=1\n", f"{name} is not ready"
        host_text, port = str(self.wait("listen")["address"]).rsplit(":", 1)
        self.address = Address(host_text.strip("[]"), int(port))

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self.more:
                self.events.append(json.loads(line))
                self.more.notify_all()

    def all(self, name: str) -> list[Event]:
        with self.more:
            return [event for event in self.events if event["event"] == name]

    def wait(self, name: str, match: Match = lambda event: True,
             patience: float = PATIENCE) -> Event:
        """The first event of that name that matches, as soon as it is there."""
        def find() -> Event | None:
            return next((event for event in self.events
                         if event["event"] == name and match(event)), None)

        with self.more:
            assert self.more.wait_for(find, patience), f"{self.name}: no {name} event"
            found = find()
            assert found
            return found

    def summary(self) -> Event:
        before = len(self.all("summary"))
        self.process.send_signal(signal.SIGUSR1)
        with self.more:
            assert self.more.wait_for(lambda: len(self.all("summary")) > before, PATIENCE)
        return self.all("summary")[-1]

    def stop(self) -> Event:
        """End it in good order; its last summary."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        self.reader.join()
        return self.all("summary")[-1]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout
        self.process.stdout.close()


#: Starts servers that end with the test.
Start = Callable[..., Server]


def request(address: Address, *args: str | Path, path: str = "/") -> str:
    """One run of the client; what it logged."""
    done = subprocess.run([*CLIENT, *args, address.host, str(address.port),
                           f"https://vip.test{path}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def session_files(directory: Path) -> list[str]:
    return [f"--session-file={directory}/session", f"--tp-file={directory}/tp"]


def assert_at_home(server: Server) -> None:
    """No packet came here that was not for this server."""
    summary = server.summary()
    assert summary["foreign"] == 0, server.all("foreign")
    assert summary["dropped"] == 0, server.all("drop")


class Relay:
    """Passes a client's datagrams on from one socket, to whichever server choose() says."""

    def __init__(self, choose: Callable[[int], Address]) -> None:
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back.bind(("127.0.0.1", 0))
        self.address = Address(*self.front.getsockname())
        self.choose = choose
        self.ending, self.end = os.pipe()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        client: Any = None
        sent = 0
        while True:
            ready, _, _ = select.select([self.front, self.back, self.ending], [], [])
            if self.ending in ready:
                return
            if self.front in ready:
                data, client = self.front.recvfrom(65536)
                self.back.sendto(data, self.choose(sent))
                sent += 1
            if self.back in ready:
                self.front.sendto(self.back.recv(65536), client)

    def __enter__(self) -> Relay:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.end)
        self.thread.join()
        os.close(self.ending)
        self.front.close()
        self.back.close()


def long_header(packet_type: int, dcid: bytes, scid: bytes, version: int = V1,
                size: int = 1200, token: bytes = b"") -> bytes:
    """A long header packet with a payload that no key fits."""
    head = bytes([0xC0 | packet_type << 4]) + version.to_bytes(4, "big")
    head += bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    if packet_type == 0:
        head += bytes([len(token)]) + token
    rest = size - len(head) - 2
    return head + (0x4000 | rest).to_bytes(2, "big") + bytes(rest)
