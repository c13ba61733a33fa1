# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""``make hwtest`` as an operator runs it, on a veth pair that stands for two cabled ports: what it
does with the word and without, what it refuses, and that the ports are afterwards as before."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.lab import Process
from hwtests.lab.bed import attach_xdp, built, pass_object
from hwtests.lab.netns import Cell, Node
from hwtests.nic import frames
from hwtests.oracle.plan import TREE

NIC, PEER = "nic0", "peer0"
#: Enough to see that frames come and go, and none of the corpus, which takes long to make.
FEW = "attached or full"
#: A tenth of the lengths of connection IDs, which take half of the time, and all the rest.
MOST = "not pairs and not keyed and not tenants or pairs-0 or keyed-0"


@dataclass
class Lab:
    """A machine with two ports that are cabled, and one that is not."""

    here: Node
    report: Path

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``make hwtest`` with these variables."""
        return self.here.run(["make", "-C", TREE, "--no-print-directory", "hwtest",
                              f"REPORT={self.report}", *words], check=False, timeout=120)

    def command(self, *words: str, env: dict[str, str] | None = None) -> Process:
        """What make runs in the end, left alone."""
        return Process(self.here, [sys.executable, "-m", "hwtests.nic", "--nic", NIC, "--peer",
                                   PEER, "--report", self.report, *words], cwd=TREE,
                       name="hwtest", env=env)

    def found(self) -> Any:
        """The report."""
        return json.loads((self.report / "REPORT.json").read_text())

    def tiers(self) -> dict[str, tuple[int, int, int]]:
        """Of the report: tier to passed, failed, skipped."""
        return {row["tier"]: (row["passed"], row["failed"], row["skipped"])
                for row in self.found()["tiers"] if "passed" in row}

    def traces(self) -> list[str]:
        """All that can be seen of the ports, by other means than the run's own."""
        lines = []
        for name in (NIC, PEER):
            for argv in (["ip", "-d", "link", "show", name], ["ip", "addr", "show", name],
                         ["ethtool", "-k", name], ["tc", "qdisc", "show", "dev", name],
                         ["tc", "filter", "show", "dev", name, "ingress"],
                         ["ip", "route", "show", "table", "all", "dev", name],
                         ["ip", "-6", "route", "show", "table", "all", "dev", name],
                         ["ip", "neigh", "show", "dev", name, "nud", "permanent"]):
                lines += self.here.run(argv, check=False).stdout.splitlines()
        lines += self.here.run(["find", "/sys/fs/bpf/shunt", "-mindepth", "2"],
                               check=False).stdout.splitlines()
        # The time an address is valid for, and who may have asked for one.
        return [re.sub(r"valid_lft \S+|expires \S+", "", line) for line in lines]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Cell("127.0.0.1 localhost\n") as cell:
        here = Node(cell, "here")
        here.ip(f"link add {NIC} type veth peer name {PEER}", "link add other0 type veth",
                f"link set {NIC} up", f"link set {PEER} up")
        # A veth takes what XDP sends only if an XDP program is at its other end.
        attach_xdp(here, PEER, pass_object())
        yield Lab(here, tmp_path / "hwtest")


