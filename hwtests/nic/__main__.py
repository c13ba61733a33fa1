# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""``python3 -m hwtests.nic --nic IFACE``: says what it would do, and with --yes does it."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from hwtests.lab import LabError
from hwtests.lab.bed import build_dir
from hwtests.lab.errors import require_commands

from .keeper import Keeper
from .peer import PeerError, Where
from .plan import Plan, loader_json, refusals
from .report import Report

REFUSED, USAGE = 1, 2
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def options(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="hwtest", description="The tests on a real NIC.")
    parser.add_argument("--nic", required=True, help="the port shunt is attached to")
    parser.add_argument("--peer", help="the port cabled to it: IFACE, or ssh:user@host:IFACE")
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--force", action="store_true",
                        help="also on a port with addresses or the default route")
    parser.add_argument("--tiers", default="", help="only these, with commas; also: auto")
    parser.add_argument("--link", type=float, default=30, metavar="SECONDS",
                        help="how long a link may take to come back (30)")
    parser.add_argument("--only", default="", help="only tests that match, as pytest's -k")
    parser.add_argument("--ssh", default="ssh -oBatchMode=yes", help="how to call ssh")
    parser.add_argument("--report", type=Path, default=build_dir() / "hwtest",
                        help="where REPORT.json and REPORT.txt go")
    return parser.parse_args(argv)


def say(text: str) -> None:
    """What is no result."""
    print(f"hwtest: {text}", file=sys.stderr)


#: The first signal; pytest lets its number get lost.
_signals: list[int] = []


def _interrupt(number: int, frame: FrameType | None) -> None:
    for one in ENDINGS:
        signal.signal(one, signal.SIG_IGN)
    _signals.append(number)
    raise KeyboardInterrupt


def work(args: argparse.Namespace, plan: Plan) -> int:
    """Do it. Whatever happens, the keeper has the last word."""
    report = Report(plan, args.only)
    result, error = "failed", None
    keeper = Keeper(plan.ports)
    try:
        for one in ENDINGS:
            signal.signal(one, _interrupt)
        result = _tests(args, plan, report, keeper)
    except KeyboardInterrupt:
        result = "interrupted"
    except Exception as problem:  # whatever it is, the ports are restored and the report written
        error = str(problem) or repr(problem)
        say(error)
    restored: dict[str, Any] = keeper.close()
    report.finish(result, restored, error)
    report.write(args.report)
    sys.stdout.write("\n" + report.text())
    print(f"\nreport in {args.report / 'REPORT.json'} and REPORT.txt")
    if _signals:
        return 128 + _signals[0]
    return 0 if report.data["result"] == "passed" else 1


def _tests(args: argparse.Namespace, plan: Plan, report: Report, keeper: Keeper) -> str:
    # Here, for the tests' own libraries take longer to load than to say what would be done.
    from .plugin import Plugin, run
    from .stage import Ports
    with Ports(plan.nic, plan.peer, shlex.split(args.ssh), keeper, args.link) as ports:
        if ports.peer is not None:
            report.data["peer"] = {"where": str(plan.peer), **ports.peer.facts}
            if ports.peer.facts["default_route"] and not args.force:
                raise PeerError(f"{plan.peer} carries the default route (FORCE=1 to go on)")
        probe = loader_json("probe", plan.nic, "--trial", check=False)
        report.offered(probe)
        usable = [row["tier"] for row in probe["tiers"] if row["usable"] == "yes"]
        wanted = [word for word in args.tiers.split(",") if word] or [*usable, "auto"]
        for tier in wanted:
            if tier not in [*usable, "auto"]:
                raise PeerError(f"{plan.nic} has no tier {tier}")
        plugin = Plugin(ports, wanted)
        try:
            status = run(plugin, args.only)
        finally:
            for tier, tests in plugin.results.items():
                report.ran(tier, tests)
            report.data["left_out"] = sorted(plugin.left_out)
        if _signals:
            raise KeyboardInterrupt
    return "passed" if status == 0 else "failed"


def main(argv: list[str]) -> int:
    args = options(argv)
    if os.geteuid() != 0:
        say("root is needed, for BPF programs: sudo make hwtest")
        return 1
    try:
        require_commands({"ip": "iproute2", "tc": "iproute2", "ethtool": "ethtool",
                          "setpriv": "util-linux"})
        plan = Plan(args.nic, Where.parse(args.peer) if args.peer else None).make()
    except (LabError, PeerError, OSError) as error:
        say(str(error))
        return USAGE if isinstance(error, PeerError) else 1
    print(plan.describe(), flush=True)
    stop = refusals(plan.obstacles, args.force)
    if stop:
        only_forced = all(one.forced for one in stop)
        say(f"refused: {stop[0].text}" + (f" (and {len(stop) - 1} more)" if stop[1:] else "")
            + ("; FORCE=1 goes on all the same" if only_forced else ""))
        return REFUSED
    if not args.yes:
        say("nothing was changed and no packet sent; to do all this: the same with YES=1")
        return USAGE
    return work(args, plan)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
