# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""decode and encode on the command line: the draft's vectors, and every legal pair of lengths, in
clear and encrypted, against an oracle of its own."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hwtests.lab.bed import built
from hwtests.oracle.quic_lb import LEGAL_PAIRS, CidConfig

VECTORS = [vector for name in ("clear", "encrypted") for vector in json.loads(
    (Path(__file__).parent / "vectors" / f"quic-lb-{name}.json").read_text())["vectors"]]

CONFIG: dict[str, Any] = {
    "version": 1,
    "cid_configs": [
        {"id": 0, "server_id_length": 1, "nonce_length": 4, "state": "retiring"},
        {"id": 3, "server_id_length": 4, "nonce_length": 5},
        {"id": 6, "server_id_length": 15, "nonce_length": 4}],
    "pools": [
        {"name": "red", "servers": [
            {"name": "a", "address": "10.0.0.1", "server_ids": [
                {"config": 0, "id": "0a"}, {"config": 3, "id": "00000001"}]},
            {"name": "old", "address": "10.0.0.2", "server_ids": [{"config": 0, "id": "0b"}]}]},
        {"name": "blue", "servers": [
            {"name": "a", "address": "10.0.0.1", "server_ids": [
                {"config": 3, "id": "00000002"}, {"config": 6, "id": "ff" * 15}]},
            {"name": "b", "address": "10.0.0.2", "server_ids": [
                {"config": 3, "id": "00000003"}]}]}],
    "vips": [{"name": "r", "address": "10.1.0.1", "port": 443, "pool": "red"},
             {"name": "b", "address": "10.1.0.2", "port": 443, "pool": "blue"}],
}