@pytest.mark.driver
@pytest.mark.generic
def test_both_tiers_of_a_pair_of_ports(lab: Lab) -> None:
    before = lab.traces()
    done = lab.make(f"NIC={NIC}", f"PEER={PEER}", "YES=1", "TIERS=driver,generic",
                    f"ONLY={MOST}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.traces() == before
    report = lab.found()
    assert (report["schema"], report["result"]) == ("shunt/hwtest/1", "passed")
    assert report["restored"]["restored"] and report["error"] is None
    assert report["nic"]["name"] == NIC and report["nic"]["driver"] == "veth"
    assert {"bus", "firmware"} <= set(report["nic"])
    assert report["kernel"] == os.uname().release and report["loader"]
    assert "GCC" in report["compilers"]["gcc"] and "clang" in report["compilers"]["clang"]
    assert report["peer"]["where"] == PEER
    rows = {row["tier"]: row for row in report["tiers"]}
    assert rows["offload"]["reason"]["code"] == "no-offload-device" and not rows["offload"]["tests"]
    for tier in ("driver", "generic"):
        assert rows[tier]["failed"] == rows[tier]["skipped"] == 0 and rows[tier]["passed"] == 24
    text = (lab.report / "REPORT.txt").read_text()
    assert text in done.stdout
    assert "no-offload-device" in text and "the ports are as they were found" in text


def test_nothing_without_the_word(lab: Lab) -> None:
    before = lab.traces()
    done = lab.make(f"NIC={NIC}", f"PEER={PEER}")
    assert done.returncode == 2 and "YES=1" in done.stderr
    for shown in ("no-offload-device", "driver, generic", "198.51.100.0/24", "12,000 frames",
                  "promiscuous", "taken back"):
        assert shown in done.stdout
    assert lab.traces() == before and not lab.report.exists()


def test_usage(lab: Lab) -> None:
    done = lab.make()
    assert done.returncode == 2 and done.stderr.startswith("usage: make hwtest NIC=")


REFUSALS = {
    "foreign": ("xdp_pass is attached (driver): the hook must be free", False),
    "ours": ("shunt is attached on this machine", False),
    "route": ("198.51.100.0/25 has a route already", False),
    "no-ipv6": ("has no IPv6", False),
    "no-bpffs": ("attach needs one: mount -t bpf bpf /sys/fs/bpf", False),
    "gone": ("nosuch0: no such interface", False),
    "same": ("NIC and PEER are the same port", False),
    "peer": ("PEER=ssh:nowhere: not ssh:user@host:IFACE", False),
    "default": (f"{NIC} carries the default route", True),
    "address": (f"{NIC} has addresses: 10.9.9.1", True),
    "peer-address": (f"{PEER} has addresses: 10.9.9.2", True),
    "forwarding": (f"net.ipv4.conf.{NIC}.forwarding is on", True),
    "member": (f"{NIC} is part of br0", True),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(lab: Lab, case: str) -> None:
    """Whatever the word; but for some, FORCE=1 is offered."""
    nic, peer = NIC, PEER
    if case == "foreign":
        attach_xdp(lab.here, NIC, pass_object())
    elif case == "ours":
        lab.here.run([built("loader"), "attach", "other0"])
    elif case == "route":
        lab.here.ip("link set other0 up", "route add 198.51.100.0/25 dev other0")
    elif case == "no-ipv6":
        lab.here.run(["sysctl", "-qw", f"net.ipv6.conf.{NIC}.disable_ipv6=1"])
    elif case == "no-bpffs":
        lab.here.run(["umount", "/sys/fs/bpf"])
    elif case == "gone":
        nic = "nosuch0"
    elif case in ("same", "peer"):
        peer = NIC if case == "same" else "ssh:nowhere"
    elif case == "default":
        lab.here.ip(f"route add default dev {NIC}")
    elif case == "address":
        lab.here.ip(f"addr add 10.9.9.1/24 dev {NIC}")
    elif case == "peer-address":
        lab.here.ip(f"addr add 10.9.9.2/24 dev {PEER}")
    elif case == "forwarding":
        lab.here.run(["sysctl", "-qw", f"net.ipv4.conf.{NIC}.forwarding=1"])
    else:
        lab.here.ip("link add br0 type bridge", f"link set {NIC} master br0")
    before = lab.traces()
    with lab.command("--yes", "--nic", nic, "--peer", peer) as run:
        assert run.wait(30) != 0
    text, forced = REFUSALS[case]
    line, = run.stderr.read_text().splitlines()
    assert text in line and ("FORCE=1" in line) == forced
    assert lab.traces() == before and not lab.report.exists()


def test_ports_in_use_by_force(lab: Lab) -> None:
    lab.here.ip(f"addr add 10.9.9.1/24 dev {NIC}", f"route add default dev {NIC}")
    before = lab.traces()
    done = lab.make(f"NIC={NIC}", f"PEER={PEER}", "YES=1", "FORCE=1", "TIERS=generic",
                    f"ONLY={FEW}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.traces() == before
    assert lab.tiers() == {"generic": (2, 0, 0)} and lab.found()["only"] == FEW


def test_alone_and_down(lab: Lab) -> None:
    """Without a peer no frame is sent; a port that was down is so again."""
    lab.here.ip(f"link set {NIC} down")
    before = lab.traces()
    done = lab.make(f"NIC={NIC}", "YES=1", "TIERS=auto", "ONLY=attached or way or full or leaves")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.traces() == before
    assert lab.tiers() == {"auto": (3, 0, 1)} and lab.found()["peer"] is None


def test_no_cable(lab: Lab) -> None:
    """Nothing comes back: said in words, not by forty failures."""
    lab.here.ip("link set other0 up", "link set veth0 up")
    with lab.command("--yes", "--tiers", "driver", "--only", "full", "--link", "2",
                     "--peer", "other0") as run:
        assert run.wait(90) == 1
    report = lab.found()
    assert report["result"] == "failed" and report["restored"]["restored"]
    (row,) = [row for row in report["tiers"] if row["tests"]]
    assert "nothing comes back on other0: is it cabled to nic0" in row["tests"][0]["why"]
    assert len(row["tests"]) == 1


_CROSSED = """#!/bin/sh
# The real loader, given files in which two servers have each other's id.
sed -i 's/"id": "01"/"id": "0x"/; s/"id": "02"/"id": "01"/; s/"id": "0x"/"id": "02"/' \\
    /tmp/shunt-hwtest-*/shunt.yaml 2>/dev/null
exec {loader} "$@"
"""


def test_wrong_frames_are_told(lab: Lab, tmp_path: Path) -> None:
    """With connection IDs led to the wrong servers, the run must not claim success."""
    build = tmp_path / "build"
    build.mkdir()
    (build / "loader").write_text(_CROSSED.format(loader=built("loader")))
    (build / "loader").chmod(0o755)
    before = lab.traces()
    with lab.command("--yes", "--tiers", "driver", "--only", "full",
                     env={"BUILD": str(build)}) as run:
        assert run.wait(60) == 1, run.output()
    report = lab.found()
    assert report["result"] == "failed" and lab.tiers() == {"driver": (0, 1, 0)}
    (row,) = [row for row in report["tiers"] if row["tests"]]
    assert "frames did not come back as they must" in row["tests"][0]["why"]
    assert lab.traces() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(lab: Lab, number: signal.Signals) -> None:
    before = lab.traces()
    with lab.command("--yes", "--tiers", "driver", "--only", "attached or noise") as run:
        run.wait_line(r"test_attached_as_asked\[driver\] PASSED", path=run.stdout,
                      timeout=60)
        run.send_signal(number)
        if number == signal.SIGKILL:
            assert run.wait() == -number
            run_lost(run)
        else:
            assert run.wait(30) == 128 + number, run.output()
            report = lab.found()
            assert report["result"] == "interrupted" and report["restored"]["restored"]
            assert lab.tiers()["driver"][0] == 1
    assert lab.traces() == before


def run_lost(run: Process) -> None:
    """What the keeper says in the end, when there is nobody else to say it."""
    deadline = 30
    with subprocess.Popen(["tail", "-n", "+1", "-f", run.stderr], stdout=subprocess.PIPE,
                          text=True) as tail:
        assert tail.stdout is not None
        signal.alarm(deadline)
        try:
            for line in tail.stdout:
                if line.startswith("hwtest: the run was lost"):
                    assert line == f"hwtest: the run was lost; {NIC}, {PEER}: as before\n"
                    return
        finally:
            signal.alarm(0)
            tail.kill()
    raise AssertionError("the keeper said nothing")


@pytest.fixture
def far(lab: Lab) -> Iterator[tuple[Node, Path]]:
    """Another host at the end of a cable, with an SSH server, and how to call ssh there."""
    keys = lab.report.parent
    there = Node(lab.here.cell, "there")
    lab.here.ip(f"link add wire0 type veth peer name far0 netns {there.inner_pid}",
                f"link add ctl0 type veth peer name ctl0 netns {there.inner_pid}",
                "addr add 10.99.0.1/24 dev ctl0", "link set ctl0 up", "link set wire0 up")
    there.ip("addr add 10.99.0.2/24 dev ctl0", "link set ctl0 up", "link set far0 up")
    attach_xdp(there, "far0", pass_object())
    for name in ("host", "user"):
        lab.here.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name])
    # The server's place for giving up rights, on a /run of this node's own.
    there.run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    there.run(["mkdir", "/run/sshd"])
    options = {"ListenAddress": "10.99.0.2", "Port": "2222", "HostKey": str(keys / "host"),
               "AuthorizedKeysFile": str(keys / "user.pub"), "StrictModes": "no", "UsePAM": "no",
               "PidFile": "none", "PermitRootLogin": "yes"}
    server = Process(there, ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null",
                             *(f"-o{name}={value}" for name, value in options.items())])
    ssh = keys / "ssh_config"
    ssh.write_text("Host *\n Port 2222\n BatchMode yes\n StrictHostKeyChecking accept-new\n"
                   f" IdentityFile {keys / 'user'}\n UserKnownHostsFile {keys / 'known'}\n")
    with server:
        server.wait_line("Server listening")
        yield there, ssh


