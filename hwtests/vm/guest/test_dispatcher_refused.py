# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`sharing: dispatcher` on a kernel that lets no program like ours into libxdp's dispatcher."""

from __future__ import annotations

import pytest

from hwtests.vm.guest.link import NEAR, Link
from hwtests.vm.guest.rig import BUILD, Loader, Traces, ip, pinned, tiers

REFUSED = "the kernel lets no program that changes packets into libxdp's dispatcher"


@pytest.fixture(autouse=True)
def no_sharing(link: Link) -> None:
    if link.shares():
        pytest.skip("this kernel lets programs that change packets into libxdp's dispatcher")


def test_attached_alone(loader: Loader, link: Link, tier: str) -> None:
    """Directly, and not without a word."""
    done = loader("attach", NEAR, "-c", str(loader.file))
    assert done.stderr.splitlines()[0] == f"shunt: {NEAR}: {REFUSED}; attached alone"
    assert link.attached() == f"shunt_{tier}" and link.routed(b"alone")
    assert loader.status()[tier]["mode"] == "direct"
    assert tiers(loader.attach(NEAR))[tier]["outcome"] == "adopted"
    row = tiers(loader.attach(NEAR, "--reload"))[tier]
    assert (row["outcome"], row["mode"]) == ("replaced", "direct") and link.routed(b"again")
    loader("detach", NEAR)
    assert not pinned()


def test_beside_others(loader: Loader, link: Link, tier: str) -> None:
    """They stay, and the reason is the kernel's."""
    link.load("before")
    chain = link.chain()
    before = Traces.now()
    error = loader.attach(NEAR, status=3)["error"]
    assert (error["code"], error["text"]) == ("no-sharing", REFUSED)
    assert error["kernel"] == "Extension program changes packet data, while original does not"
    assert Traces.now() == before and link.chain() == chain


def test_in_place_of_another(loader: Loader, link: Link, tier: str) -> None:
    mode = {"driver": "xdpdrv", "generic": "xdpgeneric"}[tier]
    ip(f"link set {NEAR} {mode} obj {BUILD}/bpf/pass.bpf.o sec xdp")
    assert tiers(loader.attach(NEAR, "--replace"))[tier]["mode"] == "direct"
    assert link.routed(b"in its place")


def test_directly(loader: Loader, link: Link, tier: str) -> None:
    """What was not asked for is not tried, and not complained of."""
    loader.write(interfaces=[{"name": NEAR, "tier": tier}])
    assert "alone" not in loader("attach", NEAR, "-c", str(loader.file)).stderr
    assert link.attached() == f"shunt_{tier}" and link.routed(b"directly")
