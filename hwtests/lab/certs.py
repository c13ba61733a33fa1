# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes the throw-away credentials of the test servers: a certificate and a shared secret."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError, require_commands, search_path

NAMES = ("vip.test", "v4.vip.test", "v6.vip.test")


def _openssl(*args: str | Path, stdin: bytes | None = None) -> bytes:
    require_commands({"openssl": "openssl"})
    done = subprocess.run(["openssl", *args], input=stdin, capture_output=True, timeout=30,
                          env={**os.environ, "PATH": search_path()})
    if done.returncode != 0:
        raise LabError(f"openssl {args[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for the VIP's names."""

    cert: Path
    key: Path
    #: Shared by servers that must accept each other's Retry tokens and session tickets.
    secret: Path
    #: Base64 of the public key's SHA-256, by which Chromium can be told to accept it.
    spki: str

    @classmethod
    def make(cls, directory: Path) -> Certificate:
        """Write cert.pem, key.pem and secret.bin into the directory."""
        cert, key, secret = (directory / name for name in ("cert.pem", "key.pem", "secret.bin"))
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-days", "13", "-keyout", key, "-out", cert, "-subj", f"/CN={NAMES[0]}",
                 "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES))
        secret.touch(mode=0o600)
        secret.write_bytes(os.urandom(32))
        key.chmod(0o600)
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> Certificate:
        """Take what make has written there."""
        cert, key, secret = (directory / name for name in ("cert.pem", "key.pem", "secret.bin"))
        public = _openssl("x509", "-in", cert, "-noout", "-pubkey")
        der = _openssl("pkey", "-pubin", "-outform", "DER", stdin=public)
        return cls(cert, key, secret, base64.b64encode(hashlib.sha256(der).digest()).decode())
