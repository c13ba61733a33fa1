# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Defines the one exception of the lab, and the check of what the machine must offer."""

from __future__ import annotations

import os
import shutil

# Command to Debian package: what every bed needs. Clients and servers check their own.
NEEDED = {
    "bridge": "iproute2",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}


class LabError(Exception):
    """Something the lab could not do; the text is one line that says what to do about it,
    followed by captured output where a command failed."""


def require_root() -> None:
    """Fail with one clear line where namespaces cannot be made."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root to make namespaces: run the same command with sudo")


def require_commands(commands: dict[str, str]) -> None:
    """Fail with the packages to install where a command is missing."""
    missing = sorted({package for command, package in commands.items()
                      if shutil.which(command, path=search_path()) is None})
    if missing:
        raise LabError("the lab needs more packages: apt-get install " + " ".join(missing))


def search_path() -> str:
    """The PATH for everything the lab starts: sudo and cron often leave sbin out."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
