# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The ports made ready, a tier attached to the NIC, and frames played against it."""

from __future__ import annotations

import difflib
import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Sequence

from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.utils import hexdump  # type: ignore[import]

from hwtests.lab.bed import built
from hwtests.oracle.corpus import Config
from hwtests.oracle.counting import counted_under, difference, sums
from hwtests.oracle.keys import with_keys

from . import found, frames
from .agent import Port, mac_of, wait_carrier
from .frames import Ends, Play, Sent
from .keeper import Keeper
from .peer import Peer, PeerError, Where
from .plan import PREFIXES, loader, loader_json, to_switch_off

#: What a wire has of its own: link discovery, multicast listeners, whatever names itself by itself.
TALK = {"not_ip", "not_udp", "not_vip", "fragment"}


class Ports:
    """NIC and PEER, made ready and in the end as they were."""

    def __init__(self, nic: str, where: Where | None, ssh: Sequence[str], keeper: Keeper,
                 patience: float) -> None:
        self.nic = nic
        #: Seconds that a link may take to come (back).
        self.patience = patience
        self.keeper = keeper
        self.peer: Peer | None = None
        self._servers: set[str] = set()
        self._stack = ExitStack()
        self.dir = Path(self._stack.enter_context(TemporaryDirectory(prefix="shunt-hwtest-")))
        try:
            self._set_up(nic)
            if where is not None:
                if where.host is None:
                    self._set_up(where.interface)
                self.peer = self._stack.enter_context(Peer(where, ssh))
                self.peer.listen_to(mac_of(nic))
            for feature in to_switch_off(nic):
                self._do(["ethtool", "-K", nic, feature, "off"], ["ethtool", "-K", nic, feature,
                                                                  "on"])
            for prefix in PREFIXES:
                keeper.undo_by("ip", "route", "del", prefix, "dev", nic)
            keeper.undo_by(str(built("loader")), "detach", nic)
            self.passed = Port(nic)
            self._stack.callback(self.passed.close)
            mtu = int(Path(f"/sys/class/net/{nic}/mtu").read_text())
            self.ends = Ends(mac_of(nic), self.peer.mac if self.peer else bytes(6), mtu)
            self.wait_link()
        except BaseException:
            self._stack.close()
            raise

    def _do(self, argv: Sequence[str], undo: Sequence[str]) -> None:
        self.keeper.undo_by(*undo)
        found.run(*argv)

    def _set_up(self, name: str) -> None:
        if not found.look(name)["up"]:
            self._do(["ip", "link", "set", name, "up"], ["ip", "link", "set", name, "down"])

    def know_servers(self, config: Config) -> None:
        """Ways to these too."""
        new = {server["address"] for pool in config["pools"]
               for server in pool["servers"]} - self._servers
        for address in sorted(new):
            self.keeper.undo_by("ip", "neigh", "del", address, "dev", self.nic)
        self._servers |= new
        if new:
            self.add_ways()

    def add_ways(self) -> None:
        """To the servers; again, where a driver closed the port to attach a program."""
        lines = [f"route replace {prefix} dev {self.nic}" for prefix in PREFIXES]
        lines += [f"neigh replace {address} lladdr {frames.server_mac(address).hex(':')} "
                  f"dev {self.nic} nud permanent" for address in sorted(self._servers)]
        found.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def wait_link(self) -> None:
        """Both ends have a carrier."""
        if not wait_carrier(self.nic, self.patience):
            raise PeerError(f"{self.nic} has no link: is a cable in it?")
        if self.peer is None or self.peer.streaming:
            return
        if not self.peer.wait_carrier(self.patience):
            raise PeerError(f"{self.peer.where} has no link: is it up, is a cable in it?")

    def close(self) -> None:
        """The keeper has the rest."""
        self._stack.close()

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


