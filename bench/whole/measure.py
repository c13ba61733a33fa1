# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Measures all cases in rounds, and compares each with the case without a balancer of its round."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

from hwtests.lab import LabError
from hwtests.lab.waiting import Deadline

from .stand import NONE, Borne, Case, Load, Stand

#: Of what reaches the server of a balanced case, at least this part went by its connection ID: all
#: but the first flight.
BY_CID = 0.5


@dataclass(frozen=True)
class Quantity:
    """Something that is measured of each case."""

    name: str
    unit: str
    load: Load
    read: Callable[[Borne], float]
    #: Besides the ratio, how much more it is than without a balancer.
    difference: bool = False


CONNECTIONS = Load("connections", 8)
DOWNLOAD, UPLOAD = Load("download", 4), Load("upload", 4)
REQUESTS = Load("requests", 8, rate=2000)
OCTETS_OF_MEGABIT = 125000


def _megabits(borne: Borne) -> float:
    return borne.rate("octets") / OCTETS_OF_MEGABIT


def _megabit_us(borne: Borne) -> float:
    return borne.cost("moved") * OCTETS_OF_MEGABIT * 1e6


QUANTITIES = (
    Quantity("connections", "1/s", CONNECTIONS, lambda borne: borne.rate("counted")),
    Quantity("download", "Mbit/s", DOWNLOAD, _megabits),
    Quantity("upload", "Mbit/s", UPLOAD, _megabits),
    Quantity("p50", "us", REQUESTS, lambda borne: borne.latency("p50"), difference=True),
    Quantity("p99", "us", REQUESTS, lambda borne: borne.latency("p99"), difference=True),
    Quantity("connection_cpu", "us", CONNECTIONS, lambda borne: borne.cost("answered") * 1e6),
    Quantity("download_cpu", "us/Mbit", DOWNLOAD, _megabit_us),
    Quantity("upload_cpu", "us/Mbit", UPLOAD, _megabit_us),
    Quantity("request_cpu", "us", REQUESTS, lambda borne: borne.cost("answered") * 1e6),
)
LOADS = tuple(dict.fromkeys(quantity.load for quantity in QUANTITIES))


@dataclass(frozen=True)
class Spread:
    """The middle of some rounds, and how far they are apart."""

    p10: float
    median: float
    p90: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value a round."""
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(ordered[round(last * 0.1)], statistics.median(ordered),
                   ordered[round(last * 0.9)])

    def json(self) -> dict[str, float]:
        """For the document."""
        return {"p10": round(self.p10, 3), "median": round(self.median, 3),
                "p90": round(self.p90, 3)}


@dataclass(frozen=True)
class Compared:
    """One quantity of one case."""

    value: Spread
    #: To the case without a balancer, in the same round.
    ratio: Spread
    #: Above it, where the quantity has that.
    added: Spread | None


@dataclass(frozen=True)
class Measured:
    """All of one case."""

    case: Case
    quantities: Mapping[str, Compared]
    connections: int
    #: By the balancer's reasons; without one there is none.
    reasons: Counter[str]
    server: Mapping[str, int]


@dataclass(frozen=True)
class Results:
    """All cases, and the one without a balancer against itself."""

    rounds: int
    seconds: float
    cases: Sequence[Measured]
    noise: Mapping[str, Compared]


class _Rounds:
    """Values by quantity and stand, one a round. The stand without a balancer has two places."""

    def __init__(self, stands: Sequence[Stand]) -> None:
        [none] = [stand for stand in stands if stand.case == NONE]
        self.stands = [*stands, none]
        self.base = self.stands.index(none)
        self.values: dict[tuple[str, int], list[float]] = {}

    def measure(self, number: int, seconds: float) -> None:
        """One round: each load on every stand in turn, so that what is compared is close."""
        for load in LOADS:
            for step in range(len(self.stands)):
                place = (number + step) % len(self.stands)
                borne = self.stands[place].put(load, seconds)
                for quantity in QUANTITIES:
                    if quantity.load == load:
                        self.values.setdefault((quantity.name, place), []).append(
                            quantity.read(borne))

    def compare(self, quantity: Quantity, place: int) -> Compared:
        """The place against the first one without a balancer."""
        values = self.values[quantity.name, place]
        pairs = list(zip(values, self.values[quantity.name, self.base]))
        if not all(base > 0 for _, base in pairs):
            raise LabError(f"{NONE}: {quantity.name}: nothing went through in a round; give it "
                           "more --seconds")
        added = Spread.of([value - base for value, base in pairs])
        return Compared(Spread.of(values), Spread.of([value / base for value, base in pairs]),
                        added if quantity.difference else None)

    def all(self, place: int) -> dict[str, Compared]:
        """Every quantity of the place."""
        return {quantity.name: self.compare(quantity, place) for quantity in QUANTITIES}


def _checked(measured: Measured) -> Measured:
    """That the packets took the way that the case is named for, and came where they belong."""
    server, case = measured.server, measured.case
    if server["foreign"] or server["dropped"]:
        raise LabError(f"{case}: the server had {server['foreign']} packets of others, and "
                       f"dropped {server['dropped']}")
    if case.tier and measured.reasons["cid"] < server["packets"] * BY_CID:
        raise LabError(f"{case}: {measured.reasons['cid']} of the server's {server['packets']} "
                       "packets went by their connection ID")
    if server["handshakes"] < measured.connections:
        raise LabError(f"{case}: the server had {server['handshakes']} of {measured.connections} "
                       "connections")
    return measured


def measure(stands: Sequence[Stand], rounds: int, seconds: float,
            progress: Callable[[int], None], limit: float) -> Results:
    """Measure them all; no further round is begun when this many seconds have passed."""
    runs = _Rounds(stands)
    deadline = Deadline(limit)
    done = 0
    while done < rounds and not (done and deadline.passed()):
        progress(done)
        runs.measure(done, seconds)
        done += 1
    cases = [_checked(Measured(stand.case, runs.all(place), stand.connections, stand.reasons(),
                               stand.server()))
             for place, stand in enumerate(stands)]
    return Results(done, seconds, cases, runs.all(len(stands)))
