# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Puts tiers on real veth interfaces and takes them off: order, reasons, adoption, crashes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

import pytest

from .lab import Bed, Loader, Node
from .lab.bed import attach_xdp, client4, pass_object

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="attaching needs root: run with sudo")

PINS = "/sys/fs/bpf/shunt/abi1"
#: An interface of the balancer's node that nothing else uses; its other end is PEER.
IFACE, PEER = "x0", "x1"


@dataclass(frozen=True)
class Rig:
    """A bed, the loader in it, and what the kernel shows of the balancer's node."""

    bed: Bed
    loader: Loader

    @property
    def node(self) -> Node:
        return self.bed.lb

    def sh(self, *argv: str) -> str:
        return self.node.run(argv).stdout

    def programs(self, interface: str = IFACE) -> dict[str, tuple[int, str]]:
        """Attach mode to program id and name."""
        link = json.loads(self.sh("ip", "-d", "-j", "link", "show", "dev", interface))[0]
        names = {1: "driver", 2: "generic", 3: "offload"}
        xdp = link.get("xdp")
        if not xdp:
            return {}
        return {names[xdp["mode"]]: (xdp["prog"]["id"], xdp["prog"].get("name", ""))}

    def pins(self) -> list[str]:
        """Everything of ours in the BPF file system, below the lock's folder."""
        found = self.node.run(["find", PINS, "-mindepth", "1"], check=False).stdout
        return sorted(found.split())

    def traces(self, interface: str = IFACE) -> tuple[str, ...]:
        """All that an attach could change on an interface."""
        shown = [self.sh("tc", "qdisc", "show", "dev", interface),
                 self.sh("tc", "filter", "show", "dev", interface, "ingress"),
                 self.sh("tc", "filter", "show", "dev", interface, "egress")]
        return (json.dumps(self.programs(interface)), *shown, *self.pins())

    def attach(self, *args: str, interface: str = IFACE, status: int = 0) -> dict[str, Any]:
        """The document of an attach, whose exit status must be as given."""
        done = self.loader("attach", interface, *args, "--json", check=False)
        assert done.returncode == status, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def status(self) -> list[dict[str, Any]]:
        """What status lists; nothing where its exit status says that nothing is attached."""
        done = self.loader("status", "--json", check=False)
        document = json.loads(done.stdout)
        if done.returncode == 7:
            assert document["error"]["code"] == "not-attached"
            return []
        assert done.returncode == 0 and document["schema"] == "shunt/status/1"
        attached: list[dict[str, Any]] = document["attached"]
        return attached

    def add_interface(self, mtu: int = 1500) -> None:
        self.node.ip(f"link add {IFACE} type veth peer name {PEER} mtu {mtu}",
                     f"link set {IFACE} up", f"link set {PEER} up")

    def config(self, **more: Any) -> str:
        return str(self.loader.write_config({**CONFIG, **more}))


CONFIG: Mapping[str, Any] = {
    "version": 1,
    "cid_configs": [{"id": 0, "server_id_length": 4, "nonce_length": 4}],
    "forwarding": {"mode": "ipip", "source_v4": "10.1.0.1"},
    "pools": [{"name": "web", "servers": [
        {"name": "web-1", "address": "10.2.1.2",
         "server_ids": [{"config": 0, "id": "01020304"}]}]}],
    "vips": [{"name": "www", "address": "203.0.113.80", "port": 4433, "pool": "web"}],
}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with Bed(servers=1, static_neighbours=True) as up:
        yield up


@pytest.fixture
def rig(bed: Bed) -> Iterator[Rig]:
    """A fresh interface; whatever a test leaves goes with it."""
    made = Rig(bed, Loader(bed))
    made.add_interface()
    yield made
    made.node.run(["ip", "link", "del", IFACE], check=False)
    made.loader("detach", "--all", check=False)
    assert made.pins() == []


def tier_row(document: Mapping[str, Any], tier: str) -> dict[str, Any]:
    rows = [row for row in document["tiers"] if row["tier"] == tier]
    assert len(rows) == 1, document
    found: dict[str, Any] = rows[0]
    return found


def code(document: Mapping[str, Any], tier: str) -> str:
    """The reason code of a tier that cannot be used."""
    row = tier_row(document, tier)
    assert row["usable"] == "no"
    text: str = row["reason"]["code"]
    return text


