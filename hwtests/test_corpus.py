# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every frame of the corpus through all three objects: verdict, reason, octets as the oracle says.

Twice: once with the maps filled by the oracle's own plan, so that a failure is the program's; once
by ``loader trace``, so that a failure of that alone is the loader's.
"""

from __future__ import annotations

import difflib
import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from scapy.layers.inet import IP, in4_chksum  # type: ignore[import]
from scapy.layers.inet6 import IPv6, in6_chksum  # type: ignore[import]
from scapy.layers.l2 import Ether  # type: ignore[import]
from scapy.utils import PcapReader, PcapWriter, checksum, hexdump  # type: ignore[import]

from hwtests.lab.bed import built
from hwtests.oracle import Decision, Model, vectors
from hwtests.oracle.aes_keys import expand
from hwtests.oracle.corpus import (WEB1, Case, Config, Scenario, ether, gue_config, ip4, ip6,
                                   nat_config, short, udp)
from hwtests.oracle.drawing import random_traffic
from hwtests.oracle.keys import with_keys
from hwtests.oracle.lookup3 import hashlittle2
from hwtests.oracle.model import Datagram, parse
from hwtests.oracle.plan import TREE, Tier, reasons
from hwtests.oracle.quic_lb import CidConfig
from hwtests.oracle.scenarios import scenarios

TierName = Literal["driver", "generic", "offload", "userspace"]
TIERS: tuple[TierName, ...] = ("driver", "generic", "offload")
SCENARIOS = scenarios()

every_tier = pytest.mark.parametrize(
    "name", [pytest.param(tier, marks=getattr(pytest.mark, tier)) for tier in TIERS])
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: str(s.name))


def _scenario(name: str) -> Scenario:
    return next(s for s in SCENARIOS if s.name == name)


@functools.cache
def _model(name: str) -> Model:
    return Model(next(s.config for s in SCENARIOS if s.name == name))


@functools.cache
def _expected(name: str, *, card: bool = False, known: bool = False) -> list[Decision]:
    scenario = next(s for s in SCENARIOS if s.name == name)
    return [_model(name).route(case.frame, card=card, known=known) for case in scenario.cases]


def _is_card(tier: TierName) -> bool:
    return tier == "offload"


def _fields(frame: bytes) -> list[str]:
    return [*str(Ether(frame).show(dump=True)).splitlines(),
            *str(hexdump(frame, dump=True)).splitlines()]


def _complain(case: Case, wanted: Decision, got: Decision) -> str:
    lines = [f"{case.name}: {case.about}", f"frame {case.frame.hex()}"]
    for field in ("verdict", "reason", "config_id", "vip", "server", "pool"):
        if getattr(wanted, field) != getattr(got, field):
            lines.append(f"{field}: expected {getattr(wanted, field)}, got {getattr(got, field)}")
    if wanted.out_frame != got.out_frame:
        lines += difflib.unified_diff(_fields(wanted.out_frame or case.frame),
                                      _fields(got.out_frame or case.frame),
                                      "expected", "got", lineterm="", n=2)
    return "\n".join(lines)


def _compare(cases: list[Case], expected: list[Decision], got: list[Decision]) -> None:
    assert len(got) == len(cases)
    wrong = [(case, e, g) for case, e, g in zip(cases, expected, got) if e != g]
    if wrong:
        shown = "\n\n".join(_complain(*one) for one in wrong[:3])
        pytest.fail(f"{len(wrong)} of {len(cases)} frames\n\n{shown}", pytrace=False)


def _compare_with_driver(cases: list[Case], model: Model) -> None:
    """The driver's program must do with these what the model says."""
    tier = Tier(built("bpf/driver.bpf.o"), model)
    try:
        _compare(cases, [model.route(case.frame) for case in cases],
                 [tier.route(case.frame) for case in cases])
    finally:
        tier.close()


# The program on maps filled by the oracle's plan.


