# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A network of four servers for changing CID configs under traffic, frame by frame."""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import dataclass
from typing import Any, Iterator

from hwtests.conftest import HostTier
from hwtests.lab import Bed, Loader, Wire
from hwtests.oracle.corpus import short
from hwtests.oracle.keys import with_keys
from hwtests.oracle.quic_lb import CidConfig
from hwtests.test_routing import frame_to

Config = dict[str, Any]

OLD = CidConfig(0, 3, 6, bytes(range(0x10, 0x20)))
NEW = CidConfig(0, 8, 8, bytes(range(0x50, 0x60)))
#: Always there: by it the end of a volley is known, whatever else is being changed.
MARK = CidConfig(1, 2, 4)
SIDE = CidConfig(2, 2, 5, bytes(range(0x70, 0x80)))


def entry(cid: CidConfig, **more: Any) -> dict[str, Any]:
    """A CID config as the file has it."""
    found = {"id": cid.id, "server_id_length": cid.server_id_length,
             "nonce_length": cid.nonce_length, **more}
    return found | ({"key_file": cid.key.hex()} if cid.key else {})


def server_id(cid: CidConfig, number: int) -> bytes:
    """A server's id under a config."""
    return number.to_bytes(cid.server_id_length, "big")


@dataclass
class Stage:
    """A network of four servers on one link with a tier attached."""

    bed: Bed
    loader: Loader

    @classmethod
    @contextlib.contextmanager
    def attached(cls, bed: Bed, tier: HostTier, *cids: CidConfig) -> Iterator[Stage]:
        """Freshly, with these configs: nothing is counted yet."""
        stage = cls(bed, Loader(bed))
        file = stage.write(stage.config(*(entry(cid) for cid in cids)))
        stage.loader("attach", bed.lb_interface, "-t", tier, "-c", file)
        yield stage
        stage.loader("detach", bed.lb_interface)

    def config(self, *cids: dict[str, Any], min_quiet: int = 600,
               ids: dict[int, dict[int, int]] | None = None,
               weights: dict[int, int] | None = None) -> Config:
        """A file. ids: of a config id, the server's number that stands in each server's id."""
        def known(index: int) -> list[dict[str, Any]]:
            return [{"config": cid["id"], "id": ((ids or {}).get(cid["id"], {}).get(index, index)
                                                 ).to_bytes(cid["server_id_length"], "big").hex()}
                    for cid in cids]
        return {
            "version": 1,
            "rotation": {"min_quiet": min_quiet},
            "cid_configs": list(cids),
            "forwarding": {"mode": "l2dsr"},
            "fallback": {"rows": 16},
            "limits": {"flows": 0},
            "pools": [{"name": "web", "servers": [
                {"name": host.name, "address": host.address4,
                 "weight": (weights or {}).get(host.index, 100 if weights is None else 0),
                 "server_ids": known(host.index)} for host in self.bed.servers]}],
            "vips": [{"name": "v4", "address": self.bed.vip4, "port": self.bed.port,
                      "pool": "web"}],
        }

    def write(self, config: Config, name: str = "shunt.yaml") -> str:
        """The file's name."""
        path = self.bed.dir / name
        path.write_text(json.dumps(with_keys(config, self.bed.dir)))
        return str(path)

    def apply(self, config: Config, *words: str) -> None:
        """It must be taken."""
        self.loader("apply", "-c", self.write(config), *words)

    def refused(self, config: Config, *words: str) -> dict[str, Any]:
        """It must not be taken, for a config that packets use, and change nothing."""
        before = self.generation(), self.shown()
        file = self.write(config)
        told = self.loader("apply", "-c", file, *words, check=False)
        assert told.returncode == 1 and "min_quiet" in told.stderr, told.stderr
        done = self.loader("apply", "-c", file, *words, "--json", check=False)
        document = json.loads(done.stdout)
        (applied,) = document["applied"]
        assert (done.returncode, document["exit"]) == (1, 1)
        assert applied["error"]["code"] == "config-in-use", applied
        for was, now in zip(before[1], self.shown()):
            assert was | {"quiet_seconds": 0} == now | {"quiet_seconds": 0}
        assert self.generation() == before[0]
        error: dict[str, Any] = applied["error"]
        return error

    def generation(self) -> int:
        """Counts what was applied."""
        (tier,) = self.loader.json("stats", self.bed.lb_interface)["tiers"]
        number: int = tier["generation"]
        return number

    def shown(self) -> list[dict[str, Any]]:
        """What is told of the configs that run."""
        (tier,) = self.loader.json("show", "configs")["tiers"]
        configs: list[dict[str, Any]] = tier["configs"]
        return configs

    def shown_one(self, number: int) -> dict[str, Any]:
        """What is told of one of them."""
        (found,) = [config for config in self.shown() if config["config"] == number]
        return found

    def packet(self, cid: CidConfig, number: int, tail: bytes = b"", *, sport: int = 4000
               ) -> bytes:
        """A frame that belongs to a server by one config."""
        nonce = random.randbytes(cid.nonce_length)
        return frame_to(self.bed, 4, short(cid.encode(server_id(cid, number), nonce), 0) + tail,
                        sport=sport)

    def arrives(self, cid: CidConfig, number: int) -> None:
        """A packet by this config comes to this server."""
        with Volley(self) as volley:
            got = volley.fire([self.packet(cid, number, b"\0\0\0\0")])
        assert got == [(f"s{number}", b"\0\0\0\0")]


class Volley:
    """Captures at all servers; frames end with four octets that tell them apart."""

    END = b"last"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Volley:
        bed = self._stage.bed
        self._near = self._stack.enter_context(Wire(bed.client, bed.client_interface))
        self._far = {host: self._stack.enter_context(Wire(host.node, host.interface))
                     for host in bed.servers}
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def fire(self, frames: list[bytes]) -> list[tuple[str, bytes]]:
        """Send them, at most 200, and give what arrived: the server and the last four octets."""
        self._near.send(*frames)
        got: list[tuple[str, bytes]] = []
        for host, wire in self._far.items():
            self._near.send(self._stage.packet(MARK, host.index, self.END))
            mac = bytes.fromhex(host.mac.replace(":", ""))
            while True:
                found = wire.receive(1, match=lambda frame: frame[:6] == mac
                                     and frame[12:14] == b"\x08\x00" and frame[23] == 17)
                assert found, f"{host.name} lost its end mark"
                if found[0].endswith(self.END):
                    break
                got.append((host.name, found[0][-4:]))
        return got
