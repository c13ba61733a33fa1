# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The QUIC test server with encrypted connection IDs, and from one config to the next."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hwtests.quic.harness import (CLIENT, PATIENCE, Address, Event, Files, Match,
                                  Relay, Server, Start, assert_at_home, request)


class Keyed(NamedTuple):
    """A config with a key, as the options have it."""
    config: int
    server_id: str
    nonce: int

    @property
    def length(self) -> int:
        return 1 + len(self.server_id) // 2 + self.nonce


SINGLE_PASS = Keyed(1, "0a0b0c0d0e0f1011", 8)
FOUR_PASS = Keyed(4, "0a0b0c", 4)
FOUR_PASS_LONG = Keyed(6, "0a" * 11, 7)
KINDS = [SINGLE_PASS, FOUR_PASS, FOUR_PASS_LONG]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(os.urandom(16))
    return path


@pytest.fixture
def start_keyed(start: Start, key_file: Path) -> Callable[..., Server]:
    def start_one(kind: Keyed, *options: str, name: str = "s1",
                  server_id: str | None = None) -> Server:
        return start(name, "--key-file", str(key_file), *options, config=str(kind.config),
                     server_id=server_id or kind.server_id, nonce=str(kind.nonce))

    return start_one


def server_id_of(cid: bytes, key: bytes, server_id_length: int, nonce_length: int) -> bytes:
    """As the draft (section 5.5) has it, with another AES than the server's."""
    aes = Cipher(algorithms.AES(key), modes.ECB())
    body = cid[1:1 + server_id_length + nonce_length]
    if len(body) == 16:
        return aes.decryptor().update(body)[:server_id_length]
    half = (len(body) + 1) // 2
    left, right = bytearray(body[:half]), bytearray(body[-half:])
    if len(body) % 2:
        left[-1] &= 0xF0
        right[0] &= 0x0F
    for turn in (4, 3, 2, 1):
        source, target = (left, right) if turn % 2 else (right, left)
        block = bytes(source).ljust(14, b"\0") + bytes([len(body), turn])
        for at, octet in enumerate(aes.encryptor().update(block)[:half]):
            target[at] ^= octet
        if len(body) % 2:
            left[-1] &= 0xF0
            right[0] &= 0x0F
    if len(body) % 2:
        plain = bytes(left[:-1]) + bytes([left[-1] | right[0]]) + bytes(right[1:])
    else:
        plain = bytes(left + right)
    return plain[:server_id_length]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("worker", ["", "07"])
def test_encrypted(start_keyed: Callable[..., Server], key_file: Path, kind: Keyed,
                   worker: str) -> None:
    if worker and kind.nonce == 4:
        kind = kind._replace(nonce=5)
    server = start_keyed(kind, "--retry", *(["--worker", worker] if worker else []))
    request(server.address, "--change-local-addr=200ms", path="/slow/5000")
    assert server.wait("path")["validated"]
    server.wait("close")
    issued = [bytes.fromhex(event["cid"]) for event in server.all("cid")]
    assert {event["use"] for event in server.all("cid")} == {"handshake", "new", "retry"}
    for cid in issued:
        assert len(cid) == kind.length + len(worker) // 2
        assert cid[0] == kind.config << 5 | len(cid) - 1
        assert server_id_of(cid, key_file.read_bytes(), len(kind.server_id) // 2,
                            kind.nonce).hex() == kind.server_id
    assert len({cid[1:] for cid in issued}) == len(issued)
    assert len({cid[1] for cid in issued}) > 1
    assert_at_home(server)


@pytest.mark.parametrize("kind", KINDS)
def test_another_servers_packets(start_keyed: Callable[..., Server], peer: socket.socket,
                                 kind: Keyed) -> None:
    first = start_keyed(kind)
    second = start_keyed(kind, name="s2", server_id="ff" + kind.server_id[2:])
    request(first.address)
    cid = bytes.fromhex(first.wait("connection")["scid"])
    # More than a stateless reset has, which only the one gives whose it is.
    packet = b"\x40" + cid + bytes(60)
    peer.sendto(packet, second.address)
    foreign = second.wait("foreign")
    assert (foreign["why"], foreign["server_id"]) == ("other-server", kind.server_id)
    assert foreign["dcid"] == cid.hex()
    # A body that no config made decodes to nonsense; the first server's own is not.
    peer.sendto(b"\x40" + bytes([cid[0]]) + bytes(len(cid) + 59), second.address)
    nonsense = second.wait("foreign", lambda event: bool(event["dcid"] != cid.hex()))
    assert nonsense["server_id"] not in (kind.server_id, "ff" + kind.server_id[2:])


