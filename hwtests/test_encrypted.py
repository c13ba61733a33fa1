# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""All 120 legal pairs of lengths, clear and keyed, thousands of random connection IDs each, through
the programs of both host tiers by ``loader trace``: every server is the one that the oracle names.

Only the decision is looked at, which keeps this fast; the frames themselves are the corpus's.
"""

from __future__ import annotations

import functools
import json
import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Literal, NamedTuple

import pytest

from hwtests.lab.bed import built
from hwtests.oracle.corpus import ether, ip4, ip6, long, short, udp
from hwtests.oracle.keys import with_keys
from hwtests.oracle.quic_lb import LEGAL_PAIRS, CidConfig

Kind = Literal["clear", "keyed"]
KINDS: tuple[Kind, ...] = ("clear", "keyed")
CIDS_A_PAIR = 2000
CONFIGS_A_POOL = 7
POOLS_A_FILE = 6
SERVERS = 3
PORT = 443
V4, V6 = "203.0.113.80", "2001:db8:80::80"


class Layout(NamedTuple):
    """One pair of lengths in one pool: what its servers know, and who has which server id."""

    pool: int
    config: CidConfig
    servers: dict[bytes, str]


class Answer(NamedTuple):
    """What a tier says of one frame."""

    verdict: str
    reason: str
    config: int | None
    server: str | None


@dataclass(frozen=True)
class Batch:
    """A file, and frames with what must become of them; server None: whomever the hash gives."""

    config: dict[str, Any]
    frames: list[bytes]
    expected: list[Answer]


def _layouts(kind: Kind, number: int) -> list[Layout]:
    rng = random.Random(f"{kind}-{number}")
    size = CONFIGS_A_POOL * POOLS_A_FILE
    layouts = []
    for index, (s, n) in enumerate(LEGAL_PAIRS[number * size:(number + 1) * size]):
        pool, config_id = divmod(index, CONFIGS_A_POOL)
        ids = {bytes(s), rng.randbytes(s - 1) + b"\x01"}
        while len(ids) < SERVERS:
            ids.add(rng.randbytes(s))
        layouts.append(Layout(
            pool, CidConfig(config_id, s, n, rng.randbytes(16) if kind == "keyed" else None),
            {server_id: f"p{pool}-{place}" for place, server_id in enumerate(sorted(ids))}))
    return layouts


def _config(layouts: list[Layout]) -> dict[str, Any]:
    pools: dict[int, list[Layout]] = {}
    for layout in layouts:
        pools.setdefault(layout.pool, []).append(layout)
    return {
        "version": 1,
        "cid_configs": [
            {"id": layout.config.id, "pool": f"p{layout.pool}",
             "server_id_length": layout.config.server_id_length,
             "nonce_length": layout.config.nonce_length}
            | ({"key_file": layout.config.key.hex()} if layout.config.key else {})
            for layout in layouts],
        "fallback": {"rows": 16},
        "limits": {"flows": 0},
        "pools": [{"name": f"p{pool}", "servers": [
            {"name": f"p{pool}-{place}", "address": f"198.51.100.{SERVERS * pool + place + 1}",
             "server_ids": [{"config": layout.config.id, "id": list(layout.servers)[place].hex()}
                            for layout in members]}
            for place in range(SERVERS)]} for pool, members in pools.items()],
        "vips": [{"name": f"v{family}-{pool}", "address": address, "port": PORT + pool,
                  "pool": f"p{pool}"}
                 for family, address in ((4, V4), (6, V6)) for pool in pools],
    }


@functools.cache
def _headers(version: int, pool: int, length: int) -> bytes:
    """What comes before a payload of this length; checksums of UDP are the receiver's business."""
    header = ip4(V4) if version == 4 else ip6(V6)
    whole = bytes(ether() / header / udp(bytes(length), dport=PORT + pool))
    return whole[:len(whole) - length]


def _frame(rng: random.Random, layout: Layout, dcid: bytes) -> bytes:
    payload = short(dcid, rng.choice((0, 0, 1, 16))) if rng.random() < 0.5 else long(dcid, rest=0)
    return _headers(rng.choice((4, 6)), layout.pool, len(payload)) + payload


def _routable(rng: random.Random, layout: Layout) -> tuple[bytes, Answer]:
    """A server's own, by the oracle's encoding."""
    config = layout.config
    server_id = rng.choice(list(layout.servers))
    dcid = config.encode(server_id, rng.randbytes(config.nonce_length), low=rng.randrange(32),
                         extra=rng.randbytes(rng.choice((0, 0, 1, 3, 20))))
    return dcid, Answer("XDP_TX", "cid", config.id, layout.servers[server_id])


