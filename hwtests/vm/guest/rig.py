# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The loader, simulated devices and what the kernel shows of both, for the tests in the machine."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping

BUILD = Path(os.environ["BUILD"])
PINS = Path("/sys/fs/bpf/shunt/abi1")
SERVER = "10.1.0.9"
SERVER_MAC = "02:00:00:00:00:09"
#: Sizes that a roomy netdevsim takes, and that are soon filled under emulation.
CONFIG: Mapping[str, Any] = {
    "version": 1,
    "cid_configs": [{"id": 0, "server_id_length": 4, "nonce_length": 6}],
    "forwarding": {"mode": "l2dsr"},
    "fallback": {"rows": 128},
    "limits": {"servers": 64, "server_ids": 128, "vips": 8, "pools": 2, "flows": 4096},
    "pools": [{"name": "web", "servers": [
        {"name": "web-1", "address": SERVER, "server_ids": [{"config": 0, "id": "01020304"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
}
NETDEVSIM = Path("/sys/bus/netdevsim")
NUMBER = 10
SWITCHES = ("bpf_bind_accept", "bpf_bind_verifier_accept", "ports/0/bpf_map_accept",
            "ports/0/bpf_xdpoffload_accept", "ports/0/bpf_xdpdrv_accept")


def run(*argv: str | Path, check: bool = True, input: str = ""
        ) -> subprocess.CompletedProcess[str]:
    """A command's end and output; with check a failure is told with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60.0, input=input)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


def bpftool(*commands: str) -> list[Any]:
    """What each of them gives, by one process."""
    told = run("bpftool", "-j", "batch", "file", "-", input="\n".join(commands) + "\n").stdout
    return [answer["output"] for answer in json.loads(told)]


def in_bpf(what: str) -> list[tuple[int, str]]:
    """Programs (prog) or maps (map) that there are: id and name."""
    return _named(bpftool(f"{what} show")[0])


def _named(found: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return sorted((entry["id"], entry.get("name", "")) for entry in found)


def pinned() -> list[str]:
    """All of ours in the BPF file system, below the lock's folder."""
    return sorted(str(path.relative_to(PINS)) for path in PINS.rglob("*"))


def ip(*commands: str) -> None:
    """Several at once."""
    run("ip", "-batch", "-", input="\n".join(commands) + "\n")


@dataclass(frozen=True)
class Traces:
    """What a command may leave behind: to be compared before and after."""

    programs: list[tuple[int, str]]
    maps: list[tuple[int, str]]
    pins: list[str]
    attached: Any

    @classmethod
    def now(cls) -> Traces:
        """As it is."""
        programs, maps, attached = bpftool("prog show", "map show", "net show")
        return cls(_named(programs), _named(maps), pinned(), attached)


class Loader:
    """The loader that was built on the host."""

    path = BUILD / "loader"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shunt.yaml"
        self.write()

    def write(self, **more: Any) -> None:
        """The file, with other keys than CONFIG's or more of them."""
        self.file.write_text(json.dumps({**CONFIG, **more}))

    def __call__(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """A command whose exit status must be this."""
        done = run(self.path, *words, check=False)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *words: str, status: int = 0) -> Any:
        """Its one document."""
        return json.loads(self(*words, "--json", status=status).stdout)

    def attach(self, name: str, *words: str, status: int = 0) -> dict[str, Any]:
        """An attach with the file."""
        document: dict[str, Any] = self.json("attach", name, "-c", str(self.file), *words,
                                             status=status)
        return document

    def probe(self, name: str, *words: str, status: int = 0) -> dict[str, Any]:
        """A probe with the file."""
        document: dict[str, Any] = self.json("probe", name, "-c", str(self.file), *words,
                                             status=status)
        return document

    def status(self) -> dict[str, dict[str, Any]]:
        """What is attached, by its tier; but for its age, which no two look-ups share."""
        done = run(self.path, "status", "--json", check=False)
        if done.returncode == 7:
            return {}
        return {entry["tier"]: entry | {"age": None}
                for entry in json.loads(done.stdout)["attached"]}


def tiers(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of an attach's or a probe's document."""
    return {row["tier"]: row for row in document["tiers"]}


def load_netdevsim(build: str) -> None:
    """The module of this build, in the place of another one."""
    known = Path("/run/netdevsim")
    if known.exists() and known.read_text() == build:
        return
    if known.exists():
        run("rmmod", "netdevsim")
    run("modprobe", "psample")  # what insmod does not fetch
    folder = os.environ["SHUNT_VM_" + build.upper().replace("-", "_")]
    run("insmod", f"{folder}/netdevsim.ko")
    known.write_text(build)


class Device:
    """A simulated device; its switches are in debugfs."""

    name = "n0"
    switches = Path(f"/sys/kernel/debug/netdevsim/netdevsim{NUMBER}")

    def __init__(self) -> None:
        self.there = False
        self.add()

    def add(self) -> None:
        """A new one, up, with a server on its link."""
        (NETDEVSIM / "new_device").write_text(f"{NUMBER} 1")
        self.there = True
        (name,) = os.listdir(NETDEVSIM / f"devices/netdevsim{NUMBER}/net")
        ip(f"link set {name} name {self.name}", f"link set {self.name} up",
           f"address add 10.1.0.1/24 dev {self.name}",
           f"neighbour add {SERVER} lladdr {SERVER_MAC} dev {self.name}")

    def remove(self) -> None:
        """As if it were pulled out."""
        self.there = False
        (NETDEVSIM / "del_device").write_text(str(NUMBER))

    def set(self, switch: str, value: str = "N") -> None:
        """A switch of the device, or with ports/0/ of its port."""
        (self.switches / switch).write_text(value)

    def accept(self) -> None:
        """All switches as they were: one of them also refuses to take a program off."""
        for switch in SWITCHES:
            self.set(switch, "Y")
        self.set("bpf_bind_verifier_delay", "0")

    def offloaded(self) -> int:
        """The id of the program in the card's slot, as the driver has it."""
        return int((self.switches / "ports/0/bpf_offloaded_id").read_text())

    def bound(self) -> list[int]:
        """The ids of all programs that the driver holds."""
        return sorted(int((path / "id").read_text())
                      for path in (self.switches / "bpf_bound_progs").iterdir())

    def programs(self) -> dict[str, tuple[int, str]]:
        """Tier to id and name, by the kernel's own account."""
        link = json.loads(run("ip", "-d", "-j", "link", "show", "dev", self.name).stdout)[0]
        names = {1: "driver", 2: "generic", 3: "offload"}
        xdp = link.get("xdp", {})
        found = xdp.get("attached", []) or ([xdp] if "prog" in xdp else [])
        return {names[entry["mode"]]: (entry["prog"]["id"], entry["prog"].get("name", ""))
                for entry in found}

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.there:
            self.accept()
            run(Loader.path, "detach", "--all", check=False)
            self.remove()
