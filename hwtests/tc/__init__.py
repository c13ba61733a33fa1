# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The TC programs on veth interfaces: what they count, hand over and change, and beside whom."""