class Rotating:
    """A server with a file of configs."""

    def __init__(self, files: Files, directory: Path, name: str, *lines: str) -> None:
        self.path = directory / f"{name}.cids"
        self.write(*lines)
        self.server = Server(files, name, "--cid-file", str(self.path))

    def write(self, *lines: str) -> None:
        self.path.write_text("".join(f"{line}\n" for line in lines))

    def reload(self, *lines: str, event: str = "configs") -> Event:
        self.write(*lines)
        before = len(self.server.all(event))
        self.server.process.send_signal(signal.SIGHUP)
        with self.server.more:
            assert self.server.more.wait_for(
                lambda: len(self.server.all(event)) > before, PATIENCE)
        return self.server.all(event)[-1]


Rotate = Callable[..., Rotating]


@pytest.fixture
def rotating(server_files: Files, tmp_path: Path) -> Iterator[Rotate]:
    running: list[Rotating] = []

    def start_one(name: str, *lines: str) -> Rotating:
        running.append(Rotating(server_files, tmp_path, name, *lines))
        return running[-1]

    yield start_one
    for each in running:
        each.server.kill()


def about(dcid: str) -> Match:
    return lambda event: bool(event["dcid"] == dcid)


def about_scid(scid: str) -> Match:
    return lambda event: bool(event["scid"] == scid)


