# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Connection IDs as draft-ietf-quic-load-balancers-21 has them, sections 3 and 5, octet by octet.

Nothing here is taken from the programs: halves are plain octets, AES is libcrypto's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Callable, Iterator, Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Algorithm = Literal["clear", "single-pass", "four-pass"]
Block = Callable[[bytes], bytes]

RESERVED = 7
BLOCK = 16
#: Server id length and nonce length, all that section 5.1 allows for QUIC v1 and v2.
LEGAL_PAIRS = [(s, n) for s in range(1, 16) for n in range(4, 19) if s + n <= 19]


@lru_cache(maxsize=None)
def _aes(key: bytes) -> tuple[Block, Block]:
    """One block encrypted, one block decrypted; the mode keeps no state between blocks."""
    cipher: Any = Cipher(algorithms.AES(key), modes.ECB())
    return cipher.encryptor().update, cipher.decryptor().update


@dataclass(frozen=True)
class CidConfig:
    """One configuration: what the first octet's three high bits name."""

    id: int
    server_id_length: int
    nonce_length: int
    key: bytes | None = None

    @property
    def body_length(self) -> int:
        """Server id and nonce together."""
        return self.server_id_length + self.nonce_length

    @property
    def algorithm(self) -> Algorithm:
        """It follows from key and lengths; nothing on the wire tells it (section 5.4)."""
        if self.key is None:
            return "clear"
        return "single-pass" if self.body_length == BLOCK else "four-pass"

    def encode(self, server_id: bytes, nonce: bytes, *, low: int | None = None,
               extra: bytes = b"") -> bytes:
        """A CID; low: the five bits that are not the config id, by default the length of what
        follows; extra: octets of the server's own, behind and never enciphered."""
        assert (len(server_id), len(nonce)) == (self.server_id_length, self.nonce_length)
        body = server_id + nonce
        if self.algorithm == "single-pass":
            body = self._encrypt(body)
        elif self.algorithm == "four-pass":
            for left, right in self.rounds(body):
                body = _join(left, right, self.body_length)
        low = self.body_length if low is None else low
        return bytes([self.id << 5 | low]) + body + extra

    def decode(self, cid: bytes) -> bytes | None:
        """The server id; None if the CID is another config's or too short."""
        if not cid or cid[0] >> 5 != self.id or len(cid) < 1 + self.body_length:
            return None
        body = cid[1:1 + self.body_length]
        if self.algorithm == "single-pass":
            body = self._decrypt(body)
        elif self.algorithm == "four-pass":
            body = self._four_back(body)
        return body[:self.server_id_length]

    def rounds(self, body: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Both halves after each of the four passes (section 5.4.2)."""
        left, right = _split(body)
        odd = len(body) % 2 == 1
        for number in (1, 2, 3, 4):
            if number % 2:
                right = _clear_high(_xor(right, self._mask(number, left)), odd)
            else:
                left = _clear_low(_xor(left, self._mask(number, right)), odd)
            yield left, right

    def _four_back(self, body: bytes) -> bytes:
        """All four passes, though the draft lets a balancer leave the last away."""
        left, right = _split(body)
        odd = len(body) % 2 == 1
        left = _clear_low(_xor(left, self._mask(4, right)), odd)
        right = _clear_high(_xor(right, self._mask(3, left)), odd)
        left = _clear_low(_xor(left, self._mask(2, right)), odd)
        right = _clear_high(_xor(right, self._mask(1, left)), odd)
        return _join(left, right, len(body))

    def _mask(self, number: int, half: bytes) -> bytes:
        block = half.ljust(BLOCK - 2, b"\0") + bytes([self.body_length, number])
        return self._encrypt(block)[:len(half)]

    def _encrypt(self, block: bytes) -> bytes:
        assert self.key is not None and len(block) == BLOCK
        return _aes(self.key)[0](block)

    def _decrypt(self, block: bytes) -> bytes:
        assert self.key is not None and len(block) == BLOCK
        return _aes(self.key)[1](block)


def _split(body: bytes) -> tuple[bytes, bytes]:
    """Halves; of an odd body both have the middle octet, each its own nibble of it."""
    half, odd = (len(body) + 1) // 2, len(body) % 2 == 1
    return _clear_low(body[:half], odd), _clear_high(body[-half:], odd)


def _join(left: bytes, right: bytes, length: int) -> bytes:
    if length % 2 == 0:
        return left + right
    return left[:-1] + bytes([left[-1] | right[0]]) + right[1:]


def _clear_low(left: bytes, odd: bool) -> bytes:
    return left[:-1] + bytes([left[-1] & 0xf0]) if odd else left


def _clear_high(right: bytes, odd: bool) -> bytes:
    return bytes([right[0] & 0x0f]) + right[1:] if odd else right


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
