# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Brings the test network up by hand: ``python3 -m hwtests.lab shell``."""

from __future__ import annotations

import argparse
import signal
import sys

from .bed import Bed, Plan
from .errors import LabError


def _functions(bed: Bed) -> str:
    """Shell functions that run a command in a node: `s1 ss -uln`, `lb build/loader status`."""
    enter = 'nsenter --target {pid} --net --mount --wdns="$PWD" -- "$@"'
    lines = [f"{node.name}() {{ {enter.format(pid=node.inner_pid)}; }}" for node in bed.nodes]
    return "\n".join([*lines, "PS1='shunt-lab \\w # '", ""])


def _hint(bed: Bed) -> str:
    names = ", ".join(node.name for node in bed.nodes)
    first = bed.servers[0].name
    return (f"In this shell each node is a command ({names}): {first} ip addr\n"
            f"From another terminal: nsenter --target {bed.lb.pid} --net --mount --pid "
            "--wdns=\"$PWD\"   (this one is lb)")


def _shell(bed: Bed) -> int:
    print(bed.table(), "", _hint(bed), sep="\n", flush=True)
    if not sys.stdin.isatty():
        try:
            print("No terminal: holding until interrupted.", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        return 0
    functions = bed.dir / "functions"
    functions.write_text(_functions(bed))
    shell = bed.cell.spawn(["bash", "--rcfile", functions, "-i"], stdin=None, foreground=True)
    # ^C belongs to the command that the shell runs, not to the bed around it.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return shell.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def main() -> int:
    """Read the arguments, hold the network, and say failures in one line."""
    parser = argparse.ArgumentParser(prog="python3 -m hwtests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shell = commands.add_parser("shell", help="a network to play with, gone on exit or ^C")
    shell.add_argument("-n", "--servers", type=int, default=2, metavar="N")
    shell.add_argument("--one-link", action="store_true",
                       help="all nodes on one bridge (XDP_TX) instead of a link per server")
    shell.add_argument("--mtu", type=int, default=Plan.server_mtu, metavar="BYTES",
                       help="MTU towards the servers (default %(default)s)")
    shell.add_argument("--pass-peers", action="store_true",
                       help="attach the pass program at the far ends (needs make build)")
    shell.add_argument("--route", action="store_true",
                       help="let the kernel route the VIP to s1, with no balancer")
    args = parser.parse_args()
    try:
        with Bed(servers=args.servers, one_link=args.one_link, server_mtu=args.mtu) as bed:
            if args.pass_peers:
                bed.attach_pass()
            if args.route:
                bed.route_vip(bed.servers[0])
            return _shell(bed)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