def test_peer_by_ssh(lab: Lab, far: tuple[Node, Path]) -> None:
    """The generator runs on another host, and leaves nothing there."""
    there, ssh = far
    before = there.run(["ip", "-d", "addr", "show", "far0"]).stdout
    words = ["NIC=wire0", "YES=1", "TIERS=generic", f"SSH=ssh -F {ssh}",
             f"ONLY={FEW} or between or under"]
    done = lab.make("PEER=ssh:root@10.99.0.2:far0", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.tiers() == {"generic": (5, 0, 0)}
    peer = lab.found()["peer"]
    assert peer["where"] == "ssh:root@10.99.0.2:far0" and peer["kernel"] == os.uname().release
    assert there.run(["ip", "-d", "addr", "show", "far0"]).stdout == before
    there.ip("route add default dev far0")
    for peer, said in (("ssh:root@10.99.0.2:nosuch0", "nosuch0: no interface with this name"),
                       ("ssh:root@127.0.0.1:far0", "the agent did not start"),
                       ("ssh:root@10.99.0.2:far0", "carries the default route (FORCE=1")):
        with lab.command("--nic", "wire0", "--peer", peer, "--yes", "--ssh",
                         f"ssh -F {ssh}") as run:
            assert run.wait(30) == 1
        assert said in run.stderr.read_text()
        report = lab.found()
        assert said in report["error"] and report["result"] == "failed"
        assert report["restored"]["restored"]


def test_what_a_card_leaves_to_the_host() -> None:
    """In the offload tier: what it passes, most of all encrypted CIDs, and nothing else."""
    ends = frames.Ends(b"\x02" + bytes(5), b"\x02" * 6, 1500)
    play = frames.keyed("keyed-0")
    host, _ = play.judged(ends, card=False)
    card, _ = play.judged(ends, card=True)
    left = [one for one in card if one.back is None]
    assert len([one for one in left if one.decision.reason == "needs_key"]) > 500
    assert len([one for one in host if one.decision.reason == "cid"]) > 100
    assert all(one == other or other in left for one, other in zip(host, card))
