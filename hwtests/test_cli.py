# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command line: one JSON document whatever happens, no output lost in silence, and commands
that leave alone what they only read."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.lab import Bed, Loader
from hwtests.lab.bed import built

EXAMPLE = Path(__file__).parent.parent / "loader" / "dist" / "shunt.yaml"
ARP_REQUEST = "ffffffffffff0200000000020806" + "00" * 46
#: Command lines that end without any interface, with the option for JSON in odd places.
ENDINGS: list[tuple[list[str | bytes | Path], int]] = [
    (["-j"], 2),
    (["-j", b"\xff"], 2),
    (["-j", b"\xc3"], 2),
    (["-j", "\x1b[31m"], 2),
    (["-j", "stats", b"--by=\xe2\x82"], 2),
    (["-j", "-c", b"/tmp/\xff", "check"], 6),
    (["-j", "-c", b"/tmp/\xff", "apply"], 6),
    (["-j", "decode", b"\xff", "-c", EXAMPLE], 2),
    (["-qj", "bogus"], 2),
    (["-pj", "bogus"], 2),
    (["bogus", "-qvp"], 2),
    (["check", "-jc"], 2),
    (["-j", "--bogus"], 2),
    (["check", "--bogus", "--json"], 2),
    (["-j", "--verb", "version"], 2),
    (["-j", "attach"], 2),
    (["attach", "a", "b", "-j"], 2),
    (["-j", "--help"], 0),
    (["-j", "help"], 0),
    (["help", "-j", "attach"], 0),
    (["stats", "--help", "-j"], 0),
    (["-j", "help", "reasons"], 0),
    (["-j", "help", "bogus"], 2),
    (["-j", "--version"], 0),
    (["version", "-p"], 0),
    (["-j", "completion", "bash"], 0),
    (["-j", "completion"], 2),
]


