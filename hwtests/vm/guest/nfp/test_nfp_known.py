# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`loader run` tells the card of the encrypted connection IDs that are hot in the tier below it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import pytest

from .card import Card, Map, say

LOADER = Path(os.environ["BUILD"]) / "loader"
PINS = Path("/sys/fs/bpf/shunt/abi1/nfp0")
PACKETS = 8  #: where the counter stands in an entry of conn_map
IDLE = 30.0  #: seconds after which the card forgets


def _loader(*words: str | Path, lines: str = "") -> list[dict[str, Any]]:
    done = subprocess.run([LOADER, *words, "--json"], capture_output=True, text=True, input=lines)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What it says when it is no longer nothing."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)
    return found


def _checksum(header: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack(">H", ~total & 0xffff)


class Bench:
    """The card with two ports, joined by a cable, a file, and the service when it runs."""

    def __init__(self, card: Card, place: Path) -> None:
        self.card = card
        self.file = place / "shunt.yaml"
        self._place = place
        self._service: subprocess.Popen[bytes] | None = None
        self.card.limits(ports=2)
        self.up()

    @staticmethod
    def up() -> None:
        """With ways to the servers: a card that was put in is a new device."""
        say("ip", "address", "replace", "10.1.0.1/24", "dev", "nfp0")
        say("ip", "link", "set", "nfp0", "up")
        say("ip", "link", "set", "nfp1", "up")
        for number in (2, 3):
            say("ip", "neighbour", "replace", f"10.1.0.{number}", "dev", "nfp0", "lladdr",
                f"02:00:00:00:00:0{number}")

    def write(self, key: bytes = bytes(range(16)), room: int = 16, clear: bool = True,
              quiet: int = 600) -> None:
        """Config 0 is encrypted, 1 is not."""
        secret = self._place / f"{key.hex()}.key"
        secret.touch(0o600)
        secret.write_bytes(key)
        configs: list[dict[str, Any]] = [{"id": 0, "server_id_length": 2, "nonce_length": 6,
                                          "key_file": str(secret)}]
        if clear:
            configs.append({"id": 1, "server_id_length": 2, "nonce_length": 6})
        self.file.write_text(json.dumps({
            "version": 1,
            "interfaces": [{"name": "nfp0"}],
            "cid_configs": configs,
            "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
            "rotation": {"min_quiet": quiet},
            "fallback": {"rows": 256},
            "limits": {"servers": 7, "server_ids": 16, "vips": 4, "pools": 2, "known_cids": room,
                       "flows": 4096},
            "pools": [{"name": "web", "servers": [
                {"name": f"web-{number}", "address": f"10.1.0.{number + 1}",
                 "server_ids": [{"config": config["id"], "id": f"000{number}"}
                                for config in configs]} for number in (1, 2)]}],
            "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
        }))

    def start(self) -> None:
        """The service; returns when both tiers have the file."""
        self._service = subprocess.Popen([LOADER, "run", "-v", "-c", self.file],
                                         stderr=(self._place / "log").open("ab"))
        _until(lambda: all((PINS / tier / "prog").exists() for tier in ("offload", "driver"))
               and self._looked())

    def _looked(self) -> bool:
        """At the card: then a time stands where no config's does."""
        return any(self.map("cid_seen_map", "driver").lookup(bytes(4)) or b"")

    def stop(self) -> None:
        """The service ends; the tiers stay."""
        assert self._service
        self._service.send_signal(signal.SIGTERM)
        assert self._service.wait(30) == 0, self.log()
        self._service = None

    def log(self) -> str:
        """What the service said."""
        return (self._place / "log").read_text()

    def close(self) -> None:
        """All of it goes."""
        if self._service:
            self._service.kill()
            self._service.wait()
            print(self.log())
        _loader("detach", "nfp0")

    def cids(self, n: int, config: int = 0, server: int = 1) -> list[bytes]:
        """Connection IDs of a server, each with another nonce."""
        lines = "".join(f"web-{server} {config} {random.randbytes(6).hex()}\n" for _ in range(n))
        return [bytes.fromhex(told["cid"]) for told in _loader("encode", "-", "-c", self.file,
                                                               lines=lines)]

    @staticmethod
    def send(cids: Sequence[bytes], times: int = 1) -> None:
        """Datagrams over the cable, each in a tick of its own: one a tick is a sample."""
        mac = bytes.fromhex(Path("/sys/class/net/nfp0/address").read_text().replace(":", ""))
        ends = socket.inet_aton("10.1.0.9") + socket.inet_aton("203.0.113.80")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
            far.bind(("nfp1", 0))
            for cid in [*cids] * times:
                payload = b"\x40" + cid + bytes(32)
                udp = struct.pack(">4H", 40000, 4433, 8 + len(payload), 0) + payload
                start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(udp), 7, 0x4000, 64, 17)
                far.send(mac + b"\x02" + bytes(5) + b"\x08\x00" + start
                         + _checksum(start + bytes(2) + ends) + ends + udp)
                time.sleep(0.012)

    def heat(self, cids: Sequence[bytes]) -> None:
        """Until the card knows all of them."""
        def known() -> bool:
            self.send(cids, 5)
            return {cid.hex() for cid in cids} <= {told["cid"] for told in self.known()}
        _until(known)

    @staticmethod
    def _shown(topic: str) -> dict[str, list[dict[str, Any]]]:
        (document,) = _loader("show", topic, "--dev", "nfp0")
        return {tier["tier"]: tier[topic] for tier in document.get("tiers", [])}

    def known(self) -> list[dict[str, Any]]:
        """What the card was told."""
        return self._shown("known").get("offload", [])

    def configs(self, tier: str) -> dict[int, dict[str, Any]]:
        """What is told of the CID configs."""
        return {told["config"]: told for told in self._shown("configs")[tier]}

    @staticmethod
    def map(name: str, tier: str = "offload") -> Map:
        """A map of one of the tiers."""
        return Map.pinned(PINS / tier / name)

    def key(self, cid: bytes) -> bytes:
        """Of its entry."""
        (key,) = [key for key in self.map("conn_map").keys() if key.startswith(cid)]
        return key

    def forwards(self, key: bytes, n: int) -> None:
        """The card counts, as its program does."""
        self.card.count(self.map("conn_map").number, key, PACKETS, 8, n)


