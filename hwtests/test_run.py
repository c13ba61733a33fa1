# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The service: what it follows, what it takes over, what it leaves behind."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any, Iterator

import pytest

from hwtests.lab import Bed, Loader, Process, ProcessFailed
from hwtests.running import PORT, Service, Traffic, base_config, move, running_generation


@pytest.fixture
def traffic(bed: Bed) -> Iterator[Traffic]:
    made = Traffic(bed)
    yield made
    made.close()


@pytest.fixture
def service(bed: Bed, loader: Loader) -> Iterator[Service]:
    with Service(bed, loader) as running:
        yield running


def test_traffic_flows_when_it_is_ready(bed: Bed, loader: Loader, traffic: Traffic,
                                        tier: str) -> None:
    with Service(bed, loader, tier=tier) as service:
        assert service.process.status == "1 interface, 2 servers, 0 of them without a way"
        service.says(rf"lb0: {tier}: attached")
        for host in bed.servers:
            assert traffic.arrives(host.index, host) == host.mac


def test_end_leaves_the_data_path_and_a_start_adopts_it(bed: Bed, loader: Loader,
                                                        traffic: Traffic, tier: str) -> None:
    first = bed.servers[0]
    for number in (signal.SIGTERM, signal.SIGINT):
        with Service(bed, loader, tier=tier) as service:
            traffic.arrives(1, first)
            service.process.send_signal(number)
            assert service.process.wait() == 0
            service.says("the data path stays in place: loader detach --all")
        traffic.arrives(1, first)
    with Service(bed, loader, tier=tier) as service:
        service.says(rf"lb0: {tier}: adopted")
        server, = (row for row in loader.json("show", "servers")["tiers"][0]["servers"]
                   if row["server"] == "s1")
        assert server["next_hop"].startswith(first.mac)


def test_a_new_mac_address_is_followed(bed: Bed, service: Service, traffic: Traffic) -> None:
    """The neighbour entry goes, the kernel is asked, the new answer counts."""
    first = bed.servers[0]
    traffic.arrives(1, first)
    new = "02:00:00:00:aa:01"
    first.node.ip(f"link set {first.interface} address {new}")
    bed.lb.ip(f"neigh flush dev {first.lb_interface}")
    service.generation(2)
    assert traffic.arrives(1, first) == new


def test_a_neighbour_update_is_followed(bed: Bed, service: Service, traffic: Traffic) -> None:
    first = bed.servers[0]
    new = "02:00:00:00:aa:02"
    bed.lb.ip(f"neigh replace {first.address4} lladdr {new} dev {first.lb_interface} "
              "nud permanent")
    service.generation(2)
    assert traffic.arrives(1, first) == new


def test_a_route_is_followed(bed: Bed, service: Service, traffic: Traffic) -> None:
    """The first server's tunnel leads through the second's link, and back again."""
    first, second = bed.servers
    bed.lb.ip(f"route add {first.address4}/32 via {second.address4}")
    service.generation(2)
    assert traffic.arrives(1, at=second, to=first.address4) == second.mac
    bed.lb.ip(f"route del {first.address4}/32")
    service.generation(3)
    traffic.arrives(1, first)
    bed.lb.ip(f"route add blackhole {first.address4}/32")
    assert "blackhole" in service.says(r"pools\.web\.servers\.s1: 10\.2\.1\.2: ")
    traffic.lost(1)
    traffic.arrives(2, second)


def test_an_mtu_is_followed(bed: Bed, loader: Loader, service: Service) -> None:
    """Of the device, then of a route."""
    def shown() -> list[int]:
        return [row["mtu"] for row in loader.json("show", "servers")["tiers"][0]["servers"]]
    first, second = bed.servers
    before = shown()
    bed.lb.ip(f"link set {first.lb_interface} mtu 1444")
    service.generation(2)
    assert shown() == [1444, before[1]]
    bed.lb.ip(f"route add {second.address4}/32 dev {second.lb_interface} mtu 1333")
    service.generation(3)
    assert shown() == [1444, 1333]


def test_what_does_not_matter_changes_nothing(bed: Bed, service: Service) -> None:
    first = bed.servers[0]
    service.generation(1)
    bed.lb.ip("route add 10.99.0.0/16 via 10.1.0.2",
              "neigh replace 10.1.0.77 lladdr 02:00:00:00:00:77 dev lb0 nud reachable",
              "neigh del 10.1.0.77 dev lb0",
              "addr add 10.1.0.9/32 dev lb0",
              f"link set {first.lb_interface} alias x",
              "route add unreachable 10.98.0.0/16")
    bed.lb.ip(f"route add blackhole {first.address4}/32")
    assert service.says(r"generation ").endswith(
        "generation 2, 2 servers, 1 of them without a way")