class Cli:
    """The loader with one configuration."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        self.file = folder / "shunt.yaml"
        self.file.write_text(json.dumps(config))

    def run(self, *args: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([built("loader"), *args, "-c", self.file], input=data,
                              capture_output=True, timeout=60, check=False)

    def json(self, *args: str, status: int = 0) -> dict[str, Any]:
        done = self.run(*args, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def lines(self, command: str, data: bytes, *args: str) -> list[dict[str, Any]]:
        done = self.run(command, "-", *args, data=data)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(CONFIG, tmp_path)


def write_key(folder: Path, key: bytes, name: str = "cid.key") -> str:
    """A key file's name, relative to the configuration's folder."""
    file = folder / name
    file.touch(mode=0o600)
    file.write_text(key.hex() + "\n")
    return name


def one_config(config_id: int, server_id: str, nonce_length: int,
               key_file: str | None) -> dict[str, Any]:
    return {
        "version": 1,
        "cid_configs": [{"id": config_id, "server_id_length": len(server_id) // 2,
                         "nonce_length": nonce_length, "key_file": key_file}],
        "pools": [{"name": "p", "servers": [{"name": "s", "address": "10.0.0.1", "server_ids": [
            {"config": config_id, "id": server_id}]}]}],
        "vips": [{"name": "v", "address": "10.1.0.1", "port": 443, "pool": "p"}],
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_the_drafts_vectors(vector: dict[str, Any], tmp_path: Path) -> None:
    key = vector.get("key")
    key_file = write_key(tmp_path, bytes.fromhex(key)) if key else None
    cli = Cli(one_config(vector["config_id"], vector["server_id"], vector["nonce_length"],
                         key_file), tmp_path)
    algorithm = vector.get("algorithm", "clear")
    odds = 256.0 ** -vector["server_id_length"] / 8
    assert cli.json("decode", vector["cid"]) == {
        "schema": "shunt/decode/1", "cid": vector["cid"], "routable": True, "reason": "cid",
        "config": vector["config_id"], "algorithm": algorithm, "server_id": vector["server_id"],
        "nonce": vector["nonce"], "extra": "", "pool": "p", "server": "s", "random_odds": odds}
    described = vector["first_octet_encodes_cid_length"]
    made = cli.json("encode", "s", "--nonce", vector["nonce"])
    assert made["cid"][2 if not described else 0:] == vector["cid"][2 if not described else 0:]
    assert (made["algorithm"], made["nonce"]) == (algorithm, vector["nonce"])


@pytest.mark.parametrize("keyed", [False, True], ids=["clear", "keyed"])
def test_every_pair_of_lengths_there_and_back(keyed: bool, tmp_path: Path) -> None:
    assert len(LEGAL_PAIRS) == 120
    rng = random.Random(1)
    for start in range(0, len(LEGAL_PAIRS), 7):
        config: dict[str, Any] = {"version": 1, "cid_configs": [], "pools": [
            {"name": "p", "servers": [{"name": "s", "address": "10.0.0.1", "server_ids": []}]}]}
        oracles: list[CidConfig] = []
        wishes: list[str] = []
        expected: list[dict[str, Any]] = []
        for config_id, (s, n) in enumerate(LEGAL_PAIRS[start:start + 7]):
            key = rng.randbytes(16) if keyed else None
            oracles.append(CidConfig(config_id, s, n, key))
            server_id, nonce = rng.randbytes(s), rng.randbytes(n)
            config["cid_configs"].append({
                "id": config_id, "server_id_length": s, "nonce_length": n, "key_file":
                write_key(tmp_path, key, f"{config_id}.key") if key else None})
            config["pools"][0]["servers"][0]["server_ids"].append({"config": config_id,
                                                                   "id": server_id.hex()})
            wishes.append(f"s {config_id} {nonce.hex()}")
            expected.append({"cid": oracles[-1].encode(server_id, nonce).hex(), "server_id":
                             server_id.hex(), "nonce": nonce.hex(), "config": config_id,
                             "algorithm": oracles[-1].algorithm, "pool": "p", "server": "s"})
        cli = Cli(config, tmp_path)
        assert cli.lines("encode", "\n".join(wishes).encode()) == expected
        made = [line["cid"] for line in expected]
        for line, decoded in zip(expected, cli.lines("decode", "\n".join(made).encode())):
            assert decoded["routable"] is True
            assert {key: decoded[key] for key in line} == line
        # One octet less than its config wants, and some more.
        short = cli.lines("decode", "\n".join(cid[:-2] for cid in made).encode())
        assert {line["reason"] for line in short} == {"hash_short_dcid"}
        assert not keyed or {(line["server_id"], line["nonce"]) for line in short} == {("", "")}
        longer = cli.lines("decode", "\n".join(cid + "abcd" for cid in made).encode())
        assert {(line["reason"], line["extra"]) for line in longer} == {("cid", "abcd")}
        noise = [config_id << 5 | rng.randrange(32) for config_id in range(len(oracles))] * 20
        cids = [bytes([first]) + rng.randbytes(19) for first in noise]
        for cid, line in zip(cids, cli.lines("decode", "\n".join(map(bytes.hex, cids)).encode())):
            server = oracles[cid[0] >> 5].decode(cid)
            assert server is not None and line["server_id"] == server.hex()


def tenants(folder: Path) -> dict[str, Any]:
    """CONFIG's pools, each with its own config 1, and config 0 for both."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    config["cid_configs"] = [
        {"id": 0, "server_id_length": 1, "nonce_length": 4},
        {"id": 1, "server_id_length": 8, "nonce_length": 8, "pool": "red",
         "key_file": write_key(folder, bytes(range(16)), "red.key")},
        {"id": 1, "server_id_length": 2, "nonce_length": 6, "pool": "blue",
         "key_file": write_key(folder, bytes(range(16, 32)), "blue.key")}]
    red, blue = config["pools"]
    red["servers"][0]["server_ids"] = [{"config": 1, "id": "00000000000000aa"}]
    red["servers"][1]["server_ids"] = [{"config": 0, "id": "0b"}]
    blue["servers"][0]["server_ids"] = [{"config": 1, "id": "00aa"}]
    blue["servers"][1]["server_ids"] = [{"config": 0, "id": "0c"}]
    return config