@pytest.fixture
def bench(card: Card, tmp_path: Path) -> Iterator[Bench]:
    """Nothing of it stays."""
    made = Bench(card, tmp_path)
    yield made
    made.close()


def test_hot_ones_are_known_while_they_are_used(bench: Bench) -> None:
    """And those that are met once never are, whatever their number."""
    bench.write()
    bench.start()
    (used,), (idle,) = bench.cids(1), bench.cids(1, server=2)
    bench.send(bench.cids(100))
    bench.heat([used, idle])
    assert {told["cid"]: (told["config"], told["server"]) for told in bench.known()} == {
        used.hex(): (0, "web/web-1"), idle.hex(): (0, "web/web-2")}
    key, begin = bench.key(used), time.monotonic()
    conn_map = bench.map("conn_map").number

    def forgotten() -> bool:
        bench.card.count(conn_map, key, PACKETS, 8, 10)
        return idle.hex() not in {told["cid"] for told in bench.known()}

    _until(forgotten)
    assert time.monotonic() - begin > IDLE / 2
    (told,) = bench.known()
    assert told["cid"] == used.hex() and told["packets"] >= 20
    assert f"learnt {used.hex()} of config 0, server web/web-1" in bench.log()
    assert f"forgot {idle.hex()}" in bench.log()


def test_another_key_and_another_service(bench: Bench) -> None:
    bench.write()
    bench.start()
    (hot,) = bench.cids(1)
    bench.heat([hot])
    key = bench.key(hot)
    bench.stop()
    # What means nothing: of a server that the CID does not name, and a CID that names none.
    conn_map, (other,) = bench.map("conn_map"), bench.cids(1)
    for cid in (other, b"\x0b" + bytes(8)):
        conn_map.update(cid + key[9:], struct.pack("<IIQ", 2, 0, 0))
    bench.start()
    _until(lambda: [told["cid"] for told in bench.known()] == [hot.hex()])
    bench.write(key=bytes(16 * [7]))
    _loader("apply", "--force", "-c", bench.file)
    _until(lambda: not bench.known())
    (hot,) = bench.cids(1)
    bench.heat([hot])
    assert len(bench.known()) == 1