def _anything(rng: random.Random, layout: Layout) -> tuple[bytes, Answer]:
    """Random octets, by the oracle's decoding."""
    config = layout.config
    dcid = (bytes([config.id << 5 | rng.randrange(32)])
            + rng.randbytes(config.body_length + rng.choice((0, 0, 1, 8))))
    server = layout.servers.get(config.decode(dcid) or b"")
    if server is None:
        return dcid, Answer("XDP_TX", "hash_unknown_server_id", None, None)
    return dcid, Answer("XDP_TX", "cid", config.id, server)


def _too_short(rng: random.Random, layout: Layout) -> tuple[bytes, Answer]:
    """At the very end of a datagram."""
    dcid, _ = _routable(rng, layout)
    return (dcid[:1 + rng.randrange(layout.config.body_length)],
            Answer("XDP_TX", "hash_short_dcid", None, None))


def _cids(rng: random.Random, layout: Layout) -> Iterator[tuple[bytes, Answer]]:
    for _ in range(CIDS_A_PAIR * 3 // 4):
        dcid, answer = _routable(rng, layout)
        yield _frame(rng, layout, dcid), answer
    for _ in range(CIDS_A_PAIR // 4 - 20):
        dcid, answer = _anything(rng, layout)
        yield _frame(rng, layout, dcid), answer
    for _ in range(20):
        dcid, answer = _too_short(rng, layout)
        yield _headers(4, layout.pool, 1 + len(dcid)) + short(dcid, 0), answer


def _batch(kind: Kind, number: int) -> Batch:
    layouts = _layouts(kind, number)
    rng = random.Random(number)
    pairs = [one for layout in layouts for one in _cids(rng, layout)]
    # One after the other of a config would hide what is left from the packet before.
    rng.shuffle(pairs)
    return Batch(_config(layouts), [frame for frame, _ in pairs], [answer for _, answer in pairs])


def _write_capture(path: Path, frames: list[bytes]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<4I", 0, 0, len(frame), len(frame)) + frame)


def _start(tier: str, place: Path) -> subprocess.Popen[str]:
    with (place / f"{tier}.jsonl").open("w") as out:
        return subprocess.Popen([built("loader"), "trace", "-t", tier, "-c", place / "shunt.yaml",
                                 "--pcap", place / "in.pcap", "--json"], stdout=out,
                                stderr=subprocess.PIPE, text=True)


def _answers(process: subprocess.Popen[str], tier: str, place: Path) -> list[Answer]:
    _, problems = process.communicate(timeout=300)
    assert process.returncode == 0, problems
    with (place / f"{tier}.jsonl").open() as lines:
        return [Answer(line["verdict"], line["reason"], line["config"],
                       line["server"] if line["reason"] == "cid" else None)
                for line in map(json.loads, lines)]


FILES = -(-len(LEGAL_PAIRS) // (CONFIGS_A_POOL * POOLS_A_FILE))


@pytest.mark.driver
@pytest.mark.generic
@pytest.mark.parametrize("number", range(FILES))
@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_of_lengths(kind: Kind, number: int, tmp_path: Path) -> None:
    """Both tiers at a time, one on each core."""
    batch = _batch(kind, number)
    (tmp_path / "shunt.yaml").write_text(json.dumps(with_keys(batch.config, tmp_path)))
    _write_capture(tmp_path / "in.pcap", batch.frames)
    with _start("driver", tmp_path) as driver, _start("generic", tmp_path) as generic:
        for process, tier in ((driver, "driver"), (generic, "generic")):
            _check(batch, _answers(process, tier, tmp_path), tier)
    for made in tmp_path.iterdir():
        made.unlink()


def _check(batch: Batch, got: list[Answer], tier: str) -> None:
    assert len(got) == len(batch.frames)
    wrong = [f"{frame.hex()}\nexpected {wanted}\ngot      {answer}" for frame, wanted, answer
             in zip(batch.frames, batch.expected, got) if wanted != answer]
    assert not wrong, f"{tier}: {len(wrong)} of {len(got)} frames\n" + "\n\n".join(wrong[:3])


def test_all_pairs_are_there() -> None:
    found = {(layout.config.server_id_length, layout.config.nonce_length)
             for kind in KINDS for number in range(FILES) for layout in _layouts(kind, number)}
    assert found == set(LEGAL_PAIRS) and len(found) == 120
    algorithms = [layout.config.algorithm for number in range(FILES)
                  for layout in _layouts("keyed", number)]
    assert (algorithms.count("single-pass"), algorithms.count("four-pass")) == (12, 108)
