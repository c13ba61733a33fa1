# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`sharing: dispatcher`: ours between two programs of others, in libxdp's dispatcher."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hwtests.vm.guest.link import NEAR, PORT, Link, seen
from hwtests.vm.guest.rig import BUILD, CONFIG, PINS, Loader, Traces, ip, pinned, tiers


@pytest.fixture(autouse=True)
def sharing(link: Link) -> None:
    """Only where a program that changes packets may be in the dispatcher, whoever's it is."""
    if not link.shares():
        pytest.skip("this kernel lets no program that changes packets into libxdp's dispatcher")


def test_alone(loader: Loader, link: Link, tier: str) -> None:
    row = tiers(loader.attach(NEAR))[tier]
    assert (row["outcome"], row["mode"]) == ("new", "dispatcher")
    assert link.chain() == {f"shunt_{tier}": row["program_id"]}
    assert link.attached() == "xdp_dispatcher" and loader.status()[tier]["mode"] == "dispatcher"
    assert link.routed(b"first mark")
    again = tiers(loader.attach(NEAR))[tier]
    assert (again["outcome"], again["program_id"]) == ("adopted", row["program_id"])
    loader("detach", NEAR)
    assert not link.chain() and not pinned() and not link.routed(b"second mark")
    assert not list(Path("/sys/fs/bpf/xdp").glob("dispatch-*"))


def test_between_two_others(loader: Loader, link: Link, tier: str) -> None:
    """Whoever is in front sees every packet, whoever is behind sees what ours passes."""
    ours = f"shunt_{tier}"
    link.load("before")
    link.load("behind")
    others = link.chain()
    assert list(others) == ["before", "behind"]
    loader.attach(NEAR)
    assert list(link.chain()) == ["before", ours, "behind"]
    assert {name: number for name, number in link.chain().items() if name != ours} == others
    counts = {name: seen(number) for name, number in others.items()}
    assert link.routed(b"for the server")
    assert seen(others["before"]) == counts["before"] + 1
    assert seen(others["behind"]) == counts["behind"]
    (counted,) = loader.json("stats", NEAR)["tiers"]
    assert counted["servers"]["web/web-1"]["packets"] == 1, counted
    # Another program of ours in the same place.
    row = tiers(loader.attach(NEAR, "--reload"))[tier]
    assert (row["outcome"], row["mode"]) == ("replaced", "dispatcher")
    assert list(link.chain()) == ["before", ours, "behind"]
    assert link.chain()[ours] == row["program_id"] and link.routed(b"once more")
    # It goes, the others stay as they were.
    loader("detach", NEAR)
    assert link.chain() == others and not pinned()
    assert not link.routed(b"nobody's")
    assert seen(others["behind"]) == counts["behind"] + 1


def test_others_come_and_go(loader: Loader, link: Link, tier: str) -> None:
    """Each of them puts a new dispatcher in place; what is ours is found in it again."""
    row = tiers(loader.attach(NEAR))[tier]
    link.load("before")
    assert list(link.chain()) == ["before", f"shunt_{tier}"]
    assert link.routed(b"beside before")
    status = loader.status()[tier]
    assert (status["program"]["id"], status["mode"]) == (row["program_id"], "dispatcher")
    loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}],
                 vips=[{**CONFIG["vips"][0], "port": PORT + 1}])
    loader("apply", "-c", str(loader.file))
    assert not link.routed(b"another port now")
    loader.write(interfaces=[{"name": NEAR, "tier": tier, "sharing": "dispatcher"}])
    loader("apply", "-c", str(loader.file))
    assert tiers(loader.attach(NEAR))[tier]["outcome"] == "adopted"
    link.unload("before")
    assert link.chain() == {f"shunt_{tier}": row["program_id"]} and link.routed(b"alone again")
    loader("detach", NEAR)
    assert not link.chain()


def test_probe_names_ours(loader: Loader, link: Link, tier: str) -> None:
    loader.attach(NEAR)
    row = tiers(loader.probe(NEAR))[tier]
    assert row["usable"] == "yes" and row["note"].startswith("attached: program ")


def test_exclusive_beside_a_dispatcher(loader: Loader, link: Link, tier: str) -> None:
    """Without `sharing: dispatcher` somebody else's dispatcher is somebody else's program."""
    link.load("before")
    loader.write(interfaces=[{"name": NEAR, "tier": tier}])
    before = Traces.now()
    done = loader("attach", NEAR, "-c", str(loader.file), status=3)
    assert re.match(rf"shunt: {NEAR}, {tier}: program id \d+ xdp_dispatcher: another program is "
                    "attached; ", done.stderr)
    assert Traces.now() == before and link.routed(b"no") is False


def test_beside_a_program_without_dispatcher(loader: Loader, link: Link, tier: str) -> None:
    """libxdp cannot share with it; --replace takes its place, by a dispatcher."""
    mode = {"driver": "xdpdrv", "generic": "xdpgeneric"}[tier]
    ip(f"link set {NEAR} {mode} obj {BUILD}/bpf/pass.bpf.o sec xdp")
    before = Traces.now()
    document = loader.attach(NEAR, status=3)
    assert document["error"]["code"] == "busy-foreign-program" and Traces.now() == before
    row = tiers(loader.attach(NEAR, "--replace"))[tier]
    assert row["mode"] == "dispatcher" and link.routed(b"in its place")


def test_directly(loader: Loader, link: Link, tier: str) -> None:
    """The default: alone, and nobody's dispatcher comes with it."""
    loader.write(interfaces=[{"name": NEAR, "tier": tier}])
    row = tiers(loader.attach(NEAR))[tier]
    assert row["mode"] == "direct" and link.attached() == f"shunt_{tier}"
    assert link.routed(b"directly")
    loader("detach", NEAR)
    assert not pinned()


def test_killed_at_any_moment(loader: Loader, link: Link, tier: str) -> None:
    """Wherever a loader dies, the next one has one program of ours in the dispatcher, or none."""
    link.load("before")
    others = link.chain()
    for number in range(6):
        loading = subprocess.Popen([loader.path, "attach", NEAR, "-c", loader.file],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            loading.wait(0.3 + 0.1 * number)
        except subprocess.TimeoutExpired:
            loading.kill()
            loading.wait()
        loader.attach(NEAR)
        assert list(link.chain()) == ["before", f"shunt_{tier}"], number
        assert link.routed(b"mark %d" % number)
        loader("detach", NEAR)
        assert link.chain() == others and not pinned()


def test_killed_between_dispatcher_and_pin(loader: Loader, link: Link, tier: str) -> None:
    """libxdp attaches before there is anything to pin: what is left then has no pins."""
    link.load("before")
    others = link.chain()
    fresh = PINS / NEAR / f"new-{tier}"
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-P", fresh, "-e",
                           "inject=mkdir:signal=KILL:when=1", loader.path, "attach", NEAR, "-c",
                           loader.file], capture_output=True)
    assert done.returncode, "it was not killed"
    assert list(link.chain()) == ["before", f"shunt_{tier}"] and not (fresh / "prog").exists()
    loader.attach(NEAR)
    assert list(link.chain()) == ["before", f"shunt_{tier}"]
    assert link.chain()[f"shunt_{tier}"] == loader.status()[tier]["program"]["id"]
    loader("detach", NEAR)
    assert link.chain() == others and not pinned()
