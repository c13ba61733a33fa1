# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The QUIC test server's command line, its errors and how it says that it is ready."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from hwtests.quic.harness import PATIENCE, Files, Server


def test_notify_socket(server_files: Files, tmp_path: Path,
                       monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        server = Server(server_files, "s1")
        try:
            # Told after the descriptor that Server waits for, so it has to live until then.
            assert sock.recv(64).startswith(b"READY=1")
        finally:
            server.kill()


@pytest.mark.parametrize("options,message", [
    (["--config-id", "7"], "--config-id 7: give a number from 0 to 6"),
    (["--config-id", "1"], "config 1: the server id has 1 to 15 octets"),
    (["--config-id", "1", "--config-id", "1"], "once"),
    (["--key-file", "x"], "--config-id"),
    (["--config-id", "1", "--server-id", "0a", "--key-file", "/nowhere"], "No such file"),
    (["--config-id", "1", "--server-id", "0a", "--worker", "01"], "worker_key"),
    (["--config-id", "1", "--server-id", "0a", "--worker", "0102030405"], "1 to 4 octets"),
    (["--config-id", "1", "--server-id", "0a", "--cid-file", "x"], "only one"),
    (["--cid-file", "/nowhere"], "/nowhere: No such file"),
    (["--server-id", "0a"], "--config-id"),
    (["--config-id", "1", "--server-id", "0"], "hexadecimal"),
    (["--config-id", "1", "--server-id", "0a0b", "--nonce-length", "18"], "19 together"),
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


@pytest.mark.parametrize("line,message", [
    ("1 0a0b 8 -", "not CONFIG-ID"), ("1 0a0b 8 - active more", "not CONFIG-ID"),
    ("7 0a0b 8 - active", "0 to 6"), ("1 0a0 8 - active", "hexadecimal"),
    ("1 0a0b 8 - idle", "active or retiring"), ("0 0a0b 8 - retiring", "there already"),
    ("1 0a0b 8 - active", "an active config already")])
def test_cid_file_errors(server_files: Files, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "cids"
    path.write_text(f"# configs\n\n0 0a0b 8 - active\n{line}\n")
    done = subprocess.run([server_files.binary, "--listen", "127.0.0.1:0", "--cert",
                           server_files.cert, "--key", server_files.key, "--name", "s1",
                           "--cid-file", path], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert f"{path}:4: " in done.stderr and message in done.stderr
