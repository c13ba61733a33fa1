# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The nfp driver's own verifier, JIT, map and attach code, over a stand-in for the card."""
