# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""bench --size: its figures are the kernel's, its times add up, and it says which budgets do not
fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci.budgets import budgets
from ci.check_offload.program import read
from ci.object_sizes import deepest_chain, words
from hwtests.lab.bed import build_dir, built
from hwtests.oracle.plan import TREE
from hwtests.oracle.program import Program
from hwtests.test_objects import COMPILERS, OBJECTS

Rows = dict[tuple[str, str], dict[str, Any]]
#: The machine code of one program differs by where it lies and what it calls.
JIT_VARIES = 0.02


def run(bench: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bench, "--size", "--quick", *options], cwd=TREE, capture_output=True,
                          text=True, timeout=240)


@pytest.fixture(scope="module")
def folder() -> Path:
    """Of the objects by all compilers that are here."""
    done = subprocess.run(["make", "-s", f"BUILD={build_dir()}", "size-objects"], cwd=TREE,
                          capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if "MAKE" not in k})
    assert done.returncode == 0, done.stdout + done.stderr
    return build_dir() / "size"


@pytest.fixture(scope="module")
def document(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("size") / "bench.json"
    done = run(built("bench"), "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    loaded: dict[str, Any] = json.loads(path.read_text())
    loaded["shown"] = done.stdout
    return loaded


@pytest.fixture(scope="module")
def rows(document: dict[str, Any]) -> Rows:
    return {(row["program"], row["compiler"]): row for row in document["sizes"]}


@pytest.fixture
def alone(folder: Path, tmp_path: Path) -> Path:
    """A bench beside which there are one compiler's objects, and a file of budgets."""
    for name in OBJECTS:
        (tmp_path / "size/clang-14/bpf").mkdir(parents=True, exist_ok=True)
        for suffix in ("bpf.o", "size.json"):
            # The same in each: what is loaded does not matter here, and this one is soon done.
            shutil.copy(folder / f"clang-14/bpf/decap.{suffix}",
                        tmp_path / f"size/clang-14/bpf/{name}.{suffix}")
    (tmp_path / "budgets.tsv").write_text("# A comment stays.\n" + "".join(
        f"{name}\tclang-14\t2200\t160\t2700\t-\n" for name in OBJECTS))
    return Path(shutil.copy(built("bench"), tmp_path))


def with_budgets(bench: Path, *options: str) -> str:
    done = run(bench, "--budgets", str(bench.with_name("budgets.tsv")), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_program_is_there_by_every_compiler(rows: Rows) -> None:
    here = [compiler for compiler in COMPILERS if shutil.which(compiler)]
    assert set(rows) == {(name, compiler) for name in OBJECTS for compiler in here}


def test_alone_nothing_else_is_measured(document: dict[str, Any]) -> None:
    assert document["kernel"].split()[0] == os.uname().release
    assert document["cases"] == [] and document["veth"] is None and document["control"] is None


def test_figures_are_those_of_others(folder: Path, rows: Rows) -> None:
    """Of the kernel as bpftool shows them, and of the object."""
    for (name, compiler), row in rows.items():
        path = folder / compiler / f"bpf/{name}.bpf.o"
        whole = read(path)
        with Program(path) as program:
            translated, jited = program.octets()
            assert row["verified"] == program.verified_instructions()
            assert row["translated"] == translated
            assert row["jited"] is None or row["jited"] == pytest.approx(jited, rel=JIT_VARIES)
        assert row["stack"] == deepest_chain(whole.programs[0])[0]
        assert row["words"] == words(whole)
        assert row["peak_states"] <= row["total_states"]


def test_the_parts_of_a_load_are_all_of_it(rows: Rows) -> None:
    for row in rows.values():
        load = row["load_ms"]
        assert all(load[part] > 0 for part in ("open", "maps", "program"))
        assert load["open"] + load["maps"] + load["program"] == pytest.approx(
            load["lowest"], abs=0.01)
        assert load["verification"] <= load["program"]
        assert load["lowest"] <= load["median"]


def test_budgets_are_those_of_the_file(rows: Rows) -> None:
    assert rows
    for key, row in rows.items():
        assert {measure: limit for measure, limit in row["budget"].items()
                if limit} == budgets()[key].limits


def test_no_budget_of_the_tree_is_to_be_changed(document: dict[str, Any]) -> None:
    assert "verified" in document["shown"]
    assert "ci/budgets.tsv" not in document["shown"], document["shown"]


def test_too_much_names_the_line(alone: Path) -> None:
    file = alone.with_name("budgets.tsv")
    lines = file.read_text().splitlines()
    lines[1] = "driver\tclang-14\t2200\t160\t2\t-"
    file.write_text("\n".join(lines) + "\n")
    assert f"{file}:2: driver by clang-14 takes " in with_budgets(alone, "--write-budgets")
    # A limit is raised by somebody who can say why.
    assert file.read_text().splitlines() == lines


def test_wide_and_missing_budgets_are_offered_and_written(alone: Path) -> None:
    file = alone.with_name("budgets.tsv")
    before = file.read_text().splitlines()
    lines = [line for line in before if not line.startswith("egress")]
    lines[1] = "driver\tclang-14\t22000\t160\t2700\t-"
    file.write_text("\n".join(lines) + "\n")
    offered = [line for line in with_budgets(alone).splitlines() if line.count("\t") == 5]
    assert [line.split("\t")[0] for line in offered] == ["driver", "egress"]
    assert 2000 <= int(offered[0].split("\t")[2]) <= 3000
    assert offered[0].split("\t")[3:] == ["160", "2700", "-"]
    assert file.read_text().splitlines() == lines
    with_budgets(alone, "--write-budgets")
    assert file.read_text().splitlines() == [lines[0], offered[0], *lines[2:], offered[1]]
    assert "\t" not in with_budgets(alone)


def test_what_is_missing_or_broken_is_told(alone: Path) -> None:
    file = alone.with_name("budgets.tsv")
    file.write_text("driver\tclang-14\tmany\t160\t2700\t-\n")
    done = run(alone, "--budgets", str(file))
    assert done.returncode == 1 and f"{file}:1" in done.stderr
    (alone.with_name("size") / "clang-14/bpf/decap.size.json").unlink()
    done = run(alone)
    assert done.returncode == 1 and "decap.size.json" in done.stderr
    shutil.rmtree(alone.with_name("size"))
    done = run(alone)
    assert done.returncode == 1 and "make size-objects" in done.stderr
