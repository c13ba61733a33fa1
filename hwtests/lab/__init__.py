# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Gives tests and the demo a whole network of throw-away machines on this one.

Start with ``bed.Bed``; the other modules run something in one of its nodes.
"""

from .bed import Bed, Family, Host, Plan
from .certs import Certificate
from .clients import ChromiumResult, GtlsResult, chromium, gtlsclient
from .errors import LabError
from .loader import Loader
from .nat import Nat
from .netns import Node
from .process import Process, ProcessFailed
from .servers import CidConfig, QuicServer, QuicServers, gtlsserver
from .wire import Wire

__all__ = [
    "Bed", "Certificate", "ChromiumResult", "CidConfig", "Family", "GtlsResult", "Host", "LabError",
    "Loader", "Nat", "Node", "Plan", "Process", "ProcessFailed", "QuicServer", "QuicServers",
    "Wire", "chromium", "gtlsclient", "gtlsserver",
]