def test_a_config_of_one_pool(tmp_path: Path) -> None:
    cli = Cli(tenants(tmp_path), tmp_path)
    red, blue = (cli.json("encode", f"{pool}/a") for pool in ("red", "blue"))
    assert (len(red["cid"]), len(blue["cid"])) == (34, 18)
    for cid, pool in ((red["cid"], "red"), (blue["cid"], "blue")):
        assert "--pool" in cli.json("decode", cid, status=2)["error"]["hint"]
        assert "--pool" in cli.lines("decode", cid.encode())[0]["error"]
        line = cli.json("decode", cid, "--pool", pool)
        assert (line["pool"], line["server"], line["routable"]) == (pool, "a", True)
    assert cli.json("decode", red["cid"], "--pool=blue")["routable"] is False
    assert cli.json("decode", blue["cid"], "--pool=red")["reason"] == "hash_short_dcid"
    assert cli.json("decode", "000b00000000")["pool"] == "red"
    assert cli.json("decode", "000b00000000", "--pool=red")["server"] == "old"
    assert cli.json("decode", "000b00000000", "--pool=blue")["reason"] == "hash_unknown_server_id"
    assert cli.json("decode", "00", "--pool=green", status=2)["error"]["code"] == "usage"
    assert cli.json("decode", "40")["reason"] == "hash_unknown_config"


@pytest.mark.parametrize("length_check, cid, routable", [
    ("at-least", "09000000010000000000", True), ("at-least", "08000000010000000000", False),
    ("at-least", "1f000000010000000000", True), ("at-least", "0900000001000000000099", True),
    ("equal", "09000000010000000000", True), ("equal", "0900000001000000000099", False),
    ("equal", "0a00000001000000000099", True), ("none", "00000000010000000000", True)])
def test_length_checks(length_check: str, cid: str, routable: bool, tmp_path: Path) -> None:
    config = one_config(0, "00000001", 5, None)
    config["cid_configs"][0]["length_check"] = length_check
    line = Cli(config, tmp_path).json("decode", cid)
    assert line["reason"] == ("cid" if routable else "hash_wrong_length")
    assert line["server_id"] == "00000001"


@pytest.mark.parametrize("cid, reason, config", [
    ("", "hash_no_dcid", None),
    ("ff00112233445566", "hash_reserved_config", 7),
    ("e0", "hash_reserved_config", 7),
    ("2000112233445566", "hash_unknown_config", 1),
    ("60", "hash_short_dcid", 3),
    ("60000000010000000000"[:18], "hash_short_dcid", 3),
    ("60000000090000000000", "hash_unknown_server_id", 3),
    ("60000000010000000000", "cid", 3),
    ("7f000000010000000000" + "00" * 245, "cid", 3),
])
def test_why_a_cid_is_routable_or_not(cli: Cli, cid: str, reason: str, config: int | None) -> None:
    document = cli.json("decode", cid)
    assert (document["reason"], document["config"]) == (reason, config)
    assert document["routable"] is (reason == "cid")
    assert (document["server"] is None) is (reason != "cid")
    assert document["algorithm"] == ("clear" if config == 3 else None)


def test_decode_in_words(cli: Cli) -> None:
    done = cli.run("decode", "69:00:00:00:02:aa:bb:cc:dd:ee")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert "1 in 2^34 random connection IDs hits a server of pool blue" in text
    assert "69000000" in text and "a of pool blue, 10.0.0.1" in text and "aabbccddee" in text
    assert "no config has this id" in cli.run("decode", "20aa").stdout.decode()


def test_decode_answers_every_line(cli: Cli) -> None:
    rng = random.Random(2)
    lines = [b"", b"zz", b"6", b"60000000010000000000\r", b" 60:00:00:00:01:00:00:00:00:00 ",
             b"\xff\xfe", b"60\x0000", b"60" * 256, b"a" * 100_000, b"60 00", b"0x60"]
    lines += [rng.randbytes(rng.randrange(40)).replace(b"\n", b"") for _ in range(200)]
    lines += [rng.randbytes(rng.randrange(256)).hex().encode() for _ in range(200)]
    answers = cli.lines("decode", b"\n".join(lines) + b"\n")
    assert len(answers) == len(lines)
    assert [set(answer) == {"cid", "error"} for answer in answers[:11]] == [
        False, True, True, False, False, True, True, True, True, True, True]
    assert {answer["server"] for answer in answers[3:5]} == {"a"}
    assert not any("error" in answer for answer in answers[-200:])
    assert [answer["cid"] for answer in answers[-200:]] == [line.decode() for line in lines[-200:]]


