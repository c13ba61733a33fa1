# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Devices that go away, and loaders that do: one line, the right status, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Iterator

import pytest

from hwtests.vm.guest.rig import PINS, Device, Loader, Traces, in_bpf, pinned, run, tiers

#: Milliseconds that the device's verifier takes for each program, once it is told to.
DELAY = "2000"


class Service:
    """`loader run`, read along."""

    def __init__(self, loader: Loader) -> None:
        self.process = subprocess.Popen([loader.path, "run", "-c", loader.file], text=True,
                                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        # Lines come from the service itself; what never comes is ended by the timer.
        self._timer = threading.Timer(60, self.process.kill)
        self._timer.start()

    def says(self, pattern: str) -> str:
        """The next line with the pattern."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without {pattern!r}")

    def close(self) -> None:
        """Its end is part of the test."""
        self.process.terminate()
        assert self.process.wait(30) == 0
        self._timer.cancel()


@pytest.fixture
def service(loader: Loader, device: Device) -> Iterator[Service]:
    loader.write(interfaces=[{"name": "n0"}])
    running = Service(loader)
    yield running
    running._timer.cancel()
    running.process.kill()
    running.process.wait()
    assert running.process.stderr is not None
    running.process.stderr.close()


def bound_by(device: Device, count: int) -> None:
    """Wait until the driver holds so many programs, the one in its verifier included."""
    folder = device.switches / "bpf_bound_progs"
    deadline = threading.Event()
    timer = threading.Timer(30, deadline.set)
    timer.start()
    while len(list(folder.iterdir())) != count and not deadline.is_set():
        os.sched_yield()
    timer.cancel()
    assert not deadline.is_set()


def test_device_lost(loader: Loader, device: Device) -> None:
    loader.attach("n0")
    device.remove()
    done = loader("status", status=7)
    assert done.stderr == "shunt: nothing is attached; loader attach IFACE\n"
    done = loader("stats", "n0", status=7)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    done = loader("detach", "n0", status=5)
    removed = "removed the pins of a program that is not attached any more"
    assert done.stderr.splitlines() == [
        f"shunt: {PINS}/n0/offload: {removed}", f"shunt: {PINS}/n0/driver: {removed}",
        "shunt: n0: there is no such interface; ip link shows what there is"]
    assert not pinned() and not in_bpf("prog") and not in_bpf("map")


def test_device_lost_and_found(loader: Loader, device: Device) -> None:
    """An attach to the device of the same name that came in its place begins anew."""
    loader.attach("n0")
    device.remove()
    device.add()
    document = loader.attach("n0")
    assert {row["outcome"] for row in document["tiers"]} == {"new"}
    assert list(device.programs()) == ["driver", "offload"]


def test_service_outlives_its_device(loader: Loader, device: Device, service: Service) -> None:
    service.says("n0: driver: generation 1")
    assert list(loader.status()) == ["offload", "driver", "userspace"]
    device.remove()
    service.says("n0: the interface is gone; waiting for it")
    device.add()
    service.says("n0: offload: attached")
    service.says("n0: driver: generation 1")
    assert list(loader.status()) == ["offload", "driver", "userspace"]
    service.close()
    assert list(device.programs()) == ["driver", "offload"]


def test_gone_before(loader: Loader) -> None:
    for words in (["probe", "n0"], ["attach", "n0"], ["detach", "n0"]):
        done = loader(*words, status=5)
        assert done.stderr == (
            "shunt: n0: there is no such interface; ip link shows what there is\n"), words
        document = loader.json(*words, status=5)
        assert document["error"]["code"] == "no-interface", words


def test_in_another_namespace(loader: Loader, device: Device) -> None:
    """A name counts where the loader runs."""
    run("ip", "netns", "add", "elsewhere")
    try:
        run("ip", "link", "set", "n0", "netns", "elsewhere")
        done = loader("attach", "n0", "-c", str(loader.file), status=5)
        assert done.stderr == "shunt: n0: there is no such interface; ip link shows what there is\n"
        done = run("ip", "netns", "exec", "elsewhere", loader.path, "probe", "n0", "--json")
        assert tiers(json.loads(done.stdout))["offload"]["usable"] == "yes"
    finally:
        run("ip", "netns", "exec", "elsewhere", "ip", "link", "set", "n0", "netns", "1")
        run("ip", "netns", "delete", "elsewhere")


@pytest.mark.parametrize("command", ["attach", "probe"])
@pytest.mark.parametrize("step", ["trial", "object"])
def test_lost_in_mid_load(loader: Loader, device: Device, command: str, step: str) -> None:
    """The trial of two instructions, or our own object, is in the verifier when the device goes."""
    before = Traces.now()
    device.set("bpf_bind_verifier_delay", DELAY)
    loading = subprocess.Popen([loader.path, command, "n0", "-c", loader.file], text=True,
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    bound_by(device, 1)
    if step == "object":
        bound_by(device, 0)
        bound_by(device, 1)
    device.remove()
    said, problem = loading.communicate(timeout=60)
    assert (loading.returncode, said) == (5, ""), said + problem
    what = "n0, offload" if command == "attach" else "n0"
    assert problem == f"shunt: {what}: the device went away\n"
    assert Traces.now() == before


@pytest.mark.parametrize("step", ["trial", "object"])
def test_loader_killed_in_mid_load(loader: Loader, device: Device, step: str) -> None:
    device.set("bpf_bind_verifier_delay", DELAY)
    loading = subprocess.Popen([loader.path, "attach", "n0", "-c", loader.file],
                               stdout=subprocess.DEVNULL)
    bound_by(device, 1)
    if step == "object":
        bound_by(device, 0)
        bound_by(device, 1)
    loading.send_signal(signal.SIGKILL)
    assert loading.wait(60) == -signal.SIGKILL
    device.set("bpf_bind_verifier_delay", "0")
    assert not device.programs()
    assert loader.attach("n0")["attached"] == ["offload", "driver"]
    loader("detach", "n0")
    assert not pinned() and not device.bound()


def test_killed_at_any_moment(loader: Loader, device: Device) -> None:
    """Wherever a loader dies, the next one finds its way and leaves nothing of it."""
    for number in range(5):
        loading = subprocess.Popen([loader.path, "attach", "n0", "-c", loader.file],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            loading.wait(0.05 + 0.12 * number)
        loading.kill()
        loading.wait()
        document = loader.attach("n0")
        assert document["attached"] == ["offload", "driver"]
        assert {tier: entry["program"]["id"] for tier, entry in loader.status().items()} == {
            tier: number for tier, (number, _) in device.programs().items()}
        loader("detach", "n0")
        assert not pinned() and not device.bound() and not device.programs()


def test_pins_of_a_crash(loader: Loader, device: Device) -> None:
    """Folders with programs that are attached nowhere are no reason to refuse."""
    loader.attach("n0")
    for mode in ("xdpoffload", "xdpdrv"):
        run("ip", "link", "set", "n0", mode, "off")
    assert pinned()
    document = loader.attach("n0")
    assert {row["outcome"] for row in document["tiers"]} == {"new"}
    assert Path(PINS / "n0/offload/prog").exists()
