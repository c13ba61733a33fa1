# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The part of the corpus that is about encrypted connection IDs: every algorithm and shape, tenants
with keys of their own, and described lengths.

A key_file is here the key itself in hexadecimal: model.py reads it so, keys.py makes files of it.
"""

from __future__ import annotations

import random
from typing import Any, Iterator

from .corpus import (WEB4, WEB6, Config, Scenario, both, ether, ip4, ip6, long, make_cases, short,
                     udp)
from .quic_lb import CidConfig

#: Lengths that differ in how they are decoded: which algorithm, three passes or four, odd or even,
#: the server id up to the middle octet or past it, the shortest and the longest.
KEYED_PAIRS = [
    [(1, 4), (8, 8), (3, 4), (5, 4), (4, 4), (10, 5), (15, 4)],
    [(4, 15), (12, 4), (2, 14), (9, 9), (10, 9), (6, 4), (6, 6)],
    [(2, 4), (5, 5), (9, 8), (11, 6), (1, 18), (7, 10), (4, 12)],
]


def key_of(name: str) -> bytes:
    """A key that is always the same."""
    return random.Random(name).randbytes(16)


def _cid_entry(number: int, lengths: tuple[int, int], key: str | None = None,
               **more: Any) -> dict[str, Any]:
    entry = {"id": number, "server_id_length": lengths[0], "nonce_length": lengths[1], **more}
    return entry | ({"key_file": key_of(key).hex()} if key else {})


def layout_of(entry: dict[str, Any]) -> CidConfig:
    """An entry of cid_configs as the draft's own terms."""
    key = entry.get("key_file")
    return CidConfig(entry["id"], entry["server_id_length"], entry["nonce_length"],
                     bytes.fromhex(key) if key else None)


def _known_ids(length: int) -> dict[str, bytes]:
    """Server ids that a string function, an integer or a prefix would mistake for one another."""
    return {"zeros": bytes(length), "late": bytes(length - 1) + b"\x01",
            "early": (b"\x02" + bytes(length - 1))[:length], "ones": b"\xff" * length,
            "rising": bytes(range(0x10, 0x10 + length))}


_ADDRESSES = {"zeros": "198.51.100.1", "late": "2001:db8:1::2", "early": "198.51.100.3",
              "ones": "2001:db8:1::4", "rising": "198.51.100.5"}


def _keyed_config(entries: list[dict[str, Any]]) -> Config:
    servers = [{"name": name, "address": address,
                "state": "drain" if name == "ones" else "up",
                "server_ids": [{"config": entry["id"],
                                "id": _known_ids(entry["server_id_length"])[name].hex()}
                               for entry in entries]}
               for name, address in _ADDRESSES.items()]
    return {
        "version": 1,
        "cid_configs": entries,
        "fallback": {"rows": 16},
        "pools": [{"name": "p", "servers": servers}],
        "vips": [{"name": "v4", "address": WEB4, "port": 443, "pool": "p"},
                 {"name": "v6", "address": WEB6, "port": 443, "pool": "p"}],
    }


def _forms(dcid: bytes, rest: int = 0) -> Iterator[tuple[str, bytes]]:
    """Both header forms over both families; without rest a short one ends with the CID."""
    for form, payload in (("short", short(dcid, rest)), ("long", long(dcid, rest=rest))):
        for family, frame in both(payload):
            yield f"{form}-{family}", frame


def _keyed_frames(config: Config) -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(3)
    for entry in config["cid_configs"]:
        layout = layout_of(entry)
        label = f"keyed/{layout.server_id_length}-{layout.nonce_length}"
        known = _known_ids(layout.server_id_length)
        for name, server_id in (known | {"foreign": b"\x77" * layout.server_id_length}).items():
            dcid = layout.encode(server_id, rng.randbytes(layout.nonce_length),
                                 low=rng.randrange(32))
            for extra in (-1, 0, 1, 3, 24):
                other = dcid[:-1] if extra < 0 else dcid + rng.randbytes(extra)
                for form, frame in _forms(other):
                    yield f"{label}-{name}{extra:+d}-{form}", \
                        "encrypted, with octets behind it, none, or one too few", frame
            worker = bytes([dcid[0] & 0xe0 | layout.body_length]) + dcid[1:] + b"\x0a"
            for form, frame in _forms(worker, rest=9):
                yield f"{label}-{name}-worker-{form}", "an octet for the server's worker", frame
            for at in range(1, len(dcid)):
                flipped = bytearray(dcid)
                flipped[at] ^= 1 << rng.randrange(8)
                yield f"{label}-{name}-flipped-{at}", "one bit changes all of the server id", \
                    bytes(ether() / ip4() / udp(short(bytes(flipped))))
        for number in range(64):
            garbage = bytes([layout.id << 5 | rng.randrange(32)]) + rng.randbytes(19)
            yield f"{label}-garbage-{number}", "decodes to nonsense, by the 4-tuple", \
                bytes(ether() / ip4() / udp(long(garbage), sport=20000 + number))


