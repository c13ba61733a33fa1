# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""``make hwtest``: what the tests hold on veth, held on a network card and a port cabled to it.

``__main__`` asks and reports, ``found`` and ``keeper`` leave the ports as they were, ``agent``
sends and captures at the other end of the cable, ``checks`` and ``changes`` are the tests.
"""
