# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The bench of whole connections runs, its packets go the way each case is named for, and no case
is many times slower than none. Never an absolute time: those are for make bench to show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwtests.lab import Bed, QuicServers
from hwtests.lab.bed import built, client4
from hwtests.traces import Traces

TREE = Path(__file__).resolve().parents[1]
BENCH = [sys.executable, "-m", "bench.whole"]
DEADLINE = 240
#: One short round on a machine that does other things: far above what is ever seen.
GENEROUS = 8.0
#: Octets a second, connections a second; what more of is worse is latency and CPU time.
MORE_IS_BETTER = {"connections", "download", "upload"}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[Document, str]:
    """Tiny rounds. The bench itself ends in failure when a connection failed, or packets of a
    balancer did not go by their connection ID."""
    path = tmp_path_factory.mktemp("whole") / "whole.json"
    done = subprocess.run([*BENCH, "--rounds", "1", "--seconds", "0.2", "--json", str(path)],
                          cwd=TREE, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(path.read_text()), done.stdout


@pytest.fixture
def document(output: tuple[Document, str]) -> Document:
    return output[0]


def balanced(document: Document) -> list[Document]:
    return [case for case in document["cases"] if case["tier"]]


def test_says_what_it_was_measured_on(document: Document) -> None:
    assert document["schema"] == "shunt/bench-whole/1"
    assert document["kernel"].split()[0] == os.uname().release
    assert (document["rounds"], document["seconds"]) == (1, 0.2)
    assert set(document["loads"]) == {"connections", "download", "upload", "requests"}
    assert set(document["noise"]) == set(document["units"])


def test_every_case_has_every_figure(document: Document) -> None:
    assert [(case["tier"], case["routed_by"]) for case in document["cases"]] == [
        (None, "no balancer"),
        *((tier, cid) for tier in ("driver", "generic")
          for cid in ("clear", "single pass", "four encrypts")),
        ("userspace", "clear")]
    for case in document["cases"]:
        assert set(case["figures"]) == set(document["units"])
        for name, figure in case["figures"].items():
            assert figure["value"]["median"] > 0, (case["routed_by"], name)
            assert ("added" in figure) == name.startswith("p")


def test_the_table_shows_the_figures(output: tuple[Document, str]) -> None:
    document, text = output
    rows = [line for line in text.splitlines() if line.startswith("four encrypts  generic")]
    [case] = [case for case in document["cases"]
              if (case["tier"], case["routed_by"]) == ("generic", "four encrypts")]
    for row, name in zip(rows, ("connections", "connection_cpu"), strict=True):
        figure = case["figures"][name]
        value, ratio = (float(word) for word in row.split()[3:5])
        assert value == pytest.approx(figure["value"]["median"], abs=0.51)
        assert ratio == pytest.approx(figure["ratio"]["median"], abs=0.006)
    assert "noise:" in text


def test_all_connections_went_through_the_balancer(document: Document) -> None:
    """Those of a balanced case by their connection IDs but for the first flights; and every packet
    that the server had, the balancer had sent."""
    for case in balanced(document):
        reasons, server = case["packets"]["by_reason"], case["packets"]["server"]
        assert case["connections"] > 10
        assert reasons["cid"] > server / 2
        first = sum(n for name, n in reasons.items()
                    if name.startswith("hash_") or name.startswith("flow"))
        assert first >= case["connections"]
        assert reasons["cid"] + first >= server


def test_none_of_it_without_one(document: Document) -> None:
    none = document["cases"][0]
    assert none["connections"] > 10 and none["packets"]["server"] > none["connections"]
    assert none["packets"]["by_reason"] == {}
    assert all(figure["ratio"] == {"p10": 1, "median": 1, "p90": 1}
               for figure in none["figures"].values())


def test_no_case_is_many_times_slower(document: Document) -> None:
    for case in balanced(document):
        for name in ("connections", "download", "upload", "connection_cpu", "request_cpu"):
            ratio = case["figures"][name]["ratio"]["median"]
            slower = 1 / ratio if name in MORE_IS_BETTER else ratio
            assert slower < GENEROUS, (case["tier"], case["routed_by"], name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """While its networks are up and loaded: the first process of quic-load tells."""
    traces = Traces(tmp_path / "tmp")
    with subprocess.Popen([*BENCH, "--rounds", "50"], cwd=TREE, env=traces.environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
        traces.wait_process("quic-load")
        bench.send_signal(number)
        shown, errors = bench.communicate(timeout=DEADLINE)
    assert bench.returncode == 128 + number
    assert (shown, errors) == ("", "whole: interrupted; all that it made is gone again\n")
    assert traces.left() == []


@pytest.mark.parametrize("options", [["--rounds", "0"], ["--seconds", "x"], ["--fast"], ["word"]])
def test_wrong_options_are_refused(options: list[str]) -> None:
    done = subprocess.run([*BENCH, *options], cwd=TREE, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""


def test_what_is_not_built_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(BENCH, cwd=TREE, capture_output=True, text=True,
                          env={**os.environ, "BUILD": str(tmp_path)})
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("whole: ") and "is not built" in line


def load(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([built("quic-load"), *options], capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("options, why", [
    ([], "KIND"), (["all"], "KIND all"), (["download", "upload"], "KIND"),
    (["download"], "no address"), (["download", "--from", "here"], "--from here"),
    (["download", "--from", "127.0.0.1", "--to", "[::1]:1", "--trust", "x"], "family"),
    (["download", "--connections", "0"], "--connections 0"),
    (["download", "--seconds", "1s"], "--seconds 1s")])
def test_the_client_refuses_wrong_options(options: list[str], why: str) -> None:
    done = load(*options)
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("quic-load: ") and why in line


def test_the_client_tells_of_a_certificate_that_is_none(tmp_path: Path) -> None:
    done = load("connections", "--from", "127.0.0.1", "--to", "127.0.0.1:1", "--trust",
                str(tmp_path / "none"))
    assert done.returncode == 1 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("quic-load: ") and "none" in line


def test_the_client_counts_what_fails(bed: Bed, servers: QuicServers) -> None:
    """A certificate of another name ends every handshake, and the run."""
    bed.route_vip(bed.servers[0])
    done = bed.client.run([built("quic-load"), "connections", "--from", client4(), "--to",
                           f"{bed.vip4}:{bed.port}", "--trust", bed.dir / "cert.pem",
                           "--name", "other.test"], check=False)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["failed"] > 0 and document["answered"] == 0 and document["why"]
    assert servers.totals()["requests"] == 0
