# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What became of packets: the balancer's counters and the servers' events, of some time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Mapping

from hwtests.lab import QuicServer
from hwtests.lab.servers import Event


@dataclass(frozen=True)
class Stats:
    """The balancer's counters, packets only, from `loader stats --json`."""

    generation: int
    total: int
    reasons: Counter[str]
    servers: Counter[str]
    vips: Counter[str]
    configs: Counter[str]
    verdicts: Mapping[str, str]

    @classmethod
    def of(cls, document: Any) -> Stats:
        """Read the document; the site has one tier attached."""
        assert document["schema"] == "shunt/stats/1" and len(document["tiers"]) == 1, document
        tier = document["tiers"][0]

        def packets(section: str) -> Counter[str]:
            return Counter({name: item["packets"] for name, item in tier[section].items()})
        return cls(tier["generation"], tier["total"]["packets"], packets("reasons"),
                   packets("servers"), packets("vips"), packets("configs"),
                   {name: item["verdict"] for name, item in tier["reasons"].items()})

    def plus(self, other: Stats) -> Stats:
        """Those of two balancers."""
        return Stats(max(self.generation, other.generation), self.total + other.total,
                     self.reasons + other.reasons, self.servers + other.servers,
                     self.vips + other.vips, self.configs + other.configs, self.verdicts)

    def since(self, before: Stats) -> Stats:
        """What came after the earlier reading."""
        def less(now: Counter[str], then: Counter[str]) -> Counter[str]:
            assert all(now[key] >= then[key] for key in now), (now, then)
            return now - then
        return Stats(self.generation, self.total - before.total,
                     less(self.reasons, before.reasons), less(self.servers, before.servers),
                     less(self.vips, before.vips), less(self.configs, before.configs),
                     self.verdicts)

    @property
    def forwarded(self) -> int:
        """Packets that went to some server."""
        return sum(n for reason, n in self.reasons.items()
                   if self.verdicts[reason].lower() == "forward")

    @property
    def hashed(self) -> int:
        """Packets that the 4-tuple decided, now or when its flow began."""
        return sum(n for reason, n in self.reasons.items()
                   if reason.startswith("hash_") or reason == "flow")

    @property
    def datagrams(self) -> int:
        """What of it servers see. ICMP is for their hosts: that a client's port is closed, say,
        which is told of whatever comes when it has ended."""
        return self.forwarded - self.reasons["icmp"]


#: Reasons that nothing in these tests may give rise to: each would be a packet that the balancer
#: should have forwarded.
NEVER = ("no_config", "malformed", "fragment", "ip_options", "no_server", "no_next_hop",
         "ttl_expired", "no_headroom", "hash_no_dcid")


@dataclass
class Account:
    """What happened at the servers and in the balancer while it was open."""

    servers: list[QuicServer]
    before: Stats
    counters: dict[str, Counter[str]]
    marks: dict[str, int]
    #: How many packets are forwarded and must not arrive; for the test to set.
    lost: int = 0
    #: Filled in at the end.
    balancer: Stats | None = None
    seen: dict[str, Counter[str]] = field(default_factory=dict)

    def events(self, kind: str) -> list[Event]:
        """Events of one kind of all servers, those of one server in their order."""
        found: list[Event] = []
        for server in self.servers:
            server.read()
            found += [e for e in server.events[self.marks[server.name]:] if e["event"] == kind]
        return found

    def wait(self, name: str, kind: str) -> Event:
        """Wait for the first such event of a server since the account was opened."""
        server = next(server for server in self.servers if server.name == name)
        return server.wait_event(kind, since=self.marks[name])

    def where(self, kind: str = "request") -> list[str]:
        """The names of the servers that had such events, one for each event."""
        return [event["server"] for event in self.events(kind)]

    @property
    def cid_routed(self) -> int:
        """Packets that a connection ID decided, once the account is closed."""
        assert self.balancer is not None
        return self.balancer.reasons["cid"]


def check_sums(stats: Stats) -> None:
    """Every packet has one reason; what is for a VIP has a VIP, what is forwarded a server."""
    assert stats.total == sum(stats.reasons.values())
    assert stats.forwarded == sum(stats.servers.values()) == stats.hashed + sum(
        stats.reasons[name] for name in ("cid", "flow_cid", "icmp"))
    assert stats.reasons["cid"] == sum(stats.configs.values())
    assert stats.forwarded == sum(stats.vips.values()) - sum(
        stats.reasons[name] for name in ("no_server", "no_next_hop", "ttl_expired", "no_headroom",
                                         "too_big", "too_big_answered"))
