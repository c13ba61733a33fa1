# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""check, diff and apply on the command line: findings, exit codes, one JSON document each time."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.lab import Bed, Loader
from hwtests.lab.bed import built

EXAMPLE = Path(__file__).parents[1] / "loader" / "dist" / "shunt.yaml"

VALID: dict[str, Any] = {
    "version": 1,
    "cid_configs": [{"id": 1, "server_id_length": 4, "nonce_length": 6}],
    "pools": [{"name": "web", "servers": [
        {"name": "a", "address": "10.9.0.1", "server_ids": [{"config": 1, "id": "00000001"}]},
        {"name": "b", "address": "10.9.0.2", "server_ids": [{"config": 1, "id": "00000002"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 443, "pool": "web"}],
}

MISTAKES = """\
version: 1
colour: red
cid_configs:
  - {id: 7, server_id_length: 3, nonce_length: 4}
  - {id: 1, server_id_length: 3, nonce_length: 2}
pools:
  - name: web
    servers:
      - {name: a, address: 127.0.0.1, wieght: 5}
vips:
  - {name: one, address: 203.0.113.80, port: 443, pool: web}
  - {name: two, address: 203.0.113.80, port: 443, pool: wbe}
"""
MISTAKE_PATHS = {"colour", "cid_configs[0].id", "cid_configs[1].nonce_length",
                 "pools[0].servers[0].address", "pools[0].servers[0].wieght", "vips[1].pool",
                 "vips[1].address"}


def run(*args: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([built("loader"), *args], input=text, capture_output=True, text=True,
                          timeout=60, check=False)


def check(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("check", "-", "--json", text=text).stdout)
    return document


def test_the_example_is_valid() -> None:
    done = run("check", EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{EXAMPLE}: valid, 0 warnings;")


def test_valid_json_document() -> None:
    done = run("check", EXAMPLE, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"schema": "shunt/check/1", "file": str(EXAMPLE),
                                       "valid": True, "errors": [], "warnings": []}


def test_the_file_may_come_from_the_option_or_stdin() -> None:
    assert run("-c", EXAMPLE, "check").returncode == 0
    assert run("check", "-c", EXAMPLE).returncode == 0
    assert run("check", "-", text=json.dumps(VALID)).returncode == 0
    assert run("-c", "-", "check", text=json.dumps(VALID)).returncode == 0


def test_every_mistake_at_once() -> None:
    done = run("check", "-", "--json", text=MISTAKES)
    document = json.loads(done.stdout)
    assert done.returncode == 6
    assert document["valid"] is False
    assert {error["path"] for error in document["errors"]} == MISTAKE_PATHS
    assert len(document["errors"]) == len(MISTAKE_PATHS)
    assert document["warnings"] == []


def test_every_mistake_as_a_line() -> None:
    done = run("check", "-", text=MISTAKES)
    *lines, summary = done.stdout.splitlines()
    assert done.returncode == 6
    assert {line.split(": ")[1] for line in lines} == MISTAKE_PATHS
    assert summary == f"-: not valid, {len(MISTAKE_PATHS)} errors"


def test_warnings_do_not_fail() -> None:
    config = copy.deepcopy(VALID)
    config["cid_configs"].append({"id": 2, "server_id_length": 1, "nonce_length": 5})
    del config["pools"][0]["servers"][1]["server_ids"]
    config["fallback"] = {"rows": 128}
    done = run("check", "-", text=json.dumps(config))
    assert done.returncode == 0
    assert "-: warning: pools[0].servers[1].server_ids: " in done.stdout
    document = check(json.dumps(config))
    assert document["valid"] is True
    assert {warning["path"] for warning in document["warnings"]} == {
        "cid_configs[1]", "pools[0].servers[1].server_ids", "fallback.rows"}


@pytest.mark.parametrize("servers, odds", [(2, None), (3, "1 in 683 "), (200, "1 in 10 ")])
def test_odds_of_a_random_cid(servers: int, odds: str | None) -> None:
    config = copy.deepcopy(VALID)
    config["cid_configs"] = [{"id": 1, "server_id_length": 1, "nonce_length": 5}]
    config["fallback"] = {"rows": 65536}
    config["pools"][0]["servers"] = [
        {"name": f"s{n}", "address": f"10.9.0.{n + 1}",
         "server_ids": [{"config": 1, "id": f"{n:02x}"}]} for n in range(servers)]
    warnings = check(json.dumps(config))["warnings"]
    assert [warning["path"] for warning in warnings] == (["pools[0]"] if odds else [])
    assert not odds or odds in warnings[0]["text"]


LOOPS: dict[str, tuple[dict[str, Any], str]] = {
    "VIP": ({"address": "203.0.113.80"}, "is the address of vips[0]"),
    "source": ({"address": "10.9.9.9"}, "is the balancer's own: forwarding.source_v4"),
    "source6": ({"address": "fd00::9", "mode": "l2dsr"},
                "is the balancer's own: forwarding.source_v6")}


@pytest.mark.parametrize("case", LOOPS)
def test_a_server_that_is_the_balancer(case: str) -> None:
    config = copy.deepcopy(VALID)
    config["forwarding"] = {"source_v4": "10.9.9.9", "source_v6": "fd00::9"}
    server, expected = LOOPS[case]
    config["pools"][0]["servers"][1].update(server)
    [error] = check(json.dumps(config))["errors"]
    assert error["path"] == "pools[0].servers[1].address"
    assert expected in error["text"]


@pytest.mark.parametrize("address", ["10.9.0.2", "fd00::2"])
@pytest.mark.parametrize("mode, outer", [("ipip", 20), ("gue", 32), ("l2dsr", 0)])
def test_a_server_that_clients_packets_do_not_fit_to(mode: str, outer: int, address: str) -> None:
    config = copy.deepcopy(VALID)
    if ":" in address and outer:
        outer += 20
    config["pools"][0]["servers"][1].update(mode=mode, address=address)
    config["pools"][0]["servers"][0]["mode"] = "l2dsr"
    config["forwarding"] = {"client_mtu": 1500, "server_mtu": 1500 + outer}
    assert check(json.dumps(config))["valid"] is True
    config["forwarding"]["client_mtu"] += 1
    errors = check(json.dumps(config))["errors"]
    assert errors[-1]["path"] == "pools[0].servers[1]"
    assert errors[-1]["text"].startswith(f"needs an MTU of {1501 + outer}: ")
    assert len(errors) == (1 if outer else 2)


@pytest.mark.parametrize("text, expected", [
    ("vips: [}\n", "line 1, column 8"),
    ("a: &x 1\nb: *x\n", "line 1, column 4: anchors"),
    ("version: 1\n---\n", "second document"),
    ("version: 1\x00\n", "NUL"),
    ("[" * 100_000, "line 1, column 17: nested too deeply"),
    ("", "nothing in it"),
    ("{[a]: b}", "line 1, column 2"),
])
def test_one_clear_error_for_what_is_no_configuration(text: str, expected: str) -> None:
    errors = check(text)["errors"]
    assert len(errors) == 1
    assert errors[0]["path"] == ""
    assert expected in errors[0]["text"]


def test_octets_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_bytes(bytes(range(1, 256)) * 16)
    done = run("check", file)
    assert done.returncode == 6
    assert len(done.stdout.splitlines()) == 2


def test_a_file_beyond_reason(tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(100 << 20)
    done = run("check", file, "--json")
    assert done.returncode == 6
    assert "larger than" in json.loads(done.stdout)["errors"][0]["text"]


@pytest.mark.parametrize("name, expected", [("nix.yaml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, expected: str) -> None:
    done = run("check", tmp_path / name)
    assert done.returncode == 6
    assert done.stdout.splitlines()[0].startswith(f"{tmp_path / name}: cannot be read: {expected}")


def test_as_many_servers_as_there_may_be() -> None:
    config = copy.deepcopy(VALID)
    config["pools"][0]["servers"] = [
        {"name": f"s{n}", "address": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
         "server_ids": [{"config": 1, "id": f"{n:08x}"}]} for n in range(1, 65537)]
    assert [error["path"] for error in check(json.dumps(config))["errors"]] == ["pools"]
    config["pools"][0]["servers"].pop()
    assert check(json.dumps(config))["valid"] is True


@pytest.mark.parametrize("command", [["apply"], ["apply", "--dry-run"], ["diff"]])
def test_an_invalid_file_goes_no_further(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "shunt.yaml"
    file.write_text(MISTAKES)
    done = run(*command, "-c", file)
    assert (done.returncode, done.stdout) == (6, "")
    assert len(done.stderr.splitlines()) == len(MISTAKE_PATHS)
    done = run(*command, "-c", file, "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"]["code"] == "config"


@pytest.mark.parametrize("wait", ["-1", "soon", "601", ""])
def test_apply_wait_takes_seconds(wait: str) -> None:
    assert run("apply", "-c", EXAMPLE, f"--wait={wait}").returncode == 2


class Rig:
    """A loader in a bed, called with a file that is written anew for each command."""

    def __init__(self, bed: Bed, loader: Loader) -> None:
        self.bed = bed
        self.loader = loader
        self.config: dict[str, Any] = copy.deepcopy(VALID)
        for server, host in zip(self.servers, bed.servers):
            server["address"] = host.address4

    @property
    def servers(self) -> list[dict[str, Any]]:
        servers: list[dict[str, Any]] = self.config["pools"][0]["servers"]
        return servers

    def run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        file = self.loader.write_config(self.config)
        if text is not None:
            file.write_text(text)
        return self.loader(*command, "-c", file, check=False)

    def __call__(self, *command: str, status: int = 0) -> dict[str, Any]:
        done = self.run(*command, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@pytest.fixture
def rig(bed: Bed, loader: Loader) -> Rig:
    return Rig(bed, loader)


@pytest.fixture
def attached(rig: Rig, tier: str) -> Iterator[Rig]:
    rig("attach", rig.bed.lb_interface, "-t", tier)
    yield rig
    rig("detach", rig.bed.lb_interface)


def test_nothing_attached(rig: Rig) -> None:
    for command in ("diff", "apply"):
        assert rig(command, status=7)["error"]["code"] == "not-attached"


def test_diff_and_apply(attached: Rig, tier: str) -> None:
    rig = attached
    [same] = rig("diff")["attached"]
    assert (same["interface"], same["tier"], same["differs"]) == ("lb0", tier, False)
    rig.servers[0]["weight"] = 5
    rig.config["vips"].append({"name": "v6", "address": "2001:db8::80", "port": 443, "pool": "web"})
    document = rig("diff", status=8)
    assert document["differs"] is True
    changes = document["attached"][0]["changes"]
    assert [(change["change"], change["path"], change["field"]) for change in changes] == [
        ("modify", "pools.web.servers.a", "weight"), ("add", "vips.v6", None)]

    [planned] = rig("apply", "--dry-run")["applied"]
    assert (planned["changed"], planned["generation"]) == (True, same["generation"])
    assert planned["changes"] == changes
    [applied] = rig("apply")["applied"]
    assert (applied["error"], applied["changed"], applied["servers"]) == (None, True, 2)
    assert applied["generation"] == same["generation"] + 1
    assert applied["unresolved"] == []
    assert rig("diff")["differs"] is False
    [again] = rig("apply")["applied"]
    assert (again["changed"], again["generation"]) == (False, applied["generation"])


def test_diff_and_apply_in_words(attached: Rig) -> None:
    rig = attached
    rig.servers[0]["weight"] = 5
    del rig.servers[1]
    done = rig.run("diff")
    assert done.returncode == 8
    assert [line.split() for line in done.stdout.splitlines() if line[0] in "+-~"] == [
        ["-", "pools.web.servers.b", *done.stdout.splitlines()[2].split()[2:]],
        ["~", "pools.web.servers.a", "weight", "100", "5"]]
    done = rig.run("apply")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[-2:] == ["2", "applied"]


def test_an_invalid_file_changes_nothing(attached: Rig) -> None:
    before = attached("diff")
    done = attached.run("apply", text=MISTAKES)
    assert done.returncode == 6
    assert attached("diff") == before


def test_a_server_without_a_way_is_a_warning(attached: Rig) -> None:
    rig = attached
    rig.servers[1]["address"] = "192.88.99.1"
    [applied] = rig("apply", "--wait", "0")["applied"]
    assert (applied["changed"], applied["servers"]) == (True, 2)
    [server] = applied["unresolved"]
    assert (server["server"], server["pool"], server["address"]) == ("b", "web", "192.88.99.1")
    assert server["problem"]
    rig.servers[0]["weight"] = 7
    done = rig.run("apply", "--wait", "0")
    assert done.returncode == 0
    assert "web/b (192.88.99.1)" in done.stderr


def fields_that_change(rig: Rig) -> set[tuple[str, str]]:
    """What diff tells of config 1 of a rig that differs from its file."""
    [tier] = rig("diff", status=8)["attached"]
    assert {change["path"] for change in tier["changes"]} == {"cid_configs.1"}
    return {(change["field"], change["after"]) for change in tier["changes"]}


def write_key(file: Path, key: str) -> None:
    file.touch(mode=0o600)
    file.write_text(key)


def test_a_key_is_told_by_its_fingerprint(attached: Rig, tmp_path: Path) -> None:
    rig, key = attached, tmp_path / "cid.key"
    write_key(key, "8f95f09245765f80256934e50c66207f")
    rig.config["cid_configs"][0]["key_file"] = str(key)
    assert fields_that_change(rig) == {("algorithm", "four-pass"), ("key", "kcv:d59d5b")}
    rig("apply")
    assert rig("diff")["differs"] is False
    rig.config["cid_configs"][0]["key_file"] = str(key.rename(tmp_path / "moved.key"))
    assert rig("diff")["differs"] is False
    for command in (["diff"], ["show", "configs"], ["show", "rows"], ["status"], ["stats"],
                    ["apply"]):
        for done in (rig.run(*command), rig.run(*command, "--json"), rig.run(*command, "-vv")):
            assert "8f95f092" not in (done.stdout + done.stderr).lower()
    write_key(tmp_path / "moved.key", "00000000000000000000000000000000")
    assert fields_that_change(rig) == {("key", "kcv:66e94b")}
    rig.config["rotation"] = {"min_quiet": 0}
    rig.config["cid_configs"][0]["length_check"] = "at-least"
    [tier] = rig("diff", status=8)["attached"]
    assert {(change["path"], change["field"]) for change in tier["changes"]} == {
        ("rotation", "min_quiet"), ("cid_configs.1", "key"), ("cid_configs.1", "length_check")}
