# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Measures real QUIC connections through the balancer against the same network without one."""