def run(*args: str | bytes | Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([built("loader"), *args], capture_output=True, timeout=60, check=False,
                          **more)


def answer(*args: str | bytes | Path, status: int = 0) -> Any:
    done = run(*args)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


# One JSON document -----------------------------------------------------------------------------

@pytest.mark.parametrize(("args", "status"), ENDINGS, ids=lambda value: repr(value)[:60])
def test_one_document_always(args: list[str | bytes | Path], status: int) -> None:
    done = run(*args)
    document = json.loads(done.stdout)
    assert document["schema"].startswith("shunt/")
    assert (done.returncode, done.stderr) == (status, b"")
    assert ("error" in document) is (status == 2 or "apply" in args)


@pytest.mark.parametrize("args", [["--jso", "bogus"], ["--js"], ["-c", "-j", "bogus"],
                                  ["--config", "-j", "bogus"], ["bogus", "--", "-j"]])
def test_no_document_where_none_is_asked_for(args: list[str]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("name", ["--conf=x", "--qui", "--verb"])
def test_abbreviations_are_refused(name: str) -> None:
    done = run(name, "version")
    assert done.returncode == 2
    assert done.stderr == f"shunt: {name}: no such option; see loader help\n".encode()


def test_octets_of_no_text_are_shown(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff\xc3\xa9.yaml"
    with open(file, "wb") as copy:
        copy.write(EXAMPLE.read_bytes())
    assert answer("-j", "-c", file, "check")["file"] == f"{tmp_path}/\\xffé.yaml"
    assert answer("-j", b"a\xffb", status=2)["error"]["what"] == "a\\xffb"
    assert run(b"a\xff\x1b[1m").stderr.startswith(b"shunt: a\\xff\\x1b[1m: ")


def test_the_letter_that_is_wrong_is_named() -> None:
    assert run("-qz", "check").stderr.startswith(b"shunt: -z: ")
    assert run("check", "-qc").stderr.startswith(b"shunt: -c: ")


def test_help_as_a_document() -> None:
    everything = answer("help", "-j")
    words = run("help").stdout.decode()
    assert len(everything["commands"]) > 15
    for command in everything["commands"]:
        assert f"  {command['name']} {command['arguments']}".rstrip() in words
        assert answer("-j", "help", command["name"])["commands"] == [command]
        assert answer("-j", command["name"], "--help")["commands"] == [command]
    for option in everything["options"]:
        assert f"--{option['name']}" in words
    assert set(everything["exit"]) == set("012345678")
    reasons = answer("-j", "help", "reasons")["reasons"]
    assert {"reason": "cid", "verdict": "forward",
            "help": "by the server id in the connection ID"} in reasons


# Output that is lost ---------------------------------------------------------------------------

WRITERS: list[list[str | Path]] = [
    ["check", EXAMPLE], ["check", "-j", EXAMPLE], ["help"], ["-j", "version"],
    ["completion", "bash"], ["decode", "e0", "-c", EXAMPLE],
    ["trace", "-c", EXAMPLE, "--hex", ARP_REQUEST],
    ["trace", "-jc", EXAMPLE, "--hex", ARP_REQUEST]]


@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
@pytest.mark.parametrize("args", WRITERS, ids=lambda args: " ".join(map(str, args))[:30])
def test_lost_output_is_a_failure(args: list[str | Path], to: str) -> None:
    done = subprocess.run(["sh", "-c", f'exec "$@" {to}', "sh", built("loader"), *args],
                          stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"shunt: stdout: output was lost")
    assert done.stderr.count(b"\n") == 1


def test_a_failure_keeps_its_status_without_output() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([built("loader"), "-j", "check", "/nowhere"], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 6


def test_a_closed_stream_lends_its_number_to_no_file(tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&-', "sh", built("loader"), "trace", "-c",
                           EXAMPLE, "--hex", ARP_REQUEST, "--out", out],
                          stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert out.read_bytes() == capture(bytes.fromhex(ARP_REQUEST), stamped=out.read_bytes())


def test_nobody_reads_on() -> None:
    """As in `loader help | head -1`: the signal ends it, without a word."""
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([built("loader"), "help"], stdout=write,
                          stderr=subprocess.PIPE) as process:
        os.close(write)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == -signal.SIGPIPE


# trace and its files ---------------------------------------------------------------------------

def capture(*frames: bytes, stamped: bytes | None = None) -> bytes:
    """A capture file; with the header's and the first frame's time of another."""
    data = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    if stamped is not None:
        data = stamped[:24]
    for frame in frames:
        data += struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    return data


def trace(*args: str | Path) -> subprocess.CompletedProcess[bytes]:
    return run("trace", "-c", EXAMPLE, *args)


def test_trace_writes_what_leaves(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_bytes(capture(bytes.fromhex(ARP_REQUEST), bytes(60)))
    assert trace("--pcap", source, "--out", out).returncode == 0
    assert len(out.read_bytes()) == 24 + 16 + 60 + 16 + 60


@pytest.mark.parametrize("kind", ["same", "symlink", "hard link", "stdin"])
def test_trace_keeps_what_it_reads(tmp_path: Path, kind: str) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    before = capture(bytes.fromhex(ARP_REQUEST))
    source.write_bytes(before)
    if kind == "symlink":
        out.symlink_to(source)
    elif kind == "hard link":
        out.hardlink_to(source)
    else:
        out = source
    with source.open("rb") as stdin:
        done = run("trace", "-c", EXAMPLE, "--pcap", "-" if kind == "stdin" else source, "--out",
                   out, stdin=stdin)
    assert done.returncode == 2
    assert b"overwrite" in done.stderr and done.stderr.count(b"\n") == 1
    assert source.read_bytes() == before


@pytest.mark.parametrize("args", [["--hex", "zz"], ["--hex", ""], ["--pcap", "/nowhere"],
                                  ["--pcap", str(EXAMPLE)],
                                  ["--hex", ARP_REQUEST, "-c", "/nowhere"]])
def test_bad_input_leaves_the_output_alone(tmp_path: Path, args: list[str]) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"dear")
    assert trace(*args, "--out", out).returncode != 0
    assert out.read_bytes() == b"dear"
    assert trace(*args, "--out", tmp_path / "none").returncode != 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("frames", [1, 2000])
def test_trace_onto_a_full_disk(tmp_path: Path, frames: int) -> None:
    source = tmp_path / "in"
    source.write_bytes(capture(*[bytes(60)] * frames))
    done = trace("--pcap", source, "--out", "/dev/full")
    assert done.returncode == 1
    assert b"/dev/full" in done.stderr and b"cannot be written" in done.stderr


def test_trace_does_not_mix_frames_with_words() -> None:
    done = trace("--hex", ARP_REQUEST, "--out", "-")
    assert (done.returncode, done.stdout) == (2, b"")


# stats -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [["-i", "9999999"], ["-i", "86401"], ["-i", "0"], ["-i", "-1"],
                                  ["-n", "0"], ["-n", "x"], ["-n", "1" * 30], ["--by", "bogus"],
                                  ["-w", "-i", "9999999999"]])
def test_numbers_that_make_no_sense(args: list[str]) -> None:
    assert answer("stats", "-j", *args, status=2)["error"]["code"] == "usage"


def one_server(vip: str, address: str, name: str = "v") -> dict[str, Any]:
    return {"version": 1, "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
            "pools": [{"name": "p", "servers": [{"name": "s", "address": address}]}],
            "vips": [{"name": name, "address": vip, "port": 4433, "pool": "p"}]}


class Balancer:
    """The generic tier on lb0."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.loader = Loader(bed)
        self.attach(one_server(bed.vip4, bed.servers[0].address4))

    def attach(self, config: dict[str, Any], *args: str) -> Any:
        self.file = self.loader.write_config(config)
        return self.loader.json("attach", "lb0", "-t", "generic", "-c", self.file, *args)

    def send(self, address: str, size: int = 100, segment: int = 0) -> None:
        """From the client; with a segment size, datagrams that are sent in one go."""
        with self.bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            if segment:
                udp.setsockopt(socket.SOL_UDP, 103, segment)  # UDP_SEGMENT
            udp.sendto(bytes(size), (address, 4433))

    def reason(self, name: str) -> Any:
        return self.loader.json("stats", "lb0")["tiers"][0]["reasons"][name]


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    with Bed(servers=1) as bed:
        yield Balancer(bed)


def test_an_interval_or_a_count_is_a_watch(balancer: Balancer) -> None:
    views = balancer.loader("stats", "lb0", "-j", "-n", "2").stdout.splitlines()
    assert [json.loads(line)["schema"] for line in views] == ["shunt/stats/1"] * 2
    full = balancer.bed.lb.run(["sh", "-c", 'exec "$@" >/dev/full', "sh", balancer.loader.path,
                                "stats", "-i", "1"], check=False)
    assert full.returncode == 1 and full.stderr.count("\n") == 1


def test_a_rate_is_of_its_own_kind(balancer: Balancer) -> None:
    """A VIP that is named like a reason, which counts nothing."""
    bed = balancer.bed
    balancer.attach(one_server(bed.vip4, bed.servers[0].address4, name="ip_options"))
    for _ in range(5):
        balancer.send(bed.vip4)
    stop = time.monotonic() + 5
    while balancer.loader.json("stats")["tiers"][0]["vips"]["ip_options"]["packets"] < 5:
        assert time.monotonic() < stop
    words = balancer.loader("stats", "-n", "2", "--by", "vip").stdout
    first, second = [line.split() for line in words.splitlines()
                     if line.startswith("ip_options")]
    assert (first[1], second[1], second[-1]) == ("5", "5", "0/s")


# show ------------------------------------------------------------------------------------------

def test_ten_thousand_servers(balancer: Balancer) -> None:
    def server(number: int) -> dict[str, Any]:
        ids = [number] if number else [0, *range(10_000, 10_040)]
        return {"name": f"s{number}", "address": str(ip_address("198.18.0.1") + number),
                "server_ids": [{"config": 2, "id": f"{number:06x}"} for number in ids]}

    balancer.attach({
        "version": 1, "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
        "cid_configs": [{"id": 2, "server_id_length": 3, "nonce_length": 4}],
        "fallback": {"rows": 65536},
        "limits": {"servers": 10_000, "server_ids": 11_000, "pools": 2},
        "pools": [{"name": "a", "servers": [server(i) for i in range(9_999)]},
                  {"name": "b", "servers": [{"name": "s0", "address": "10.2.1.2"}]}],
        "vips": [{"name": name, "address": balancer.bed.vip4, "port": port, "pool": name}
                 for name, port in (("a", 4433), ("b", 4434))]}, "--reload")
    start = time.monotonic()
    shown = balancer.loader.json("show", "servers")["tiers"][0]["servers"]
    rows = balancer.loader.json("show", "rows")["tiers"][0]["rows"]
    words = balancer.loader("show", "servers").stdout.splitlines()
    assert time.monotonic() - start < 10
    assert len(shown) == len(words) - 2 == 10_000
    assert shown[0]["server_ids"] == [{"config": 2, "id": f"{number:06x}"}
                                      for number in (0, *range(10_000, 10_040))]
    assert shown[-1]["server_ids"] == []
    assert words[2].endswith(" …") and len(words[2]) < 250
    assert [len(pool["rows"]) for pool in rows] == [65536, 65536]
    for pool in rows:
        counted: dict[int, int] = {}
        for number in pool["rows"]:
            counted[number] = counted.get(number, 0) + 1
        assert {entry["number"]: entry["rows"] for entry in shown
                if entry["pool"] == pool["pool"]} == counted
    assert shown[-1]["rows"] == 65536


# What a failure says ---------------------------------------------------------------------------

def test_a_file_too_large_for_the_maps(balancer: Balancer) -> None:
    """Our own finding: no errno in the kernel's name, and what to do only once."""
    config = one_server(balancer.bed.vip4, balancer.bed.servers[0].address4)
    balancer.attach({**config, "limits": {"vips": 1}}, "--reload")
    config["vips"].append({**config["vips"][0], "name": "w", "port": 444})
    done = balancer.loader("apply", "-c", balancer.loader.write_config(config), check=False)
    assert done.returncode == 1
    assert "kernel" not in done.stdout + done.stderr
    assert done.stderr.count("the maps hold 1 (limits.vips is") == 1
    assert done.stderr.count("attach --reload") == 1 and done.stderr.count("\n") == 1
    again = balancer.loader("attach", "lb0", "-t", "generic", "-c", balancer.file, check=False)
    assert "ENOSPC" not in again.stdout + again.stderr


def test_an_interface_whose_name_is_no_text(balancer: Balancer) -> None:
    """The kernel takes almost any octets for a name; a document does not."""
    name = os.fsdecode(b"\xffx")
    balancer.bed.lb.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "y"])
    assert balancer.loader.json("probe", name)["interface"]["name"] == r"\xffx"
    attached = balancer.loader.json("attach", name, "-t", "generic", "-c", balancer.file)
    assert attached["interface"] == r"\xffx" and attached["attached"] == ["generic"]


