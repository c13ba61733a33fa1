# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From one CID config to another while connections run: balancer, servers one by one, retire."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.lab import CidConfig, Process, QuicServer
from hwtests.lab.clients import finish_gtlsclient, require_ok, start_gtlsclient
from hwtests.lab.servers import Event
from hwtests.lab.waiting import Deadline, wait_readable

from .account import Account
from .site import POOL, TIERS, Layout, Setup, Site, held, open_site
from .test_moving import ANSWERED, CONFIRMED

HOSTS = ("s1", "s2", "s3")
KEY, OTHER_KEY = bytes(range(0x10, 0x20)), bytes(range(0x70, 0x80))


@dataclass(frozen=True)
class Turn:
    """From what to what."""

    old: Layout
    new: Layout

    def __str__(self) -> str:
        return "-to-".join(f"{layout.draft.algorithm}-{layout.draft.body_length}"
                           for layout in (self.old, self.new))


#: Clear to keyed and keyed to keyed; connection IDs of one length and of two.
TURNS = [Turn(Layout(0, 8, 8), Layout(1, 8, 8, key=KEY)),
         Turn(Layout(2, 3, 8, key=KEY), Layout(3, 5, 6, key=OTHER_KEY)),
         Turn(Layout(6, 2, 4), Layout(5, 4, 10, key=KEY)),
         Turn(Layout(4, 8, 8, key=KEY), Layout(0, 3, 5, key=OTHER_KEY))]


class FromFile(CidConfig):
    """A server that is told its configs by a file."""

    def arguments(self) -> list[str]:
        """The server's options for it."""
        return list(self.options)


class Rotation:
    """A site on the way from one config to the other."""

    def __init__(self, site: Site, turn: Turn) -> None:
        self.site = site
        self.turn = turn
        self.place = site.bed.dir

    def config(self, *states: tuple[Layout, str], min_quiet: int = 600) -> dict[str, Any]:
        """The balancer's file."""
        config = self.site.config(servers=HOSTS, rotation={"min_quiet": min_quiet})
        config["cid_configs"] = [layout.entry(self.place, state) for layout, state in states]
        [pool] = config["pools"]
        for host, server in zip(self.site.bed.servers, pool["servers"]):
            # Clear and encrypted server ids side by side are not to be the same ones.
            server["server_ids"] = [{"config": layout.config_id, "id": self.id(layout, host.index)}
                                    for layout, _ in states]
        return config

    def id(self, layout: Layout, index: int) -> str:
        """A server's id under the old or the new config."""
        return (f"{0xa0 + index:02x}" * layout.server_id_length if layout is self.turn.old
                else layout.server_id(index))

    def begin(self) -> None:
        """With the old config alone; attached anew, for the configs of the test before count on."""
        site = self.site
        site.detach()
        site.attach(site.setup.tier, self.config((self.turn.old, "active")))
        for host in site.bed.servers:
            self.tell(host.index, (self.turn.old, "active"))

    def apply(self, *states: tuple[Layout, str], min_quiet: int = 600) -> None:
        """As an operator does."""
        self.site.loader("apply", "-c", self.site.file(self.config(*states, min_quiet=min_quiet)))

    def file(self, index: int) -> Path:
        """What a server reads."""
        return self.place / f"s{index}.cids"

    def tell(self, index: int, *states: tuple[Layout, str]) -> None:
        """Write it."""
        self.file(index).write_text("".join(
            f"{layout.config_id} {self.id(layout, index)} {layout.nonce_length} "
            f"{layout.key_file(self.place) if layout.key else '-'} {state}\n"
            for layout, state in states))

    def switch(self, server: QuicServer, *states: tuple[Layout, str]) -> Event:
        """Tell a running server of other configs."""
        self.tell(server.host.index, *states)
        server.read()
        since = len(server.events)
        server.process.send_signal(signal.SIGHUP)
        return server.wait_event("configs", since=since)

    def cids(self) -> list[CidConfig]:
        """For the start of the servers."""
        return [FromFile(options=["--cid-file", str(self.file(host.index))])
                for host in self.site.bed.servers]

    def shown(self, layout: Layout) -> dict[str, Any]:
        """What the balancer tells of a config."""
        (tier,) = self.site.loader.json("show", "configs")["tiers"]
        (found,) = [c for c in tier["configs"] if c["config"] == layout.config_id]
        config: dict[str, Any] = found
        return config

    def connect(self, n: int = 1, path: str = "/bytes/3000") -> list[Process]:
        """New connections, in both families by turns."""
        return [start_gtlsclient(self.site.bed, [path], family=4 if number % 2 else 6)
                for number in range(n)]

    def issued(self, account: Account) -> set[tuple[str, int]]:
        """Which server has given out connection IDs of which config."""
        return {(event["server"], int(event["cid"][:2], 16) >> 5)
                for event in account.events("cid")}


#: The turns come by at the tiers in turn: what they change is the same code in all of them.
PLACES = {tier: Setup(tier, "ipip", tier == "driver", Layout(0, 8, 8)) for tier in TIERS}
TURNS_AT = [pytest.param(PLACES[tier], turn, marks=getattr(pytest.mark, tier), id=f"{tier}-{turn}")
            for number, tier in enumerate(TIERS) for turn in TURNS[number::len(TIERS)]]
EACH = [pytest.param(setup, marks=getattr(pytest.mark, tier), id=tier)
        for tier, setup in PLACES.items()]


