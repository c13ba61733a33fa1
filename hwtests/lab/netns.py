# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes and removes the namespaces of a bed, and runs commands inside them.

Nothing is named outside the bed: no entry in /run/netns, no file in /etc/netns, no mount. Each
bed has one *cell*: a process that is the first of its own PID, mount, network and IPC namespaces.
Each node (a machine of the bed) is one process inside the cell with its own network and mount
namespace. They all end when the cell's standard input closes, which the kernel does for us when
this process ends, by whatever signal; and with the first process of a PID namespace the kernel
kills all others in it. So a bed cannot outlive its test, and two beds cannot see each other.

Commands enter a node by nsenter, net and mount namespace both. `ip netns exec` would not do: it
mounts a fresh /sys on each call and so hides bpffs. A node's mount namespace instead holds for
the node's life: a /sys that shows the node's own interfaces, and its own empty bpffs below it,
so that pins of equal names in two nodes or two beds do not meet.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Callable, Mapping, Sequence, TypeVar, cast

from .errors import NEEDED, LabError, require_commands, require_root, search_path

T = TypeVar("T")

_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)

# The outer shell stays in the host's namespaces only to remove the directory once all is over,
# also where the test process itself could not.
_OUTER = """
unshare --fork --kill-child --pid --mount --net --ipc --propagation private -- sh -ec "$2" "$0" "$1"
rm -rf -- "$1"
"""

# The old /proc still counts in the caller's PID namespace: that is how the caller learns which
# process to enter. /tmp is left as it is, for the bed's directory is there.
_INNER = """
read -r outside _ < /proc/self/stat
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
mount --bind "$1/hosts" /etc/hosts
ip link set lo up
echo "$outside"
read -r _ || exit 0
"""

# Duplicate address detection and router solicitation would delay or disturb: the bed's addresses
# are known to be unique and its captures should hold what a test sent. rp_filter: with direct
# server return the way back is not the way there. Redirects: where packets leave by the link they
# came from, the balancer's kernel would tell the client to go to the server straight; IPv6 has no
# switch at the sender.
_NODE = """
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
cd /proc/sys/net
for at in all default; do
    echo 0 > ipv6/conf/$at/accept_dad
    echo 0 > ipv6/conf/$at/accept_ra
    echo 0 > ipv6/conf/$at/router_solicitations
    echo 0 > ipv4/conf/$at/rp_filter
    echo 0 > ipv4/conf/$at/send_redirects
    echo 0 > ipv4/conf/$at/accept_redirects
    echo 0 > ipv6/conf/$at/accept_redirects
done
ip link set lo up
echo $$
read -r _ || exit 0
"""