def test_walks_down_and_says_why(rig: Rig) -> None:
    document = rig.attach()
    assert document["schema"] == "shunt/attach/1"
    assert [row["tier"] for row in document["tiers"]] == ["offload", "driver"]
    assert code(document, "offload") == "no-offload-device"
    assert tier_row(document, "offload")["reason"]["errno"] == "EINVAL"
    assert document["attached"] == ["driver"]
    row = tier_row(document, "driver")
    assert row["outcome"] == "new" and row["mode"] == "direct" and row["stack"] is True
    assert rig.programs() == {"driver": (row["program_id"], "shunt_driver")}


def test_lines_are_aligned(rig: Rig) -> None:
    lines = rig.loader("attach", IFACE).stdout.splitlines()
    assert lines[0].split() == ["tier", "usable", "why", "code"]
    why = lines[0].index("why")
    assert [line[:why].split() for line in lines if line[0] != " "][1:3] == [
        ["offload", "no"], ["driver", "yes"]]
    assert all(len(line) <= why or line[why - 1] == " " for line in lines[1:3])
    assert lines[1].rstrip().endswith("no-offload-device")


def test_offload_reason_of_a_device_without_xdp(rig: Rig) -> None:
    try:
        document = rig.attach(interface="lo")
        assert code(document, "offload") == "no-ndo-bpf"
        assert code(document, "driver") == "no-native"
        assert "native mode" in tier_row(document, "driver")["reason"]["kernel"]
        assert document["attached"] == ["generic"]
    finally:
        rig.loader("detach", "lo")


@pytest.mark.parametrize("option", ["-t", "--require"])
def test_a_tier_that_cannot_be_had(rig: Rig, option: str) -> None:
    before = rig.traces()
    document = rig.attach(option, "offload", status=3)
    assert document["attached"] == [] and document["exit"] == 3
    assert document["error"]["code"] == "no-offload-device"
    done = rig.loader("attach", IFACE, option, "offload", check=False)
    assert done.returncode == 3 and "no offload engine" in done.stderr
    assert rig.traces() == before


@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_only_the_tier_asked_for(rig: Rig, tier: str) -> None:
    document = rig.attach("-t", tier)
    assert [row["tier"] for row in document["tiers"]] == [tier]
    assert list(rig.programs()) == [tier]


def test_mtu_refusal_falls_to_generic_visibly(rig: Rig) -> None:
    rig.node.ip(f"link set {PEER} mtu 9000", f"link set {IFACE} mtu 9000")
    before = rig.traces()
    for option in ("-t", "--require"):
        document = rig.attach(option, "driver", status=3)
        assert document["error"]["code"] == "mtu"
        assert rig.traces() == before
    document = rig.attach()
    assert code(document, "driver") == "mtu"
    assert "MTU" in tier_row(document, "driver")["reason"]["kernel"]
    assert document["attached"] == ["generic"] and list(rig.programs()) == ["generic"]
    # The better tier stays out of reach as long as the lower one is there.
    assert rig.attach("--require", "driver", status=3)["error"]["code"] == "busy-other-tier"


