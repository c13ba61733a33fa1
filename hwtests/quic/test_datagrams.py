# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The QUIC test server and datagrams that no client would send, and how it tells whose they are."""

from __future__ import annotations

import base64
import os
import random
import socket
import subprocess
from pathlib import Path

import pytest

from hwtests.quic.harness import CLIENT, UNKNOWN_VERSION, V1, Start, long_header, request


def test_token_saves_the_retry(start: Start, peer: socket.socket, tmp_path: Path) -> None:
    """NEW_TOKEN's token is good for another port and another server of the same secret."""
    first, second = start("s1", "--retry"), start("s2", "--retry", server_id="0c0d")
    request(first.address, f"--token-file={tmp_path}/token")
    # gtlsclient writes the file but cannot read it back, so the token goes into our own packet.
    lines = (tmp_path / "token").read_text().splitlines()
    token = base64.b64decode("".join(line for line in lines if not line.startswith("-")))
    damaged = token[:-1] + bytes([token[-1] ^ 1])
    peer.sendto(long_header(0, b"\1" * 8, b"\2" * 8, token=damaged), second.address)
    second.wait("retry")
    peer.sendto(long_header(0, b"\1" * 8, b"\2" * 8, token=token), second.address)
    assert second.wait("drop")["why"] == "initial-undecryptable"
    assert second.summary()["retries"] == 1


def test_forged_token_is_refused(start: Start, peer: socket.socket) -> None:
    server = start("s1", "--retry")
    # The octet that marks a Retry token, and nothing behind it that any key fits.
    peer.sendto(long_header(0, b"\1" * 8, b"\2" * 8, token=b"\xb6" + bytes(60)), server.address)
    assert server.wait("drop")["why"] == "invalid-token"
    assert len(peer.recv(2048)) > 20
    assert server.summary()["connections"] == 0


def test_version_negotiation_needs_a_full_datagram(start: Start, peer: socket.socket) -> None:
    server = start()
    dcid, scid = bytes(range(30)), bytes(range(50, 75))
    peer.sendto(long_header(0, dcid, scid, UNKNOWN_VERSION, 1199), server.address)
    peer.sendto(long_header(0, dcid, scid, UNKNOWN_VERSION, 1200), server.address)
    answer = peer.recv(2048)
    assert answer[0] & 0x80 and answer[1:5] == bytes(4)
    # RFC 8999 6: the connection IDs come back the other way round, whatever their length.
    assert answer[5:].startswith(bytes([len(scid)]) + scid + bytes([len(dcid)]) + dcid)
    assert V1.to_bytes(4, "big") in answer
    assert server.summary()["version_negotiations"] == 1


def test_short_header_of_another_server(start: Start, peer: socket.socket) -> None:
    server = start()
    dcid = bytes.fromhex("4a0c0d") + bytes(8)
    peer.sendto(b"\x40" + dcid + bytes(60), server.address)
    foreign = server.wait("foreign")
    assert (foreign["why"], foreign["server_id"]) == ("other-server", "0c0d")
    assert foreign["dcid"] == dcid.hex() and not foreign["long_header"]
    assert server.summary()["foreign"] == 1


def test_short_header_of_nobody(start: Start, peer: socket.socket) -> None:
    server = start()
    peer.sendto(b"\x40" + b"\xe7" * 11 + bytes(60), server.address)
    assert server.wait("foreign")["why"] == "not-ours"


def test_short_header_of_this_server(start: Start, peer: socket.socket) -> None:
    server = start()
    # The foreign one first: were it answered too, that answer would be the first to arrive.
    peer.sendto(b"\x40" + bytes.fromhex("4a0c0d") + bytes(68), server.address)
    peer.sendto(b"\x40" + bytes.fromhex("4a0a0b") + bytes(69), server.address)
    assert server.wait("stale")["why"] == "own"
    reset = peer.recv(2048)
    assert len(reset) < 72 and reset[0] >> 6 == 1
    peer.sendto(b"\x40" + bytes.fromhex("4a0a0b") + bytes(69), server.address)
    # The same connection ID has the same token: exactly one of the three went unanswered.
    assert peer.recv(2048)[-16:] == reset[-16:]