def _set_namespace(path: str, kind: int) -> None:
    """Move the calling thread; os.setns only exists from Python 3.12."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns {path}: {os.strerror(number)}")
    finally:
        os.close(fd)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    # Where the test itself is a service, its notify socket is not for the programs it starts.
    inherited = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    return {**inherited, "PATH": search_path(), **(extra or {})}


class Cell:
    """The namespaces that hold one bed, with a short-lived directory for its files."""

    def __init__(self, hosts: str) -> None:
        require_root()
        require_commands(NEEDED)
        self.dir = Path(tempfile.mkdtemp(prefix="shunt-lab-"))
        self._children: list[subprocess.Popen[str]] = []
        self._spawner: concurrent.futures.ThreadPoolExecutor | None = None
        self._holder: subprocess.Popen[str] | None = None
        try:
            (self.dir / "hosts").write_text(hosts)
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        # Not in the bed's directory, which is gone as soon as the cell has failed.
        with tempfile.TemporaryFile("w+") as errors:
            self._holder = subprocess.Popen(
                ["sh", "-c", _OUTER, "shunt-lab", str(self.dir), _INNER],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                # ^C at the terminal is for the test to handle, in its own order.
                start_new_session=True, cwd="/", env=_environment(None))
            first = cast(IO[str], self._holder.stdout).readline()
            if not first:
                errors.seek(0)
                why = errors.read().strip() or "no reason given"
                raise LabError(f"cannot make the bed's namespaces ({why}): run it where root may "
                               "unshare and mount, not in a plain container")
        self.pid = int(first)
        # A process gets the PID namespace that its parent *thread* has set for its children. One
        # thread is set so for good; all children start from it. It also never runs a signal
        # handler, so ^C cannot strike half-way.
        self._spawner = concurrent.futures.ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="shunt-lab",
            initializer=_set_namespace, initargs=(f"/proc/{self.pid}/ns/pid", _CLONE_NEWPID))

    def spawn(self, argv: Sequence[str | os.PathLike[str]], *, net: int | None = None,
              mount: int | None = None,
              stdin: int | IO[str] | None = subprocess.DEVNULL,
              stdout: int | IO[str] | None = None, stderr: int | IO[str] | None = None,
              env: Mapping[str, str] | None = None, cwd: str | os.PathLike[str] | None = None,
              foreground: bool = False, pass_fds: Sequence[int] = ()) -> subprocess.Popen[str]:
        """Start a program in the cell; net and mount say whose namespaces (PIDs, default: the
        cell's own). The process is the program itself, not a wrapper: its PID is to be signalled.
        """
        if self._spawner is None:
            raise LabError("the bed is down: nothing can be started in it")
        enter = ["nsenter", f"--net=/proc/{net or self.pid}/ns/net",
                 f"--mount=/proc/{mount or self.pid}/ns/mnt",
                 f"--ipc=/proc/{self.pid}/ns/ipc", f"--wdns={cwd or os.getcwd()}", "--"]

        def start() -> subprocess.Popen[str]:
            child = subprocess.Popen(
                enter + [os.fspath(a) for a in argv], stdin=stdin, stdout=stdout, stderr=stderr,
                encoding="utf-8", errors="replace", env=_environment(env),
                start_new_session=not foreground, pass_fds=pass_fds)
            # Noted here, in the one thread, so that no interruption can lose a child.
            self._children = [c for c in self._children if c.returncode is None] + [child]
            return child
        return self._spawner.submit(start).result()

    def run(self, argv: Sequence[str | os.PathLike[str]], *, net: int | None = None,
            mount: int | None = None, check: bool = True, input: str | None = None,
            timeout: float = 30, env: Mapping[str, str] | None = None,
            cwd: str | os.PathLike[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output comes back, and into the error if it fails."""
        child = self.spawn(argv, net=net, mount=mount, env=env, cwd=cwd,
                           stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        shown = " ".join(os.fspath(a) for a in argv)
        with child:
            try:
                out, err = child.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired as late:
                child.kill()
                out, err = child.communicate()
                raise LabError(f"{shown}: not finished after {timeout:g} s, killed\n{out}{err}"
                               ) from late
            except BaseException:
                child.kill()
                raise
        if check and child.returncode != 0:
            raise LabError(f"{shown}: exit status {child.returncode}\n{input or ''}{out}{err}")
        return subprocess.CompletedProcess(list(argv), child.returncode, out, err)

    def close(self) -> None:
        """End everything in the cell; safe to call twice and half-way through the start."""
        holder, self._holder = self._holder, None
        if holder is None:
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        cast(IO[str], holder.stdin).close()
        # The kernel waits for every process of the PID namespace to be reaped, and ours are our
        # children: so they are collected before the holder is.
        if self._spawner is not None:
            self._spawner.shutdown()
            self._spawner = None
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self._children = []
        holder.wait()
        cast(IO[str], holder.stdout).close()

    def __enter__(self) -> Cell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class Node:
    """One machine of the bed: a network namespace with its own /sys and bpffs."""

    def __init__(self, cell: Cell, name: str) -> None:
        self.cell = cell
        self.name = name
        with open(cell.dir / f"{name}.err", "w") as errors:
            self._holder = cell.spawn(
                ["unshare", "--net", "--mount", "--propagation", "private", "--",
                 "sh", "-ec", _NODE, f"shunt-lab-{name}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        first = cast(IO[str], self._holder.stdout).readline()
        if not first:
            why = (cell.dir / f"{name}.err").read_text().strip()
            raise LabError(f"cannot make node {name}: {why}")
        self.pid = self._holder.pid
        #: The same process as seen from within the bed.
        self.inner_pid = int(first)

    def run(self, argv: Sequence[str | os.PathLike[str]], *, check: bool = True,
            input: str | None = None, timeout: float = 30, env: Mapping[str, str] | None = None,
            cwd: str | os.PathLike[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in this node to its end."""
        return self.cell.run(argv, net=self.pid, mount=self.pid, check=check, input=input,
                             timeout=timeout, env=env, cwd=cwd)

    def popen(self, argv: Sequence[str | os.PathLike[str]], *,
              stdin: int | IO[str] | None = subprocess.DEVNULL,
              stdout: int | IO[str] | None = None, stderr: int | IO[str] | None = None,
              env: Mapping[str, str] | None = None, cwd: str | os.PathLike[str] | None = None,
              foreground: bool = False, pass_fds: Sequence[int] = ()) -> subprocess.Popen[str]:
        """Start a command in this node; `process.Process` is the comfortable way."""
        return self.cell.spawn(argv, net=self.pid, mount=self.pid, stdin=stdin, stdout=stdout,
                               stderr=stderr, env=env, cwd=cwd, foreground=foreground,
                               pass_fds=pass_fds)

    def ip(self, *lines: str) -> None:
        """Run lines of iproute2, without the leading `ip`, in one go."""
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def sysctl(self, **values: int) -> None:
        """Set sysctls; a double underscore stands for the dot (net__ipv4__ip_forward=1)."""
        self.run(["sysctl", "-qw", *(f"{k.replace('__', '.')}={v}" for k, v in values.items())])

    def ethtool(self, interface: str, **features: str) -> None:
        """Switch offloads: ethtool("c0", tx="off")."""
        words = [word for pair in features.items() for word in pair]
        self.run(["ethtool", "-K", interface, *words])

    def mac(self, interface: str) -> str:
        """The interface's link address."""
        return self.run(["cat", f"/sys/class/net/{interface}/address"]).stdout.strip()

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in this node while its owner stays outside."""
        # A socket keeps the namespace of the thread that made it.
        return self.inside(lambda: socket.socket(family, kind, protocol))

    def inside(self, work: Callable[[], T]) -> T:
        """Do something in this node's network namespace, in a thread that is then thrown away."""
        def enter_and_do() -> T:
            _set_namespace(f"/proc/{self.pid}/ns/net", _CLONE_NEWNET)
            return work()
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(enter_and_do).result()

    def close(self) -> None:
        """Take the machine away in mid-run: its interfaces go when its last process has ended."""
        if self._holder.stdin is not None and not self._holder.stdin.closed:
            self._holder.stdin.close()
            self._holder.wait()
