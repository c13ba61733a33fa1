# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command: ``python3 -m hwtests.vm``, after ``make everything``. One line a test as it ends,
what failed, and as the last line the sum."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwtests.lab import LabError
from hwtests.lab.bed import build_dir, built
from hwtests.lab.ending import Interrupted, interruptible

from .beds import BOOTS, MODULE_BUILDS, OBJECTS, Boot
from .machine import Machine, Outcome
from .modules import build, output
from .packages import Kernel, Refused, Unavailable, get, run

TREE = Path(__file__).resolve().parents[2]
GUEST = Path("hwtests/vm/guest")
PYTEST = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "--color=no", "--tb=short",
          "-p", "no:cacheprovider", f"--confcutdir={GUEST}", "-c", str(GUEST / "pytest.ini"),
          f"--rootdir={GUEST}"]
COMPILERS = ("clang-14", "clang-16", "clang-19")


@dataclass
class Report:
    """What came of it; several machines write to it at once."""

    counts: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, boot: str, test: str, outcome: str, seconds: float, detail: str = "") -> None:
        """One test; a skipped one says why at once, a failed one at the end."""
        with self.lock:
            self.counts[outcome] += 1
            reason = f"  ({detail})" if outcome == "skipped" and detail else ""
            print(f"   {boot:<14} {outcome:<7} {seconds:5.1f} s  {test}{reason}", flush=True)
            if outcome == "failed":
                self.details.append(f"-- {boot}: {test}\n{detail}")

    def skip_all(self, boot: Boot, why: str) -> None:
        """The boot's tests, counted without a machine."""
        with self.lock:
            number = _count(boot)
            self.counts["skipped"] += number
            print(f"   {boot.name:<14} skipped {number} tests: {why}", flush=True)

    def total(self) -> str:
        """The last line."""
        return ", ".join(f"{self.counts[word]} {word}" for word in ("passed", "failed", "skipped"))


class Events:
    """What the guest's pytest tells of one boot, see guest/conftest.py."""

    def __init__(self, boot: Boot, report: Report) -> None:
        self.boot, self.report = boot, report
        self.running: str | None = None
        self.ended = 0

    def __call__(self, line: str) -> None:
        event: dict[str, Any] = json.loads(line)
        if "running" in event:
            self.running = event["running"]
            return
        self.running = None
        self.ended += 1
        self.report.line(self.boot.name, event["test"], event["outcome"], event["seconds"],
                         event["detail"])


def _count(boot: Boot) -> int:
    """How many tests a boot would have had."""
    done = subprocess.run([*PYTEST, "--collect-only", *_tests(boot)], capture_output=True,
                          text=True, env=_environment(None, boot))
    return sum("::" in line for line in done.stdout.splitlines())


def _tests(boot: Boot) -> list[str]:
    return [str(GUEST / name) for name in boot.tests]


def _environment(kernel: Kernel | None, boot: Boot) -> dict[str, str]:
    modules = {f"SHUNT_VM_{name.upper().replace('-', '_')}": str(output(kernel, name))
               for name in boot.modules} if kernel else {}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root", "LANG": "C.UTF-8", "BUILD": str(build_dir()),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", **modules}


def _boot(boot: Boot, kernel: Kernel, accel: str, words: list[str], report: Report) -> None:
    began = time.monotonic()
    machine = Machine(kernel, build_dir() / "vm/runs" / boot.name, accel)
    events = Events(boot, report)
    outcome = machine.run([*PYTEST, *words, *_tests(boot)], _environment(kernel, boot),
                          boot.timeout, events)
    if outcome.status is None and accel != "tcg" and not events.ended:
        print(f"   {boot.name:<14} {accel} does not work here: {outcome.why.splitlines()[0]}; "
              "emulated instead", flush=True)
        _boot(boot, kernel, "tcg", words, report)
        return
    _judge(boot, machine, events, outcome, report)
    print(f"   {boot.name:<14} {kernel.release} ({kernel.version}), {accel}, "
          f"{time.monotonic() - began:.0f} s", flush=True)


