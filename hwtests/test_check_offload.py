# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The linter of the offload object: it refuses what the card's driver refuses, accepts what that
accepts, and says where and what to do. hwtests/offload_cases has the programs, with the driver's
verdicts; the driver itself is asked elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.check_offload import insn as bpf
from ci.check_offload import scalar
from ci.check_offload.rules import RULES
from hwtests.lab.bed import build_dir, built

TREE = Path(__file__).resolve().parents[1]
SOURCES = sorted((TREE / "hwtests/offload_cases").glob("*.bpf.c"))


class Header(NamedTuple):
    """What a case's comment says of it."""

    verdict: str
    words: int
    rules: set[str]
    driver: str
    log: str


def header(source: Path) -> Header:
    said = dict(re.findall(r"^// (verdict|words|rule|driver|log): (.*)$", source.read_text(),
                           re.MULTILINE))
    return Header(said["verdict"], int(said.get("words", 0)), set(said.get("rule", "").split()),
                  said.get("driver", ""), said.get("log", "verifier"))


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ci.check_offload", *words], cwd=TREE,
                          capture_output=True, text=True, timeout=120)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "--no-print-directory", f"BUILD={build_dir()}", *words],
                          cwd=TREE, capture_output=True, text=True, timeout=300,
                          env={k: v for k, v in os.environ.items() if "MAKE" not in k})


@pytest.fixture(scope="module")
def objects() -> Path:
    """The folder of the built cases."""
    done = make("offload-cases")
    assert done.returncode == 0, done.stdout + done.stderr
    return build_dir() / "offload_cases"


@pytest.fixture(scope="module")
def documents(objects: Path) -> dict[str, Any]:
    """What the linter says of each case, all from one run."""
    done = run("--json", *(objects / f"{source.stem}.o" for source in SOURCES))
    assert done.returncode == 1, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(SOURCES)
    return {Path(one["object"]).name.removesuffix(".bpf.o"): one for one in found}


@pytest.mark.parametrize("source", SOURCES, ids=[source.name.split(".")[0] for source in SOURCES])
def test_case(source: Path, documents: dict[str, Any]) -> None:
    said, document = header(source), documents[source.name.split(".")[0]]
    assert {one["rule"] for one in document["findings"]} == said.rules
    refused = said.verdict == "refused"
    assert document["verdict"] == ("refused" if refused else "wrong" if said.rules else "accepted")
    if said.words:
        assert document["programs"][0]["words"] == said.words
    for one in document["findings"]:
        assert one["refused"] == refused
        assert one["function"] and one["to_do"] and one["instruction"]
        text = Path(one["file"]).read_text().splitlines()
        assert text[one["line"] - 1].strip() == one["source"]
        # Named is the function that the line is in, or one that it was made a part of.
        assert f" {one['function']}(" in source.read_text()


def test_headers_are_complete() -> None:
    for source in SOURCES:
        said = header(source)
        assert said.verdict in ("accepted", "refused"), source
        assert said.log in ("verifier", "kernel"), source
        assert said.rules or said.verdict == "accepted", source
        assert bool(said.words) == (said.verdict == "accepted"), source
        assert not said.driver or said.verdict == "refused", source
        assert said.rules <= set(RULES), source


def test_every_rule_has_a_case() -> None:
    shown = set().union(*(header(source).rules for source in SOURCES))
    assert shown == set(RULES)
    for name, rule in RULES.items():
        verdicts = {header(source).verdict for source in SOURCES if name in header(source).rules}
        assert verdicts == {"refused" if rule.refused else "accepted"}, name


def test_own_object() -> None:
    """Nothing is wrong with it."""
    done = make("check-offload", "CHECK=--json")
    document = json.loads(done.stdout[done.stdout.index("{"):])
    (program,) = document["programs"]
    assert program["name"] == "shunt_offload"
    assert not document["findings"] and done.returncode == 0


def test_words_by_function_and_line() -> None:
    """They add up: each word is in one function and in one line."""
    done = run("--words", "100000", built("bpf/offload.bpf.o"))
    total = int(found[1]) if (found := re.search(r", (\d+) of \d+ words", done.stdout)) else 0
    _, functions, lines = re.split(r"^  words  (?:functions|lines) of .*$", done.stdout,
                                   flags=re.MULTILINE)
    costs = [sum(map(int, re.findall(r"^ *(\d+)  ", table, re.MULTILINE)))
             for table in (functions, lines)]
    overhead = re.search(r"(\d+)  what every program costs", functions)
    assert overhead and costs == [total, total - int(overhead[1])]
    assert re.search(r"\d+  lb_route_by_match\(\) +bpf/include/lb/", functions)
    listed = re.findall(r"^ *\d+ +(\d+)  ", run("--listing", built("bpf/offload.bpf.o")).stdout,
                        re.MULTILINE)
    assert sum(map(int, listed)) == costs[1]


@pytest.mark.parametrize("case, kind", [
    ("lru", "LRU_HASH"), ("percpu", "PERCPU_ARRAY"), ("devices", "DEVMAP"),
    ("programs", "PROG_ARRAY"), ("prefixes", "LPM_TRIE")])
def test_map_types_have_names(objects: Path, case: str, kind: str) -> None:
    assert f" is {kind}\n" in run(objects / f"map_type_{case}.bpf.o").stdout


def test_host_object_is_not() -> None:
    """The tables of AES, the counters of each CPU and the redirects of the driver tier."""
    done = run("--json", built("bpf/driver.bpf.o"))
    assert done.returncode == 1
    rules = {one["rule"] for one in json.loads(done.stdout)["findings"]}
    assert {"map-type", "global-data", "helper"} <= rules