@dataclass
class Stage:
    """A tier on the NIC; ``auto`` is what attach takes when it may choose."""

    ports: Ports
    tier: str
    attached: list[str] = field(default_factory=list)
    config: Config = field(default_factory=dict)
    #: Frames that no test sent, with the reason, for the report.
    left_out: set[str] = field(default_factory=set)

    @property
    def card(self) -> bool:
        """Whether a card is alone, without a tier below it for what it leaves."""
        return self.attached == ["offload"]

    @property
    def peer(self) -> Peer:
        """The other end; tests that need it are skipped without."""
        assert self.ports.peer is not None
        return self.ports.peer

    def write(self, config: Config) -> str:
        """The configuration in a file."""
        path = self.ports.dir / "shunt.yaml"
        path.write_text(json.dumps(with_keys(config, self.ports.dir)))
        return str(path)

    def attach(self, config: Config, *words: str) -> dict[str, Any]:
        """Attach, and wait until frames can pass again."""
        chosen = [] if self.tier == "auto" else ["-t", self.tier]
        self.ports.know_servers(config)
        document = loader_json("attach", self.ports.nic, *chosen, "-c", self.write(config), *words)
        self.attached = document["attached"]
        self.ports.wait_link()
        self.ports.add_ways()
        self.config = {}
        self.apply(config)
        return document

    def detach(self) -> None:
        """Everything off."""
        done = loader("detach", self.ports.nic)
        assert done.returncode == 0, done.stderr
        self.ports.wait_link()
        self.attached = []

    def apply(self, config: Config) -> None:
        """Every server must have a way; packets of the test before are no reason to wait."""
        if config == self.config:
            return
        self.ports.know_servers(config)
        document = loader_json("apply", "--force", "-c", self.write(config))
        unresolved = [server for tier in document["applied"] for server in tier["unresolved"]]
        assert not unresolved, f"no way to {unresolved}"
        self.config = config

    def warm_up(self) -> None:
        """The first frames after a link came up may be lost; none may be later."""
        frame, _ = frames.numbered(self.ports.ends)
        for _ in range(max(1, int(self.ports.patience / 0.5))):
            if self.peer.exchange([frame], patience=0.5):
                self.peer.exchange([], linger=0.2)
                return
        raise PeerError(f"nothing comes back on {self.peer.where}: is it cabled to "
                        f"{self.ports.nic}, with nothing but a switch between?")

    def stats(self) -> list[dict[str, Any]]:
        """Each tier's counters."""
        tiers: list[dict[str, Any]] = loader_json("stats", self.ports.nic)["tiers"]
        return tiers

    def play(self, play: Play) -> None:
        """Frames out, frames back: each octet of them, and the counters, as the oracle says."""
        self.apply(play.config)
        sent, left = play.judged(self.ports.ends, self.card)
        self.left_out |= set(left)
        before = self.stats()
        while self.ports.passed.receive() is not None:
            pass
        got = self.peer.exchange([one.case.frame for one in sent],
                                 [one.back is not None for one in sent])
        check_frames(sent, got)
        self._check_passed(sent)
        if len(before) == 1:
            self._check_counters(before[0], sent)

    def _check_passed(self, sent: list[Sent]) -> None:
        """The host gets the rest, untouched."""
        wanted = Counter(one.case.frame for one in sent if one.back is None)
        end = time.monotonic() + 3
        while wanted:
            frame = self.ports.passed.receive()
            if frame is None:
                if not self.ports.passed.wait(end - time.monotonic()):
                    break
                continue
            if wanted[frame] > 1:
                wanted[frame] -= 1
            else:
                wanted.pop(frame, None)
        missing = [one for one in sent if one.case.frame in wanted]
        assert not missing, f"{sum(wanted.values())} frames that are not ours did not reach the " \
            f"host as they came, first of them {missing[0].case.name}: {missing[0].decision}"

    def _check_counters(self, before: dict[str, Any], sent: list[Sent]) -> None:
        """Every frame under one reason; the wire's own talk may come between."""
        counts = [(one.decision, len(one.case.frame)) for one in sent]
        wanted = sums((decision.reason, length) for decision, length in counts)
        sections = {section: sums((counted_under(decision, self.config)[section], length)
                                  for decision, length in counts)
                    for section in ("vips", "configs", "servers")}
        (after,) = self.stats()
        counted = difference(before["reasons"], after["reasons"])
        assert {k: v for k, v in counted.items() if k not in TALK} \
            == {k: v for k, v in wanted.items() if k not in TALK}
        assert all(counted.get(k, (0, 0)) >= wanted[k] for k in TALK & set(wanted))
        for section, expected in sections.items():
            assert difference(before[section], after[section]) == expected, section
        for unit in ("packets", "octets"):
            assert after["total"][unit] == sum(r[unit] for r in after["reasons"].values())


def check_frames(sent: list[Sent], got: list[bytes]) -> None:
    """As many as must, whatever their order: a NIC has several queues."""
    wanted = Counter(one.back for one in sent if one.back is not None)
    have = Counter(got)
    if wanted == have:
        return
    missing, surplus = wanted - have, have - wanted
    lines = [f"{sum(missing.values())} frames did not come back as they must, "
             f"{sum(surplus.values())} came that must not"]
    for one in sent:
        if one.back in missing:
            lines += [f"{one.case.name}: {one.case.about}", f"frame {one.case.frame.hex()}",
                      f"expected {one.decision}"]
            twin = max(surplus, default=b"", key=lambda frame: _alike(frame, one.back or b""))
            lines += difflib.unified_diff(_fields(one.back or b""), _fields(twin) if twin else [],
                                          "expected", "came back", lineterm="", n=2)
            break
    else:
        lines += _fields(next(iter(surplus)))
    raise AssertionError("\n".join(lines))


def _alike(one: bytes, other: bytes) -> int:
    return sum(a == b for a, b in zip(one, other))


def _fields(frame: bytes) -> list[str]:
    return [*str(Ether(frame).show(dump=True)).splitlines(),
            *str(hexdump(frame, dump=True)).splitlines()]