def test_decode_answers_line_by_line(cli: Cli) -> None:
    with subprocess.Popen([built("loader"), "decode", "-", "-c", cli.file], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for cid in ("60000000010000000000", "e0"):
            process.stdin.write(cid.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["cid"] == cid


@pytest.mark.parametrize("cid", ["zz", "6", "0x60", "60::00", "60" * 256])
def test_a_cid_that_is_none(cli: Cli, cid: str) -> None:
    assert cli.json("decode", cid, status=2)["error"]["code"] == "usage"


def test_encode_chooses_the_first_active_config(cli: Cli) -> None:
    document = cli.json("encode", "red/a")
    cid = bytes.fromhex(document["cid"])
    assert cid[0] == 3 << 5 | 9
    assert cid[1:5].hex() == document["server_id"] == "00000001"
    assert cid[5:].hex() == document["nonce"]
    assert {key: document[key] for key in ("schema", "config", "server", "pool")} == {
        "schema": "shunt/encode/1", "config": 3, "server": "a", "pool": "red"}


def test_encode_options(cli: Cli) -> None:
    done = cli.run("encode", "red/a", "--config", "0", "--nonce", "01:02:03:04", "--extra", "abcd")
    assert done.stdout.decode() == "070a01020304abcd\n"
    assert cli.json("encode", "blue/a", "--config=6")["server_id"] == "ff" * 15
    low = {int(line["cid"][:2], 16) for line in cli.lines("encode", b"b\n" * 200, "--no-length")}
    assert {octet >> 5 for octet in low} == {3}
    assert len(low) > 20


def test_nonces_are_random(cli: Cli) -> None:
    assert len({line["nonce"] for line in cli.lines("encode", b"b\n" * 200)}) == 200


@pytest.mark.parametrize("args, expected", [
    (["nix"], "no such server"),
    (["a"], "there are red/a and blue/a"),
    (["green/a"], "no such server"),
    (["old"], "no id in an active config"),
    (["b", "--config", "0"], "b has no id in config 0"),
    (["b", "--config", "5"], "no config '5'"),
    (["b", "--config", "7"], "no config '7' for its pool"),
    (["b", "--config", "x"], "no config 'x'"),
    (["b", "--nonce", "00"], "the nonce has 1 octets; config 3 wants 5"),
    (["b", "--nonce", "zz"], "hexadecimal"),
    (["b", "--extra", "z"], "hexadecimal"),
    (["b", "--extra", "00" * 11], "longer than 20 octets"),
    (["b", "--extra", "00" * 21], "more than 20 octets"),
])
def test_what_cannot_be_encoded(cli: Cli, args: list[str], expected: str) -> None:
    error = cli.json("encode", *args, status=2)["error"]
    assert error["code"] == "usage"
    assert expected in error["hint"]


def test_encode_answers_every_line(cli: Cli) -> None:
    data = b"b\nb 3\nb 3 0102030405\n\nnix\na\nb 9\nb 3 01\nb 3 0102030405 more\n\xff\n  b  \r\n"
    answers = cli.lines("encode", data)
    assert ["error" in answer for answer in answers] == [
        False, False, False, True, True, True, True, True, True, True, False]
    assert answers[2]["cid"] == "6900000003" + "0102030405"
    assert answers[4] == {"server": "nix", "error": "there is no such server in the file"}


@pytest.mark.parametrize("command", [["decode", "00"], ["decode", "-"], ["encode", "a"]])
def test_without_a_valid_file(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run([built("loader"), *command, "-c", tmp_path / "nix"], input=b"",
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 6
    assert done.stdout == b""
    assert b"cannot be read" in done.stderr
    (tmp_path / "bad").write_text("version: 1\nvips: 3\n")
    done = subprocess.run([built("loader"), *command, "--json", "-c", tmp_path / "bad"], input=b"",
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"]["code"] == "config"
