# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Proves the test-bed itself: it carries QUIC, it can be watched, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.inet import IP, UDP  # type: ignore[import]
from scapy.layers.inet6 import IPv6  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]

from . import errors
from .bed import (FAMILIES, Bed, Family, attach_xdp, built, client4, client6, detach_xdp,
                  pass_object)
from .certs import Certificate
from .clients import chromium, finish_gtlsclient, gtlsclient, require_ok, start_gtlsclient
from .errors import LabError
from .loader import Loader
from .nat import Nat
from .process import Process, ProcessFailed
from .servers import QuicServers, gtlsserver
from .wire import Wire, udp_to

TREE = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root: run with sudo")


@dataclass(frozen=True)
class Footprint:
    """What a bed has on the machine while it is up."""

    directory: str
    holder: int
    #: PID and start time of each process: a PID alone may be given to another soon.
    processes: list[tuple[int, str]]

    @classmethod
    def of(cls, bed: Bed) -> Footprint:
        """Everything in the bed's PID namespace, and the holder outside it."""
        holder = bed.cell._holder
        assert holder is not None
        space = os.readlink(f"/proc/{bed.cell.pid}/ns/pid")
        found = [(holder.pid, _start_time(holder.pid) or "")]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    inside = os.readlink(entry / "ns/pid") == space
                except OSError:
                    continue
                if inside:
                    found.append((int(entry.name), _start_time(int(entry.name)) or ""))
        return cls(str(bed.dir), holder.pid, found)

    def left(self) -> list[str]:
        """What of it is still there."""
        rest = [f"process {pid}" for pid, start in self.processes if _start_time(pid) == start]
        if os.path.exists(self.directory):
            rest.append(self.directory)
        rest += [line for line in Path("/proc/self/mountinfo").read_text().splitlines()
                 if self.directory in line]
        for folder in ("/run/netns", "/etc/netns"):
            if os.path.isdir(folder):
                rest += [name for name in os.listdir(folder) if "shunt-lab" in name]
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                continue
            if target.startswith(("net:", "mnt:", "pid:")) or self.directory in target:
                rest.append(f"descriptor {fd}: {target}")
        return rest


def _start_time(pid: int) -> str | None:
    """When the process was started, None if it is gone or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed(servers=2) as up:
        yield up


@pytest.fixture
def site(bed: Bed, tmp_path: Path) -> Iterator[Process]:
    """A QUIC server on s1 that the balancer's kernel routes to."""
    (tmp_path / "index.html").write_text("<html><body>hello from the lab</body></html>\n")
    (tmp_path / "big").write_bytes(b"x" * 200_000)
    bed.route_vip(bed.servers[0])
    with gtlsserver(bed, bed.servers[0], Certificate.make(bed.dir), root=tmp_path) as server:
        yield server


@pytest.mark.parametrize("one_link", [False, True])
def test_nothing_is_left(one_link: bool) -> None:
    threads = threading.active_count()
    with Bed(servers=3, one_link=one_link) as bed:
        footprint = Footprint.of(bed)
        # The holder outside, the cell's first process, and a process for each node.
        assert len(footprint.processes) == 2 + len(bed.nodes)
        assert footprint.left()
    assert footprint.left() == []
    assert threading.active_count() == threads


_CHILD = """
import json, os, signal, sys
from dataclasses import asdict
from hwtests.lab import Bed, Process
from hwtests.lab.test_lab import Footprint

number, when = int(sys.argv[1]), sys.argv[2]
bed = Bed()

def tell():
    print(json.dumps(asdict(Footprint.of(bed))), flush=True)

if when == "start":
    def strike():
        tell()
        os.kill(os.getpid(), number)
        signal.pause()
    bed._configure_lb = strike
with bed:
    with Process(bed.servers[0].node, ["sleep", "1000"]):
        bed.client.popen(["sh", "-c", "sleep 1000 & exec sleep 1000"])
        tell()
        os.kill(os.getpid(), number)
        signal.pause()
"""