def test_a_server_goes_down_and_comes_up(bed: Bed, service: Service, traffic: Traffic) -> None:
    first, second = bed.servers
    first.node.ip(f"link set {first.interface} down")
    assert f"{first.lb_interface} has no carrier" in service.says(r"pools\.web\.servers\.s1")
    traffic.arrives(2, second)
    first.node.ip(f"link set {first.interface} up")
    service.says(r"pools\.web\.servers\.s1: 10\.2\.1\.2: the way is known again")
    again = Traffic(bed)  # the old sockets tell first that their device was down
    again.arrives(1, first)
    again.close()


def test_a_dead_server_is_named_and_found_later(bed: Bed, loader: Loader, traffic: Traffic
                                                ) -> None:
    first, second = bed.servers
    config = base_config(bed)
    config["pools"][0]["servers"][0]["address"] = "10.2.1.99"
    bed.lb.sysctl(**{f"net__ipv4__neigh__{first.lb_interface}__retrans_time_ms": 100})
    with Service(bed, loader, config=config) as service:
        assert service.process.status == "1 interface, 2 servers, 1 of them without a way"
        assert "does not answer (ARP)" in service.says(r"s1: 10\.2\.1\.99")
        traffic.lost(1)
        traffic.arrives(2, second)
        first.node.ip(f"addr add 10.2.1.99/24 dev {first.interface}")
        # Some packet for it is all it takes; without one the next refresh would find it.
        with bed.lb.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
            knock.sendto(b"", ("10.2.1.99", 9))
        service.says("s1: 10.2.1.99: the way is known again")
        traffic.arrives(1, first, to="10.2.1.99")


def test_a_silent_change_of_mac_is_found_by_the_refresh(bed: Bed, service: Service,
                                                        traffic: Traffic) -> None:
    """Nobody tells: the entry is stale, the service has the kernel check it."""
    first = bed.servers[0]
    new = "02:00:00:00:aa:03"
    bed.lb.sysctl(**{f"net__ipv4__neigh__{first.lb_interface}__delay_first_probe_time": 1,
                     f"net__ipv4__neigh__{first.lb_interface}__retrans_time_ms": 100})
    bed.lb.ip(f"neigh change {first.address4} lladdr {first.mac} dev {first.lb_interface} "
              "nud stale")
    first.node.ip(f"link set {first.interface} address {new}")
    service.says(r"generation \d+, 2 servers, 0 of")
    service.says(r"generation \d+, 2 servers, 0 of", timeout=20)
    assert traffic.arrives(1, first) == new


def test_reload_of_a_good_file(bed: Bed, service: Service, traffic: Traffic) -> None:
    first = bed.servers[0]
    traffic.lost(1, port=444)
    service.config["vips"].append({"name": "alt", "address": bed.vip4, "port": 444, "pool": "web"})
    service.reload(service.config)
    service.says(r"shunt\.yaml: taken over")
    service.generation(2)
    traffic.arrives(1, first, port=444)
    traffic.arrives(1, first)


def test_reload_of_a_bad_file_changes_nothing(bed: Bed, service: Service, traffic: Traffic
                                              ) -> None:
    bad = json.loads(json.dumps(service.config))
    bad["vips"][0]["pool"] = "nowhere"
    bad["pools"][0]["servers"][1]["weight"] = -1
    bad["surprise"] = 1
    for text in (json.dumps(bad), "vips: [", "", json.dumps({**service.config, "interfaces": []})):
        service.reload(text)
        service.says("not taken over; what runs stays as it is")
        for host in bed.servers:
            traffic.arrives(host.index, host)
    log = service.process.stderr.read_text()
    for path in ("pools[0].servers[1].weight", "surprise", "interfaces"):
        assert f": {path}: " in log
    service.file.unlink()
    service.process.send_signal(signal.SIGHUP)
    service.process.wait_ready()
    service.says("not taken over")
    assert running_generation(service) == 1


def test_reload_of_a_file_that_does_not_fit(bed: Bed, loader: Loader, traffic: Traffic) -> None:
    config = base_config(bed)
    config["limits"] = {"servers": 2}
    with Service(bed, loader, config=config) as service:
        config["limits"]["servers"] = 100
        config["pools"][0]["servers"] += [{"name": f"more-{i}", "address": f"10.2.1.{i}"}
                                          for i in range(100, 150)]
        service.reload(config)
        line = service.says("not taken over")
        assert "too small" in line and "limits.servers" in line
        traffic.arrives(1, bed.servers[0])
        assert running_generation(service) == 1


