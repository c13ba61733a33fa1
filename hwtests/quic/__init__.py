# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A QUIC server whose connection IDs a balancer can read, and the tests of it alone."""