def test_text_says_where_and_what(objects: Path) -> None:
    done = run(objects / "map_write.bpf.o")
    assert done.returncode == 1
    assert "offload_cases/map_write.bpf.o: a card refuses it\n" in done.stdout
    assert re.search(r"^  map-write  hwtests/offload_cases/map_write\.bpf\.c:\d+, map_write\(\), "
                     r"table$", done.stdout, re.MULTILINE)
    assert "*value = word(ctx);" in done.stdout
    assert RULES["map-write"].says in done.stdout
    assert RULES["map-write"].to_do in " ".join(done.stdout.split())


def test_bad_files(tmp_path: Path, objects: Path) -> None:
    """One line on stderr, exit code 2, one document; never a traceback."""
    whole = (objects / "ok_subprogram.bpf.o").read_bytes()
    files = {"empty": b"", "text": b"not an object", "no-btf": whole.replace(b".BTF\0", b".XXX\0"),
             "host": Path(sys.executable).resolve().read_bytes()[:100_000],
             "btf": whole.replace(b"\x9f\xeb\x01\x00", b"\x9f\xeb\x01\x00\xff\xff\xff\xff", 1)}
    for cut in range(60, len(whole), 499):
        files[f"cut-{cut}"] = whole[:cut]
    paths = []
    for name, octets in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(octets)
    done = run("--json", tmp_path / "missing", *paths)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == len(done.stdout.splitlines()) == 1 + len(files)
    for line in done.stdout.splitlines():
        assert json.loads(line)["verdict"] == "error"
    for line in done.stderr.splitlines():
        (name,) = [name for name in [*files, "missing"] if f"/{name}: " in line]
        assert not name.startswith("cut-") or f": cut short: it has {int(name[4:]):,} oct" in line


# What is known of numbers: no number that a register can hold may be missing from it.

NUMBERS = st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, 70),
                    st.integers(-9, 9).map(lambda x: x & (1 << 64) - 1),
                    st.integers(0, 63).map(lambda x: 1 << x))


@st.composite
def known(draw: st.DrawFn) -> tuple[scalar.Scalar, int]:
    """Something known of a number, and the number."""
    numbers = draw(st.lists(NUMBERS, min_size=1, max_size=4))
    what = scalar.constant(numbers[0])
    for number in numbers[1:]:
        what = scalar.join(what, scalar.constant(number))
    return what, draw(st.sampled_from(numbers))


def holds(what: scalar.Scalar, number: int) -> bool:
    return what.covers(scalar.constant(number))


def calculated(op: int, wide: bool, one: int, two: int) -> int:
    bits = 64 if wide else 32
    limit = (1 << bits) - 1
    one, two = one & limit, two & limit
    negative = one - (1 << bits) if one >> bits - 1 else one
    by = two & bits - 1
    return {bpf.ADD: one + two, bpf.SUB: one - two, bpf.MUL: one * two, bpf.AND: one & two,
            bpf.OR: one | two, bpf.XOR: one ^ two, bpf.MOV: two, bpf.LSH: one << by,
            bpf.RSH: one >> by, bpf.ARSH: negative >> by}[op] & limit


@given(known(), known(), st.booleans(),
       st.sampled_from([bpf.ADD, bpf.SUB, bpf.MUL, bpf.AND, bpf.OR, bpf.XOR, bpf.MOV, bpf.LSH,
                        bpf.RSH, bpf.ARSH]))
def test_arithmetic_forgets_no_number(one: tuple[scalar.Scalar, int],
                                      two: tuple[scalar.Scalar, int], wide: bool, op: int) -> None:
    if op in (bpf.LSH, bpf.RSH, bpf.ARSH):
        by = two[1] % (64 if wide else 32)
        two = scalar.constant(by), by
    assert holds(scalar.compute(op, wide, one[0], two[0]), calculated(op, wide, one[1], two[1]))


@given(known(), NUMBERS, st.booleans(),
       st.sampled_from([bpf.JEQ, bpf.JNE, bpf.JGT, bpf.JGE, bpf.JLT, bpf.JLE, bpf.JSET, bpf.JSGT,
                        bpf.JSGE, bpf.JSLT, bpf.JSLE]))
def test_branches_forget_no_number(one: tuple[scalar.Scalar, int], number: int, wide: bool,
                                   op: int) -> None:
    bits = 64 if wide else 32
    limit = (1 << bits) - 1
    left, right = one[1] & limit, number & limit
    if op in (bpf.JSGT, bpf.JSGE, bpf.JSLT, bpf.JSLE):
        left, right = ((x - (1 << bits) if x >> bits - 1 else x) for x in (left, right))
    taken = {bpf.JEQ: left == right, bpf.JNE: left != right, bpf.JSET: bool(left & right),
             bpf.JGT: left > right, bpf.JSGT: left > right, bpf.JGE: left >= right,
             bpf.JSGE: left >= right, bpf.JLT: left < right, bpf.JSLT: left < right,
             bpf.JLE: left <= right, bpf.JSLE: left <= right}[op]
    assert scalar.decided(op, wide, one[0], scalar.constant(number)) in (None, taken)
    learnt = scalar.refine(op, wide, one[0], number, taken)
    assert learnt is not None and holds(learnt, one[1])


@given(known(), known())
def test_joins_cover_both(one: tuple[scalar.Scalar, int], two: tuple[scalar.Scalar, int]) -> None:
    for both in (scalar.join(one[0], two[0]), scalar.widen(one[0], two[0])):
        assert both.covers(one[0]) and both.covers(two[0])
        assert holds(scalar.half(both), one[1] & scalar.M32)
        assert holds(scalar.half(both, 2), two[1] & 0xffff)