@pytest.mark.parametrize("dcid,event", [
    ("4a0c0d0102030405060708", "foreign"), ("4a0a0b0102030405060708", "stale"),
    ("0102030405060708", "foreign")])
def test_handshake_packet_of_no_connection(start: Start, peer: socket.socket, dcid: str,
                                           event: str) -> None:
    server = start()
    peer.sendto(long_header(2, bytes.fromhex(dcid), b"\1" * 8), server.address)
    assert server.wait(event)["long_header"]


@pytest.mark.parametrize("dcid,event", [
    ("4a0c0d0102030405060708", "foreign"), ("4a0a0b0102030405060708", "stale"),
    ("0102030405060708", "drop")])
def test_initial_that_is_not_a_first_one(start: Start, peer: socket.socket, dcid: str,
                                         event: str) -> None:
    server = start()
    peer.sendto(long_header(0, bytes.fromhex(dcid), b"\1" * 8), server.address)
    server.wait(event)
    assert server.summary()["connections"] == 0


def test_late_packet_with_the_clients_choice(start: Start, peer: socket.socket) -> None:
    server = start()
    request(server.address)
    closed = server.wait("close")
    connection = server.wait("connection")
    late = long_header(0, bytes.fromhex(connection["odcid"]),
                       bytes.fromhex(connection["peer_cid"]))

    def told() -> bool:
        return bool(server.all("stale"))

    # Until the draining period is over the connection itself takes late packets.
    for _ in range(200):
        peer.sendto(late, server.address)
        with server.more:
            if server.more.wait_for(told, 0.05):
                break
    stale = server.wait("stale")
    assert (stale["why"], stale["dcid"]) == ("closed", connection["odcid"])
    assert closed["scid"] == connection["scid"]
    assert server.summary()["connections"] == 1


def test_garbage(start: Start, peer: socket.socket) -> None:
    seed = int(os.environ.get("QUIC_FUZZ_SEED", "20240601"))
    rng = random.Random(seed)
    server = start("s1", "--retry")
    peers = [start("s2", server_id="0c0d"), server]
    versions = [b"\0\0\0\1", b"\x70\x9a\x50\xc4", b"\0\0\0\0", b"\x1a\x2a\x3a\x4a"]
    for number in range(6000):
        data = bytearray(rng.randbytes(rng.choice([0, 1, 6, 12, 21, 48, 600, 1200, 1452])))
        if number % 2 and len(data) >= 48:
            data[0] |= 0xC0
            data[1:5] = rng.choice(versions)
            data[5] = rng.choice([0, 8, 11, 20, 21, data[5]])
        elif number % 3 == 0 and len(data) >= 12:
            data[0] = 0x40 | data[0] & 0x3F
            data[1:4] = b"\x4a\x0a\x0b"
        target = peers[number % len(peers)]
        try:
            peer.sendto(data, target.address)
        except ConnectionRefusedError:
            pytest.fail(f"{target.name} is gone, seed {seed}, datagram {number}")
        if number % 100 == 99:
            # So many fit into a receive buffer; none is to be lost unseen.
            target.summary()
    for target in peers:
        assert target.summary()["packets"] == 3000
        request(target.address)
        assert target.stop()["handshakes"] == 1


def test_damaged_first_packets(start: Start, peer: socket.socket) -> None:
    """A genuine first datagram, with octets changed or cut off."""
    seed = int(os.environ.get("QUIC_FUZZ_SEED", "20240602"))
    rng = random.Random(seed)
    server = start()
    client = subprocess.Popen([*CLIENT, "127.0.0.1", str(peer.getsockname()[1]),
                               "https://vip.test/"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        genuine = peer.recv(2048)
    finally:
        client.kill()
        client.wait()
    for number in range(1000):
        data = bytearray(genuine)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data) if number % 2 else 60)] = rng.randrange(256)
        peer.sendto(data[:rng.randrange(1, len(data))] if number % 5 == 0 else data,
                    server.address)
        if number % 100 == 99:
            server.summary()
    assert server.summary()["packets"] == 1000
    request(server.address)
    assert server.stop()["handshakes"] >= 1
