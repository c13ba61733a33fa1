# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Keys on the command line: keygen, key files that are refused, server-config, and that no command
tells a key."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hwtests.lab.bed import built

KEY = bytes.fromhex("8f95f09245765f80256934e50c66207f")

CONFIG: dict[str, Any] = {
    "version": 1,
    "cid_configs": [
        {"id": 0, "server_id_length": 3, "nonce_length": 6, "state": "retiring"},
        {"id": 1, "server_id_length": 8, "nonce_length": 8, "key_file": "cid.key",
         "length_check": "equal"},
        {"id": 2, "server_id_length": 2, "nonce_length": 6, "pool": "blue"}],
    "pools": [
        {"name": "red", "servers": [
            {"name": "a", "address": "10.0.0.1", "server_ids": [
                {"config": 1, "id": "0000000000000002"}, {"config": 1, "id": "0000000000000001"},
                {"config": 0, "id": "000001"}]},
            {"name": "old", "address": "10.0.0.2", "server_ids": [
                {"config": 0, "id": "000002"}]}]},
        {"name": "blue", "servers": [
            {"name": "a", "address": "10.0.0.1", "server_ids": [
                {"config": 2, "id": "0001"}]}]}],
    "vips": [{"name": "r", "address": "10.1.0.1", "port": 443, "pool": "red"},
             {"name": "b", "address": "10.1.0.2", "port": 443, "pool": "blue"}],
}


