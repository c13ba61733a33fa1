# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reasons that take trouble to provoke: a hook held by a link, maps of another layout, a kernel
that refuses, queues to be used; and names of no interface."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any, Iterator

import pytest

from hwtests.attach.rig import IFACE, PINS, Rig, tier_row
from hwtests.lab.bed import pass_object

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")

# Puts a pinned program on an interface by a BPF link and holds it until its input ends.
HOLD_LINK = """
import ctypes, sys
libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
XDP = 37
program = libbpf.bpf_obj_get(sys.argv[1].encode())
link = libbpf.bpf_link_create(program, int(sys.argv[2]), XDP, None)
print("held" if link >= 0 else ctypes.get_errno(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(rig: Rig) -> Iterator[None]:
    """Somebody's link is on the interface."""
    pin = "/sys/fs/bpf/foreign"
    rig.sh("bpftool", "prog", "load", str(pass_object()), pin, "type", "xdp")
    holder = rig.node.popen(["/usr/bin/python3", "-c", HOLD_LINK, pin, str(ifindex(rig))],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdin and holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()
        rig.sh("rm", pin)


def ifindex(rig: Rig) -> int:
    return int(json.loads(rig.sh("ip", "-j", "link", "show", IFACE))[0]["ifindex"])


def probe(rig: Rig, *args: str) -> dict[str, Any]:
    done = rig.loader("probe", IFACE, "--json", *args, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_link_cannot_be_replaced(rig: Rig, held: None) -> None:
    """A probe names the program; that a link holds it only the kernel tells, to --replace."""
    before = rig.traces()
    row = tier_row(probe(rig), "driver")
    (program,) = probe(rig)["attached"]
    assert row["reason"]["code"] == "busy-foreign-program"
    assert f"xdp_pass (program {program['program']})" in row["reason"]["text"]
    document = rig.attach("-t", "driver", "--replace", status=3)
    assert document["error"]["code"] == "busy-link"
    assert "link" in document["error"]["kernel"]
    assert rig.traces() == before


def test_hints_of_attach_are_those_of_probe(rig: Rig) -> None:
    rig.node.ip("link set x1 mtu 9000", f"link set {IFACE} mtu 9000")
    tried = tier_row(probe(rig, "--trial"), "driver")["reason"]["hint"]
    told = tier_row(rig.attach(), "driver")["reason"]["hint"]
    assert told == tried == f"lower the MTU of {IFACE} and of x1 to 3506 or less"


def test_pinned_map_of_another_layout(rig: Rig) -> None:
    rig.attach()
    pin = f"{PINS}/{IFACE}/driver/server_map"
    rig.sh("rm", pin)
    rig.sh("bpftool", "map", "create", pin, "type", "array", "key", "4", "value", "60", "entries",
           "2", "name", "server_map")
    for args in (["status"], ["attach", IFACE], ["stats"]):
        done = rig.loader(*args, "--json", check=False)
        error = json.loads(done.stdout)["error"]
        assert (error["code"], done.returncode) == ("abi", 5), args
        assert error["what"] == "server_map: key 4, value 60 octets; this loader wants 4, 56"
        assert rig.loader(*args, check=False).stderr.count("\n") == 1
    assert list(rig.programs()) == ["driver"]
    rig.loader("detach", IFACE)
    assert rig.programs() == {} and rig.pins() == []


def test_maps_that_another_version_filled(rig: Rig) -> None:
    """The number in meta_map counts, whatever the path says."""
    config = rig.config()
    rig.attach("-c", config)
    meta = f"{PINS}/{IFACE}/driver/meta_map"
    held = json.loads(rig.sh("bpftool", "-j", "map", "lookup", "pinned", meta, "key", "0", "0",
                             "0", "0"))["value"]
    rig.sh("bpftool", "map", "update", "pinned", meta, "key", "0", "0", "0", "0", "value",
           *held[:4], "2", *held[5:])
    done = rig.loader("apply", "-c", config, "--json", check=False)
    assert done.returncode == 5 and '"abi"' in done.stdout
    assert re.search(r"map layout 2 \([0-9a-f]{8}\), not 1 \(", done.stdout)


def test_an_applied_file_that_was_tampered_with(rig: Rig) -> None:
    """What is kept with the maps has a sum: half of it is not taken for the whole."""
    config = rig.config()
    rig.attach("-c", config)
    text = f"{PINS}/{IFACE}/driver/text_map"
    element, = json.loads(rig.sh("bpftool", "-j", "map", "dump", "pinned", text))
    octets = [int(octet, 16) for octet in element["value"]]
    octets[40] ^= 1
    rig.sh("bpftool", "map", "update", "pinned", text, "key", *element["key"], "value",
           *map(str, octets))
    for args in (["apply", "-c", config], ["show", "servers"]):
        done = rig.loader(*args, "--json", check=False)
        assert done.returncode == 5 and '"abi"' in done.stdout, args
        assert "text_map cannot be read" in done.stdout


@pytest.mark.parametrize(("under", "code"), [([], "verifier"),
                                             (["setarch", "--uname-2.6"], "kernel-too-old")])
def test_a_kernel_that_refuses(rig: Rig, under: list[str], code: str) -> None:
    """Every call of bpf(2) fails as a verifier's does; how old the kernel is tells them apart."""
    done = rig.node.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e",
                         "inject=bpf:error=EINVAL", *under, rig.loader.path, "probe", IFACE,
                         "--json"], check=False)
    assert done.returncode == 3
    row = tier_row(json.loads(done.stdout), "driver")
    assert (row["reason"]["code"], row["reason"]["errno"]) == (code, "EINVAL")


