# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The demo and the installation of what it needs: true, quiet, and gone without a trace."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.lab import LabError
from hwtests.lab.bed import build_dir, built
from hwtests.traces import Traces

TREE = Path(__file__).resolve().parents[1]
DEMO = [sys.executable, "-m", "hwtests.demo", "--quick"]
DEADLINE = 90

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the demo needs root: run with sudo")


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(tmp_path / "tmp")


@pytest.fixture
def programs() -> None:
    try:
        for name in ("loader", "quic-server", "bpf/pass.bpf.o"):
            built(name)
    except LabError as missing:
        pytest.skip(str(missing))


@needs_root
def test_what_it_shows(programs: None, traces: Traces) -> None:
    done = subprocess.run(DEMO, cwd=TREE, env=traces.environment(), capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "" and "\033" not in done.stdout
    _, _, summary = done.stdout.partition("\nSummary\n")
    figures = {line.rpartition("  ")[0].strip(): line.split()[-1]
               for line in summary.splitlines() if line.split()[-1:] and line[-1].isdigit()}
    assert int(figures["connections"]) == 6 + 2 + 1 + 4
    assert int(figures["of them by IPv6"]) == 3 + 2
    assert int(figures["changes of a client's address"]) >= 3
    assert int(figures["that the 4-tuple alone would have sent to another server"]) >= 2
    assert int(figures["datagrams that reached a wrong server"]) == 0
    for shown in ("$ loader --probe lb0", "$ loader attach lb0 -t driver", "stays", "lost",
                  "$ loader apply", "README.md"):
        assert shown in done.stdout
    assert traces.left() == []


@needs_root
def test_on_a_terminal(programs: None, traces: Traces) -> None:
    """There the table is drawn again and again while things happen: another way through."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 100, 0, 0))
    environment = traces.environment(TERM="xterm")
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(DEMO, cwd=TREE, env=environment, stdout=theirs,
                          stderr=subprocess.STDOUT) as demo:
        os.close(theirs)
        text = b""
        try:
            while octets := os.read(ours, 65536):
                text += octets
        except OSError:
            pass  # how the end of a terminal is told
        os.close(ours)
        assert demo.wait(DEADLINE) == 0, text.decode()
    # Up by the table's six lines, several times; and nothing but the table is drawn over.
    assert text.count(b"\033[6A\033[J") > 5 and text.count(b"A\033[J") == text.count(b"\033[6A")
    assert b"Summary" in text and traces.left() == []


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["Tier driver: attach", "Tier driver: clients move"])
def test_interrupted(programs: None, traces: Traces, number: signal.Signals, at: str) -> None:
    with subprocess.Popen(DEMO, cwd=TREE, env=traces.environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert any(line.startswith(at) for line in demo.stdout)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=DEADLINE)
    assert demo.returncode == 128 + number
    assert errors == "\ndemo: interrupted; all that it made is gone again\n"
    assert traces.left() == []


@needs_root
def test_reader_goes_away(programs: None, traces: Traces) -> None:
    done = subprocess.run(["sh", "-c", '{ "$@"; echo "status $?" >&2; } | head -n 1', "sh", *DEMO],
                          cwd=TREE, env=traces.environment(), capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert (done.stdout.count("\n"), done.stderr) == (1, "status 1\n")
    assert traces.left() == []


_CROSSED = """#!/bin/sh
# The real loader, given a file in which two servers have each other's id.
for word in "$@"; do
    shift
    if [ "$word" = hwtests/demo/shunt.yaml ]; then
        word=$TMPDIR/crossed.yaml
        sed 's/5e000001/x/; s/5e000002/5e000001/; s/x/5e000002/' hwtests/demo/shunt.yaml > "$word"
    fi
    set -- "$@" "$word"
done
exec {loader} "$@"
"""


@needs_root
def test_untrue_is_told(programs: None, traces: Traces, tmp_path: Path) -> None:
    """With connection IDs led to the wrong servers, the demo must not claim success."""
    build = tmp_path / "build"
    build.mkdir()
    for name in ("quic-server", "bpf"):
        (build / name).symlink_to(build_dir().resolve() / name)
    (build / "loader").write_text(_CROSSED.format(loader=built("loader")))
    (build / "loader").chmod(0o755)
    done = subprocess.run(DEMO, cwd=TREE, env=traces.environment(BUILD=str(build)),
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert "not true: no packet reaches a wrong server" in done.stderr
    assert "Summary" not in done.stdout
    (traces.directory / "crossed.yaml").unlink()
    assert traces.left() == []


class Debian:
    """A machine by stubs: what is missing, who asks, whether apt-get works."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.missing = directory / "missing"
        self.calls = directory / "calls"
        self.calls.touch()
        self.stub("dpkg-query", 'for name; do case $name in -*|*status*) continue;; esac\n'
                  f'grep -qx "$name" {self.missing} || echo "installed $name"; done')
        self.stub("apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {self.calls}\n'
                  f'case "$*" in *install*) : > {self.missing};\n'
                  f'"$POLICY_RC_D" ssh start; echo $? > {self.directory}/policy;; esac')
        self.lacks()
        self.user(0)
        self.release("debian", "12")

    def stub(self, name: str, body: str) -> None:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def lacks(self, *names: str) -> None:
        self.missing.write_text("".join(f"{name}\n" for name in names))

    def user(self, number: int) -> None:
        self.stub("id", f"echo {number}")

    def release(self, name: str, version: str) -> None:
        (self.directory / "os-release").write_text(
            f'ID={name}\nVERSION_ID="{version}"\nPRETTY_NAME="{name} {version}"\n')

    def offline(self) -> None:
        self.stub("apt-get", 'echo "E: Unable to fetch some archives"; exit 100')

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}",
                       "BUILD": str(self.directory / "build"),
                       "OS_RELEASE": str(self.directory / "os-release"),
                       "POLICY_RC_D": str(self.directory / "policy-rc.d")}
        return subprocess.run([TREE / "ci" / script, *arguments], cwd="/", env=environment,
                              capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Debian]:
    yield Debian(tmp_path)