def test_second_attach_adopts(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    before = rig.traces()
    second = tier_row(rig.attach(), "driver")
    assert second["outcome"] == "adopted" and second["program_id"] == first["program_id"]
    assert rig.traces() == before


def test_adopts_the_lower_tier_too(rig: Rig) -> None:
    first = tier_row(rig.attach("-t", "generic"), "generic")
    document = rig.attach()
    assert code(document, "driver") == "busy-other-tier"
    assert tier_row(document, "generic")["outcome"] == "adopted"
    assert tier_row(document, "generic")["program_id"] == first["program_id"]


def test_adopting_puts_a_lost_stack_program_back(rig: Rig) -> None:
    rig.attach()
    rig.sh("tc", "filter", "del", "dev", IFACE, "ingress")
    assert rig.status()[0]["stack"] is False
    rig.attach()
    assert rig.status()[0]["stack"] is True


def map_ids(rig: Rig) -> dict[str, int]:
    return {entry["name"]: entry["id"] for entry in rig.status()[0]["maps"]}


def test_older_program_is_replaced_on_its_maps(rig: Rig) -> None:
    config = rig.config()
    first = tier_row(rig.attach("-c", config), "driver")
    maps = map_ids(rig)
    mark = next(pin for pin in rig.pins() if "/driver/build-" in pin)
    rig.sh("mv", mark, f"{PINS}/{IFACE}/driver/build-0")
    assert rig.status()[0]["program"]["current"] is False
    second = tier_row(rig.attach("-c", config), "driver")
    assert second["outcome"] == "replaced" and second["program_id"] != first["program_id"]
    assert map_ids(rig) == maps
    assert rig.status()[0]["program"]["current"] is True
    assert rig.status()[0]["generation"] == 1 and second["config"]["changed"] is False


def test_older_program_with_too_small_maps_gets_new_ones(rig: Rig) -> None:
    rig.attach("-c", rig.config(limits={"servers": 2}))
    maps = map_ids(rig)
    mark = next(pin for pin in rig.pins() if "/driver/build-" in pin)
    rig.sh("mv", mark, f"{PINS}/{IFACE}/driver/build-0")
    row = tier_row(rig.attach("-c", rig.config()), "driver")
    assert row["outcome"] == "replaced"
    assert set(map_ids(rig).values()).isdisjoint(maps.values())
    assert rig.status()[0]["config"]["servers"] == 1


def test_reload_makes_everything_new(rig: Rig) -> None:
    config = rig.config()
    first = tier_row(rig.attach("-c", config), "driver")
    maps = map_ids(rig)
    second = tier_row(rig.attach("-c", config, "--reload"), "driver")
    assert second["outcome"] == "replaced" and second["program_id"] != first["program_id"]
    assert set(map_ids(rig).values()).isdisjoint(maps.values())
    assert rig.status()[0]["config"] == {"vips": 1, "pools": 1, "servers": 1, "unresolved": 0}
    filters = rig.sh("tc", "filter", "show", "dev", IFACE, "ingress")
    assert filters.count("name shunt_stack") == 1


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
def test_foreign_program_is_left_alone(rig: Rig, mode: Any) -> None:
    attach_xdp(rig.node, IFACE, pass_object(), mode=mode)
    before = rig.traces()
    (where, (number, name)), = rig.programs().items()
    document = rig.attach(status=3)
    for tier in ("driver", "generic"):
        assert code(document, tier) == "busy-foreign-program"
        assert f"{where}: program id {number} {name}" in tier_row(document, tier)["reason"]["what"]
    assert rig.traces() == before
    assert rig.loader("detach", IFACE, check=False).returncode == 7
    assert rig.traces() == before


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_replace_takes_the_foreign_place(rig: Rig, mode: Any, tier: str) -> None:
    attach_xdp(rig.node, IFACE, pass_object(), mode=mode)
    row = tier_row(rig.attach("-t", tier, "--replace"), tier)
    assert rig.programs() == {tier: (row["program_id"], f"shunt_{tier}")}


def test_failed_replace_puts_the_foreign_program_back(rig: Rig) -> None:
    rig.node.ip(f"link set {PEER} mtu 9000", f"link set {IFACE} mtu 9000")
    attach_xdp(rig.node, IFACE, pass_object(), mode="xdpgeneric")
    before = rig.traces()
    document = rig.attach("-t", "driver", "--replace", status=3)
    assert document["error"]["code"] == "mtu"
    assert rig.traces() == before


def test_detach_leaves_the_interface_as_found(rig: Rig) -> None:
    before = rig.traces()
    rig.attach("-c", rig.config())
    assert "clsact" in rig.sh("tc", "qdisc", "show", "dev", IFACE)
    assert rig.loader("detach", IFACE).stdout == f"{IFACE}: driver detached\n"
    assert rig.traces() == before
    assert rig.loader("detach", IFACE, check=False).returncode == 7


def foreign_filter(rig: Rig, preference: int, protocol: str = "all") -> None:
    rig.sh("tc", "filter", "add", "dev", IFACE, "ingress", "pref", str(preference),
           "protocol", protocol, "bpf", "da", "obj", str(pass_object()), "sec", "xdp")


#: Our own priority may be taken, by filters that ours can stand beside, or cannot.
@pytest.mark.parametrize("preference,protocol", [(7, "all"), (443, "all"), (443, "ip")])
def test_clsact_of_somebody_else_stays(rig: Rig, preference: int, protocol: str) -> None:
    rig.sh("tc", "qdisc", "add", "dev", IFACE, "clsact")
    foreign_filter(rig, preference, protocol)
    before = rig.traces()
    rig.attach()
    assert "name shunt_stack" in rig.sh("tc", "filter", "show", "dev", IFACE, "ingress")
    rig.attach("--reload")
    rig.loader("detach", IFACE)
    assert rig.traces() == before


def test_empty_clsact_of_somebody_else_stays(rig: Rig) -> None:
    rig.sh("tc", "qdisc", "add", "dev", IFACE, "clsact")
    before = rig.traces()
    rig.attach()
    rig.loader("detach", IFACE)
    assert rig.traces() == before


def test_clsact_that_others_came_to_use_stays(rig: Rig) -> None:
    rig.attach()
    foreign_filter(rig, 7)
    rig.loader("detach", IFACE)
    assert "name xdp_pass" in rig.sh("tc", "filter", "show", "dev", IFACE, "ingress")
    assert rig.programs() == {} and rig.pins() == []


def test_detach_all_and_by_tier(rig: Rig) -> None:
    rig.attach()
    rig.attach("-t", "generic", interface="lo")
    assert rig.loader("detach", IFACE, "-t", "generic", check=False).returncode == 7
    assert {(a["interface"], a["tier"]) for a in rig.status()} == {
        (IFACE, "driver"), ("lo", "generic")}
    document = rig.loader.json("detach", "--all")
    assert document["schema"] == "shunt/detach/1"
    assert {(d["interface"], d["tier"]) for d in document["detached"]} == {
        (IFACE, "driver"), ("lo", "generic")}
    assert rig.status() == [] and rig.pins() == []


def test_device_removed_and_made_again(rig: Rig) -> None:
    rig.attach()
    rig.node.ip(f"link del {IFACE}")
    assert rig.status() == []
    rig.add_interface()
    assert rig.status() == []
    done = rig.loader("attach", IFACE)
    assert "not attached any more" in done.stderr
    assert list(rig.programs()) == ["driver"]
    rig.node.ip(f"link del {IFACE}")
    done = rig.loader("detach", IFACE, check=False)
    assert done.returncode == 5 and "no such interface" in done.stderr
    assert rig.pins() == []


def test_detach_all_removes_pins_of_devices_that_are_gone(rig: Rig) -> None:
    rig.attach()
    rig.node.ip(f"link del {IFACE}")
    done = rig.loader("detach", "--all", check=False)
    assert done.returncode == 7 and f"{PINS}/{IFACE}/driver" in done.stderr
    assert rig.pins() == []


def test_program_taken_off_behind_our_back(rig: Rig) -> None:
    before = rig.traces()
    rig.attach()
    rig.sh("ip", "link", "set", "dev", IFACE, "xdpdrv", "off")
    assert rig.status() == []
    rig.loader("detach", IFACE, check=False)
    assert rig.traces() == before


def test_change_broken_off_before_the_swap(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    rig.sh("mkdir", f"{PINS}/{IFACE}/new-driver")
    assert rig.status()[0]["program"]["id"] == first["program_id"]
    row = tier_row(rig.attach(), "driver")
    assert (row["outcome"], row["program_id"]) == ("adopted", first["program_id"])
    assert not any("new-driver" in pin for pin in rig.pins())


def test_change_broken_off_after_the_swap(rig: Rig) -> None:
    first = tier_row(rig.attach(), "driver")
    rig.sh("mv", f"{PINS}/{IFACE}/driver", f"{PINS}/{IFACE}/new-driver")
    assert rig.status()[0]["program"]["id"] == first["program_id"]
    row = tier_row(rig.attach(), "driver")
    assert (row["outcome"], row["program_id"]) == ("adopted", first["program_id"])
    assert f"{PINS}/{IFACE}/driver/prog" in rig.pins()


@pytest.mark.parametrize("reload", [False, True])
def test_killed_anywhere(rig: Rig, reload: bool) -> None:
    """Whatever moment SIGKILL strikes at, the next loader gets along with what is left."""
    before = rig.traces()
    config = rig.config()
    if reload:
        rig.attach("-c", config)
    killed = 0
    for step in range(12):
        args = ["attach", IFACE, "-c", config, *(["--reload"] if reload else [])]
        done = rig.node.run(["timeout", "-s", "KILL", f"{0.005 + 0.009 * step:.3f}",
                             rig.loader.path, *args], check=False)
        killed += done.returncode != 0
        rig.attach("-c", config)
        assert rig.status()[0]["config"]["servers"] == 1
        assert len(rig.programs()) == 1
        if not reload:
            rig.loader("detach", IFACE)
            assert rig.traces() == before
    assert killed
    if reload:
        rig.loader("detach", IFACE)
        assert rig.traces() == before


def test_no_bpffs(rig: Rig) -> None:
    rig.sh("umount", "/sys/fs/bpf")
    try:
        done = rig.loader("attach", IFACE, check=False)
        assert done.returncode == 5 and "mount -t bpf bpf /sys/fs/bpf" in done.stderr
        assert rig.loader("status", check=False).returncode == 7
        assert rig.programs() == {}
    finally:
        rig.sh("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")


def test_no_such_interface(rig: Rig) -> None:
    for command in ("attach", "detach", "status"):
        for name in ("nosuch0", "a-name-that-no-interface-can-have"):
            document = json.loads(rig.loader(command, name, "--json", check=False).stdout)
            assert document["error"]["code"] == "no-interface" and document["exit"] == 5
    assert rig.pins() == []


@pytest.mark.parametrize("dropped,named", [
    ("-net_admin", "CAP_NET_ADMIN"), ("-bpf,-sys_admin", "CAP_BPF"),
    ("-perfmon,-sys_admin", "CAP_PERFMON"), ("-all", "CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON")])
def test_no_permission(rig: Rig, dropped: str, named: str) -> None:
    def without(*args: str) -> subprocess.CompletedProcess[str]:
        return rig.node.run(["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}",
                             rig.loader.path, *args], check=False)

    for args in (["attach", IFACE], ["detach", IFACE], ["status"]):
        done = without(*args)
        assert done.returncode == 4 and named in done.stderr
    assert rig.programs() == {} and rig.pins() == []


def test_no_more_rights_than_it_says(rig: Rig) -> None:
    held = "-all,+net_admin,+bpf,+perfmon"
    for args in (["attach", IFACE], ["attach", IFACE, "--reload"], ["status"], ["detach", IFACE]):
        rig.node.run(["setpriv", f"--bounding-set={held}", f"--inh-caps={held}",
                      rig.loader.path, *args])
    assert rig.programs() == {} and rig.pins() == []


def test_bad_file_changes_nothing(rig: Rig) -> None:
    before = rig.traces()
    config = rig.config(vips=[{"name": "www", "address": "203.0.113.80", "port": 4433,
                               "pool": "nowhere"}])
    document = rig.attach("-c", config, status=6)
    assert document["error"]["code"] == "config"
    assert rig.traces() == before


def test_the_file_says_how(rig: Rig) -> None:
    config = rig.config(interfaces=[{"name": IFACE, "tier": "generic"}])
    assert rig.attach("-c", config)["attached"] == ["generic"]
    rig.loader("detach", IFACE)
    assert rig.attach("-c", config, "-t", "auto")["attached"] == ["driver"]
    rig.loader("detach", IFACE)
    config = rig.config(interfaces=[{"name": IFACE, "require": "offload"}])
    assert rig.attach("-c", config, status=3)["attached"] == []


def test_floor_above_the_tier_asked_for(rig: Rig) -> None:
    document = rig.attach("-t", "generic", "--require", "driver", status=2)
    assert "below" in document["error"]["what"]


def test_file_that_outgrows_the_maps(rig: Rig) -> None:
    rig.attach("-c", rig.config(limits={"servers": 1}))
    servers = [{"name": f"web-{k}", "address": f"10.2.1.{k}"} for k in range(2, 40)]
    more = rig.config(pools=[{"name": "web", "servers": servers}], cid_configs=[])
    document = rig.attach("-c", more, status=1)
    assert document["error"]["code"] == "capacity"
    assert rig.status()[0]["config"]["servers"] == 1
    assert tier_row(rig.attach("-c", more, "--reload"), "driver")["outcome"] == "replaced"
    assert rig.status()[0]["config"]["servers"] == len(servers)


def test_sharing_is_done_or_refused_aloud(rig: Rig) -> None:
    config = rig.config(interfaces=[{"name": IFACE, "sharing": "dispatcher"}])
    before = rig.traces()
    done = rig.loader("attach", IFACE, "-c", config)
    listed, = rig.status()
    if listed["mode"] == "direct":
        assert "freplace" in done.stderr
        assert rig.programs()["driver"][1] == "shunt_driver"
    else:
        assert rig.programs()["driver"][1] == "xdp_dispatcher"
    assert listed["config"]["servers"] == 1
    assert tier_row(rig.attach("-c", config), "driver")["outcome"] == "adopted"
    assert tier_row(rig.attach("-c", config, "--reload"), "driver")["outcome"] == "replaced"
    rig.loader("detach", IFACE)
    assert rig.traces() == before


def test_dry_run_changes_nothing(rig: Rig) -> None:
    before = rig.traces()
    document = rig.attach("--dry-run", "-c", rig.config())
    assert document["attached"] == ["driver"] and document["dry_run"] is True
    assert rig.attach("--dry-run", "-t", "offload", status=3)["attached"] == []
    assert rig.traces() == before


def test_status(rig: Rig) -> None:
    rig.attach("-c", rig.config())
    listed, = rig.status()
    assert {k: type(v) for k, v in listed.items()} == {
        "interface": str, "ifindex": int, "tier": str, "program": dict, "mode": str,
        "stack": bool, "age": float, "generation": int, "config": dict, "maps": list}
    assert listed["program"]["id"] == rig.programs()["driver"][0]
    assert listed["generation"] == 1 and 0 <= listed["age"] < 60
    assert {"name", "id", "entries", "key_size", "value_size"} == set(listed["maps"][0])
    assert "1 VIPs, 1 servers" in rig.loader("status", IFACE).stdout


def test_names_with_dots(rig: Rig) -> None:
    """bpffs takes no dot in a name; VLAN interfaces usually have one."""
    name = f"{IFACE}.5"
    rig.node.ip(f"link add {name} type veth peer name {PEER}.5")
    try:
        rig.attach(interface=name)
        assert [a["interface"] for a in rig.status()] == [name]
        assert rig.loader("detach", "--all").stdout == f"{name}: driver detached\n"
        assert rig.pins() == []
    finally:
        rig.node.ip(f"link del {name}")


@pytest.mark.parametrize("tier", ["driver", "generic"])
def test_stack_counts(rig: Rig, tier: str) -> None:
    """Key 0 of `stats` is what is for no VIP, key 1 what the tier left of VIP 1 to the stack."""
    bed = rig.bed
    # Nobody knows the way to this server, so its packets are left to the stack.
    config = rig.config(pools=[{"name": "web", "servers": [
        {"name": "web-1", "address": "198.18.0.1"}]}])
    rig.attach("-c", config, "-t", tier, interface=bed.lb_interface)
    try:
        before = stack_stats(rig, bed.lb_interface)
        with bed.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((client4(), 0))
            for _ in range(5):
                sender.sendto(b"\x40" + b"x" * 99, (bed.vip4, bed.port))
            for _ in range(3):
                sender.sendto(b"y" * 50, (bed.vip4, bed.port + 1))
        # Refused only after all of them were counted; it is counted itself.
        with bed.client.socket(socket.AF_INET, socket.SOCK_STREAM) as last:
            with pytest.raises(ConnectionRefusedError):
                last.connect(("10.1.0.1", 9))
        after = stack_stats(rig, bed.lb_interface)
        assert after[1][0] - before[1][0] == 5
        assert after[1][1] - before[1][1] == 5 * (14 + 20 + 8 + 100)
        # More where the client's own stack has something to say, as in its first seconds.
        assert after[0][0] - before[0][0] >= 4
    finally:
        rig.loader("detach", bed.lb_interface)


def stack_stats(rig: Rig, interface: str) -> list[tuple[int, int]]:
    """Packets and octets by key, summed over CPUs."""
    dump = json.loads(rig.sh("bpftool", "-j", "map", "dump", "pinned",
                             f"{PINS}/{interface}/tc/stats"))
    rows = []
    for entry in dump:
        words = [bytes(int(octet, 16) for octet in cpu["value"]) for cpu in entry["values"]]
        rows.append((sum(int.from_bytes(w[:8], "little") for w in words),
                     sum(int.from_bytes(w[8:], "little") for w in words)))
    return rows