def test_nothing_attached_names_no_errno(balancer: Balancer) -> None:
    balancer.loader("detach", "--all")
    for command in ("status", "stats", "apply"):
        words = balancer.loader(command, "-c", balancer.file, check=False).stderr
        assert words.count("\n") <= 1 and "kernel" not in words


# Datagrams that generic XDP takes for one packet -----------------------------------------------

def test_segments_of_a_sender_are_warned_of(balancer: Balancer) -> None:
    """The hint is right: after it, every datagram is a packet."""
    bed = balancer.bed
    bed.client.ethtool("c0", tx="on")
    warning, = balancer.attach(one_server(bed.vip4, bed.servers[0].address4))["warnings"]
    assert warning["code"] == "udp-segmentation" and "c0" in warning["text"]
    told = balancer.loader("attach", "lb0", "-t", "generic", "-c", balancer.file).stderr
    assert told.count("\n") == 1 and "ethtool -K c0 tx-udp-segmentation off" in told

    def packets(total: int) -> int:
        before = balancer.reason("not_vip")
        balancer.send("10.1.0.1", 12_000, 1200)
        stop = time.monotonic() + 5
        while True:
            now = balancer.reason("not_vip")
            if now["octets"] - before["octets"] >= total:
                return int(now["packets"] - before["packets"])
            assert time.monotonic() < stop, (before, now)

    assert packets(12_000 + 42) == 1
    bed.client.run(["sh", "-c", warning["hint"].rpartition(": ")[2]])
    assert packets(12_000 + 420) == 10