def test_an_apply_of_the_file_is_taken_over(bed: Bed, service: Service, traffic: Traffic) -> None:
    first = bed.servers[0]
    service.config["vips"].append({"name": "alt", "address": bed.vip4, "port": 444, "pool": "web"})
    service.loader.write_config(service.config, service.file)
    service.loader("apply", "-c", service.file)
    assert running_generation(service) == 2
    for generation, new in ((3, "02:00:00:00:aa:04"), (4, "02:00:00:00:aa:05")):
        move(bed, first, new)
        service.generation(generation)
        for port in (PORT, 444):
            assert traffic.arrives(1, first, port=port) == new
    assert running_generation(service) == 4
    log = service.process.stderr.read_text()
    assert log.count("took over the configuration that was applied meanwhile") == 1
    assert "somebody else" not in log


def test_an_apply_of_another_file_is_left_alone(bed: Bed, service: Service, traffic: Traffic,
                                                tmp_path: Path) -> None:
    """Not undone by what the network does, said once for each; SIGHUP brings the own file back."""
    first = bed.servers[0]
    other = json.loads(json.dumps(service.config))
    for generation, port in ((2, 444), (3, 445)):
        other["vips"][0]["port"] = port
        service.loader("apply", "--force", "-c",
                       service.loader.write_config(other, tmp_path / "other.yaml"))
        move(bed, first, f"02:00:00:00:ab:{port % 256:02x}")
        assert service.says("applied by somebody else").endswith(
            f"lb0: generic: generation {generation} was applied by somebody else from another "
            f"file; leaving it alone; SIGHUP applies {service.file} again")
        move(bed, first, first.mac)
        bed.lb.ip(f"route add {first.address4}/32 via {bed.servers[1].address4}",
                  f"route del {first.address4}/32")
        service.process.wait_ready()
        assert running_generation(service) == generation
        traffic.arrives(1, first, port=port)
        traffic.lost(1)
    assert service.process.stderr.read_text().count("somebody else") == 2
    service.reload(service.config)
    service.generation(4)
    assert traffic.arrives(1, first) == first.mac
    traffic.lost(1, port=445)
    move(bed, first, "02:00:00:00:aa:06")
    service.generation(5)
    assert traffic.arrives(1, first) == "02:00:00:00:aa:06"
    assert service.process.stderr.read_text().count("somebody else") == 2


def test_one_interface_of_two_is_left_alone(bed: Bed, loader: Loader, tmp_path: Path) -> None:
    """attach brings a file to one. The other is followed on, and takes what the file then says."""
    first, second = bed.servers
    config = base_config(bed)
    config["interfaces"].append({"name": second.lb_interface, "tier": "generic"})
    other = json.loads(json.dumps(config))
    other["vips"][0]["port"] = 444
    with Service(bed, loader, config=config) as service:
        loader("attach", "lb0", "-c", loader.write_config(other, tmp_path / "other.yaml"))
        move(bed, first, "02:00:00:00:aa:07")
        service.says("lb0: generic: generation 2 was applied by somebody else")
        service.says(f"{second.lb_interface}: generic: generation 2,")
        config["vips"][0]["port"] = 445
        loader("attach", second.lb_interface, "-c", loader.write_config(config, service.file))
        move(bed, first, "02:00:00:00:aa:08")
        service.says("took over the configuration")
        service.says(f"{second.lb_interface}: generic: generation 4,")
        shown = loader.json("show", "vips")["tiers"]
        assert {entry["interface"]: entry["vips"][0]["port"] for entry in shown} == {
            "lb0": 444, second.lb_interface: 445}
        assert service.process.stderr.read_text().count("somebody else") == 1


def test_reload_with_other_interfaces(bed: Bed, service: Service) -> None:
    name = bed.servers[0].lb_interface
    service.config["interfaces"] = [{"name": name, "tier": "generic"}]
    service.reload(service.config)
    service.says(r"lb0: no longer in the file; what is attached stays as it is")
    service.says(rf"{name}: generic: attached")
    attached = {entry["interface"] for entry in service.loader.json("show", "vips")["tiers"]}
    assert attached == {"lb0", name}


def test_the_interface_goes_and_comes_back(bed: Bed, service: Service, traffic: Traffic) -> None:
    bed.lb.ip("link del lb0")
    service.says("lb0: the interface is gone; waiting for it")
    bed.cell.run(["ip", "link", "add", "lb0", "address", bed.lb_mac, "netns",
                  str(bed.lb.inner_pid), "type", "veth", "peer", "name", "c0", "address",
                  bed.client_mac, "netns", str(bed.client.inner_pid)])
    bed.client.ip("link set c0 up", "addr add 10.1.0.2/24 dev c0")
    bed.lb.ip("link set lb0 up", "addr add 10.1.0.1/24 dev lb0")
    service.says("lb0: generic: attached")
    again = Traffic(bed)
    again.arrives(1, bed.servers[0])
    again.close()