@every_tier
@every_scenario
def test_program(scenario: Scenario, name: TierName) -> None:
    tier = Tier(built(f"bpf/{name}.bpf.o"), _model(scenario.name))
    try:
        _compare(scenario.cases, _expected(scenario.name, card=_is_card(name)),
                 [tier.route(case.frame) for case in scenario.cases])
    finally:
        tier.close()


# The program by the loader.


@dataclass(frozen=True)
class Trace:
    """What ``loader trace`` gave for a list of frames."""

    stdout: str
    lines: list[dict[str, Any]]
    frames: list[bytes]

    def decisions(self, cases: list[Case]) -> list[Decision]:
        """In the oracle's words."""
        assert len(self.lines) == len(self.frames) == len(cases)
        return [self._decision(case, line, frame)
                for case, line, frame in zip(cases, self.lines, self.frames)]

    @staticmethod
    def _decision(case: Case, line: dict[str, Any], frame: bytes) -> Decision:
        assert "error" not in line, line
        assert (line["length"], line["out_length"]) == (len(case.frame), len(frame)), case.name
        unchanged = line["verdict"] == "XDP_PASS" and frame == case.frame
        return Decision(line["verdict"], line["reason"], line["config"], line["vip"],
                        line["server"], line["pool"], None if unchanged else frame)