def test_a_peer_in_sight_is_judged(balancer: Balancer) -> None:
    lb = balancer.bed.lb
    lb.ip("link add near type veth peer name far", "link set near up", "link set far up")

    def codes() -> list[str]:
        document = balancer.loader.json("attach", "near", "-t", "generic", "-c", balancer.file)
        return [warning["code"] for warning in document["warnings"]]

    assert codes() == ["udp-segmentation"]
    probed = balancer.loader.json("probe", "near")
    assert probed["choice"] == ["generic"]
    warning, = [w for w in probed["warnings"] if w["code"] == "udp-segmentation"]
    assert warning["hint"] == "ethtool -K far tx-udp-segmentation off"
    for feature in ("tx-udp-segmentation", "tx"):
        lb.ethtool("far", **{feature: "off"})
        assert codes() == []
        lb.ethtool("far", **{feature: "on"})
        assert codes() == ["udp-segmentation"]
    lb.ethtool("far", tx="off")
    for feature in ("rx-udp-gro-forwarding", "rx-gro-list"):
        lb.ethtool("near", gro="on", **{feature: "on"})
        assert codes() == ["udp-gro"]
        lb.ethtool("near", **{feature: "off"})
        assert codes() == []
    lb.ethtool("near", gro="off", **{"rx-gro-list": "on"})
    assert codes() == []


def test_no_such_warning_of_the_driver_tier(balancer: Balancer) -> None:
    balancer.loader("detach", "lb0")
    document = balancer.loader.json("attach", "lb0", "-t", "driver", "-c", balancer.file)
    assert document["warnings"] == []
    assert not [w for w in balancer.loader.json("probe", "lb0")["warnings"]
                if w["code"].startswith("udp-")]
