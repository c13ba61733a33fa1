# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Says of a built BPF object whether a Netronome card would take it; needs no root and no card."""