def slow_client(address: Address, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*CLIENT, *options, address.host, str(address.port),
                             "https://vip.test/slow/14000"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_rotation_under_a_live_connection(rotating: Rotate, key_file: Path) -> None:
    old, new = f"0 0a0b 14 {key_file}", f"3 0c0d0e0f 12 {key_file}"
    each = rotating("s1", f"{old} active")
    server = each.server
    client = slow_client(server.address, "--change-local-addr=700ms")
    # On a busy machine a request comes in before libngtcp2 has given out the client's further IDs.
    server.wait("cid", lambda event: bool(event["use"] == "new"))
    told = each.reload(f"{old} retiring", f"{new} active")
    assert (told["config_id"], told["server_id"], told["held"]) == (3, "0c0d0e0f", 2)
    # The client moves: it gives up the connection ID it used and gets one of the new config.
    path = server.wait("path")
    assert path["validated"] and path["cid"][0] in "01"
    fresh = server.wait("cid", lambda event: event["use"] == "new"
                        and int(event["cid"][:2], 16) >> 5 == 3)
    assert fresh["scid"] == server.wait("connection")["scid"]
    request(server.address)
    first = server.wait("connection")["scid"]
    second = server.wait("close", lambda event: bool(event["scid"] != first))["scid"]
    assert int(second[:2], 16) >> 5 == 3
    assert client.wait(PATIENCE) == 0
    told = each.reload(f"{new} active")
    assert told["held"] == 1
    request(server.address)
    assert server.summary()["stale"] == 0
    assert_at_home(server)


def test_rotation_to_another_length(rotating: Rotate, key_file: Path) -> None:
    """libngtcp2 0.12 wants a connection's IDs equally long: it stays under its own config."""
    old, new = f"0 0a0b 14 {key_file}", "5 0a0b 6 -"
    each = rotating("s1", f"{old} active")
    server = each.server
    client = slow_client(server.address, "--change-local-addr=700ms")
    server.wait("request")
    each.reload(f"{old} retiring", f"{new} active")
    assert server.wait("path")["validated"]
    request(server.address)
    first = server.wait("connection")["scid"]
    second = server.wait("close", lambda event: bool(event["scid"] != first))["scid"]
    assert len(second) == 2 * 9
    assert client.wait(PATIENCE) == 0
    server.wait("close", about_scid(first))
    mine = [event["cid"] for event in server.all("cid") if event.get("scid") == first]
    assert {int(cid[:2], 16) >> 5 for cid in mine} == {0} and len(mine) > 6
    assert_at_home(server)


def test_retired_config_with_a_live_connection(rotating: Rotate, key_file: Path) -> None:
    """What is too early for the balancer is no reason for the server to lose its connections."""
    old, new = f"0 0a0b 14 {key_file}", f"3 0c0d0e0f 6 {key_file}"
    each = rotating("s1", f"{old} active")
    client = slow_client(each.server.address)
    each.server.wait("request")
    each.reload(f"{new} active")
    assert client.wait(PATIENCE) == 0
    assert_at_home(each.server)


def test_packets_of_both_configs(rotating: Rotate, key_file: Path, peer: socket.socket) -> None:
    """Stale and foreign are told apart under a retiring config as under the active one."""
    def lines(server_id: str, states: tuple[str, str]) -> list[str]:
        return [f"0 {server_id} 5 {key_file} {states[0]}",
                f"3 {server_id} 14 {key_file} {states[1]}"]

    first = rotating("s1", *lines("0a0b", ("active", "retiring")))
    second = rotating("s2", *lines("0c0d", ("active", "retiring")))
    for states in (("active", "retiring"), ("retiring", "active")):
        first.reload(*lines("0a0b", states))
        second.reload(*lines("0c0d", states))
        for _ in range(2):
            request(first.server.address)
    first.server.summary()
    names = [connection["scid"] for connection in first.server.all("connection")]
    assert [int(name[:2], 16) >> 5 for name in names] == [0, 0, 3, 3]
    for name in names:
        peer.sendto(b"\x40" + bytes.fromhex(name) + bytes(60), second.server.address)
        foreign = second.server.wait("foreign", about(name))
        assert (foreign["why"], foreign["server_id"]) == ("other-server", "0a0b")
    restarted = rotating("s3", *lines("0a0b", ("retiring", "active"))).server
    for name in names:
        peer.sendto(b"\x40" + bytes.fromhex(name) + bytes(60), restarted.address)
        assert restarted.wait("stale", about(name))["why"] == "own"


def test_a_refused_file_changes_nothing(rotating: Rotate, key_file: Path, tmp_path: Path) -> None:
    old = f"0 0a0b 14 {key_file}"
    each = rotating("s1", f"{old} active")
    for line, why in (("0 0a0c 14 - active", "another meaning"), ("1 0a0b 3 - active", "4 to 18"),
                      (f"1 0a0b 5 {tmp_path}/none active", "No such file"), ("what", "CONFIG-ID")):
        refused = each.reload(line, event="configs-refused")
        assert why in refused["why"]
    key_file.chmod(0o644)
    assert "chmod 600" in each.reload(f"{old} retiring", f"2 0a0b 14 {key_file} active",
                                      event="configs-refused")["why"]
    request(each.server.address)
    assert int(each.server.wait("connection")["scid"][:2], 16) >> 5 == 0
    # And still the next good one is taken.
    assert each.reload(f"{old} retiring", "1 0a0b 14 - active")["config_id"] == 1
    assert each.reload(f"{old} retiring")["config_id"] == 7
    request(each.server.address)
    each.server.wait("close", lambda event: bool(event["scid"].startswith("e8")))
    assert_at_home(each.server)


def test_servers_switched_one_by_one(rotating: Rotate, key_file: Path) -> None:
    """A connection led to another server is told of, whatever config each of them is at."""
    old, new = f"0 %s 14 {key_file}", f"3 %s 12 {key_file}"
    first = rotating("s1", f"{old % '0a0b'} active")
    second = rotating("s2", f"{old % '0c0d'} active")
    first.reload(f"{old % '0a0b'} retiring", f"{new % '0a0b0a0b'} active")
    second.reload(f"{old % '0c0d'} active", f"{new % '0c0d0c0d'} retiring")
    with Relay(lambda sent: second.server.address if sent > 8 else first.server.address) as relay:
        client = slow_client(relay.address)
        try:
            foreign = second.server.wait("foreign")
        finally:
            client.kill()
            client.wait()
    assert (foreign["why"], foreign["server_id"]) == ("other-server", "0a0b0a0b")
