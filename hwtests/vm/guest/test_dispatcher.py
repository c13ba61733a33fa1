# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`sharing: dispatcher` on a veth pair: ours between two programs of others, in libxdp's
dispatcher, with packets that tell which of them were asked."""

from __future__ import annotations

import re
import select
import socket
import struct
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.vm.guest.rig import (BUILD, CONFIG, SERVER, SERVER_MAC, Loader, Traces, bpftool,
                                  in_bpf, ip, pinned, run, tiers)

NEAR, FAR = "x0", "x1"
MODES = {"driver": "native", "generic": "skb"}
VIP, PORT = "203.0.113.80", 4433


@pytest.fixture(params=["driver", "generic"])
def tier(request: pytest.FixtureRequest) -> str:
    """The host's tiers; a card's program is always alone."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def link(loader: Loader, tier: str) -> Iterator[Link]:
    """A veth pair, and a file that shares its near end."""
    with Link(tier) as new:
        loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}])
        yield new
        run(loader.path, "detach", "--all", check=False)


class Link:
    """Frames go in at the far end; what is sent back comes out there."""

    def __init__(self, tier: str) -> None:
        self.mode = MODES[tier]
        # No packets but those of the test.
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        ip(f"link add {NEAR} address 02:00:00:00:00:01 type veth peer name {FAR}",
           f"link set {NEAR} up", f"link set {FAR} up", f"address add 10.1.0.1/24 dev {NEAR}",
           f"neighbour add {SERVER} lladdr {SERVER_MAC} dev {NEAR}",
           # What XDP_TX of one end needs at the other.
           f"link set {FAR} xdpdrv obj {BUILD}/bpf/pass.bpf.o sec xdp")
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind((FAR, 0))

    def load(self, name: str) -> None:
        """Somebody else's program, by somebody else's loader."""
        run("xdp-loader", "load", "-m", self.mode, NEAR, BUILD / f"vm/bpf/{name}.bpf.o")

    def unload(self, name: str) -> None:
        """And off again."""
        run("xdp-loader", "unload", NEAR, "--id", str(self.chain()[name]))

    def chain(self) -> dict[str, int]:
        """Name to id of the programs on the near end, in the order in which they run."""
        lines = run("xdp-loader", "status", NEAR).stdout
        return {name: int(number) for name, number in re.findall(
            r"^ => +\d+ +(\S+) +(\d+) ", lines, re.MULTILINE)}

    def attached(self) -> str:
        """The program in the hook itself."""
        (entry,) = [entry for entry in bpftool("net show")[0][0]["xdp"]
                    if entry["devname"] == NEAR]
        return dict(in_bpf("prog"))[entry["id"]]

    def routed(self, mark: bytes) -> bool:
        """Whether a packet of a connection comes back with the server's address on it, and not up
        to the host's stack. One of the two is waited for."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as near:
            near.bind((NEAR, 0))
            self.wire.send(frame(PORT, bytes([0x40, 1, 2, 3, 4]) + bytes(6) + mark))
            while True:
                ready, _, _ = select.select([near, self.wire], [], [], 10)
                assert ready, "it came out nowhere"
                got, address = ready[0].recvfrom(2048)
                if mark not in got or address[2] == socket.PACKET_OUTGOING:
                    continue
                if ready[0] is near:
                    return False
                assert got[:6] == bytes.fromhex(SERVER_MAC.replace(":", ""))
                return True

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        run("xdp-loader", "unload", NEAR, "--all", check=False)
        self.wire.close()
        ip(f"link delete {NEAR}")


def frame(port: int, payload: bytes) -> bytes:
    """Ethernet, IPv4 and UDP to the VIP. The sum of the header is right, UDP has none."""
    udp = struct.pack("!HHHH", 5000, port, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                         socket.inet_aton("10.1.0.77"), socket.inet_aton(VIP))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    checksum = struct.pack("!H", ~(total + (total >> 16)) & 0xffff)
    return (bytes.fromhex("020000000001" "0200000000aa" "0800") + header[:10] + checksum
            + header[12:] + udp)


def seen(program: int) -> int:
    """How many packets somebody else's program was asked about."""
    (shown,) = bpftool(f"prog show id {program}")
    (entry,) = bpftool(f"map dump id {shown['map_ids'][0]}")[0]
    return int(entry["formatted"]["value"])


def test_alone(loader: Loader, link: Link, tier: str) -> None:
    row = tiers(loader.attach(NEAR))[tier]
    assert (row["outcome"], row["mode"]) == ("new", "dispatcher")
    assert link.chain() == {f"shunt_{tier}": row["program_id"]}
    assert link.attached() == "xdp_dispatcher" and loader.status()[tier]["mode"] == "dispatcher"
    assert link.routed(b"first mark")
    again = tiers(loader.attach(NEAR))[tier]
    assert (again["outcome"], again["program_id"]) == ("adopted", row["program_id"])
    loader("detach", NEAR)
    assert not link.chain() and not pinned() and not link.routed(b"second mark")
    assert not list(Path("/sys/fs/bpf/xdp").glob("dispatch-*"))