def test_the_wait_for_an_interface(bed: Bed, loader: Loader) -> None:
    config = base_config(bed)
    config["interfaces"][0]["name"] = "late0"
    with Service(bed, loader, "--wait", "30", config=config, wait=False) as service:
        service.says("late0: waiting for the interface")
        bed.lb.ip("link add late0 type veth peer name late1")
        service.process.wait_ready()
        service.says("late0: generic: attached")
    with Service(bed, loader, "--wait", "30", config={**config, "interfaces": [
            {"name": "never0"}]}, wait=False) as service:
        service.says("never0: waiting")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait() == 5


def test_detached_by_hand_is_said(bed: Bed, service: Service) -> None:
    service.loader("detach", "lb0")
    bed.lb.ip("addr add 10.77.0.1/32 dev lo")
    service.says("lb0: nothing is attached; was it detached by hand")
    service.reload(service.config)
    service.says("lb0: generic: attached")


def test_notifications_through_an_abstract_socket(bed: Bed, loader: Loader) -> None:
    """READY, then RELOADING and READY, then STOPPING; with the exact length of the name."""
    file = loader.write_config(base_config(bed))
    with bed.lb.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0shunt-test-manager")
        manager.settimeout(10)
        with Process(bed.lb, [loader.path, "run", "-c", file],
                     env={"NOTIFY_SOCKET": "@shunt-test-manager"}) as process:
            assert "READY=1" in manager.recv(500).decode().split("\n")
            process.send_signal(signal.SIGHUP)
            lines = manager.recv(500).decode().split("\n")
            assert lines[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", lines[1])
            assert "READY=1" in manager.recv(500).decode().split("\n")
            process.send_signal(signal.SIGTERM)
            while (last := manager.recv(500)) != b"STOPPING=1":
                assert b"READY=1" in last
            assert process.wait() == 0


def test_one_json_document_at_the_end(bed: Bed, loader: Loader) -> None:
    with Service(bed, loader, "--json") as service:
        service.process.terminate()
        shown = json.loads(service.process.stdout.read_text())
        assert shown["schema"] == "shunt/run/1" and shown["interfaces"] == ["lb0"]


def failed(bed: Bed, loader: Loader, config: Any, *args: str) -> tuple[int, dict[str, Any]]:
    """Status and error of a start that cannot succeed."""
    file: Path = loader.write_config(config)
    done = bed.lb.run([loader.path, "run", "--json", "-c", file, *args], check=False)
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return done.returncode, error


def test_starts_that_fail(bed: Bed, loader: Loader) -> None:
    config = base_config(bed)
    status, error = failed(bed, loader, {**config, "interfaces": []})
    assert status == 6 and error["what"].endswith(": interfaces")
    status, error = failed(bed, loader, {**config, "vips": [{"name": "x"}]})
    assert status == 6 and error["code"] == "config"
    status, error = failed(bed, loader, {**config, "interfaces": [{"name": "nix0"}]})
    assert status == 5 and error["code"] == "no-interface"
    status, error = failed(bed, loader, config, "--wait", "soon")
    assert status == 2 and error["code"] == "usage"
    status, error = failed(bed, loader, {**config, "interfaces": [
        {"name": "lb0", "tier": "offload"}]})
    assert status == 3 and error["code"] in ("no-offload-device", "no-ndo-bpf")
    with pytest.raises(ProcessFailed, match="before it was ready"):
        Service(bed, loader, config={**config, "interfaces": [{"name": "nix0"}]})


def test_a_missing_capability_is_named(bed: Bed, loader: Loader) -> None:
    file = loader.write_config(base_config(bed))
    done = bed.lb.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--", loader.path,
                       "run", "-c", file], check=False)
    assert done.returncode == 4 and "CAP_" in done.stderr
    done = bed.lb.run(["setpriv", "--bounding-set=-net_raw", "--inh-caps=-all", "--", loader.path,
                       "run", "-c", file], check=False)
    assert done.returncode == 4 and "CAP_NET_RAW" in done.stderr


def test_the_capabilities_of_the_unit_are_enough(bed: Bed, loader: Loader) -> None:
    unit = (Path(__file__).resolve().parents[1] / "loader/dist/shunt@.service").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert found
    keep = ",".join("+" + name.removeprefix("CAP_").lower() for name in found[1].split())
    file = loader.write_config(base_config(bed))
    with Process(bed.lb, ["setpriv", f"--bounding-set=-all,{keep}", "--inh-caps=-all",
                          "--no-new-privs", "--", loader.path, "run", "-c", file],
                 notify=True) as process:
        process.wait_ready()