def test_no_more_than_the_card_holds(bench: Bench) -> None:
    bench.write(room=2)
    bench.start()
    hot = bench.cids(6)
    _until(lambda: bench.send(hot, 5) or len(bench.known()) == 2)
    bench.send(hot, 5)
    time.sleep(2)
    assert len(bench.known()) == 2
    assert {told["cid"] for told in bench.known()} < {cid.hex() for cid in hot}


def test_card_that_comes_again_is_told_again(bench: Bench) -> None:
    bench.write()
    bench.start()
    (hot,) = bench.cids(1)
    bench.heat([hot])
    bench.card.pull()
    bench.card.put_in()
    bench.up()
    _until(lambda: len(_loader("status", "nfp0")[0].get("attached", [])) == 3)
    assert not bench.known()
    bench.heat([hot])


def test_what_is_detached_is_let_go(bench: Bench) -> None:
    """A map that the service held would have its place on the card still."""
    bench.write()
    bench.start()
    (hot,) = bench.cids(1)
    bench.heat([hot])
    for _ in range(2):
        held = bench.card.budget()
        _loader("attach", "nfp0", "-c", bench.file, "--reload")
        _until(lambda: bench.card.budget() == held)
        bench.heat([hot])
    _loader("detach", "nfp0")
    _until(lambda: bench.card.budget() == (0, 0), 8)


def test_use_that_only_the_card_sees(bench: Bench) -> None:
    """A config that the card routes by is in use, though the tier below sees none of it."""
    bench.write()
    bench.start()
    assert bench.configs("driver")[1]["removable"] is True
    bench.card.count(bench.map("cid_stats").number, struct.pack("<I", 1 << 3 | 1), 0, 8, 5)
    _until(lambda: bench.configs("driver")[1]["quiet_seconds"] is not None)
    assert bench.configs("driver")[1]["removable"] is False
    bench.write(clear=False)
    (document,) = _loader("apply", "-c", bench.file)
    assert [tier["error"]["code"] for tier in document["applied"]] == ["config-in-use"] * 3
    assert " s ago" in document["applied"][0]["error"]["what"]
    bench.stop()
    _until(lambda: bench.configs("driver")[1]["removable"] is None)
    bench.write(clear=False, quiet=1)  # which all times that were kept are past
    (document,) = _loader("apply", "-c", bench.file)
    assert [tier["error"]["code"] for tier in document["applied"]] == ["config-in-use"] * 3
    for tier in document["applied"]:
        assert "the card routed 5 packets by it, and nobody kept when" in tier["error"]["what"]
    assert 1 in bench.configs("driver") and 1 in bench.configs("offload")
    (document,) = _loader("apply", "--force", "-c", bench.file)
    assert [tier["error"] for tier in document["applied"]] == [None] * 3


def test_share_of_the_card(bench: Bench) -> None:
    bench.write()
    bench.start()
    (hot,) = bench.cids(1)
    bench.heat([hot])
    (before,) = _loader("stats", "nfp0")
    below = {tier["tier"]: tier for tier in before["tiers"]}["driver"]["reasons"]["cid"]["packets"]
    reason = list(before["tiers"][0]["reasons"]).index("known_cid")
    bench.card.count(bench.map("reason_stats").number, struct.pack("<I", reason), 0, 8, 3 * below)
    bench.card.count(bench.map("cid_stats").number, struct.pack("<I", 1 << 3), 0, 8, below)
    bench.card.count(bench.map("server_stats").number, struct.pack("<I", 1), 0, 8, 5)
    (document,) = _loader("stats", "nfp0")
    (shared,) = document["offloaded"]
    assert shared["interface"] == "nfp0"
    for name, sent in shared["servers"].items():
        assert sent["packets"] == sum(tier["servers"][name]["packets"]
                                      for tier in document["tiers"])
    assert sum(sent["packets"] for sent in shared["servers"].values()) > 5
    assert shared["share"] == pytest.approx(0.75)
    assert shared["encrypted_share"] == pytest.approx(0.5)
    assert shared["known_cids"] == {"used": 1, "room": 16}
    assert ("the card did: 75.0 %; of the encrypted: 50.0 %; CIDs it knows: 1 of 16"
            in say(LOADER, "stats", "nfp0"))
    row = say(LOADER, "show", "known").partition(hot.hex())[2].split()
    assert row[:3] == ["0", "web/web-1", "0"]
