# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The QUIC test server alone, on loopback, against a client that is not ours."""

from __future__ import annotations

import base64
import os
import random
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from hwtests.quic.harness import (CLIENT, PATIENCE, V1, Address, Files, Relay, Server,
                                  assert_at_home, long_header, request, session_files)

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN_VERSION = 0x1A2A3A4A

Start = Callable[..., Server]


@pytest.fixture(scope="session")
def server_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The server built, with a certificate of its own. QUIC_SERVER names another binary."""
    directory = tmp_path_factory.mktemp("quic")
    binary = Path(os.environ.get("QUIC_SERVER", ROOT / "build" / "quic-server"))
    if "QUIC_SERVER" not in os.environ:
        subprocess.run(["make", "-f", "hwtests/quic/build.mk", "BUILD=build", "build/quic-server"],
                       cwd=ROOT, check=True, capture_output=True)
    files = Files(binary, directory / "cert.pem", directory / "key.pem", directory / "secret")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=vip.test", "-addext", "subjectAltName=DNS:vip.test",
                    "-keyout", files.key, "-out", files.cert], check=True, capture_output=True)
    files.secret.write_bytes(os.urandom(64))
    return files


@pytest.fixture
def start(server_files: Files) -> Iterator[Start]:
    """Starts servers and sees to it that none outlives the test."""
    running: list[Server] = []

    def start_one(name: str = "s1", *options: str, host: str = "127.0.0.1",
                  config: str = "2", server_id: str = "0a0b", nonce: str = "8") -> Server:
        server = Server(server_files, name, "--config-id", config, "--server-id", server_id,
                        "--nonce-length", nonce, *options, host=host)
        running.append(server)
        return server

    yield start_one
    for server in running:
        server.kill()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        yield sock


def test_pages(start: Start, tmp_path: Path) -> None:
    server = start()
    for path in ("/", "/bytes/300000", "/nowhere"):
        request(server.address, f"--download={tmp_path}", path=path)
    assert "server: s1" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "300000").stat().st_size == 300000
    assert [(event["path"], event["status"]) for event in server.all("request")] == [
        ("/", 200), ("/bytes/300000", 200), ("/nowhere", 404)]
    assert_at_home(server)


def test_server_header(start: Start) -> None:
    assert re.search(r"server: s-7", request(start("s-7").address))


def test_post_is_counted(start: Start, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(1500000))
    server = start()
    request(server.address, "-m", "POST", "-d", body, path="/upload")
    assert server.wait("request")["body"] == 1500000


@pytest.mark.parametrize("config,server_id,nonce", [
    ("0", "ff", "4"), ("2", "0a0b", "8"), ("6", "000102030405060708090a0b0c0d0e", "4"),
    ("3", "00", "18")])
@pytest.mark.parametrize("describe", [True, False])
def test_issued_connection_ids(start: Start, config: str, server_id: str, nonce: str,
                               describe: bool) -> None:
    server = start("s1", "--retry", *([] if describe else ["--no-length"]),
                   config=config, server_id=server_id, nonce=nonce)
    request(server.address)
    length = 1 + len(server_id) // 2 + int(nonce)
    issued = [bytes.fromhex(event["cid"]) for event in server.all("cid")]
    assert {event["use"] for event in server.all("cid")} == {"handshake", "new", "retry"}
    for cid in issued:
        assert len(cid) == length
        assert cid[0] >> 5 == int(config)
        assert cid[1:].startswith(bytes.fromhex(server_id))
        if describe:
            assert cid[0] & 0x1F == length - 1
    if not describe:
        assert len({cid[0] for cid in issued}) > 1
    assert len({cid[-int(nonce):] for cid in issued}) == len(issued)
    assert server.wait("connection")["scid"] in {event["cid"] for event in server.all("cid")}
    assert_at_home(server)


def test_without_configuration(server_files: Files) -> None:
    server = Server(server_files, "s1")
    try:
        request(server.address)
        for event in server.all("cid"):
            cid = bytes.fromhex(event["cid"])
            assert len(cid) >= 8
            assert cid[0] == 7 << 5 | len(cid) - 1
        assert_at_home(server)
    finally:
        server.kill()


def test_retry(start: Start) -> None:
    server = start("s1", "--retry")
    request(server.address)
    retry = server.wait("retry")
    connection = server.wait("connection")
    assert connection["retry"] and server.wait("handshake")["retry"]
    assert connection["odcid"] == retry["odcid"]
    assert connection["dcid"] == retry["scid"]
    assert server.summary()["retries"] == 1
    assert_at_home(server)


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


def test_retry_token_of_another_server(start: Start) -> None:
    first = start("s1", "--retry")
    second = start("s2", "--retry", server_id="0c0d")
    with Relay(lambda sent: second.address if sent else first.address) as relay:
        request(relay.address)
    assert second.wait("handshake")["retry"]
    assert second.summary()["retries"] == 0
    # It works, and still it is a packet with the first server's connection ID.
    foreign = second.wait("foreign")
    assert (foreign["why"], foreign["server_id"]) == ("retry", "0a0b")


def test_connection_led_astray(start: Start) -> None:
    first = start("s1")
    second = start("s2", server_id="0c0d")

    def choose(sent: int) -> Address:
        return second.address if sent > 8 else first.address

    with Relay(choose) as relay:
        process = subprocess.Popen([*CLIENT, relay.address.host, str(relay.address.port),
                                    "https://vip.test/slow/100000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            foreign = second.wait("foreign")
        finally:
            process.kill()
            process.wait()
    assert (foreign["why"], foreign["server_id"]) == ("other-server", "0a0b")
    assert not foreign["long_header"]


def test_version_negotiation(start: Start) -> None:
    server = start()
    request(server.address, "-v", hex(UNKNOWN_VERSION), "--preferred-versions=v1")
    assert server.wait("version-negotiation")["version"] == hex(UNKNOWN_VERSION)
    assert server.wait("handshake")["version"] == "0x00000001"
    assert_at_home(server)


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


def test_version_2_draft(start: Start) -> None:
    server = start("s1", "--retry")
    request(server.address, "-v", "v2draft")
    assert server.wait("handshake")["version"] == "0x709a50c4"
    assert_at_home(server)


def test_early_data(start: Start, tmp_path: Path) -> None:
    server = start()
    for _ in range(2):
        request(server.address, *session_files(tmp_path))
    assert [event["early_data"] for event in server.all("handshake")] == [False, True]
    assert [event["early_data"] for event in server.all("request")] == [False, True]
    assert server.summary()["early_data"] == 1
    assert_at_home(server)


def test_early_data_at_another_server(start: Start, tmp_path: Path) -> None:
    first, second = start("s1"), start("s2", "--retry", server_id="0c0d")
    for server in (first, second):
        request(server.address, *session_files(tmp_path))
    handshake = second.wait("handshake")
    assert handshake["early_data"] and handshake["resumed"] and handshake["retry"]
    assert_at_home(second)


def test_active_migration(start: Start) -> None:
    server = start()
    request(server.address, "--change-local-addr=200ms", path="/slow/8000")
    path = server.wait("path")
    connection = server.wait("connection")
    assert path["validated"]
    assert path["old"] == connection["peer"] and path["new"] != path["old"]
    assert path["cid"] != connection["scid"] and path["cid"].startswith("4a0a0b")
    assert server.summary()["paths"] == 1
    assert_at_home(server)


def test_nat_rebinding(start: Start) -> None:
    server = start()
    # The server cannot reach the new port before something comes from there: the request.
    request(server.address, "--change-local-addr=200ms", "--nat-rebinding",
            "--delay-stream=400ms", path="/slow/4000")
    path = server.wait("path")
    assert path["validated"] and path["new"] != path["old"]
    assert path["cid"] == server.wait("connection")["scid"]
    assert_at_home(server)


def test_key_update(start: Start) -> None:
    server = start()
    assert "key update confirmed" in request(server.address, "--key-update=200ms",
                                             path="/slow/12000")
    assert server.wait("close")["key_updates"] == 1
    assert_at_home(server)


def test_ipv6(start: Start) -> None:
    server = start(host="::1")
    request(server.address, "--change-local-addr=200ms", path="/slow/5000")
    assert server.wait("handshake")["peer"].startswith("[::1]:")
    assert server.wait("path")["validated"]
    assert_at_home(server)


def test_many_at_once(start: Start) -> None:
    server = start()
    clients = [subprocess.Popen([*CLIENT, server.address.host, str(server.address.port),
                                 "https://vip.test/bytes/50000"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(24)]
    assert [client.wait(2 * PATIENCE) for client in clients] == [0] * len(clients)
    summary = server.summary()
    assert summary["requests"] == summary["handshakes"] == len(clients)
    assert_at_home(server)


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


def test_client_may_choose_what_looks_like_another_server(start: Start) -> None:
    server = start()
    request(server.address, "--dcid=4a0c0d0102030405060708")
    request(server.address, "--dcid=4a0c0d0102030405060708")
    assert server.summary()["handshakes"] == 2
    assert_at_home(server)


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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_tells_the_client(start: Start, how: signal.Signals) -> None:
    server = start()
    client = subprocess.Popen([*CLIENT, server.address.host, str(server.address.port),
                               "https://vip.test/slow/1000000"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
    server.wait("request")
    server.process.send_signal(how)
    output, _ = client.communicate(timeout=PATIENCE)
    assert server.process.wait(PATIENCE) == 0
    assert re.search(r"frm rx \d+ 1RTT CONNECTION_CLOSE", output)
    server.reader.join()
    assert server.wait("close")["reason"] == "shutdown"
    assert server.events[-1]["event"] == "summary"


def test_idle_timeout(start: Start) -> None:
    server = start("s1", "--idle-timeout", "1")
    client = subprocess.Popen([*CLIENT, server.address.host, str(server.address.port),
                               "https://vip.test/slow/1000000"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.wait("request")
    client.kill()
    client.wait()
    assert server.wait("close")["reason"] == "idle"


def test_notify_socket(server_files: Files, tmp_path: Path,
                       monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        server = Server(server_files, "s1")
        server.kill()
        assert sock.recv(64).startswith(b"READY=1")


@pytest.mark.parametrize("options,message", [
    (["--config-id", "7"], "--config-id 7: give a number from 0 to 6"),
    (["--config-id", "1"], "--server-id"),
    (["--server-id", "0a"], "--config-id"),
    (["--config-id", "1", "--server-id", "0"], "hexadecimal"),
    (["--config-id", "1", "--server-id", "0a0b", "--nonce-length", "18"], "at most 19 octets"),
    (["--listen", "0.0.0.0:1"], "name the address itself"),
    (["--listen", "[::1]"], "port"),
    (["--name", "a b"], "letters"),
    (["--no-length"], "described"),
    (["--idle-timeout", "0"], "seconds"),
    (["extra"], "argument extra"),
])
def test_usage(server_files: Files, options: list[str], message: str) -> None:
    done = subprocess.run([server_files.binary, "--listen", "127.0.0.1:0", "--cert",
                           server_files.cert, "--key", server_files.key, "--name", "s1",
                           *options], capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_errors_are_one_line(server_files: Files, tmp_path: Path) -> None:
    short, none = tmp_path / "short", tmp_path / "no" / "file"
    short.write_bytes(bytes(31))
    for option, value in (("--secret-file", str(short)), ("--secret-file", str(none)),
                          ("--cert", str(none)), ("--log", str(none)),
                          ("--listen", "192.0.2.1:0")):
        done = subprocess.run([server_files.binary, "--listen", "127.0.0.1:0", "--cert",
                               server_files.cert, "--key", server_files.key, "--name", "s1",
                               option, value], capture_output=True, text=True, timeout=PATIENCE,
                              check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("quic-server: ") and done.stderr.count("\n") == 1
