# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The reports of many hosts as one table: by hwtests/fleet.py and by jq, as the README shows it.

Reports are real: of namespaces made here, and those in reports/, which the loader printed in a
virtual machine with netdevsim (``--probe --all --json``, once with ``--trial``).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.lab.bed import attach_xdp, built, pass_object
from hwtests.lab.netns import Cell, Node

TREE = Path(__file__).resolve().parents[1]
KEPT = sorted((TREE / "hwtests/reports").glob("*.json"))
HEADS = ["host", "interface", "driver", "firmware", "kernel", "tier", "usable", "chosen", "reason"]
FLEET = ["/usr/bin/python3", str(TREE / "hwtests/fleet.py")]


def fleet(*args: str | Path, text: str | None = None, status: int = 0) -> str:
    done = subprocess.run([*FLEET, *args], input=text, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    if status:
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("fleet: ")
    return done.stdout


def cells(text: str) -> list[list[str]]:
    """No cell of a table without --wide has a space in it."""
    return [line.split() for line in text.splitlines()]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of reports as an operator would have it, those of this machine first."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: run with sudo")
    folder = tmp_path_factory.mktemp("fleet") / "reports"
    folder.mkdir()
    with Cell("127.0.0.1 localhost\n") as cell:
        here, there = Node(cell, "here"), Node(cell, "there")
        here.ip(f"link add eth10 type veth peer name far mtu 9000 netns {there.inner_pid}",
                f"link add eth2 type veth peer name near netns {there.inner_pid}")
        attach_xdp(here, "eth10", pass_object(), mode="xdpgeneric")
        (folder / "here.json").write_text(
            here.run([built("loader"), "--probe", "--all", "--json"]).stdout)
    for report in KEPT:
        (folder / report.name).write_text(report.read_text())
    yield folder


def test_one_row_a_tier_sorted_and_aligned(reports: Path) -> None:
    text = fleet(*reports.iterdir())
    heads, *rows = cells(text)
    assert heads == HEADS
    assert all(len(row) == len(HEADS) for row in rows)
    begins = [re.match(r"(?:\S+ +){5}", line) for line in text.splitlines()]
    assert len({begin and begin.end() for begin in begins}) == 1
    hosts = list(dict.fromkeys(row[0] for row in rows))
    assert [host for host in hosts if host.startswith("lb-")] == ["lb-2", "lb-10"]
    mine = [row for row in rows if row[0] == os.uname().nodename]
    named = list(dict.fromkeys(row[1] for row in mine))
    assert named.index("eth2") < named.index("eth10")
    assert [row[5] for row in mine] == ["offload", "driver", "generic", "userspace"] * len(
        named)
    assert [row[6:] for row in mine if row[1] == "eth10"] == [
        ["no", "-", "no-offload-device"], ["no", "-", "busy-other-mode"],
        ["no", "-", "busy-foreign-program"], ["yes", "-", "-"]]
    assert ["lb-2", "eth0", "netdevsim", "10.20.30", "6.1.0-56-amd64", "offload", "no", "-",
            "map-limit"] in rows
    assert ["lb-10", "eth0", "netdevsim", "10.20.30", "6.1.0-56-amd64", "offload", "yes", "yes",
            "-"] in rows


def test_wide_says_what_to_do() -> None:
    text = fleet("--wide", "--tier", "offload", *KEPT)
    assert "vip_map needs 64 entries, the device takes 2; fewer rows" in text
    assert {row[5] for row in cells(text)[1:]} == {"offload"}


def test_json_has_the_same_rows(reports: Path) -> None:
    document = json.loads(fleet("--json", *reports.iterdir()))
    assert document["schema"] == "shunt/fleet/1"
    assert [[row[head] or "-" for head in HEADS] for row in document["rows"]] == cells(
        fleet(*reports.iterdir()))[1:]


def test_files_streams_and_repetitions_are_alike(reports: Path) -> None:
    texts = [path.read_text() for path in reports.iterdir()]
    from_files = fleet(*reports.iterdir())
    assert fleet(text="".join(texts)) == from_files
    assert fleet("-", text="\n\n".join(texts + texts)) == from_files
    one = json.loads(texts[0])["interfaces"]
    assert fleet(text="".join(map(json.dumps, one))) == fleet(text=texts[0])


@pytest.mark.parametrize(("text", "named"), [
    ('{"schema": "shunt/probe/1"', "delimiter"),
    ('{"schema": "shunt/probe/2"}', "shunt/probe/2"),
    ("[1]", "schema None"),
    ('{"schema": "shunt/probe/1"}', "interface"),
    ("", "empty"),
    ("\n \n", "empty"),
])
def test_what_is_no_report_is_one_line_and_the_rest_is_shown(tmp_path: Path, text: str,
                                                             named: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    done = subprocess.run([*FLEET, tmp_path / "bad.json", *KEPT], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == fleet(*KEPT)
    assert done.stderr.startswith(f"fleet: {tmp_path}/bad.json: ") and named in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_probe_that_failed_is_no_row() -> None:
    failed = subprocess.run([built("loader"), "--probe", "nope", "--json"], capture_output=True,
                            text=True).stdout
    assert cells(fleet(text=failed, status=1)) == [HEADS]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert cells(fleet(tmp_path / "none.json", status=1)) == [HEADS]


def commands(path: str, fence: str) -> list[str]:
    """Of the block with jq in it, one each."""
    (block,) = [block for block in re.findall(rf"^{fence}\n(.*?)^```", (TREE / path).read_text(),
                                              re.DOTALL | re.MULTILINE) if "| jq " in block]
    assert isinstance(block, str)
    return block.replace("\n    ", " ").splitlines()


def shell(command: str, folder: Path) -> str:
    return subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True,
                          text=True, env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"}).stdout


def test_what_the_readme_shows(reports: Path) -> None:
    place = reports.parent
    (place / "hwtests").symlink_to(TREE / "hwtests")
    (place / "loader").symlink_to(built("loader"))
    probe, table, jq = commands("README.md", "```sh")
    assert commands("loader/doc/shunt.8.scd", "```") == [jq]
    shell(probe, place)
    rows = cells(shell(table, place))
    failed = subprocess.run([built("loader"), "--probe", "nope", "--json"], capture_output=True,
                            text=True).stdout
    (reports / "failed.json").write_text(failed)
    by_jq = {tuple(line.split("\t")) for line in shell(jq, place).splitlines()}
    (reports / "failed.json").unlink()
    assert by_jq == {(row[0], row[1], row[5], row[6], row[8]) for row in rows[1:]} | {
        ("-", "nope", "no-interface")}
