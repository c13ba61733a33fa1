# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Real QUIC clients reach real QUIC servers through the balancer, in every host tier."""
