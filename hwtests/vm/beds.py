# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is booted, with which modules, and which of the tests in guest/ run there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .modules import ModuleBuild

# netdevsim takes two entries a map, which is a constant: the second build of the same source has
# room for the offload object.
ROOM = 1024

OBJECTS = ("driver", "generic", "offload", "ingress", "egress", "decap")

MODULE_BUILDS = (
    ModuleBuild("netdevsim", "drivers/net/netdevsim", ("CONFIG_NETDEVSIM=m",)),
    ModuleBuild("netdevsim-roomy", "drivers/net/netdevsim", ("CONFIG_NETDEVSIM=m",),
                (("bpf.c", "#define NSIM_BPF_MAX_KEYS\t\t2\n",
                  f"#define NSIM_BPF_MAX_KEYS\t\t{ROOM}\n"),)),
    ModuleBuild("nfp", "drivers/net/ethernet/netronome/nfp", own=Path(__file__).with_name("nfp")),
)


@dataclass(frozen=True)
class Boot:
    """One machine. Those of a series share its packages and modules."""

    name: str
    series: str
    modules: tuple[str, ...]  #: of MODULE_BUILDS
    tests: tuple[str, ...]  #: files in guest/
    timeout: float = 600.0


BOOTS = (
    Boot("6.1-netdevsim", "6.1", ("netdevsim", "netdevsim-roomy"),
         ("test_netdevsim.py", "test_netdevsim_refusals.py", "test_netdevsim_lost.py")),
    Boot("6.1-nfp", "6.1", ("nfp",),
         ("nfp/test_nfp_cases.py", "nfp/test_nfp_maps.py", "nfp/test_nfp_attach.py",
          "nfp/test_nfp_words.py")),
    Boot("6.1-nfp-loader", "6.1", ("nfp",),
         ("nfp/test_nfp_loader.py", "nfp/test_nfp_probe.py")),
    Boot("6.1-nfp-known", "6.1", ("nfp",), ("nfp/test_nfp_known.py",)),
    Boot("6.1-dispatcher", "6.1", (),
         ("test_load.py", "test_dispatcher.py", "test_upper.py", "test_fou.py", "test_tc.py")),
    Boot("6.12", "6.12", ("netdevsim-roomy",),
         ("test_load.py", "test_dispatcher_refused.py", "test_upper.py", "test_fou.py",
          "test_tc.py", "test_netdevsim_refusals.py")),
)