def _loader(*words: str | Path) -> str:
    done = subprocess.run([built("loader"), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout[:2000]}{done.stderr}"
    return done.stdout


def _trace(config: Config, tier: TierName, cases: list[Case], *, known: bool = False) -> Trace:
    """Each frame by itself: flows are not remembered."""
    config = config | {"limits": config.get("limits", {}) | {"flows": 0}}
    with tempfile.TemporaryDirectory() as place:
        file, frames, out = (Path(place) / name for name in ("shunt.yaml", "in.pcap", "out.pcap"))
        file.write_text(json.dumps(with_keys(config, Path(place))))
        with PcapWriter(str(frames), linktype=1) as writer:
            for case in cases:
                writer.write(case.frame)
        stdout = _loader("trace", "-t", tier, "-c", file, "--pcap", frames, "--out", out, "--json",
                         *(["--known"] if known else []))
        with PcapReader(str(out)) as reader:
            raw = [frame for frame, _ in _raw_frames(reader)]
    return Trace(stdout, [json.loads(line) for line in stdout.splitlines()], raw)


def _raw_frames(reader: PcapReader) -> Iterator[tuple[bytes, Any]]:
    while True:
        try:
            yield reader._read_packet()
        except EOFError:
            return


@functools.cache
def _traced(name: str, tier: TierName, *, known: bool = False) -> Trace:
    scenario = next(s for s in SCENARIOS if s.name == name)
    return _trace(scenario.config, tier, scenario.cases, known=known)


@every_tier
@every_scenario
def test_trace(scenario: Scenario, name: TierName) -> None:
    traced = _traced(scenario.name, name)
    assert [line["packet"] for line in traced.lines] == list(range(1, len(scenario.cases) + 1))
    _compare(scenario.cases, _expected(scenario.name, card=_is_card(name)),
             traced.decisions(scenario.cases))


@every_scenario
def test_tiers_agree(scenario: Scenario) -> None:
    driver, generic, offload = (_traced(scenario.name, tier) for tier in TIERS)
    assert driver.stdout == generic.stdout
    assert driver.frames == generic.frames
    # What the card leaves to the next tier is all that they differ in.
    left = {line["packet"] for line, case in zip(offload.lines, scenario.cases)
            if line["verdict"] == "XDP_PASS"}
    for one, other, ours, theirs in zip(offload.lines, driver.lines, offload.frames,
                                        driver.frames):
        assert one["packet"] in left or (one, ours) == (other, theirs)


@every_scenario
def test_userspace_agrees_with_the_driver(scenario: Scenario) -> None:
    """The same octets for all that the driver forwards; what it leaves for being rare goes on."""
    ours, driver = _traced(scenario.name, "userspace"), _traced(scenario.name, "driver")
    for case, one, other, out, wanted in zip(scenario.cases, ours.lines, driver.lines,
                                             ours.frames, driver.frames):
        if other["reason"] not in {"fragment", "ip_options"}:
            assert (one, out.hex()) == (other, wanted.hex()), f"{case.name}: {case.about}"


@pytest.mark.offload
@every_scenario
def test_card_that_was_told_routes_as_the_driver(scenario: Scenario) -> None:
    """Every encrypted CID that names a server is put into conn_map before its packet."""
    traced = _traced(scenario.name, "offload", known=True)
    _compare(scenario.cases, _expected(scenario.name, card=True, known=True),
             traced.decisions(scenario.cases))
    driver = _traced(scenario.name, "driver")
    told = [0] * 7
    for one, other, ours, theirs in zip(traced.lines, driver.lines, traced.frames, driver.frames):
        if one["reason"] == "known_cid":
            told[one["config"]] += 1
            assert (other["reason"], ours) == ("cid", theirs)
            assert {**one, "reason": "cid"} == other
    assert min(told) > 20 or not scenario.name.startswith("keyed-")


def test_hex_is_the_same_as_a_capture(tmp_path: Path) -> None:
    scenario = SCENARIOS[0]
    file = tmp_path / "shunt.yaml"
    file.write_text(json.dumps(scenario.config))
    for case in scenario.cases[::150]:
        line = json.loads(_loader("trace", "-t", "driver", "-c", file, "--hex", case.frame.hex(),
                                  "--json"))
        (wanted,) = _trace(scenario.config, "driver", [case]).lines
        assert line == wanted


# The oracle and the corpus themselves.


def _vectors() -> list[dict[str, Any]]:
    return [vector for name in ("clear", "keyed") for vector in json.loads(
        (TREE / f"hwtests/vectors/quic-lb-{name}.json").read_text())["vectors"]]


def test_oracle_hash_gives_the_published_results() -> None:
    text = b"Four score and seven years ago"
    assert hashlittle2(b"") == (0xdeadbeef, 0xdeadbeef)
    assert hashlittle2(b"", 0, 0xdeadbeef) == (0xbd5b7dde, 0xdeadbeef)
    assert hashlittle2(b"", 0xdeadbeef, 0xdeadbeef) == (0x9c093ccd, 0xbd5b7dde)
    assert hashlittle2(text) == (0x17770551, 0xce7226e6)
    assert hashlittle2(text, 0, 1) == (0xe3607cae, 0xbd371de4)
    assert hashlittle2(text, 1, 0) == (0xcd628161, 0x6cbea4b3)


@pytest.mark.parametrize("vector", _vectors(), ids=lambda vector: str(vector["id"]))
def test_oracle_makes_the_cids_of_the_draft(vector: dict[str, Any]) -> None:
    server_id, nonce, cid = (bytes.fromhex(vector[name]) for name in ("server_id", "nonce", "cid"))
    key = bytes.fromhex(vector["key"]) if "key" in vector else None
    layout = CidConfig(vector["config_id"], len(server_id), len(nonce), key)
    assert layout.algorithm == vector.get("algorithm", "clear")
    assert layout.encode(server_id, nonce, low=cid[0] & 0x1f) == cid
    assert layout.decode(cid) == layout.decode(cid + b"\x01") == server_id
    if "rounds" in vector:
        assert [[left.hex(), right.hex()]
                for left, right in layout.rounds(server_id + nonce)] == vector["rounds"]


def test_oracle_key_schedule_gives_the_published_words() -> None:
    """FIPS 197 appendix A.1."""
    words = expand(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    assert (words[4].hex(), words[43].hex()) == ("a0fafe17", "b6630ca6")


def test_vectors_of_the_unit_tests_are_current() -> None:
    assert (TREE / "bpf/tests/hash_vectors.h").read_text() == vectors.header(), \
        "python3 -m hwtests.oracle.vectors > bpf/tests/hash_vectors.h"


#: Reasons that one frame under one file does not lead to. Of a broken host:
BROKEN_HOST = {"no_config", "no_headroom"}
#: Of what came before, or of the way to a server: tests of their own lead to them.
MORE_THAN_A_FRAME = {"flow", "flow_cid", "too_big", "too_big_answered"}
#: Of packets that are no datagram to a VIP: likewise.
OTHER_PACKETS = {"icmp", "icmp_unrelated", "icmp_absurd", "nat_return"}
#: Of user space alone.
USER_SPACE = {"fragments_incomplete", "overloaded"}


def test_corpus_reaches_every_reason() -> None:
    """But those that take more than a datagram to a VIP."""
    met = {decision.reason for scenario in SCENARIOS
           for card, known in ((False, False), (True, False), (True, True))
           for decision in _expected(scenario.name, card=card, known=known)}
    assert set(reasons()) - met == (BROKEN_HOST | MORE_THAN_A_FRAME | OTHER_PACKETS
                                    | USER_SPACE)


def test_corpus_routes_by_every_kind_of_encrypted_cid() -> None:
    """Each config of each keyed scenario, and no less often than not."""
    for scenario in SCENARIOS:
        if scenario.name.startswith("keyed-"):
            routed = [d.config_id for d in _expected(scenario.name) if d.reason == "cid"]
            assert min(routed.count(number) for number in range(7)) > 100, scenario.name


def test_oracle_sums_and_lengths() -> None:
    """Outer headers are right by themselves, and inner ones as right as they came."""
    met = 0
    for scenario in SCENARIOS:
        for case, decision in zip(scenario.cases, _expected(scenario.name)):
            if decision.out_frame is None or decision.out_frame[12:14] != b"\x08\0":
                continue
            header = decision.out_frame[14:34]
            if header[9] not in (4, 41):
                continue
            met += 1
            assert checksum(header) == 0 and header[6:8] == b"\x40\0"
            assert len(decision.out_frame) == len(case.frame) + 20
    assert met > 1000


def _gue_checksum(frame: bytes) -> int:
    """Over IPv6: what all octets under UDP's checksum come to; 0 is right."""
    outer = IPv6(frame[14:])
    return int(in6_chksum(17, outer, frame[54:54 + outer.plen]))


def _is_right(datagram: Datagram) -> bool:
    """Whether the checksums of a packet are."""
    header, udp_packet = datagram.packet[:datagram.udp_at], datagram.packet[datagram.udp_at:]
    if datagram.version == 6:
        return not in6_chksum(17, IPv6(header), udp_packet[:datagram.ip_length - datagram.udp_at])
    return not checksum(header) and not in4_chksum(
        17, IP(header), udp_packet[:datagram.ip_length - datagram.udp_at])


def test_oracle_gue_over_ipv6() -> None:
    """A packet whose own checksums are right arrives under one that is, by a sum of all octets; no
    checksum at all have only those that do not say what they add up to. A wrong one stays so."""
    right = none = 0
    for case, decision in zip(_scenario("gue").cases, _expected("gue")):
        frame = decision.out_frame
        if not frame or frame[12:14] + frame[56:58] != b"\x86\xdd\x3e\xd0":
            continue
        assert len(frame) == len(case.frame) + 52
        datagram = parse(case.frame)
        if frame[60:62] == b"\0\0":
            none += 1
            assert not datagram.sum_follows
        else:
            right += _is_right(datagram)
            assert (_gue_checksum(frame) == 0) == _is_right(datagram), case.name
    assert right > 300 and none > 10


def test_gue_checksum_of_zero_is_sent_as_ones() -> None:
    """Zero would say that there is none. The inner flow label makes up for the rest of the sum."""
    model = Model(gue_config())

    def frame(label: int) -> bytes:
        return bytes(ether() / ip6(fl=label) / udp(short(WEB1)))

    def check_of(label: int) -> int:
        out = model.route(frame(label)).out_frame
        assert out and out[56:58] == (16080).to_bytes(2, "big")
        return int.from_bytes(out[60:62], "big")

    labels = [check_of(0) + more for more in (-1, 0, 1)]
    assert [check_of(label) for label in labels] == [1, 0xffff, 0xfffe]
    cases = [Case(f"label-{n}", "sums about zero", frame(n)) for n in labels]
    _compare_with_driver(cases, model)


def test_oracle_nat() -> None:
    """By a sum of all octets: a packet whose checksums are right arrives with right ones, from the
    same client, and what the server answers leaves with right ones, from the VIP."""
    model, met = _model("nat"), 0
    for case, decision in zip(_scenario("nat").cases, _expected("nat")):
        server = decision.server or ""
        if not decision.out_frame or not server.endswith(("-1", "-2")):
            continue
        before, after = parse(case.frame), parse(decision.out_frame)
        assert before.payload == after.payload and before.source == after.source
        assert after.ports[2:] == (8443 if server.endswith("-1") else 443).to_bytes(2, "big")
        none = not any(before.packet[before.udp_at + 6:before.udp_at + 8])
        assert none or _is_right(before) == _is_right(after), case.name
        met += _is_right(before)
        back = bytearray(decision.out_frame)
        half = 4 if after.version == 4 else 16
        at = 14 + len(after.link) - 14 + (12 if after.version == 4 else 8)
        back[at:at + 2 * half] = after.destination + after.source
        udp_at = len(after.link) + after.udp_at
        back[udp_at:udp_at + 4] = after.ports[2:] + after.ports[:2]
        if after.ttl > 1:
            answered = model.answer(bytes(back))
            assert answered is not None and answered[0] == decision.vip
            answer = parse(after.link + answered[1])
            assert (answer.source, answer.ports[:2]) == (before.destination, before.ports[2:])
            assert none or _is_right(before) == _is_right(answer), case.name
    assert met > 1000


def test_nat_checksum_of_zero_is_sent_as_ones() -> None:
    """Zero would say that there is none. Two octets of the payload make up for the rest."""
    model = Model(nat_config())

    def frame(word: int) -> bytes:
        return bytes(ether() / ip4() / udp(short(WEB1, 23) + word.to_bytes(2, "big")))

    def check_of(word: int) -> int:
        out = model.route(frame(word)).out_frame
        assert out and len(out) % 2 == 0
        return int.from_bytes(out[40:42], "big")

    words = [check_of(0) + more for more in (-1, 0, 1)]
    assert [check_of(word) for word in words] == [1, 0xffff, 0xfffe]
    cases = [Case(f"word-{n}", "sums about zero", frame(n)) for n in words]
    _compare_with_driver(cases, model)


def test_drained_servers_are_reached_by_cid_alone() -> None:
    by_cid: set[str | None] = set()
    by_hash: set[str | None] = set()
    for decision in _expected("main"):
        (by_cid if decision.reason == "cid" else by_hash).add(decision.server)
    assert {"web-drain", "web-zero"} <= by_cid
    assert not {"web-drain", "web-zero", "empty-1", "empty-2"} & by_hash


# Random configurations and frames.


def _bounded(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, print_blob=True, database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _random_cases(frames: list[bytes]) -> list[Case]:
    return [Case(f"random/{number}", "made by hypothesis", frame)
            for number, frame in enumerate(frames)]


@_bounded(60)  # type: ignore[misc]
@given(random_traffic())
def test_program_at_random(drawn: tuple[Config, list[bytes]]) -> None:
    model, cases = Model(drawn[0]), _random_cases(drawn[1])
    names: tuple[TierName, ...] = ("driver", "offload")
    for name in names:
        expected = [model.route(case.frame, card=_is_card(name)) for case in cases]
        tier = Tier(built(f"bpf/{name}.bpf.o"), model)
        try:
            _compare(cases, expected, [tier.route(case.frame) for case in cases])
        finally:
            tier.close()


@_bounded(40)  # type: ignore[misc]
@given(random_traffic())
def test_trace_at_random(drawn: tuple[Config, list[bytes]]) -> None:
    model, cases = Model(drawn[0]), _random_cases(drawn[1])
    _compare(cases, [model.route(case.frame) for case in cases],
             _trace(drawn[0], "generic", cases).decisions(cases))