def test_untried(rig: Rig) -> None:
    """Where the facts do not decide: a device that reports native XDP and has a large MTU."""
    made = rig.node.run(["ip", "tuntap", "add", "tap0", "mode", "tap"], check=False)
    if made.returncode:
        pytest.skip(f"no tap device here: {made.stderr.strip()}")
    rig.node.ip("link set tap0 mtu 9000")
    try:
        found = json.loads(rig.loader("probe", "tap0", "--json").stdout)
        row = tier_row(found, "driver")
        if found["interface"]["xdp_features"] is None:
            assert "does not tell" in row["reason"]["text"]
        else:
            assert "an MTU of 9000" in row["reason"]["text"]
        assert (row["usable"], row["reason"]["code"]) == ("unknown", "untried")
        assert row["reason"]["hint"] == "loader --probe --trial tap0 (the link may reset)"
    finally:
        rig.node.ip("link del tap0")


def test_queues_by_number(rig: Rig) -> None:
    """Receive queues that the device has but does not use are to be used."""
    rig.node.ip("link add narrow numrxqueues 4 numtxqueues 4 type veth peer name wide "
                "numrxqueues 4 numtxqueues 4")
    try:
        rig.sh("ethtool", "-L", "narrow", "rx", "1")
        rig.sh("ethtool", "-L", "wide", "tx", "3")
        done = rig.loader("probe", "narrow", "--trial", "--json")
        row = tier_row(json.loads(done.stdout), "driver")
        assert row["reason"]["code"] == "queues"
        assert row["reason"]["hint"] == "ethtool -L narrow rx 3"
        rig.sh(*row["reason"]["hint"].split())
        done = rig.loader("probe", "narrow", "--trial", "--json")
        assert tier_row(json.loads(done.stdout), "driver")["usable"] == "yes"
    finally:
        rig.node.ip("link del narrow")


@pytest.mark.parametrize("name", ["0", "", "nosuch0", "a-name-that-no-interface-can-have", "x0 ",
                                  "../x0", "x1\n"])
def test_names_of_nothing(rig: Rig, name: str) -> None:
    for command in ("probe", "attach", "detach"):
        done = rig.loader(command, name, check=False)
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr.count("\n") == 1
    assert rig.pins() == [] and rig.programs() == {}


def test_an_interface_of_another_namespace(rig: Rig) -> None:
    """What is there for others is not there for us, whatever its number."""
    foreign = json.loads(rig.bed.client.run(["ip", "-j", "link"]).stdout)
    mine = {link["ifname"] for link in json.loads(rig.sh("ip", "-j", "link"))}
    name = next(link["ifname"] for link in foreign if link["ifname"] not in mine)
    for command in ("probe", "attach"):
        assert rig.loader(command, name, check=False).returncode == 5


def test_rows_are_the_files_whatever_the_maps_hold(rig: Rig) -> None:
    """A flow's row and its server are the same with small maps, as a card may have them."""
    def rows(limits: dict[str, int]) -> Any:
        rig.attach("-t", "generic", "--reload", "-c",
                   rig.config(limits=limits, fallback={"rows": 512}))
        return json.loads(rig.loader("show", "rows", "--json").stdout)["tiers"][0]["rows"]

    small, large = rows({"pools": 1, "servers": 1}), rows({"pools": 9, "servers": 500})
    assert small == large
    assert [len(pool["rows"]) for pool in small] == [512]
