# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The loader on an interface of its own, and what the kernel shows of it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from hwtests.lab import Bed, Loader, Node, tcx
from hwtests.lab.loader import FEW_FLOWS

PINS = "/sys/fs/bpf/shunt/abi1"
#: An interface of the balancer's node that nothing else uses; its other end is PEER.
IFACE, PEER = "x0", "x1"

CONFIG: Mapping[str, Any] = {
    "version": 1,
    "cid_configs": [{"id": 0, "server_id_length": 4, "nonce_length": 4}],
    "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
    "limits": FEW_FLOWS,
    "pools": [{"name": "web", "servers": [
        {"name": "web-1", "address": "10.2.1.2",
         "server_ids": [{"config": 0, "id": "01020304"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
}


@dataclass(frozen=True)
class Rig:
    """A bed, the loader in it, and what the kernel shows of the balancer's node."""

    bed: Bed
    loader: Loader

    @property
    def node(self) -> Node:
        return self.bed.lb

    def sh(self, *argv: str) -> str:
        return self.node.run(argv).stdout

    def programs(self, interface: str = IFACE) -> dict[str, tuple[int, str]]:
        """Attach mode to program id and name."""
        link = json.loads(self.sh("ip", "-d", "-j", "link", "show", "dev", interface))[0]
        names = {1: "driver", 2: "generic", 3: "offload"}
        xdp = link.get("xdp")
        if not xdp:
            return {}
        return {names[xdp["mode"]]: (xdp["prog"]["id"], xdp["prog"].get("name", ""))}

    def pins(self) -> list[str]:
        """Everything of ours in the BPF file system, below the lock's folder."""
        found = self.node.run(["find", PINS, "-mindepth", "1"], check=False).stdout
        return sorted(found.split())

    def traces(self, interface: str = IFACE) -> tuple[str, ...]:
        """All that an attach could change on an interface."""
        shown = [self.sh("tc", "qdisc", "show", "dev", interface),
                 self.sh("tc", "filter", "show", "dev", interface, "ingress"),
                 self.sh("tc", "filter", "show", "dev", interface, "egress"),
                 repr(self.tcx(tcx.INGRESS, interface)), repr(self.tcx(tcx.EGRESS, interface))]
        return (json.dumps(self.programs(interface)), *shown, *self.pins())

    def tcx(self, end: int = tcx.INGRESS, interface: str = IFACE) -> list[tcx.Program]:
        """What TCX has at one end."""
        return tcx.programs(self.node, interface, end)

    def attach(self, *args: str, interface: str = IFACE, status: int = 0) -> dict[str, Any]:
        """The document of an attach, whose exit status must be as given."""
        done = self.loader("attach", interface, *args, "--json", check=False)
        assert done.returncode == status, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def status(self) -> list[dict[str, Any]]:
        """What status lists; nothing where its exit status says that nothing is attached."""
        done = self.loader("status", "--json", check=False)
        document = json.loads(done.stdout)
        if done.returncode == 7:
            assert document["error"]["code"] == "not-attached"
            return []
        assert done.returncode == 0 and document["schema"] == "shunt/status/1"
        attached: list[dict[str, Any]] = document["attached"]
        return attached

    def add_interface(self, mtu: int = 1500) -> None:
        self.node.ip(f"link add {IFACE} type veth peer name {PEER} mtu {mtu}",
                     f"link set {IFACE} up", f"link set {PEER} up")

    def config(self, **more: Any) -> str:
        return str(self.loader.write_config({**CONFIG, **more}))


def tier_row(document: Mapping[str, Any], tier: str) -> dict[str, Any]:
    rows = [row for row in document["tiers"] if row["tier"] == tier]
    assert len(rows) == 1, document
    found: dict[str, Any] = rows[0]
    return found


def code(document: Mapping[str, Any], tier: str) -> str:
    """The reason code of a tier that cannot be used."""
    row = tier_row(document, tier)
    assert row["usable"] == "no"
    text: str = row["reason"]["code"]
    return text


def map_ids(rig: Rig) -> dict[str, int]:
    """Map name to id, of the one attachment there is."""
    return {entry["name"]: entry["id"] for entry in rig.status()[0]["maps"]}


@contextlib.contextmanager
def fresh_rig(bed: Bed) -> Iterator[Rig]:
    """With a fresh interface; whatever a test leaves goes with it."""
    made = Rig(bed, Loader(bed))
    made.add_interface()
    yield made
    made.node.run(["ip", "link", "del", IFACE], check=False)
    made.loader("detach", "--all", check=False)
    assert made.pins() == []
