# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Shows a newcomer what the balancer does, with real clients and servers in a throw-away network.

``make demo`` runs it. ``story`` tells it, ``site`` builds what it happens in, ``moves`` changes a
client's address, ``tally`` counts, ``screen`` prints.
"""
