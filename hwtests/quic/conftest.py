# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests of the QUIC server share: its files, servers that end, a socket to write to it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.lab.bed import built
from hwtests.quic.harness import PATIENCE, Files, Server, Start


@pytest.fixture(scope="session")
def server_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The server with a certificate of its own. QUIC_SERVER names another binary."""
    directory = tmp_path_factory.mktemp("quic")
    binary = Path(os.environ.get("QUIC_SERVER") or built("quic-server"))
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
