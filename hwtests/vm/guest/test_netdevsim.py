# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The loader on netdevsim: a device that takes any program and runs none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def test_probe() -> None:
    subprocess.run(["modprobe", "psample"], check=True)
    subprocess.run(["insmod", os.environ["SHUNT_VM_NETDEVSIM"] + "/netdevsim.ko"], check=True)
    Path("/sys/bus/netdevsim/new_device").write_text("10 1")
    (name,) = os.listdir("/sys/bus/netdevsim/devices/netdevsim10/net")
    done = subprocess.run([os.environ["BUILD"] + "/loader", "probe", name], text=True,
                          capture_output=True)
    assert "map-limit" in done.stdout, done
