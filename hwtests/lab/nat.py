# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Plays a NAT in front of any client, and lets it forget its mapping in mid-connection."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from .bed import Bed, client4, client6
from .errors import LabError, require_commands

_TABLE = "shunt_lab_nat"


@dataclass(frozen=True)
class Mapping:
    """The outside of the NAT: which of the client's addresses, which ports."""

    address4: str
    address6: str
    first_port: int
    last_port: int


class Nat:
    """Source NAT in the client's namespace; use it as a context manager around a connection."""

    def __init__(self, bed: Bed) -> None:
        require_commands({"nft": "nftables", "conntrack": "conntrack"})
        self._bed = bed
        self._index = 0
        self._ports = 0
        self.mapping = self._mapping()

    def _mapping(self) -> Mapping:
        first = 30000 + 1000 * (self._ports % 30)
        return Mapping(client4(self._index), client6(self._index), first, first + 999)

    def rebind(self, *, address: bool = False, port: bool = True) -> Mapping:
        """Forget the mapping, as a home router does: the next packet leaves from elsewhere.

        Port ranges of successive mappings do not overlap, so the source always changes. With
        address alone the ports stay within their range but are drawn anew.
        """
        if address:
            self._index = (self._index + 1) % 4
        if port:
            self._ports += 1
        self.mapping = self._mapping()
        self._apply()
        # New rules only serve new flows: the kernel must forget the old ones. Exit status 1 with
        # "0 flow entries" means there were none yet.
        for family in ("ipv4", "ipv6"):
            done = self._bed.client.run(["conntrack", "-D", "-f", family, "-p", "udp"],
                                        check=False)
            if done.returncode != 0 and " 0 flow entries" not in done.stderr:
                raise LabError(f"conntrack -D: {done.stderr.strip()}")
        return self.mapping

    def _apply(self) -> None:
        m, port = self.mapping, self._bed.port
        # Created, deleted, created: one transaction that replaces the table or makes the first.
        self._bed.client.run(["nft", "-f", "-"], input=f"""
table inet {_TABLE} {{
}}
delete table inet {_TABLE}
table inet {_TABLE} {{
    chain out {{
        type nat hook postrouting priority 100
        udp dport {port} snat ip to {m.address4}:{m.first_port}-{m.last_port} random
        udp dport {port} snat ip6 to [{m.address6}]:{m.first_port}-{m.last_port} random
    }}
}}
""")

    def __enter__(self) -> Nat:
        self._apply()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bed.client.run(["nft", "delete", "table", "inet", _TABLE], check=False)
