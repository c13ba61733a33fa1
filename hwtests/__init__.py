# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Holds the tests that need a network: real interfaces, real QUIC peers, a real loader."""
