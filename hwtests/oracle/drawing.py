# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Configurations and frames drawn at random, for hypothesis."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import strategies as st

from .corpus import Config, ether, ip4, ip6, long, short, udp
from .keyed import layout_of
from .quic_lb import LEGAL_PAIRS

_octet = st.integers(0, 255)
_name = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20).filter(
    lambda text: text[0].isalnum() and text[-1].isalnum())
# VIPs, sources and servers: no server may have the address of one of the others.
_VIP, _SOURCE, _SERVER = 0, 1, 2
_v4 = [st.integers(first, first + 0xfffffd).map(lambda n: str(ipaddress.IPv4Address(n)))
       for first in (0x0a000001, 0x0b000001, 0x0c000001)]
_v6 = [st.integers(first, first + 2**63).map(lambda n: str(ipaddress.IPv6Address(n)))
       for first in (0x20010db8_00000001 << 64, 0x20010db8_00000002 << 64,
                     0x20010db8_00000003 << 64)]
_keys = st.binary(min_size=16, max_size=16).map(lambda key: {"key_file": key.hex()})


@st.composite
def _configs(draw: st.DrawFn) -> Config:
    cids = draw(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(LEGAL_PAIRS)),
                         max_size=7, unique_by=lambda entry: entry[0]))
    pools = draw(st.lists(_name, min_size=1, max_size=3, unique=True))
    return _without_doubtful_nat({
        "version": 1,
        "cid_configs": [
            {"id": number, "server_id_length": s, "nonce_length": n,
             "length_check": draw(st.sampled_from(["none", "none", "at-least", "equal"]))}
            | draw(st.one_of(st.just({}), _keys)) for number, (s, n) in cids],
        "forwarding": {"mode": draw(st.sampled_from(["ipip", "l2dsr", "gue"])),
                       "gue_port": draw(st.integers(1, 65535)),
                       "source_v4": draw(_v4[_SOURCE]), "source_v6": draw(_v6[_SOURCE])},
        "fallback": {"rows": draw(st.sampled_from([16, 64, 256]))},
        "pools": [{"name": pool, "servers": draw(_servers(position, dict(cids)))}
                  for position, pool in enumerate(pools)],
        "vips": [{"name": f"vip-{number}", "address": address, "port": port,
                  "pool": draw(st.sampled_from(pools))}
                 for number, (address, port) in enumerate(draw(st.lists(
                     st.tuples(st.one_of(_v4[_VIP], _v6[_VIP]), st.integers(1, 65535)),
                     min_size=1, max_size=6, unique=True)), start=1)],
    })


def _without_doubtful_nat(config: Config) -> Config:
    """With ipip wherever ``check`` refuses nat: for another family than a VIP's, or one answer of
    two VIPs."""
    of: dict[tuple[str, int], str] = {}
    for pool in config["pools"]:
        vips = [vip for vip in config["vips"] if vip["pool"] == pool["name"]]
        for server in pool["servers"]:
            if server["mode"] != "nat":
                del server["port"]
                continue
            six = ":" in server["address"]
            places = [(server["address"], server["port"] or vip["port"]) for vip in vips]
            if (any((":" in vip["address"]) != six for vip in vips)
                    or len(set(places)) < len(places) or of.keys() & set(places)):
                server["mode"] = "ipip"
            else:
                of |= {place: vip["name"] for place, vip in zip(places, vips)}
            if server["mode"] != "nat" or not server["port"]:
                del server["port"]
    return config


@st.composite
def _servers(draw: st.DrawFn, pool: int, cids: dict[int, tuple[int, int]]
             ) -> list[dict[str, Any]]:
    names = draw(st.lists(_name, min_size=1, max_size=5, unique=True))
    addresses = draw(st.lists(st.one_of(_v4[_SERVER], _v6[_SERVER]), min_size=len(names),
                              max_size=len(names), unique=True))
    servers = []
    for position, (name, address) in enumerate(zip(names, addresses)):
        servers.append({
            "name": name, "address": address,
            "weight": draw(st.sampled_from([0, 1, 50, 99, 100, 65535])),
            "state": draw(st.sampled_from(["up", "up", "drain"])),
            "mode": draw(st.sampled_from(["ipip", "gue", "l2dsr", "nat", "nat"])),
            "port": draw(st.sampled_from([0, 1, 8443, 65535])),
            "server_ids": [{"config": number, "id": (bytes([pool << 4 | position]) + draw(
                st.binary(min_size=s - 1, max_size=s - 1))).hex()}
                for number, (s, _) in cids.items()]})
    return servers


@st.composite
def _frames(draw: st.DrawFn, config: Config) -> bytes:
    vips: list[dict[str, Any]] = config["vips"]
    vip = draw(st.sampled_from(vips))
    pool = next(p for p in config["pools"] if p["name"] == vip["pool"])
    known: list[dict[str, Any]] = [
        entry for server in pool["servers"] for entry in server["server_ids"]]
    dcid, routable = draw(st.binary(max_size=30)), draw(st.booleans())
    if known and routable:
        entry = draw(st.sampled_from(known))
        layout = next(layout_of(cid) for cid in config["cid_configs"]
                      if cid["id"] == entry["config"])
        nonce = draw(st.binary(min_size=layout.nonce_length, max_size=layout.nonce_length))
        dcid = layout.encode(bytes.fromhex(entry["id"]), nonce, low=draw(st.integers(0, 31)),
                             extra=draw(st.binary(max_size=4)))
        dcid = dcid[:len(dcid) - draw(st.sampled_from([0, 0, 0, 1]))]
    payload = long(dcid, stated=draw(st.sampled_from([None, None, None, 0, 8, 255])))
    if draw(st.booleans()):
        payload = short(dcid, draw(st.integers(0, 3)))
    ttl, tos = draw(st.sampled_from([64, 64, 64, 1, 2])), draw(_octet)
    port = draw(st.sampled_from([vip["port"]] * 7 + [vip["port"] ^ 1]))
    header = (ip6(vip["address"], hlim=ttl, tc=tos) if ":" in vip["address"]
              else ip4(vip["address"], ttl=ttl, tos=tos))
    tags = draw(st.sampled_from([(), (), (1,), (2, 3)]))
    frame = bytes(ether(*tags) / header / udp(payload, draw(st.integers(0, 65535)), port))
    if draw(st.integers(0, 7)) == 0:
        frame = frame[:draw(st.integers(14, len(frame)))]
    return frame


@st.composite
def random_traffic(draw: st.DrawFn) -> tuple[Config, list[bytes]]:
    """A configuration that ``check`` takes, and frames, most of them for its VIPs."""
    config = draw(_configs())
    return config, draw(st.lists(_frames(config), min_size=10, max_size=30))
