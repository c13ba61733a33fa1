# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The stand-in card as the tests handle it: its limits, what it holds, and programs put on it.

The nfp driver's verifier, JIT, map and attach code stands above it unmodified. No program runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

PARAMETERS = Path("/sys/module/nfp/parameters")
DRIVER = Path("/sys/bus/platform/drivers/nfp")
DEBUG = Path("/sys/kernel/debug/shunt_nfp")
PINS = Path("/sys/fs/bpf")
CASES = Path(os.environ["BUILD"]) / "offload_cases"
WORD = 8  # bytes of an instruction of the card


def say(*argv: str | Path) -> str:
    """A command that has to work; its output."""
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def ask(*argv: str | Path) -> Any:
    """What bpftool tells, as JSON."""
    return json.loads(say("bpftool", "-j", *argv))


class Refused(Exception):
    """A load that failed."""

    def __init__(self, verifier: str, kernel: str) -> None:
        super().__init__(f"{verifier}\n{kernel}")
        self.verifier = verifier  #: what the program's log and libbpf said
        self.kernel = kernel  #: what the kernel's log said meanwhile


class KernelLog:
    """What the kernel says from now on."""

    def __init__(self) -> None:
        self._file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._file, 0, os.SEEK_END)

    def text(self) -> str:
        """All of it since; read once."""
        lines = []
        try:
            while record := os.read(self._file, 8192):
                lines.append(record.decode(errors="replace").partition(";")[2])
        except BlockingIOError:
            pass
        finally:
            os.close(self._file)
        return "".join(lines)


class Failed(Exception):
    """A call on a map that failed; the text ends with the kernel's word for it."""


def _octets(shown: list[str]) -> bytes:
    return bytes(int(octet, 16) for octet in shown)


def _hex(octets: bytes) -> list[str]:
    return ["hex", *[f"{octet:02x}" for octet in octets]]


@dataclass(frozen=True)
class Map:
    """A map on the card, by bpftool: one control message a call."""

    number: int  #: its id
    pin: Path | None = None

    @classmethod
    def pinned(cls, pin: Path) -> Map:
        """By its name in the BPF file system."""
        return cls(ask("map", "show", "pinned", pin)["id"], pin)

    def _call(self, what: str, *words: str) -> Any:
        who = ["pinned", str(self.pin)] if self.pin else ["id", str(self.number)]
        done = subprocess.run(["bpftool", "-j", "map", what, *who, *words], capture_output=True,
                              text=True)
        told = json.loads(done.stdout) if done.stdout.strip() else None
        if done.returncode and told is not None:  # a key that is not there: null
            raise Failed(str(told))
        return told

    def update(self, key: bytes, value: bytes, flag: str = "any") -> None:
        """flag: any, exist or noexist."""
        self._call("update", "key", *_hex(key), "value", *_hex(value), flag)

    def lookup(self, key: bytes) -> bytes | None:
        """None: there is no such entry."""
        told = self._call("lookup", "key", *_hex(key))
        return _octets(told["value"]) if told else None

    def delete(self, key: bytes) -> None:
        """Of a hash."""
        self._call("delete", "key", *_hex(key))

    def keys(self) -> list[bytes]:
        """All, in the card's order."""
        return [_octets(entry["key"]) for entry in self._call("dump")]

    @staticmethod
    def refuses(call: Callable[[], object]) -> str:
        """What is said to a call that has to fail."""
        try:
            call()
        except Failed as failed:
            return str(failed)
        raise AssertionError("it was taken")


@dataclass(frozen=True)
class Program:
    """A program that is on the card."""

    pin: Path

    @property
    def words(self) -> int:
        """Its length as the card counts."""
        length = ask("prog", "show", "pinned", self.pin)["bytes_jited"]
        assert length % WORD == 0
        return int(length // WORD)

    def _maps(self) -> list[dict[str, Any]]:
        return [ask("map", "show", "id", str(number))
                for number in ask("prog", "show", "pinned", self.pin)["map_ids"]]

    def maps(self) -> dict[str, int]:
        """The names of its maps, and how many entries each has room for."""
        return {told["name"]: told["max_entries"] for told in self._maps()}

    def map(self, name: str) -> Map:
        """One of its maps."""
        (found,) = [told["id"] for told in self._maps() if told["name"] == name]
        return Map(found)


class Card:
    """The card, bound with firmware 2.0.6.124's limits until others are asked for."""

    port = "nfp0"

    def __init__(self) -> None:
        say("insmod", Path(os.environ["SHUNT_VM_NFP"]) / "nfp.ko")
        self._defaults = {path.name: int(path.read_text()) for path in PARAMETERS.iterdir()}
        self._values = dict(self._defaults)

    def limits(self, **values: int) -> None:
        """Pulls the card and puts in one with these limits; the others are the firmware's."""
        self.pull()
        self.switch(**{**self._defaults, **values})
        self.put_in()

    def switch(self, **values: int) -> None:
        """Those the firmware looks at each time."""
        for name, value in values.items():
            assert name in self._defaults, f"no limit {name}"
            if value != self._values[name]:
                (PARAMETERS / name).write_text(str(value))
                self._values[name] = value

    def empty(self) -> None:
        """Takes all programs off. Maps go a little later than the last who holds them."""
        for pin in PINS.iterdir():
            if pin.is_file():
                pin.unlink()
        if self._values != self._defaults or self.running()["loads"]:
            self.limits()
        give_up = time.monotonic() + 10
        while self.budget() != (0, 0):
            assert time.monotonic() < give_up, (DEBUG / "state").read_text()
            time.sleep(0.01)

    @staticmethod
    def pull() -> None:
        """The device goes, and its network devices with it."""
        (DRIVER / "unbind").write_text("nfp")

    @staticmethod
    def put_in() -> None:
        """The device comes."""
        (DRIVER / "bind").write_text("nfp")

    def load(self, path: Path, name: str = "program", reuse: Sequence[str] = ()) -> Program:
        """Puts an object's program and maps on the card; reuse: bpftool's words for maps."""
        pin = PINS / name
        log = KernelLog()
        done = subprocess.run(["bpftool", "prog", "load", path, pin, "type", "xdp", "dev",
                               self.port, *reuse], capture_output=True, text=True)
        kernel = log.text()
        if done.returncode:
            raise Refused(done.stdout + done.stderr, kernel)
        return Program(pin)

    def budget(self) -> tuple[int, int]:
        """Maps and entries in use."""
        found = re.findall(r"^(?:maps|entries) (\d+) of", (DEBUG / "state").read_text(), re.M)
        return int(found[0]), int(found[1])

    def running(self, port: str = port) -> dict[str, int]:
        """Of a port: whether a program runs, its words, and how often one was loaded, started and
        stopped."""
        line = re.search(rf"^{port} (.*)", (DEBUG / "state").read_text(), re.M)
        assert line
        words = line[1].split()
        return dict(zip(words[::2], map(int, words[1::2])))

    @staticmethod
    def count(map_id: int, key: bytes, offset: int, size: int, n: int) -> None:
        """Adds to a counter in a map, as a program on the card does."""
        (DEBUG / "count").write_text(f"{map_id} {key.hex()} {offset} {size} {n}")