@pytest.fixture(scope="module")
def own_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose servers read their configs from files."""
    with open_site(request.param) as site:
        yield site


@pytest.mark.parametrize("own_site,turn", TURNS_AT, indirect=["own_site"], scope="module")
def test_no_connection_notices(own_site: Site, turn: Turn) -> None:
    site, old, new = own_site, turn.old, turn.new
    rotation = Rotation(site, turn)
    rotation.begin()
    with site.serving(rotation.cids()):
        with ExitStack() as stack:
            account = stack.enter_context(site.account())
            staying = [stack.enter_context(client)
                       for client in rotation.connect(6, "/slow/40000")]
            for client in staying:
                client.wait_line(ANSWERED)
            assert {number for _, number in rotation.issued(account)} == {old.config_id}
            balancers_first(rotation)
            servers_one_by_one(rotation)
            rotation.apply((old, "retiring"), (new, "active"))
            refused(rotation, new)
            for client in staying:
                require_ok(finish_gtlsclient(client))
            closed = Deadline(10.0)  # the servers tell of it a moment after the clients
            while sorted(account.where("handshake")) != sorted(account.where("close")):
                assert not closed.passed()
                wait_readable([], Deadline(0.05))
        # Stats are of the configs that run: the next account is of the new one alone.
        retire(rotation)
        with site.account():
            visits(rotation, 4)


def balancers_first(rotation: Rotation) -> None:
    """Both are known, nobody issues the new one yet."""
    rotation.apply((rotation.turn.old, "active"), (rotation.turn.new, "active"))
    visits(rotation, 2)
    assert rotation.shown(rotation.turn.new)["packets"] == 0


def servers_one_by_one(rotation: Rotation) -> None:
    """With somebody coming in between: each server issues what it was told last."""
    old, new, servers = rotation.turn.old, rotation.turn.new, rotation.site.running()
    for number, server in enumerate(servers, start=1):
        told = rotation.switch(server, (new, "active"), (old, "retiring"))
        assert (told["config_id"], told["held"]) == (new.config_id, 2)
        switched = {other.name for other in servers[:number]}
        since = {other.name: len(other.events) for other in servers}
        for home in set(visits(rotation, 3)):
            made = {int(event["cid"][:2], 16) >> 5 for other in servers if other.name == home
                    for event in other.events[since[home]:]
                    if event["event"] == "cid" and event["use"] == "handshake"}
            assert made == {(new if home in switched else old).config_id}


def retire(rotation: Rotation) -> None:
    """When the old one has been quiet: at the balancers, then at the servers."""
    old, new = rotation.turn.old, rotation.turn.new
    packets = rotation.shown(old)["packets"]
    assert packets > 6 * 40 and rotation.shown(new)["packets"] > 0
    rotation.apply((old, "retiring"), (new, "active"), min_quiet=1)
    visits(rotation, 2)
    deadline = Deadline(10.0)
    while not rotation.shown(old)["removable"]:
        assert not deadline.passed()
        wait_readable([], Deadline(0.05))
    assert rotation.shown(old)["packets"] == packets
    rotation.apply((new, "active"), min_quiet=1)
    for server in rotation.site.running():
        assert rotation.switch(server, (new, "active"))["held"] == 1


def visits(rotation: Rotation, n: int) -> list[str]:
    """Short connections, each whole; the servers that had them."""
    before = {s.name: len(s.events) for s in rotation.site.running()}
    for client in rotation.connect(n):
        require_ok(finish_gtlsclient(client))
    homes = []
    for server in rotation.site.running():
        server.read()
        homes += [server.name for event in server.events[before[server.name]:]
                  if event["event"] == "request"]
    assert len(homes) == n
    return homes


def refused(rotation: Rotation, *left: Layout) -> None:
    """The file without the old config is not taken, and changes nothing; it says so beforehand."""
    site = rotation.site
    generation = site.stats().generation
    file = site.file(rotation.config(*((layout, "active") for layout in left)))
    for words in (("--dry-run",), ()):
        done = site.loader("apply", "-c", file, *words, "--json", check=False)
        document = json.loads(done.stdout)
        assert document["exit"] == done.returncode == 1
        assert document["applied"][0]["error"]["code"] == "config-in-use", document
    assert site.stats().generation == generation
    assert rotation.shown(rotation.turn.old)["state"] == "retiring"


@pytest.mark.parametrize("own_site", EACH, indirect=True, scope="module")
def test_migration_in_the_middle_of_a_rotation(own_site: Site) -> None:
    """A connection of the old config moves to another address after its server was switched, and
    gets connection IDs of the new one, of the same length, which lead to the same server."""
    turn = Turn(Layout(0, 8, 8), Layout(1, 8, 8, key=KEY))
    site, rotation = own_site, Rotation(own_site, turn)
    rotation.begin()
    with site.serving(rotation.cids()), site.account() as account, start_gtlsclient(
            site.bed, ["/slow/6000"],
            options=["--change-local-addr=150ms", "--delay-stream=160ms"]) as client:
        client.wait_line(CONFIRMED)
        with held(client):
            [home] = account.where("handshake")
            rotation.apply((turn.old, "active"), (turn.new, "active"))
            for server in site.running():
                rotation.switch(server, (turn.new, "active"), (turn.old, "retiring"))
            # Whatever does not go by its connection ID goes elsewhere.
            config = rotation.config((turn.old, "retiring"), (turn.new, "active"))
            for entry in config["pools"][0]["servers"]:
                entry["state"] = "drain" if entry["name"] == home else "up"
            site.loader("apply", "-c", site.file(config))
        require_ok(finish_gtlsclient(client))
        assert set(account.where()) == {home}
        assert [path["validated"] for path in account.events("path")] == [True]
        assert (home, turn.new.config_id) in rotation.issued(account)
    assert account.balancer is not None
    assert account.balancer.servers[f"{POOL}/{home}"] == account.balancer.forwarded
