# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Boots a kernel under qemu with the host's files, runs one command in it, and gives its status."""

from __future__ import annotations

import ctypes
import lzma
import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

from hwtests.lab.errors import search_path
from hwtests.lab.waiting import Deadline, Tail, wait_readable

from .packages import Kernel, Refused, run

INIT = Path(__file__).with_name("init.sh")
# What the root file system comes over; the rest is loaded from there.
FIRST_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
# Emulated, the TSC is calibrated wrongly on a busy host: the guest's seconds were a third of ours.
KERNEL_ARGUMENTS = ("console=ttyS0 loglevel=5 panic=-1 oops=panic clocksource=hpet no_timer_check "
                    "mitigations=off rdinit=/init")
STATUS = re.compile(r"^shunt-vm: (.*?)\r?$", re.M)
# The kernel's own complaints: a test that provoked one has found something.
COMPLAINT = re.compile(r"(?:WARNING: CPU|BUG: |Oops|general protection|Kernel panic|"
                       r"blocked for more than|possible recursive locking).*")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Outcome:
    """How a boot ended."""

    status: int | None  #: of the command; None: the machine did not say
    why: str  #: where there is no status
    complaints: tuple[str, ...]  #: of the kernel, with what it printed behind them


class Machine:
    """One boot; its folder keeps console, output and events until the next."""

    def __init__(self, kernel: Kernel, folder: Path, accel: str = "tcg") -> None:
        self.kernel = kernel
        self.folder = folder
        self.accel = accel
        self.console = folder / "console"
        self.output = folder / "output"
        self.events = folder / "events"

    def run(self, argv: list[str], environment: Mapping[str, str], timeout: float,
            event: Callable[[str], None]) -> Outcome:
        """The command's outcome; event is given each line that it appends to SHUNT_VM_EVENTS."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.events.touch()
        variables = {**environment, "SHUNT_VM_EVENTS": str(self.events)}
        (self.folder / "command").write_text(
            "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())
            + f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(argv)}\n")
        timed_out = False
        with Tail(self.events) as events, open(self.folder / "qemu", "w") as errors:
            process = subprocess.Popen(
                self._qemu(), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
            try:
                timed_out = not self._follow(process, events, Deadline(timeout), event)
            finally:
                process.kill()
                process.wait()
            for line in events.lines():
                event(line)
        return self._outcome(f"not done after {timeout:.0f} s" if timed_out else "")

    @staticmethod
    def _follow(process: subprocess.Popen[bytes], events: Tail, deadline: Deadline,
                event: Callable[[str], None]) -> bool:
        """Whether the machine ended by itself."""
        ended = os.pidfd_open(process.pid)
        try:
            while not deadline.passed():
                ready = wait_readable([ended, events.fileno()], deadline)
                for line in events.lines():
                    event(line)
                if ended in ready:
                    return True
            return False
        finally:
            os.close(ended)

    def _outcome(self, why: str) -> Outcome:
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        said = STATUS.findall(console)
        lines = console.splitlines()
        complaints = tuple("\n".join(lines[at:at + 25]) for at, line in enumerate(lines)
                           if COMPLAINT.search(line))
        if said and (status := re.fullmatch(r"exit status (\d+)", said[-1])):
            return Outcome(int(status[1]), "", complaints)
        if not said:
            qemu = (self.folder / "qemu").read_text().strip()
            why = why or "the machine did not start" + (f": {qemu}" if qemu else "")
        elif said[-1] != "begins":
            why = said[-1]
        return Outcome(None, why or "the machine ended without a word", complaints)

    def _qemu(self) -> list[str]:
        path = shutil.which("qemu-system-x86_64", path=search_path())
        if path is None:
            raise Refused("no qemu-system-x86_64: ci/install.sh test (as root)")
        share = "local,security_model=none,multidevs=remap"
        arguments = (f"{KERNEL_ARGUMENTS} shunt.out={self.folder} "
                     f"shunt.modules={self.kernel.root}/lib/modules")
        return [path, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "q35", "-accel", self.accel,
                "-cpu", "host" if self.accel == "kvm" else "max", "-m", "1536", "-smp", "1",
                "-kernel", str(self.kernel.image), "-initrd", str(self._initramfs()),
                "-append", arguments, "-serial", f"file:{self.console}",
                "-virtfs", f"{share},path=/,mount_tag=host,readonly=on",
                "-virtfs", f"{share},path={self.folder},mount_tag=out"]

    def _initramfs(self) -> Path:
        """busybox, init and the first modules, by busybox's own cpio."""
        root = self.folder / "initramfs"
        for name in ("bin", "modules"):
            (root / name).mkdir(parents=True)
        busybox = shutil.which("busybox", path=search_path())
        if busybox is None:
            raise Refused("no busybox: ci/install.sh test (as root)")
        shutil.copy(busybox, root / "bin/busybox")
        shutil.copy(INIT, root / "init")
        (root / "init").chmod(0o755)
        names = []
        for module in self._first_modules():
            packed = module.suffix == ".xz"
            octets = module.read_bytes()
            names.append(module.name.removesuffix(".xz"))
            (root / "modules" / names[-1]).write_bytes(
                lzma.decompress(octets) if packed else octets)
        (root / "modules/list").write_text("".join(f"{name}\n" for name in names))
        archive = self.folder / "initramfs.cpio"
        run("sh", "-c", f"find . | busybox cpio -o -H newc >{shlex.quote(str(archive))}", cwd=root)
        shutil.rmtree(root)
        return archive

    def _first_modules(self) -> list[Path]:
        """Each behind what it needs."""
        found: dict[Path, None] = {}
        for name in FIRST_MODULES:
            told = run("modprobe", "-C", "/dev/null", "-d", self.kernel.root, "-S",
                       self.kernel.release, "--show-depends", name)
            found |= {Path(path): None for path in re.findall(r"^insmod (\S+)", told, re.M)}
        return list(found)