@pytest.mark.parametrize("when", ["start", "running"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_after_a_signal(number: signal.Signals, when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(int(number)), when], text=True,
                          cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        line = child.stdout.readline()
        assert line, child.stderr.read()
        told = json.loads(line)
        footprint = Footprint(told["directory"], told["holder"],
                              [(pid, start) for pid, start in told["processes"]])
        try:
            holder = os.pidfd_open(footprint.holder)
        except ProcessLookupError:
            holder = -1
        child.wait(10)
        # Where the test process had no chance, the kernel and the holder do it after its end.
        if holder >= 0:
            assert select.select([holder], [], [], 10)[0], "the holder did not end"
            os.close(holder)
        assert child.returncode != 0
    assert footprint.left() == []


def test_two_beds_do_not_meet() -> None:
    with Bed() as one, Bed() as two:
        prints = Footprint.of(one), Footprint.of(two)
        for bed in (one, two):
            bed.lb.run(["mkdir", "-p", "/sys/fs/bpf/shunt/abi1/lb0/driver"])
            bed.lb.run(["rmdir", "/sys/fs/bpf/shunt/abi1/lb0/driver"])
        one.lb.run(["mkdir", "/sys/fs/bpf/shunt/abi1/lb0/only-here"])
        assert two.lb.run(["ls", "/sys/fs/bpf/shunt/abi1/lb0"]).stdout == ""
        # Neither another node nor the machine sees the pins.
        assert "shunt" not in one.servers[0].node.run(["ls", "/sys/fs/bpf"]).stdout
        assert not Path("/sys/fs/bpf/shunt/abi1/lb0/only-here").exists()
        two.route_vip(two.servers[0])
        assert one.vip4 not in one.lb.run(["ip", "route"]).stdout
    assert [p.left() for p in prints] == [[], []]


def test_each_node_sees_its_own_machine(bed: Bed) -> None:
    def interfaces(words: str) -> set[str]:
        return set(words.split()) - {"lo"}

    assert interfaces(bed.lb.run(["ls", "/sys/class/net"]).stdout) == {"lb0", "lbs1", "lbs2"}
    for host in bed.servers:
        assert interfaces(host.node.run(["ls", "/sys/class/net"]).stdout) == {"eth0"}
        assert host.node.mac("eth0") == host.mac
    assert bed.vip4 in bed.client.run(["cat", "/etc/hosts"]).stdout
    assert bed.vip4 not in Path("/etc/hosts").read_text()
    assert bed.client.run(["readlink", "/proc/self"]).stdout.strip().isdigit()


def _udp(bed: Bed, family: Family, payload: bytes) -> bytes:
    layer = (IP(src=client4(), dst=bed.vip4) if family == 4
             else IPv6(src=client6(), dst=bed.vip6))
    return bytes(Ether(src=bed.client_mac, dst=bed.lb_mac) / layer
                 / UDP(sport=4000, dport=bed.port) / payload)


@pytest.mark.parametrize("one_link", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_inject_and_capture(one_link: bool, static: bool) -> None:
    with Bed(one_link=one_link, static_neighbours=static) as bed:
        bed.route_vip(bed.servers[1])
        for family in FAMILIES:
            with Wire(bed.client, "c0") as near, Wire(bed.servers[1].node, "eth0") as far, \
                    Wire(bed.servers[0].node, "eth0") as other:
                match = udp_to(bed.vip(family), bed.port)
                sent = [_udp(bed, family, b"frame %d" % i) for i in range(5)]
                near.send(*sent)
                got = far.receive(5, match=match)
                assert [frame[-7:] for frame in got] == [frame[-7:] for frame in sent]
                assert Ether(got[0]).src == bed.servers[1].lb_mac
                assert Ether(got[0]).dst == bed.servers[1].mac
                # A first packet to an unknown neighbour is flooded by the bridge, no other.
                assert other.pending(match) == []
                # Own frames do not come back.
                assert near.pending(match) == []
                assert far.receive(1, match=match, timeout=0.05) == []


# Redirects to TARGET, or sends back where TARGET is 0, always to the MAC address SERVER.
_XDP = """
struct xdp_md { unsigned int data, data_end; };
static long (*redirect)(unsigned int, unsigned long long) = (void *)23;
__attribute__((section("xdp"), used)) int steer(struct xdp_md *ctx)
{
    unsigned char *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    unsigned char to[] = { SERVER };
    if (p + 42 > end || p[12] != 8 || p[13] != 0 || p[23] != 17)
        return 2;
    for (int i = 0; i < 6; i++)
        p[i] = to[i];
    return TARGET ? redirect(TARGET, 0) : 3;
}
__attribute__((section("license"), used)) char _license[] = "GPL";
"""


def _steer(bed: Bed, tmp_path: Path, target: int) -> Path:
    clang = os.environ.get("CLANG", "clang-14")
    server = ",".join("0x" + part for part in bed.servers[0].mac.split(":"))
    subprocess.run([clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", f"-DSERVER={server}",
                    f"-DTARGET={target}", "-x", "c", "-", "-c", "-o", tmp_path / "steer.o"],
                   input=_XDP, text=True, check=True)
    return tmp_path / "steer.o"


@pytest.fixture
def pass_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass program: the tree's, else built by the lab's own fragment."""
    try:
        pass_object()
    except LabError:
        words = ["make", "-s", "-f", "hwtests/lab/build.mk", f"BUILD={tmp_path}"]
        words += [f"CLANG={os.environ.get('CLANG', 'clang-14')}", f"{tmp_path}/bpf/pass.bpf.o"]
        subprocess.run(words, cwd=TREE, check=True)
        monkeypatch.setenv("BUILD", str(tmp_path))


def test_redirect_reaches_the_server(bed: Bed, tmp_path: Path) -> None:
    target = int(bed.lb.run(["cat", "/sys/class/net/lbs1/ifindex"]).stdout)
    attach_xdp(bed.lb, "lb0", _steer(bed, tmp_path, target))
    with Wire(bed.client, "c0") as near, Wire(bed.servers[0].node, "eth0") as far:
        near.send(*[_udp(bed, 4, b"redirect")] * 3)
        assert len(far.receive(3, match=udp_to(bed.vip4))) == 3
    detach_xdp(bed.lb, "lb0")
    assert "xdp" not in bed.lb.run(["ip", "link", "show", "lb0"]).stdout


@pytest.mark.usefixtures("pass_built")
def test_tx_reaches_the_server_once_the_peer_passes(tmp_path: Path) -> None:
    with Bed(one_link=True, static_neighbours=True) as bed:
        attach_xdp(bed.lb, "lb0", _steer(bed, tmp_path, 0))
        with Wire(bed.client, "c0") as near, Wire(bed.servers[0].node, "eth0") as far:
            near.send(_udp(bed, 4, b"lost"))
            assert far.receive(1, match=udp_to(bed.vip4), timeout=0.1) == []
            bed.attach_pass()
            near.send(*[_udp(bed, 4, b"arrives")] * 3)
            got = far.receive(3, match=lambda f: udp_to(bed.vip4)(f) and b"arrives" in f)
            assert len(got) == 3


@pytest.mark.usefixtures("pass_built")
@pytest.mark.parametrize("family", FAMILIES)
def test_quic_survives_a_redirect_and_pass_programs(
        bed: Bed, site: Process, family: Family, tmp_path: Path) -> None:
    """Checksums: what tx off on the client is for, with a real client (IPv4 is redirected)."""
    target = int(bed.lb.run(["cat", "/sys/class/net/lbs1/ifindex"]).stdout)
    bed.attach_pass()
    attach_xdp(bed.lb, "lb0", _steer(bed, tmp_path, target))
    require_ok(gtlsclient(bed, ["/", "/big"], family=family))


@pytest.mark.parametrize("family", FAMILIES)
def test_gtlsclient_by_kernel_routing(bed: Bed, site: Process, family: Family) -> None:
    result = require_ok(gtlsclient(bed, ["/", "/big"], family=family))
    assert result.handshake_confirmed and not result.early_data_sent and not result.retried
    assert result.content_bytes > 200_000 and result.stream_bytes > 200_000
    assert len(result.dcids) == 2 and len(result.dcids[0]) == 36
    assert [a for a, _ in result.local_addresses] == [client4() if family == 4 else client6()]


def test_gtlsclient_without_a_server(bed: Bed) -> None:
    result = gtlsclient(bed, idle_timeout=0.5, options=["--initial-rtt=50ms"])
    assert not result.ok and not result.handshake_completed and result.statuses == []


def test_early_data_and_retry(bed: Bed, tmp_path: Path) -> None:
    bed.route_vip(bed.servers[0])
    (tmp_path / "index.html").write_text("x\n")
    (tmp_path / "resume").mkdir()
    certificate = Certificate.make(bed.dir)
    with gtlsserver(bed, bed.servers[0], certificate, root=tmp_path):
        first = require_ok(gtlsclient(bed, resume_dir=tmp_path / "resume"))
        again = require_ok(gtlsclient(bed, resume_dir=tmp_path / "resume"))
    assert not first.early_data_sent and again.early_data_accepted
    with gtlsserver(bed, bed.servers[0], certificate, root=tmp_path, options=["-V"]):
        assert require_ok(gtlsclient(bed)).retried


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_rebinding(bed: Bed, site: Process, family: Family) -> None:
    seen = re.compile(r"Received packet: local=\S+ remote=\[(\S+)\]:(\d+)")
    with Nat(bed) as nat, start_gtlsclient(
            bed, family=family, options=["--delay-stream=500ms"]) as client:
        before = nat.mapping
        client.wait_line("handshake has been confirmed")
        after = nat.rebind(address=True)
        require_ok(finish_gtlsclient(client))
    sources = list(dict.fromkeys(seen.findall(site.stderr.read_text())))
    addresses = [m.address4 if family == 4 else m.address6 for m in (before, after)]
    assert [address for address, _ in sources] == addresses
    for (_, port), mapping in zip(sources, (before, after)):
        assert mapping.first_port <= int(port) <= mapping.last_port


@pytest.mark.parametrize("family", FAMILIES)
def test_chromium(bed: Bed, site: Process, family: Family) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    # The bed's own certificate is there already: the fixture made it.
    certificate = Certificate.load(bed.dir)
    assert "hello from the lab" in chromium(bed, certificate, family=family).dom
    source = client4() if family == 4 else client6()
    assert f"remote=[{source}]" in site.stderr.read_text()


def test_readiness_and_failures(bed: Bed) -> None:
    notifier = ("import os,socket,sys,time;"
                "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);"
                "s.connect(os.environ['NOTIFY_SOCKET']);"
                "s.send(b'STATUS=warming up');s.send(b'READY=1\\nSTATUS=fine');"
                "print('a line',flush=True);time.sleep(1000)")
    with Process(bed.lb, [sys.executable, "-c", notifier], notify=True) as process:
        process.wait_ready()
        process.wait_line("a (line)", path=process.stdout)
        with pytest.raises(ProcessFailed, match="no line like 'nothing'"):
            process.wait_line("nothing", timeout=0.05)
        assert process.running() and process.terminate() == -signal.SIGTERM
    with Process(bed.lb, ["sh", "-c", "echo because >&2; exit 3"], notify=True) as process:
        with pytest.raises(ProcessFailed, match="(?s)before it was ready.*status 3.*because"):
            process.wait_ready()
    with Process(bed.lb, ["sleep", "1000"], notify=True) as process:
        with pytest.raises(ProcessFailed, match="not ready after"):
            process.wait_ready(0.05)
    with pytest.raises(LabError, match="(?s)exit status 4.*why"):
        bed.lb.run(["sh", "-c", "echo why; exit 4"])
    with pytest.raises(LabError, match="not finished after"):
        bed.lb.run(["sleep", "1000"], timeout=0.05)


def test_missing_rights_and_tools_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match=r"\Athe lab needs root .*sudo\Z"):
        with monkeypatch.context() as m:
            m.setattr(os, "geteuid", lambda: 1000)
            Bed().up()
    with pytest.raises(LabError, match=r"apt-get install nothing-like-this\Z"):
        errors.require_commands({"no-such-command": "nothing-like-this"})
    monkeypatch.setenv("BUILD", "/nonexistent")
    with pytest.raises(LabError, match="run `make build/bpf/pass.bpf.o` first"):
        pass_object()


_SERVER_STUB = r"""#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --name) name=$2 ;; --log) log=$2 ;; --server-id) id=$2 ;; esac
    shift
done
say() { echo "{\"event\": \"$1\", \"server\": \"$name\", \"t\": 1.5, \"foreign\": 1}" >> "$log"; }
trap 'say summary' USR1
trap 'say summary; exit 0' TERM
say listen
say request
python3 -c 'import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])'
while :; do sleep 1000 & wait $!; done
"""

_LOADER_STUB = """#!/bin/sh
case $1 in
    fail) echo '{"error": "no"}'; exit 6 ;;
    text) echo hello ;;
    *) ip -j link show lb0 ;;
