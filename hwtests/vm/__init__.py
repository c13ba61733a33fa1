# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tests inside a virtual machine: Debian's stock kernels, with netdevsim and whatever else the
host's own kernel lacks. ``python3 -m hwtests.vm`` runs them; those in guest/ run nowhere else."""