def test_between_two_others(loader: Loader, link: Link, tier: str) -> None:
    """Whoever is in front sees every packet, whoever is behind sees what ours passes."""
    ours = f"shunt_{tier}"
    link.load("before")
    link.load("behind")
    others = link.chain()
    assert list(others) == ["before", "behind"]
    loader.attach(NEAR)
    assert list(link.chain()) == ["before", ours, "behind"]
    assert {name: number for name, number in link.chain().items() if name != ours} == others
    counts = {name: seen(number) for name, number in others.items()}
    assert link.routed(b"for the server")
    assert seen(others["before"]) == counts["before"] + 1
    assert seen(others["behind"]) == counts["behind"]
    (counted,) = loader.json("stats", NEAR)["tiers"]
    assert counted["servers"]["web/web-1"]["packets"] == 1, counted
    # Another program of ours in the same place.
    row = tiers(loader.attach(NEAR, "--reload"))[tier]
    assert (row["outcome"], row["mode"]) == ("replaced", "dispatcher")
    assert list(link.chain()) == ["before", ours, "behind"]
    assert link.chain()[ours] == row["program_id"] and link.routed(b"once more")
    # It goes, the others stay as they were.
    loader("detach", NEAR)
    assert link.chain() == others and not pinned()
    assert not link.routed(b"nobody's")
    assert seen(others["behind"]) == counts["behind"] + 1


def test_others_come_and_go(loader: Loader, link: Link, tier: str) -> None:
    """Each of them puts a new dispatcher in place; what is ours is found in it again."""
    row = tiers(loader.attach(NEAR))[tier]
    link.load("before")
    assert list(link.chain()) == ["before", f"shunt_{tier}"]
    assert link.routed(b"beside before")
    status = loader.status()[tier]
    assert (status["program"]["id"], status["mode"]) == (row["program_id"], "dispatcher")
    loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}],
                 vips=[{**CONFIG["vips"][0], "port": PORT + 1}])
    loader("apply", "-c", str(loader.file))
    assert not link.routed(b"another port now")
    loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}])
    loader("apply", "-c", str(loader.file))
    assert tiers(loader.attach(NEAR))[tier]["outcome"] == "adopted"
    link.unload("before")
    assert link.chain() == {f"shunt_{tier}": row["program_id"]} and link.routed(b"alone again")
    loader("detach", NEAR)
    assert not link.chain()


def test_probe_names_ours(loader: Loader, link: Link, tier: str) -> None:
    loader.attach(NEAR)
    row = tiers(loader.probe(NEAR))[tier]
    assert row["usable"] == "yes" and row["note"].startswith("attached: program ")


def test_exclusive_beside_a_dispatcher(loader: Loader, link: Link, tier: str) -> None:
    """Without `sharing: dispatcher` somebody else's dispatcher is somebody else's program."""
    link.load("before")
    loader.write(interfaces=[{"name": NEAR, "tier": tier}])
    before = Traces.now()
    done = loader("attach", NEAR, "-c", str(loader.file), status=3)
    assert re.match(rf"shunt: {NEAR}, {tier}: program id \d+ xdp_dispatcher: another program is "
                    "attached; ", done.stderr)
    assert Traces.now() == before and link.routed(b"no") is False


def test_beside_a_program_without_dispatcher(loader: Loader, link: Link, tier: str) -> None:
    """libxdp cannot share with it; --replace takes its place, by a dispatcher."""
    mode = {"driver": "xdpdrv", "generic": "xdpgeneric"}[tier]
    ip(f"link set {NEAR} {mode} obj {BUILD}/bpf/pass.bpf.o sec xdp")
    before = Traces.now()
    document = loader.attach(NEAR, status=3)
    assert document["error"]["code"] == "busy-foreign-program" and Traces.now() == before
    row = tiers(loader.attach(NEAR, "--replace"))[tier]
    assert row["mode"] == "dispatcher" and link.routed(b"in its place")


def test_directly(loader: Loader, link: Link, tier: str) -> None:
    """The default: alone, and nobody's dispatcher comes with it."""
    loader.write(interfaces=[{"name": NEAR, "tier": tier}])
    row = tiers(loader.attach(NEAR))[tier]
    assert row["mode"] == "direct" and link.attached() == f"shunt_{tier}"
    assert link.routed(b"directly")
    loader("detach", NEAR)
    assert not pinned()


def test_killed_at_any_moment(loader: Loader, link: Link, tier: str) -> None:
    """Wherever a loader dies, the next one has one program of ours in the dispatcher, or none."""
    link.load("before")
    others = link.chain()
    for number in range(6):
        loading = subprocess.Popen([loader.path, "attach", NEAR, "-c", loader.file],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            loading.wait(0.3 + 0.1 * number)
        except subprocess.TimeoutExpired:
            loading.kill()
            loading.wait()
        loader.attach(NEAR)
        assert list(link.chain()) == ["before", f"shunt_{tier}"], number
        assert link.routed(b"mark %d" % number)
        loader("detach", NEAR)
        assert link.chain() == others and not pinned()