def test_install_has_nothing_to_do(debian: Debian) -> None:
    debian.user(1000)
    done = debian.run("install.sh", "build", "test", "lint")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert debian.calls.read_text() == "" and not (debian.directory / "build").exists()


def test_install_what_is_missing(debian: Debian) -> None:
    debian.lacks("clang-14", "chromium", "flake8")
    done = debian.run("install.sh", "build", "test")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "install: missing: clang-14 chromium"
    assert len(done.stdout.splitlines()) == 4
    update, install = debian.calls.read_text().splitlines()
    assert update.startswith("noninteractive") and update.endswith(" update")
    assert install.startswith("noninteractive") and "--no-install-recommends" in install
    assert install.endswith(" install clang-14 chromium")


@pytest.mark.parametrize("before", ["", "#!/bin/sh\nexit 0\n", "left"])
def test_install_starts_no_service(debian: Debian, before: str) -> None:
    """Unless the machine has a policy of its own, which stays as it was; one of ours that an
    interrupted run left does not."""
    policy = debian.directory / "policy-rc.d"
    if before == "left":
        debian.lacks("clang-14")
        debian.stub("apt-get", f"cp {policy} {policy}.kept")
        assert debian.run("install.sh", "build").returncode == 1
        Path(f"{policy}.kept").rename(policy)
        debian = Debian(debian.directory)
    elif before:
        policy.write_text(before)
        policy.chmod(0o755)
    debian.lacks("openssh-server")
    assert debian.run("install.sh", "test").returncode == 0
    status = 0 if before.startswith("#!") else 101
    assert (debian.directory / "policy").read_text() == f"{status}\n"
    assert policy.exists() == before.startswith("#!")


@pytest.mark.parametrize("case,message", [
    ("user", "root is needed to install them: sudo ci/install.sh build"),
    ("release", "this is ubuntu 24.04, the names are those of Debian 12"),
    ("offline", "E: Unable to fetch some archives - check the network"),
])
def test_install_says_what_to_do(debian: Debian, case: str, message: str) -> None:
    debian.lacks("clang-14")
    if case == "user":
        debian.user(1000)
    elif case == "release":
        debian.release("ubuntu", "24.04")
    else:
        debian.offline()
    done = debian.run("install.sh", "build")
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["biuld"]])
def test_install_usage(debian: Debian, arguments: list[str]) -> None:
    done = debian.run("install.sh", *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_demo_without_root(debian: Debian) -> None:
    debian.user(1000)
    done = debian.run("demo.sh")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(": sudo make demo\n") and done.stderr.count("\n") == 1
