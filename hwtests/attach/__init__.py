# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Puts tiers on real veth interfaces and takes them off: order, reasons, adoption, crashes."""
