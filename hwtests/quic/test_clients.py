# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The QUIC test server alone, on loopback, against a client that is not ours."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from hwtests.quic.harness import (CLIENT, PATIENCE, UNKNOWN_VERSION, Address, Files, Relay, Server,
                                  Start, assert_at_home, request, session_files)


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
    server.wait("close")
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


def test_client_may_choose_what_looks_like_another_server(start: Start) -> None:
    server = start()
    request(server.address, "--dcid=4a0c0d0102030405060708")
    request(server.address, "--dcid=4a0c0d0102030405060708")
    assert server.summary()["handshakes"] == 2
    assert_at_home(server)


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