def run(*args: str | Path, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([built("loader"), *args], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def run_json(*args: str | Path, status: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(*args, "--json", status=status).stdout)
    return document


def fingerprint(key: bytes) -> str:
    """The key check value: the beginning of AES(key, 0)."""
    cipher: Any = Cipher(algorithms.AES(key), modes.ECB())
    return "kcv:" + bytes(cipher.encryptor().update(bytes(16)))[:3].hex()


def write_key(file: Path, text: bytes, mode: int = 0o600) -> None:
    file.touch(mode=0o600)
    file.write_bytes(text)
    file.chmod(mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration, and its key beside it."""
    write_key(tmp_path / "cid.key", KEY)
    path = tmp_path / "shunt.yaml"
    path.write_text(json.dumps(CONFIG))
    return path


# keygen

def test_keygen_writes_a_key_that_check_takes(file: Path) -> None:
    key = file.parent / "cid.key"
    key.unlink()
    document = run_json("keygen", "-o", key)
    text = key.read_text()
    assert re.fullmatch(r"[0-9a-f]{32}\n", text)
    assert key.stat().st_mode & 0o7777 == 0o600
    assert document == {"schema": "shunt/keygen/1", "file": str(key),
                        "key_fingerprint": fingerprint(bytes.fromhex(text))}
    run("check", file)


def test_keygen_raw_and_in_words(tmp_path: Path) -> None:
    key = tmp_path / "key"
    done = run("keygen", "--raw", "-o", key)
    assert len(key.read_bytes()) == 16
    assert done.stdout.decode() == f"{key}: {fingerprint(key.read_bytes())}\n"


def test_keygen_never_overwrites_unless_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    write_key(key, KEY, 0o644)
    error = run_json("keygen", "-o", key, status=1)["error"]
    assert (error["errno"], key.read_bytes()) == ("EEXIST", KEY)
    assert "--force" in error["hint"]
    run("keygen", "-o", key, "--force")
    assert key.read_bytes() != KEY
    assert key.stat().st_mode & 0o7777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_keygen_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    run("keygen", "-o", tmp_path / "link", status=1)
    run("keygen", "-o", tmp_path / "link", "--force")
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_keygen_where_nothing_can_be_written(tmp_path: Path, options: list[str]) -> None:
    run("keygen", "-o", tmp_path / "nix" / "key", *options, status=1)
    run("keygen", "-o", "/dev/full/key", *options, status=1)


def test_keygen_has_the_mode_right_whatever_the_umask(tmp_path: Path) -> None:
    for mask in (0o000, 0o777):
        key = tmp_path / f"key{mask}"
        before = os.umask(mask)
        try:
            run("keygen", "-o", key)
        finally:
            os.umask(before)
        assert key.stat().st_mode & 0o7777 == 0o600


def test_keygen_into_a_pipe() -> None:
    keys = {run("keygen").stdout for _ in range(20)}
    assert len(keys) == 20
    assert all(re.fullmatch(rb"[0-9a-f]{32}\n", key) for key in keys)
    assert len(run("keygen", "--raw").stdout) == 16


def test_keygen_shows_no_key_by_accident() -> None:
    assert run_json("keygen", status=2)["error"]["code"] == "usage"
    cases: list[tuple[list[str], int]] = [([], 2), (["--show"], 0)]
    for options, status in cases:
        master, terminal = pty.openpty()
        with os.fdopen(master, "rb", buffering=0) as screen:
            done = subprocess.run([built("loader"), "keygen", *options], stdout=terminal,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
            os.close(terminal)
            assert done.returncode == status
            if not status:
                assert re.fullmatch(rb"[0-9a-f]{32}\r\n", screen.read(100))


# Key files

@pytest.mark.parametrize("text, mode, expected", [
    (KEY[:15], 0o600, "has 15 octets"),
    (b"", 0o600, "has 0 octets"),
    (KEY.hex().encode() * 2, 0o600, "too long"),
    (KEY.hex().encode()[:30], 0o600, "has 30 hexadecimal digits"),
    (KEY.hex().encode().replace(b"f", b"g"), 0o600, "has 32 octets"),
    (KEY, 0o640, "mode 0640"),
    (KEY, 0o604, "mode 0604"),
    (KEY, 0o622, "mode 0622"),
])
def test_a_key_file_that_is_none(file: Path, text: bytes, mode: int, expected: str) -> None:
    write_key(file.parent / "cid.key", text, mode)
    [error] = run_json("check", file, status=6)["errors"]
    assert error["path"] == "cid_configs[1].key_file"
    assert expected in error["text"]


def test_a_key_file_that_is_not_there(file: Path) -> None:
    (file.parent / "cid.key").unlink()
    [error] = run_json("check", file, status=6)["errors"]
    assert error["path"] == "cid_configs[1].key_file"
    assert "No such file" in error["text"]
    for command in (["apply"], ["diff"], ["decode", "00"], ["server-config", "red/a"]):
        assert b"cid_configs[1].key_file: " in run(*command, "-c", file, status=6).stderr


def test_key_files_are_found_from_the_configuration(file: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    run("check", file.name)
    run("check", f"../{file.parent.name}/{file.name}")
    monkeypatch.chdir("/")
    run("check", file)
    moved = json.loads(json.dumps(CONFIG))
    moved["cid_configs"][1]["key_file"] = str(file.parent / "cid.key")
    done = subprocess.run([built("loader"), "check", "-"], input=json.dumps(moved).encode(),
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_what_check_warns_about(file: Path) -> None:
    config = json.loads(json.dumps(CONFIG))
    config["cid_configs"] += [
        {"id": 3, "server_id_length": 3, "nonce_length": 4, "key_file": "cid.key"},
        {"id": 4, "server_id_length": 5, "nonce_length": 5}]
    config["pools"][0]["servers"][0]["server_ids"].append({"config": 3, "id": "000002"})
    del config["pools"][1]["servers"][0]["server_ids"]
    file.write_text(json.dumps(config))
    warnings = [(line["path"], line["text"]) for line in run_json("check", file)["warnings"]]
    for path, text in [
            ("cid_configs[3].nonce_length", "after 65536 connection IDs of a server id, a counter "
                                            "lasts for 4294967296"),
            ("cid_configs[2]", "no server has an id in config 2"),
            ("cid_configs[4]", "no server has an id in config 4"),
            ("pools[0]", "1 server id is (000002) both encrypted and in clear"),
            ("pools[0]", "2 active configs (1, 3)"),
            ("pools[0].servers[1].server_ids", "old has no id in an active config"),
            ("pools[1].servers[0].server_ids", "a has no id in an active config")]:
        assert [found for found in warnings if found[0] == path and text in found[1]], warnings
    assert len(warnings) == 7


# server-config

def test_server_config(file: Path) -> None:
    assert run_json("server-config", "red/a", "-c", file) == {
        "schema": "shunt/server-config/1", "server": "a", "pool": "red", "configs": [
            {"config_id": 1, "state": "active", "server_id": "0000000000000001",
             "server_ids": ["0000000000000001", "0000000000000002"], "server_id_length": 8,
             "nonce_length": 8, "cid_length": 17, "algorithm": "single-pass",
             "key_file": str(file.parent / "cid.key"), "key_fingerprint": fingerprint(KEY),
             "length_check": "equal"},
            {"config_id": 0, "state": "retiring", "server_id": "000001", "server_ids": ["000001"],
             "server_id_length": 3, "nonce_length": 6, "cid_length": 10, "algorithm": "clear",
             "key_file": None, "key_fingerprint": None, "length_check": "none"}]}


def test_server_config_of_one_config_and_one_pool(file: Path) -> None:
    [only] = run_json("server-config", "red/a", "--config=0", "-c", file)["configs"]
    assert only["config_id"] == 0
    [only] = run_json("server-config", "blue/a", "-c", file)["configs"]
    assert (only["config_id"], only["cid_length"]) == (2, 9)


def test_server_config_in_words(file: Path) -> None:
    text = run("server-config", "red/a", "-c", file).stdout.decode()
    for part in ("config 1, single-pass, active", "config 0, clear, retiring", "17 octets",
                 "0000000000000002", fingerprint(KEY), str(file.parent / "cid.key"),
                 "0x20 plus exactly the octets behind it, 16"):
        assert part in text
    assert "config 7, first octet 0xe0" not in text
    assert "config 7, first octet 0xe0" in run("server-config", "old", "-c", file).stdout.decode()


@pytest.mark.parametrize("args", [["nix"], ["a"], ["red/a", "--config=2"], ["red/a", "--config=7"],
                                  ["red/a", "--config=x"], ["red/a", "--config="]])
def test_server_config_of_nothing(file: Path, args: list[str]) -> None:
    assert run_json("server-config", *args, "-c", file, status=2)["error"]["code"] == "usage"


# What nobody may see

COMMANDS = [
    ["check"], ["diff"], ["apply", "--dry-run"], ["decode", "30" + "00" * 16], ["encode", "red/a"],
    ["server-config", "red/a"], ["show", "configs"], ["stats"], ["status"], ["probe", "lo"]]


@pytest.mark.parametrize("form", [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n"])
@pytest.mark.parametrize("bad", [False, True])
def test_no_command_tells_a_key(file: Path, form: bytes, bad: bool) -> None:
    write_key(file.parent / "cid.key", form)
    if bad:
        file.write_text(json.dumps({**CONFIG, "colour": "red"}))
    for command in COMMANDS:
        for option in ("-vv", "--json"):
            done = subprocess.run([built("loader"), *command, option, "-c", file],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                  check=False)
            said = done.stdout + done.stderr
            assert KEY not in said
            # Half of it is too much.
            assert KEY.hex()[:16].encode() not in said.lower()
            assert KEY.hex()[16:].encode() not in said.lower()


def test_a_process_with_a_key_leaves_no_core(file: Path) -> None:
    with subprocess.Popen([built("loader"), "decode", "-", "-c", file], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"e0\n")
        process.stdin.flush()
        process.stdout.readline()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
