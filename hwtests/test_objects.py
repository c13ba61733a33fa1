# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The BPF objects as files and as the kernel takes them: one map layout in all tiers, and what a
card accepts, for each compiler."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from hwtests.lab.bed import build_dir
from hwtests.oracle.plan import CID_OCTETS, KEY_OCTETS, TREE
from hwtests.oracle.program import MapInfo, Program

TIERS = ("driver", "generic", "offload")
OBJECTS = (*TIERS, "ingress", "egress", "decap")
COMPILERS = ("clang-14", "clang-16", "clang-19")

HASH, ARRAY, PERCPU_ARRAY = 1, 2, 6
RDONLY_PROG = 1 << 7
#: What a card has no use for: other devices, keys and times.
HOST_MAPS = {"egress_map", "cid_key_map", "cid_seen_map", "cid_sample_map",
             "cid_cache_map", "cid_cache_state", "setting_map",
             "address_map", "vip_address_map", "conn_track", "flow_recent_map",
             "flow_budget_map", "flow_stats"}
#: What only a card has: CIDs that it cannot decode.
CARD_MAPS = {"conn_map"}
CONSTANTS = ".rodata"  # what libbpf's name for the map of constants ends in
COUNTERS = ("reason_stats", "vip_stats", "server_stats", "cid_stats")

each_compiler = pytest.mark.parametrize("compiler", COMPILERS)


@pytest.fixture(scope="session")
def objects() -> Any:
    """The objects by each compiler, by the build's own rules: objects(compiler, name)."""

    @functools.cache
    def compiled(compiler: str, name: str) -> Path:
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed: apt-get install {compiler}")
        build = build_dir() / "size" / compiler
        target = build / "bpf" / f"{name}.bpf.o"
        done = subprocess.run(["make", "-s", f"BUILD={build}", f"CLANG={compiler}", target],
                              cwd=TREE, capture_output=True, text=True,
                              # What an outer make was told is not for this one.
                              env={k: v for k, v in os.environ.items() if "MAKE" not in k})
        assert done.returncode == 0, done.stdout + done.stderr
        return target

    return compiled