esac
"""


def test_wrappers_keep_their_contract(bed: Bed, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """Against stubs: the wrappers are also to work before, and without, the real programs."""
    for name, text in (("quic-server", _SERVER_STUB), ("loader", _LOADER_STUB)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("BUILD", str(tmp_path))
    with QuicServers(bed, Certificate.make(bed.dir)) as servers:
        assert servers["s2"].cid.server_id == "02"
        servers["s1"].wait_event("request")
        assert servers["s1"].summary()["server"] == "s1"
        assert servers.events()["request"] == 2 and servers.where() == ["s1", "s2"]
        assert servers["s2"].stop()["event"] == "summary"
        assert servers.totals() == {"foreign": 2}
        with pytest.raises(ProcessFailed, match="ended without the event nothing"):
            servers["s2"].wait_event("nothing")
    loader = Loader(bed)
    assert loader.json("show")[0]["ifname"] == "lb0"
    assert loader.json("fail", check=False) == {"error": "no"}
    assert loader("fail", check=False).returncode == 6
    with pytest.raises(LabError, match="not one JSON document"):
        loader.json("text")
    assert json.loads(loader.write_config({"version": 1}).read_text()) == {"version": 1}


def test_quic_servers_report_a_misroute(bed: Bed) -> None:
    """The figure all routing tests rest on: a packet at the wrong server is seen as foreign."""
    try:
        built("quic-server")
    except LabError as missing:
        pytest.skip(str(missing))
    with QuicServers(bed, Certificate.make(bed.dir)) as servers:
        for host in bed.servers:
            bed.route_vip(host)
            for family in FAMILIES:
                got = require_ok(gtlsclient(bed, ["/", "/bytes/50000"], family=family))
                assert got.dcids[-1].startswith(f"0{len(got.dcids[-1]) // 2 - 1:x}{host.index:02x}")
        totals = servers.totals()
        assert totals["connections"] == 4 and totals["requests"] == 8 and totals["foreign"] == 0
        bed.route_vip(bed.servers[0])
        with start_gtlsclient(bed, options=["--delay-stream=300ms"]) as client:
            client.wait_line("handshake has been confirmed")
            bed.route_vip(bed.servers[1])
            assert servers["s2"].wait_event("foreign")["server_id"] == "01"
        assert servers.totals()["foreign"] >= 1


def test_one_link_keeps_the_balancer_in_the_way(tmp_path: Path) -> None:
    """No redirect message makes the client go to the server straight."""
    (tmp_path / "index.html").write_text("x\n")
    with Bed(one_link=True) as bed:
        bed.route_vip(bed.servers[0])
        with gtlsserver(bed, bed.servers[0], Certificate.make(bed.dir), root=tmp_path):
            for family in FAMILIES:
                require_ok(gtlsclient(bed, family=family))
                route = bed.client.run(["ip", "route", "get", bed.vip(family)]).stdout
                assert "via 10.1.0.1 " in route or "via fd00:1::1 " in route


def test_shell_command_holds_and_goes() -> None:
    with subprocess.Popen([sys.executable, "-m", "hwtests.lab", "shell", "--servers", "1"],
                          cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        text = ""
        for line in shell.stdout:
            text += line
            if line.startswith("No terminal"):
                break
        assert "203.0.113.80" in text and "nsenter" in text
        shell.send_signal(signal.SIGINT)
        assert shell.wait(10) == 0


def test_footprint_is_plain_data(bed: Bed) -> None:
    assert json.loads(json.dumps(asdict(Footprint.of(bed))))["directory"] == str(bed.dir)
