# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every reason code is provoked by a test, here or in a virtual machine; none is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
HEADER = TREE / "loader/reason.h"
GUEST = "hwtests/vm/guest"
#: Sentences of drivers that nobody has here, as the kernel's sources have them.
SENTENCES = "loader/tests/test_reason.c", "a_sentence_tells_more_than_its_errno"

#: Where a code is met: a file, and a function in it.
PROVOKED = {
    "no-ndo-bpf": ("hwtests/test_probe.py", "test_lo_has_no_xdp_hook_but_generic"),
    "no-offload-device": ("hwtests/test_probe.py", "test_veth_has_no_offload_engine"),
    "offload-refused": (f"{GUEST}/test_netdevsim_refusals.py", "test_asked_for"),
    "map-limit": (f"{GUEST}/nfp/test_nfp_probe.py", "test_a_limit_too_small"),
    "map-type": (f"{GUEST}/nfp/test_nfp_probe.py", "test_a_limit_too_small"),
    "map-flags": SENTENCES,
    "mtu": ("hwtests/test_probe.py", "test_mtu_too_large_in_the_kernels_words"),
    "queues": ("hwtests/attach/test_probe_reasons.py", "test_queues_by_number"),
    "lro": SENTENCES,
    "receive-offloads": SENTENCES,
    "busy-foreign-program": ("hwtests/test_probe.py", "test_foreign_program_in_generic_mode"),
    "busy-other-tier": ("hwtests/test_probe.py", "test_own_program"),
    "busy-other-mode": ("hwtests/test_probe.py", "test_foreign_program_in_driver_mode_stays"),
    "busy-upper-device": (f"{GUEST}/test_upper.py", "test_attach_to_the_bond_instead"),
    "busy-link": ("hwtests/attach/test_probe_reasons.py", "test_a_link_cannot_be_replaced"),
    "no-sharing": (f"{GUEST}/test_dispatcher_refused.py", "test_beside_others"),
    "no-native": (f"{GUEST}/test_netdevsim_refusals.py", "test_asked_for"),
    "kernel-too-old": ("hwtests/attach/test_probe_reasons.py", "test_a_kernel_that_refuses"),
    "no-permission": ("hwtests/test_probe.py", "test_whose_a_program_is_takes_a_right"),
    "no-interface": ("hwtests/test_probe.py", "test_no_such_interface"),
    "no-bpffs": ("hwtests/test_probe.py", "test_no_bpf_file_system"),
    "device-gone": (f"{GUEST}/test_netdevsim_lost.py", "test_lost_in_mid_load"),
    "abi": ("hwtests/attach/test_probe_reasons.py", "test_pinned_map_of_another_layout"),
    "verifier": ("hwtests/attach/test_probe_reasons.py", "test_a_kernel_that_refuses"),
    "capacity": ("hwtests/attach/test_again.py", "test_file_that_outgrows_the_maps"),
    "config-in-use": ("hwtests/e2e/test_rotation.py", "refused"),
    "not-attached": ("hwtests/test_config.py", "test_nothing_attached"),
    "config": ("hwtests/attach/test_tiers.py", "test_bad_file_changes_nothing"),
    "usage": ("hwtests/test_cli.py", "test_numbers_that_make_no_sense"),
    "helper": (f"{GUEST}/nfp/test_nfp_probe.py", "test_a_limit_too_small"),
    "insn": SENTENCES,
    "stack": (f"{GUEST}/nfp/test_nfp_probe.py", "test_a_limit_too_small"),
    "too-long": (f"{GUEST}/nfp/test_nfp_probe.py", "test_a_limit_too_small"),
    "packet-split": (f"{GUEST}/nfp/test_nfp_probe.py", "test_packet_split_is_found_by_trying"),
    "untried": ("hwtests/attach/test_probe_reasons.py", "test_untried"),
    "unknown": (f"{GUEST}/nfp/test_nfp_probe.py",
                "test_firmware_that_does_not_answer_is_asked_once"),
}


def codes() -> dict[str, tuple[str, str]]:
    """Code to identifier and text."""
    rows = re.findall(r'^\tX\((\w+), "([a-z-]+)", \d+,[\s\\]*"([^"]*)"', HEADER.read_text(),
                      re.MULTILINE)
    return {code: (name, text) for name, code, text in rows}


def test_none_is_forgotten() -> None:
    assert set(PROVOKED) == set(codes()) - {"none"}


@pytest.mark.parametrize("code", PROVOKED)
def test_it_is_where_it_is_said_to_be(code: str) -> None:
    file, function = PROVOKED[code]
    source = (TREE / file).read_text()
    name, text = codes()[code]
    assert re.search(rf"\b{function}\(", source)
    assert any(word in source for word in (f'"{code}"', f"REASON_{name}", text))