def _judge(boot: Boot, machine: Machine, events: Events, outcome: Outcome, report: Report) -> None:
    """What no test could say: how the machine ended, and what its kernel complained of."""
    if outcome.status is None:
        report.line(boot.name, events.running or "(the machine)", "failed", 0.0,
                    f"{outcome.why}\nconsole: {machine.console}\n{_tail(machine.console)}")
    elif outcome.status not in (0, 1, 5) or not events.ended and outcome.status != 5:
        # pytest: 0 all well, 1 tests failed (each told), 5 none selected.
        report.line(boot.name, "(pytest)", "failed", 0.0,
                    f"exit status {outcome.status}\n{_tail(machine.output)}")
    for complaint in outcome.complaints:
        report.line(boot.name, "(the kernel)", "failed", 0.0, complaint)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-25:]) if path.exists() else ""


def _kernel(series: str, boots: list[Boot], report: Report) -> Kernel | None:
    """With all modules of these boots built; None: everybody who needed it knows."""
    try:
        kernel = get(series, build_dir() / "vm" / series)
    except Unavailable as why:
        for boot in boots:
            report.skip_all(boot, str(why))
        return None
    except Refused as why:
        for boot in boots:
            report.line(boot.name, "(packages)", "failed", 0.0, str(why))
        return None
    names = {name for boot in boots for name in boot.modules}
    for wanted in MODULE_BUILDS:
        began = time.monotonic()
        try:
            if wanted.name in names and build(kernel, wanted, os.cpu_count() or 1):
                print(f"   {series}: built {wanted.name} in {time.monotonic() - began:.0f} s",
                      flush=True)
        except Refused as why:
            report.line(series, f"(module {wanted.name})", "failed", 0.0, str(why))
            boots[:] = [boot for boot in boots if wanted.name not in boot.modules]
    return kernel


def _objects(report: Report) -> None:
    """The BPF objects by each compiler, for the tests that load them all."""
    for compiler in COMPILERS:
        place = build_dir() / "vm/objects" / compiler
        try:
            run("make", "-s", f"BUILD={place}", f"CLANG={compiler}",
                *[f"{place}/bpf/{name}.bpf.o" for name in OBJECTS])
        except Refused as why:
            report.line("objects", f"({compiler})", "failed", 0.0, str(why))
    try:
        run("make", "-s", f"BUILD={build_dir()}", "offload-cases")
    except Refused as why:
        report.line("objects", "(offload-cases)", "failed", 0.0, str(why))


def _run(boots: list[Boot], accel: str, words: list[str], report: Report) -> None:
    """Two machines at a time: a core each, as far as a small machine has them."""
    ready = []
    for series in dict.fromkeys(boot.series for boot in boots):
        mine = [boot for boot in boots if boot.series == series]
        kernel = _kernel(series, mine, report)
        ready += [(boot, kernel) for boot in mine if kernel]
    # Not a context manager: its end would wait for the machines, also when interrupted.
    pool = ThreadPoolExecutor(2)
    tasks = [pool.submit(_boot, boot, kernel, accel, words, report) for boot, kernel in ready]
    for (boot, _), task in zip(ready, tasks):
        try:
            task.result()
        except Refused as why:
            report.line(boot.name, "(the machine)", "failed", 0.0, str(why))


def main() -> int:
    """The exit status is 0 only if nothing failed."""
    parser = argparse.ArgumentParser(prog="python3 -m hwtests.vm", description=__doc__)
    parser.add_argument("--boot", action="append", choices=[boot.name for boot in BOOTS],
                        help="only this machine; may be given again")
    parser.add_argument("--kvm", action="store_true",
                        help="try KVM, which not every machine with /dev/kvm can do")
    parser.add_argument("-k", dest="expression", help="only tests that match, as pytest has it")
    options = parser.parse_args()
    os.chdir(TREE)
    report = Report()
    words = ["-k", options.expression] if options.expression else []
    boots = [boot for boot in BOOTS if not options.boot or boot.name in options.boot]
    interruptible()
    try:
        built("loader", target="everything")
        _objects(report)
        _run(boots, "kvm" if options.kvm else "tcg", words, report)
    except LabError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("\nvm: interrupted; the machines are gone", file=sys.stderr)
        sys.stdout.flush()
        # The other threads wait for machines, which end with the thread that started them.
        os._exit(128 + interrupted.number)
    for detail in report.details:
        print(detail)
    print(report.total())
    return 1 if report.counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