def _keyed_cut(config: Config) -> Iterator[tuple[str, str, bytes]]:
    """Shorter and shorter, with lengths that agree and with lengths that do not."""
    for entry in config["cid_configs"]:
        layout = layout_of(entry)
        dcid = layout.encode(_known_ids(layout.server_id_length)["rising"],
                             b"\x5a" * layout.nonce_length)
        label = f"cut/{layout.server_id_length}-{layout.nonce_length}"
        for form, payload in (("short", short(dcid, 2)), ("long", long(dcid, rest=2))):
            for length in range(len(payload) + 1):
                for family, frame in both(payload[:length]):
                    yield f"{label}-{form}-{family}-{length}", "a shorter datagram", frame
            (_, whole), _ = both(payload)
            for length in range(34, len(whole)):
                yield f"{label}-{form}-frame-{length}", "cut at this octet", whole[:length]
        for stated in range(len(dcid) + 4):
            yield f"{label}-states-{stated}", "another DCID length than there are octets", \
                bytes(ether() / ip6() / udp(long(dcid, stated=stated)[:6 + len(dcid)]))


def _tenant_config() -> Config:
    """One config id with another meaning for each pool, one of them in clear, one for all."""
    pools = ("one", "two", "three", "four")
    ids = {"one": "0102", "two": "0103", "three": "0104"}
    return {
        "version": 1,
        "cid_configs": [
            _cid_entry(0, (2, 6), "one", pool="one"), _cid_entry(0, (2, 6), "two", pool="two"),
            _cid_entry(0, (2, 6), pool="three"), _cid_entry(1, (8, 8), "one", pool="one"),
            _cid_entry(1, (3, 4), "two", pool="two"), _cid_entry(2, (4, 5), "all"),
        ],
        "fallback": {"rows": 16},
        "pools": [{"name": pool, "servers": [
            {"name": f"{pool}-{number}", "address": f"198.51.100.{10 * place + number}",
             "server_ids": ([{"config": 0, "id": f"{ids[pool]}"}] if number == 1 and pool in ids
                            else [{"config": 2, "id": f"000000{place}{number}"}])
             + ([{"config": 1, "id": {"one": "11" * 8, "two": "22" * 3}[pool]}]
                if number == 2 and pool in ("one", "two") else [])}
            for number in (1, 2)]} for place, pool in enumerate(pools)],
        "vips": [{"name": pool, "address": WEB4, "port": 443 + place, "pool": pool}
                 for place, pool in enumerate(pools)],
    }


def _tenant_frames(config: Config) -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(6)
    known = [(known["config"], bytes.fromhex(known["id"])) for pool in config["pools"]
             for server in pool["servers"] for known in server["server_ids"]]
    for index, entry in enumerate(config["cid_configs"]):
        layout = layout_of(entry)
        for number, server_id in known:
            if number != layout.id or len(server_id) != layout.server_id_length:
                continue
            for place in range(4):
                dcid = layout.encode(server_id, rng.randbytes(layout.nonce_length))
                for form, payload in (("short", short(dcid)), ("long", long(dcid))):
                    yield f"tenant/{index}-{server_id.hex()}-to-{place}-{form}", \
                        "a tenant's CID is none in another's pool", \
                        bytes(ether() / ip4() / udp(payload, dport=443 + place))


def _length_frames(config: Config) -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(8)
    for entry in config["cid_configs"]:
        layout = layout_of(entry)
        for described in range(32):
            for extra in (-1, 0, 1, 2, 12, 234):
                dcid = layout.encode(_known_ids(layout.server_id_length)["early"],
                                     rng.randbytes(layout.nonce_length), low=described)
                dcid = dcid[:-1] if extra < 0 else dcid + rng.randbytes(extra)
                for form, frame in _forms(dcid):
                    yield f"length/{layout.id}-{described}{extra:+d}-{form}", \
                        "a described length beside the true one", frame


def keyed_scenarios(*, cut: bool = True) -> Iterator[Scenario]:
    """All of it; cut: also the many frames that end before their headers do."""
    for index, pairs in enumerate(KEYED_PAIRS):
        config = _keyed_config([_cid_entry(number, pair, f"{index}-{number}")
                                for number, pair in enumerate(pairs)])
        parts = [_keyed_frames(config)] + ([_keyed_cut(config)] if cut else [])
        yield Scenario(f"keyed-{index}", config, make_cases(*parts))
    tenants = _tenant_config()
    yield Scenario("tenants", tenants, make_cases(_tenant_frames(tenants)))
    lengths = _keyed_config([
        _cid_entry(0, (3, 5), length_check="none"), _cid_entry(1, (3, 5), length_check="at-least"),
        _cid_entry(2, (3, 5), length_check="equal"),
        _cid_entry(3, (3, 5), "l3", length_check="at-least"),
        _cid_entry(4, (3, 5), "l4", length_check="equal"),
        _cid_entry(5, (8, 8), "l5", length_check="equal"),
        _cid_entry(6, (4, 15), "l6", length_check="at-least")])
    yield Scenario("lengths", lengths, make_cases(_length_frames(lengths)))