def _output(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


# One layout.


class Btf:
    """The types of an object, told as plain data with no ids in it, so that two can be compared."""

    def __init__(self, path: Path) -> None:
        loaded = json.loads(_output("bpftool", "-j", "btf", "dump", "file", path))
        self._types = {entry["id"]: entry for entry in loaded["types"]}

    def describe(self, number: int) -> Any:
        """A type down to its integers; typedefs and qualifiers do not count."""
        entry = self._types[number]
        kind = entry["kind"]
        if kind in ("TYPEDEF", "CONST", "VOLATILE"):
            return self.describe(entry["type_id"])
        if kind in ("STRUCT", "UNION"):
            return (kind, entry["name"], entry["size"], [
                (member["name"], member["bits_offset"], self.describe(member["type_id"]))
                for member in entry["members"]])
        if kind == "ARRAY":
            return kind, entry["nr_elems"], self.describe(entry["type_id"])
        if kind == "PTR":
            return kind, self.describe(entry["type_id"])
        return kind, entry["name"], entry["size"], entry.get("encoding")

    def maps(self) -> dict[str, dict[str, Any]]:
        """Key and value of every map in .maps."""
        (section,) = [entry for entry in self._types.values()
                      if entry["kind"] == "DATASEC" and entry["name"] == ".maps"]
        found = {}
        for variable in section["vars"]:
            entry = self._types[variable["type_id"]]
            layout = self._types[entry["type_id"]]
            found[entry["name"]] = {
                member["name"]: self.describe(self._types[member["type_id"]]["type_id"])
                for member in layout["members"] if member["name"] in ("key", "value")}
        return found


def test_shared_maps_have_one_layout(objects: Any) -> None:
    """Names, keys and values down to the fields' offsets."""
    maps = {name: Btf(objects("clang-14", name)).maps() for name in TIERS}
    assert maps["driver"] == maps["generic"]
    assert len(maps["offload"]) >= 11
    for name in set(maps["offload"]) - CARD_MAPS:
        assert maps["offload"][name] == maps["driver"][name], name
    assert set(maps["driver"]) - set(maps["offload"]) == HOST_MAPS
    assert set(maps["offload"]) - set(maps["driver"]) == CARD_MAPS
    ingress, egress = (Btf(objects("clang-14", name)).maps() for name in ("ingress", "egress"))
    for stack in (ingress, egress):
        for name in set(stack) & set(maps["driver"]):
            assert stack[name] == maps["driver"][name], name
    assert ingress["stats"] == egress["stats"]


def test_shared_maps_widen_in_counters_only(objects: Any) -> None:
    loaded = {}
    for name in TIERS:
        with Program(objects("clang-14", name)) as program:
            loaded[name] = program.maps
    for name in set(loaded["offload"]) - CARD_MAPS:
        card = loaded["offload"][name]
        for tier in ("driver", "generic"):
            host = loaded[tier][name]
            assert (host.key_size, host.value_size, host.flags) == (
                card.key_size, card.value_size, card.flags), name
            assert host.type == (PERCPU_ARRAY if name in COUNTERS else card.type), name


def test_names_are_those_of_abi_h(objects: Any) -> None:
    text = (TREE / "bpf/include/lb/abi.h").read_text()
    named = set(re.findall(r'#define LB_MAP_\w+\s+"(\w+)"', text))
    programs = dict(re.findall(r'#define LB_PROG_(\w+)\s+"(\w+)"', text))
    for name in OBJECTS:
        with Program(objects("clang-14", name)) as program:
            maps = {word for word in program.maps if not word.endswith(CONSTANTS)}
            assert maps <= named, name
            assert all(len(word) <= 15 for word in [*maps, program.name])
            assert program.name == programs[name.upper()]


@each_compiler
def test_host_tiers_hold_tables_and_no_variables(objects: Any, compiler: str) -> None:
    """Those of AES, the same in both, which no program and nobody else can write."""
    tables = []
    for name in ("driver", "generic"):
        path = objects(compiler, name)
        assert not re.search(r"\s\.(data|bss)", _output("readelf", "-SW", path))
        with Program(path) as program:
            (constants,) = [info for info in program.maps.values()
                            if info.name.endswith(CONSTANTS)]
            assert constants.flags & RDONLY_PROG
            with pytest.raises(OSError, match="not permitted"):
                program.update(constants.name, 0, bytes(constants.value_size))
        tables.append(_section(path, CONSTANTS))
    assert tables[0] == tables[1] and len(tables[0]) >= 4 << 10


def test_keys_have_the_size_that_the_oracle_fills(objects: Any) -> None:
    with Program(objects("clang-14", "driver")) as program:
        assert program.maps["cid_config_map"].value_size == CID_OCTETS
        assert program.maps["cid_key_map"].value_size == KEY_OCTETS


# What a card takes.


@each_compiler
def test_offload_maps(objects: Any, compiler: str) -> None:
    with Program(objects(compiler, "offload")) as program:
        for entry in program.maps.values():
            assert entry.type in (HASH, ARRAY) and entry.flags == 0, entry
            rounded = sum(-(-size // 8) * 8 for size in (entry.key_size, entry.value_size))
            assert entry.value_size <= 56 and rounded <= 64, entry


@each_compiler
def test_offload_has_no_globals(objects: Any, compiler: str) -> None:
    sections = _output("readelf", "-SW", objects(compiler, "offload"))
    assert not re.search(r"\s\.(rodata|data|bss)", sections), sections


def _section(path: Path, section: str) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        dumped = Path(place) / "section"
        _output("llvm-objcopy-14", f"--dump-section={section}={dumped}", path, "/dev/null")
        return dumped.read_bytes()


@each_compiler
def test_offload_is_what_a_card_takes(objects: Any, compiler: str) -> None:
    """By the linter, which is held against the driver's own code in a virtual machine."""
    done = subprocess.run([sys.executable, "-m", "ci.check_offload", "--json",
                           objects(compiler, "offload")], cwd=TREE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each_compiler
def test_offload_writes_no_map_value(objects: Any, compiler: str) -> None:
    """With maps that programs may only read, the host's verifier says whether one is written."""
    flags = {name: RDONLY_PROG for name in _map_names(objects(compiler, "offload"))
             if name not in COUNTERS and name not in CARD_MAPS}
    assert len(flags) == 7
    with Program(objects(compiler, "offload"), flags=flags) as program:
        assert all(program.maps[name].flags == RDONLY_PROG for name in flags)
    with pytest.raises(OSError, match="Permission denied"):
        with Program(objects(compiler, "offload"), flags={COUNTERS[0]: RDONLY_PROG}):
            pass


def _map_names(path: Path) -> list[str]:
    with Program(path) as program:
        infos: list[MapInfo] = list(program.maps.values())
    return [info.name for info in infos]
