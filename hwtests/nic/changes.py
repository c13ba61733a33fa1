# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Changes while frames pass: apply, drain, reload, detach and attach."""

from __future__ import annotations

from collections import Counter
from typing import Callable

import pytest

from hwtests.nic import frames, found
from hwtests.nic.peer import Stream
from hwtests.nic.plan import loader_json
from hwtests.nic.stage import Stage
from hwtests.oracle import Model


Record = Callable[[str, object], None]


def arrivals(stage: Stage, stream: Stream, at: int) -> list[tuple[int, bytes]]:
    """Number and destination of what came back, each frame as the oracle says of some server."""
    frame, _ = frames.numbered(stage.ports.ends)
    model = Model(frames.pair_config())
    (one,) = [decision.out_frame for decision in [model.route(frame)]]
    assert one is not None
    got = []
    for back in stream.frames:
        place = len(back) - (len(frame) - at)
        number = back[place:place + 4]
        # Everything but the number and the server's addresses, in both headers.
        assert len(back) == len(one) and back[6:24] == stage.ports.ends.nic + one[12:24]
        assert back[26:30] == one[26:30] and back[34:place] == one[34:place]
        got.append((int.from_bytes(number, "big"), back[:6]))
    return got


FIRST, SECOND = map(frames.server_mac, (frames.FIRST, frames.SECOND))


def test_apply_between_two_packets(wired: Stage) -> None:
    """The id moves to another server: all frames come, first there, then here, in order."""
    wired.apply(frames.pair_config())
    frame, at = frames.numbered(wired.ports.ends)
    moved = frames.pair_config(first={"address": frames.SECOND},
                               second={"address": frames.FIRST})
    with wired.peer.stream(frame, at) as stream:
        stream.more()
        wired.apply(moved)
        stream.more()
    got = arrivals(wired, stream, at)
    assert [number for number, _ in got] == list(range(stream.sent))
    order = [to for _, to in got]
    change = order.index(SECOND)
    assert 0 < change and set(order[:change]) == {FIRST} and set(order[change:]) == {SECOND}


@pytest.mark.parametrize("change", [{"state": "drain"}, {"weight": 0}], ids=["drain", "weight-0"])
def test_leaving_servers_keep_their_connections(wired: Stage, change: dict[str, object]) -> None:
    ends = wired.ports.ends
    new = list(frames.new_flows(ends, 200))
    wired.apply(frames.pair_config())
    before = Counter(back[:6] for back in wired.peer.exchange(new))
    assert set(before) == {FIRST, SECOND} and sum(before.values()) == 200
    wired.apply(frames.pair_config(second=change))
    assert Counter(back[:6] for back in wired.peer.exchange(new)) == {FIRST: 200}
    known = list(frames.known(ends, "02", 20))
    assert Counter(back[:6] for back in wired.peer.exchange(known)) == {SECOND: 20}


def test_reload_under_traffic(wired: Stage, record_property: Record) -> None:
    """New program, new maps: what comes back in between is right, and afterwards all of it does."""
    wired.apply(frames.pair_config())
    frame, at = frames.numbered(wired.ports.ends)
    with wired.peer.stream(frame, at) as stream:
        stream.more()
        document = wired.attach(frames.pair_config(), "--reload")
        stream.more()
    assert {row["outcome"] for row in document["tiers"] if row["usable"] == "yes"} == {"replaced"}
    got = arrivals(wired, stream, at)
    assert {to for _, to in got} == {FIRST}
    record_property("lost", f"{stream.sent - len(got)} of {stream.sent} frames")
    wired.warm_up()
    known = list(frames.known(wired.ports.ends, "01", 20))
    assert len(wired.peer.exchange(known)) == 20


def test_detach_and_attach_under_traffic(wired: Stage, record_property: Record) -> None:
    """After the detach nothing comes back, after the attach all of it does again."""
    wired.apply(frames.pair_config())
    frame, at = frames.numbered(wired.ports.ends)
    with wired.peer.stream(frame, at) as stream:
        stream.more()
        wired.detach()
        off = stream.sent
        stream.more(200)
        on = stream.sent
        wired.attach(frames.pair_config())
        stream.more()
    numbers = [number for number, _ in arrivals(wired, stream, at)]
    assert len(set(numbers)) == len(numbers) and numbers[0] <= off
    # Between the two some were sent of which none came back, and later ones did.
    assert on - off >= 100 and len(numbers) < stream.sent - 100 and numbers[-1] > on
    record_property("away", f"{stream.sent - len(numbers)} of {stream.sent} frames")
    wired.warm_up()


def test_detach_leaves_the_nic_as_before(stage: Stage) -> None:
    """Program, pins, tc; and a new attach finds nothing in its way."""
    nic = stage.ports.nic
    stage.detach()
    after = found.look(nic)
    assert after["xdp"] is None and after["pins"] == [] and "shunt" not in after["filters"]
    assert loader_json("status", nic, check=False)["error"]["code"] == "not-attached"
    stage.attach(frames.pair_config())
