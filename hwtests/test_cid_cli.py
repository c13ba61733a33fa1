# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""decode and encode on the command line: the draft's vectors, and every legal pair of lengths."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hwtests.lab.bed import built

VECTORS = json.loads((Path(__file__).parent / "vectors" / "quic-lb-clear.json").read_text())

#: Server id length and nonce length, every legal pair (draft sections 3.1 and 5).
PAIRS = [(s, n) for s in range(1, 16) for n in range(4, 19) if s + n <= 19]

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


def one_config(config_id: int, server_id: str, nonce_length: int) -> dict[str, Any]:
    return {
        "version": 1,
        "cid_configs": [{"id": config_id, "server_id_length": len(server_id) // 2,
                         "nonce_length": nonce_length}],
        "pools": [{"name": "p", "servers": [{"name": "s", "address": "10.0.0.1", "server_ids": [
            {"config": config_id, "id": server_id}]}]}],
        "vips": [{"name": "v", "address": "10.1.0.1", "port": 443, "pool": "p"}],
    }


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: str(vector["id"]))
def test_the_drafts_vectors(vector: dict[str, Any], tmp_path: Path) -> None:
    cli = Cli(one_config(vector["config_id"], vector["server_id"], vector["nonce_length"]),
              tmp_path)
    assert cli.json("decode", vector["cid"]) == {
        "schema": "shunt/decode/1", "cid": vector["cid"], "routable": True, "reason": "cid",
        "config": vector["config_id"], "algorithm": "clear", "server_id": vector["server_id"],
        "nonce": vector["nonce"], "extra": "", "pool": "p", "server": "s"}
    assert cli.json("encode", "s", "--nonce", vector["nonce"])["cid"] == vector["cid"]


def test_every_pair_of_lengths_there_and_back(tmp_path: Path) -> None:
    assert len(PAIRS) == 120
    rng = random.Random(1)
    for start in range(0, len(PAIRS), 7):
        config: dict[str, Any] = {"version": 1, "cid_configs": [], "pools": [
            {"name": "p", "servers": [{"name": "s", "address": "10.0.0.1", "server_ids": []}]}]}
        wishes, expected = [], []
        for config_id, (s, n) in enumerate(PAIRS[start:start + 7]):
            server_id, nonce = rng.randbytes(s).hex(), rng.randbytes(n).hex()
            config["cid_configs"].append({"id": config_id, "server_id_length": s,
                                          "nonce_length": n})
            config["pools"][0]["servers"][0]["server_ids"].append({"config": config_id,
                                                                   "id": server_id})
            wishes.append(f"s {config_id} {nonce}")
            expected.append(f"{config_id << 5 | s + n:02x}{server_id}{nonce}")
        cli = Cli(config, tmp_path)
        made = [line["cid"] for line in cli.lines("encode", "\n".join(wishes).encode())]
        assert made == expected
        for cid, pair, line in zip(made, PAIRS[start:],
                                   cli.lines("decode", "\n".join(made).encode())):
            assert (line["routable"], line["server"]) == (True, "s")
            assert line["server_id"] == cid[2:2 + 2 * pair[0]]
            assert line["nonce"] == cid[2 + 2 * pair[0]:]
        # One octet less than its config wants, and some more.
        short = cli.lines("decode", "\n".join(cid[:-2] for cid in made).encode())
        assert {line["reason"] for line in short} == {"hash_short_dcid"}
        longer = cli.lines("decode", "\n".join(cid + "abcd" for cid in made).encode())
        assert {(line["reason"], line["extra"]) for line in longer} == {("cid", "abcd")}


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
    (["b", "--config", "7"], "no config '7'"),
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
