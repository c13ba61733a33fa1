# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How loader stats shows what the TC programs counted, and that no packet is missed by a change."""

from __future__ import annotations

import json
import socket
import threading

from hwtests.lab.bed import PORT, VIP4, client4
from hwtests.tc.site import NOWHERE, Site, growth


def say(site: Site, packets: int, vip: str = VIP4) -> None:
    """From the client to a VIP; counted when this returns: a connection is refused behind them."""
    with site.bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((client4(), 0))
        sender.connect((vip, PORT))
        for _ in range(packets):
            sender.send(b"\x40" + b"x" * 57)
    with site.bed.client.socket(socket.AF_INET, socket.SOCK_STREAM) as last:
        assert last.connect_ex(("10.1.0.1", 9)) != 0


def test_table(site: Site) -> None:
    say(site, 1234)
    shown = site.loader("stats", "--by", "stack").stdout
    came, left = shown.split("stack, out")
    rows = [line.split() for line in came.split("stack, in")[1].splitlines()]
    assert rows[0] == ["packets", "octets", "to", "user", "space", "dropped"]
    # Lines without packets are left out, but for what is of no VIP.
    assert [row[0] for row in rows[1:] if row] == ["(no", "v4"]
    (v4,) = [row for row in rows if row and row[0] == "v4"]
    assert v4[1:] == ["1.2k", "123", "kB", "0", "0"]
    assert left.split()[:7] == ["packets", "octets", "from", "a", "server", "dropped", "(no"]
    assert "v6" in site.loader("stats", "--by", "stack", "--all").stdout
    assert "stack, in" in site.loader("stats").stdout
    assert "stack, in" not in site.loader("stats", "--by", "vip").stdout


def test_again_and_again(site: Site) -> None:
    """Rates in the table; with --json a document a line."""
    say(site, 10)
    lines = site.loader("stats", "-n", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["tiers"][0]["stack"]["in"]["vips"]["v4"]["packets"]
            for line in lines] == [10, 10]
    second = site.loader("stats", "-n", "2", "--by", "stack").stdout.split("stack, in")[2]
    (v4,) = [line.split() for line in second.splitlines() if line.startswith("v4")]
    assert "0/s" in v4


def test_json_names_every_nat_server(site: Site) -> None:
    """Servers of other modes answer without this host, so there is nothing to tell of them."""
    nat = [{"name": f"n{number}", "address": f"10.2.{number}.2", "port": 8443, "mode": "nat"}
           for number in (1, 2)]
    other = {"name": "other", "address": NOWHERE}
    site.loader("apply", "-c", site.loader.write_config(
        {**site.config, "pools": [{"name": "web", "servers": [*nat, other]}],
         "vips": site.config["vips"][:1]}))
    stack = site.stack()
    none = {"packets": 0, "octets": 0, "drops": 0, "redirects": 0}
    assert stack["out"]["servers"] == {"web/n1": none, "web/n2": none}
    assert stack["in"]["servers"] == {}
    assert set(stack) == {"in", "out"} and stack["in"]["vips"] == {"v4": none}


def test_no_packet_is_missed_by_a_change(site: Site) -> None:
    """The programs are changed for new ones, on new maps of the tier, while packets come."""
    before, over = site.stack(), threading.Event()
    file = site.loader.write_config(site.config)
    sent = 0

    def change() -> None:
        for _ in range(3):
            site.loader("attach", site.interface, "-t", "driver", "-c", file, "--reload")
        over.set()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        while not over.is_set():
            say(site, 500)
            sent += 500
    finally:
        changing.join()
    assert growth(before, site.stack())["in.vips.v4"]["packets"] == sent
