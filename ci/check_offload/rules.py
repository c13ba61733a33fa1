# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The rules of a card, in one table, and the search for what breaks them.

They are those of the nfp driver in Linux 6.1 under the limits of firmware 2.0.6.124, and two more
for what the driver takes and the card then gets wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple

from ci.check_offload import insn as bpf
from ci.check_offload import scalar
from ci.check_offload.btf import Line
from ci.check_offload.flow import Facts, Trace
from ci.check_offload.insn import Insn
from ci.check_offload.program import Map, Object, Program
from ci.check_offload.state import Kind, Reg
from ci.check_offload.words import Estimate


@dataclass(frozen=True)
class Firmware:
    """What release 2.0.6.124 announces, and its published source says of the rest."""

    maps: int = 128
    elements: int = 3_072_000
    entry: int = 64
    stack: int = 512
    words: int = 2560


class Rule(NamedTuple):
    """What must hold, and what to do where it does not."""

    says: str
    to_do: str
    #: Whether the driver refuses; else the card takes the program and gets packets wrong.
    refused: bool = True


FIRMWARE = Firmware()
HASH, ARRAY, PERF_EVENT_ARRAY = 1, 2, 4
#: enum bpf_map_type, from 0 on.
MAP_TYPES = """UNSPEC HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE
    CGROUP_ARRAY LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP SOCKMAP CPUMAP
    XSKMAP SOCKHASH CGROUP_STORAGE REUSEPORT_SOCKARRAY PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE
    DEVMAP_HASH STRUCT_OPS RINGBUF INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF
    CGRP_STORAGE ARENA""".split()
_FRAME = 64
_QUEUE = 16

RULES = {
    "map-type": Rule(
        "maps are ARRAY or HASH",
        "make it one of the two, or keep it out of this object; a PERF_EVENT_ARRAY may be used"),
    "map-flags": Rule(
        "maps have no flags",
        "leave map_flags and numa_node away"),
    "map-entry": Rule(
        f"key and value, each rounded up to 8, are {FIRMWARE.entry} octets at most",
        "split the value over two maps with one key, or shorten the key"),
    "map-elements": Rule(
        f"all maps together have {FIRMWARE.elements:,} elements at most",
        "let the loader set max_entries to what the device takes"),
    "map-count": Rule(
        f"there are {FIRMWARE.maps} maps at most",
        "put several into one, told apart by their keys"),
    "global-data": Rule(
        "no variables, constants in memory or texts: they are maps with flags",
        "pass settings in a one-entry ARRAY, fill arrays element by element, write no message"),
    "section": Rule(
        "programs are of type XDP and have no flags",
        'use SEC("xdp")'),
    "instruction": Rule(
        "the card has no such instruction",
        "compile with -mcpu=v3; write a remainder by a mask, or as divide, multiply, subtract"),
    "helper": Rule(
        "helpers are map_lookup_elem, perf_event_output, get_prandom_u32, xdp_adjust_head and "
        "xdp_adjust_tail",
        "leave it to the host tier: pass the packet"),
    "event-cpu": Rule(
        "perf_event_output goes to BPF_F_CURRENT_CPU",
        "give that flag alone"),
    "stack-argument": Rule(
        "keys, and events on the stack, begin at one constant multiple of 4 of the stack",
        "copy the key into an aligned variable and pass its address"),
    "stack-size": Rule(
        f"the frames of a chain of calls, each rounded up to {_FRAME}, are {FIRMWARE.stack} octets "
        "at most",
        "make the deepest functions inline, or their variables fewer"),
    "stack-variable": Rule(
        "the stack is accessed at constant offsets",
        "unroll the loop, or choose by comparisons"),
    "stack-moves": Rule(
        "offsets at which one instruction accesses the stack differ by multiples of 4",
        "unroll the loop, or keep the octets in words"),
    "map-write": Rule(
        "no program stores into a map's value",
        "let user space write it, or count with __sync_fetch_and_add()"),
    "store-immediate": Rule(
        "no constant is stored to memory directly",
        "compile with -mcpu=v3, which takes it through a register"),
    "context-load": Rule(
        "of the context, only data and data_end are read",
        "do without it: the host tier knows the rest"),
    "context-store": Rule(
        "of the context, only rx_queue_index is written",
        "do without it"),
    "value-offset": Rule(
        "a map's value is accessed at constant offsets",
        "choose by the key: one element for each place"),
    "atomic-operation": Rule(
        "the only atomic operation is an addition whose result is not used",
        "count with __sync_fetch_and_add() and let user space read the sum"),
    "atomic-target": Rule(
        "atomic additions go to map values",
        "add without __sync_fetch_and_add(), nobody else sees this memory"),
    "read-and-counted": Rule(
        "a 4-byte word of a map's value is read or counted, never both",
        "move the counter into another word, or another map"),
    "multiply": Rule(
        "both factors are known to fit 32 bits",
        "mask or compare them first: after an xor or a shift by what is not constant, the kernel "
        "knows no bounds any more. Hash with shifts and xors"),
    "divide": Rule(
        "a number of 32 bits is divided by a constant",
        "use powers of two and masks"),
    "pointer-kinds": Rule(
        "an instruction accesses one kind of memory on all paths",
        "write the access once in each branch"),
    "pointer-kind": Rule(
        "memory is reached by pointers to the context, the stack, the packet or a map's value",
        "make the function static, so that it is checked with its callers' pointers"),
    "length": Rule(
        f"a program becomes {FIRMWARE.words:,} words of microcode at most",
        "see --words for the functions and lines that cost most"),
    "return-code": Rule(
        "a program returns XDP_ABORTED, XDP_DROP, XDP_PASS or XDP_TX: the card drops the rest",
        "return one of these constants", refused=False),
    "tail-grows": Rule(
        "xdp_adjust_tail makes packets shorter: longer, it fails on the card",
        "leave growing to the host tier", refused=False),
}


class Finding(NamedTuple):
    """One place where a rule is broken."""

    rule: str
    detail: str
    function: str
    line: Line | None
    instruction: str
    #: Number of the instruction within its program.
    at: int


def _find(rule: str, program: Program, at: int, detail: str) -> Finding:
    return Finding(rule, detail, program.function(at).name, program.lines[at],
                   str(program.insns[at]), at)


def check(whole: Object, estimates: list[Estimate]) -> list[Finding]:
    """All that a card would not take, in the order of the programs."""
    found = [*_maps(whole), *_globals(whole)]
    traces = [estimate.trace for estimate in estimates]
    for trace in traces:
        found += _section(trace.program)
        for at, facts in sorted(trace.facts.items()):
            insn = trace.program.insns[at]
            found += [_find(rule, trace.program, at, detail)
                      for rule, detail in _instruction(insn, facts)]
        found += _stack_size(trace)
    for estimate in estimates:
        if estimate.total > FIRMWARE.words:
            found.append(_find("length", estimate.program, 0, f"about {estimate.total} words"))
    found += _read_and_counted(traces)
    return found


# Maps.

def _first_use(whole: Object, name: str, variables: bool = False) -> tuple[Program, int] | None:
    for program in whole.programs:
        for at in range(len(program.insns)):
            used = program.variables.get(at) if variables else (
                program.maps[at].name if at in program.maps else None)
            if used == name:
                return program, at
    return None


def _of_map(whole: Object, rule: str, one: Map, detail: str) -> Finding:
    used = _first_use(whole, one.name)
    if used:
        return _find(rule, *used, detail)
    return Finding(rule, detail, "", None, f"map {one.name}", -1)


def _maps(whole: Object) -> Iterator[Finding]:
    on_card = [one for one in whole.maps if one.kind in (HASH, ARRAY)]
    for one in whole.maps:
        if one.kind not in (HASH, ARRAY, PERF_EVENT_ARRAY):
            kind = MAP_TYPES[one.kind] if one.kind < len(MAP_TYPES) else f"of type {one.kind}"
            yield _of_map(whole, "map-type", one, f"{one.name} is {kind}")
    for one in on_card:
        if one.flags:
            yield _of_map(whole, "map-flags", one, f"{one.name} has flags {one.flags:#x}")
        entry = -(-one.key // 8) * 8 + -(-one.value // 8) * 8
        if entry > FIRMWARE.entry:
            yield _of_map(whole, "map-entry", one,
                          f"{one.name}: key {one.key} and value {one.value} make {entry}")
    left = FIRMWARE.elements
    for one in on_card:
        if one.entries > left:
            yield _of_map(whole, "map-elements", one,
                          f"{one.name} has {one.entries:,}, {left:,} are left")
        left -= min(left, one.entries)
    if len(on_card) > FIRMWARE.maps:
        used = [one for one in on_card if _first_use(whole, one.name)]
        yield _of_map(whole, "map-count", [*on_card, *used][-1], f"there are {len(on_card)}")


def _globals(whole: Object) -> Iterator[Finding]:
    for section, names in whole.globals.items():
        detail = f"{section} holds {', '.join(names) or 'constants of the compiler'}"
        used = _first_use(whole, section, variables=True)
        if used:
            yield _find("global-data", *used, detail)
        else:
            yield Finding("global-data", detail, "", None, f"section {section}", -1)


def _section(program: Program) -> Iterator[Finding]:
    kind, _, rest = program.section.partition(".")
    if kind.split("/")[0] != "xdp":
        yield _find("section", program, 0, f'it is in section "{program.section}"')
    elif rest.split("/")[0] == "frags":
        yield _find("section", program, 0, f'"{program.section}" sets the flag for several buffers')


# Instructions.

_ALU = {bpf.ADD, bpf.SUB, bpf.MUL, bpf.DIV, bpf.OR, bpf.AND, bpf.LSH, bpf.RSH, bpf.XOR, bpf.MOV,
        bpf.ARSH}
_BRANCHES = {bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET, bpf.JNE, bpf.JSGT, bpf.JSGE, bpf.JLT, bpf.JLE,
             bpf.JSLT, bpf.JSLE}
_BSWAP = bpf.ALU | bpf.END | bpf.REGISTER
_HELPERS = {bpf.MAP_LOOKUP, bpf.EVENT, bpf.RANDOM, bpf.ADJUST_HEAD, bpf.ADJUST_TAIL}
_XDP_CODES = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")


def _is_known(insn: Insn) -> bool:
    """Whether the driver has a translation."""
    if insn.is_alu:
        if insn.off:
            return False
        if insn.op == bpf.NEG:
            return not insn.by_register
        return insn.op in _ALU or insn.code == _BSWAP
    if insn.is_jump:
        return insn.op in _BRANCHES or insn.cls == bpf.JMP and (
            insn.op in (bpf.JA, bpf.CALL, bpf.EXIT))
    return (insn.code == bpf.WIDE or insn.is_load or insn.is_store or insn.is_store_immediate
            or insn.is_atomic and insn.size >= 4)


def _instruction(insn: Insn, facts: Facts) -> Iterator[tuple[str, str]]:
    if not _is_known(insn):
        yield "instruction", f"opcode {insn.code:#04x}" + (
            f" with offset {insn.off}" if insn.is_alu and insn.off else "")
    elif insn.is_alu and insn.op in (bpf.MUL, bpf.DIV):
        yield from _multiply(insn, facts) if insn.op == bpf.MUL else _divide(insn, facts)
    elif insn.is_store_immediate:
        yield "store-immediate", f"to {_kinds(facts)}"
    elif insn.cls in (bpf.LDX, bpf.STX):
        yield from _memory(insn, facts)
    elif insn.is_helper:
        yield from _helper(insn, facts)
    elif insn.is_exit:
        yield from _results(facts)


def _bits(highest: int) -> str:
    return f"up to {highest:#x}"


def _multiply(insn: Insn, facts: Facts) -> Iterator[tuple[str, str]]:
    assert facts.source and facts.target
    if facts.target[1] > scalar.M32:
        yield "multiply", f"r{insn.dst} may be {_bits(facts.target[1])}"
    elif insn.by_register and facts.source[1] > scalar.M32:
        yield "multiply", f"r{insn.src} may be {_bits(facts.source[1])}"
    elif not insn.by_register and insn.cls == bpf.ALU64 and insn.imm < 0:
        yield "multiply", f"{insn.imm} is a number of 64 bits"


def _divide(insn: Insn, facts: Facts) -> Iterator[tuple[str, str]]:
    assert facts.source and facts.target
    if facts.target[1] > scalar.M32:
        yield "divide", f"r{insn.dst} may be {_bits(facts.target[1])}"
    elif insn.by_register and facts.source[0] != facts.source[1]:
        yield "divide", f"r{insn.src} is not constant"
    elif facts.source[1] > scalar.M32:
        yield "divide", "the divisor does not fit 32 bits"


def _kinds(facts: Facts) -> str:
    return " and ".join(sorted({pointer.kind.value for pointer in facts.pointers}))


def _memory(insn: Insn, facts: Facts) -> Iterator[tuple[str, str]]:
    pointers = [one for one in facts.pointers if one.is_pointer]
    if insn.is_atomic and insn.imm != bpf.ADD:
        yield "atomic-operation", f"operation {insn.imm:#x}"
        return
    kinds = {one.kind for one in pointers} - {Kind.OTHER, Kind.HANDLE, Kind.END}
    if insn.is_atomic and kinds - {Kind.VALUE}:
        yield "atomic-target", f"to {_kinds(facts)}"
        return
    if len(kinds) > 1:
        yield "pointer-kinds", _kinds(facts)
        return
    for kind in kinds:
        yield from _of_kind(insn, kind, [one for one in pointers if one.kind is kind])


def _of_kind(insn: Insn, kind: Kind, pointers: list[Reg]) -> Iterator[tuple[str, str]]:
    if kind in (Kind.MEMORY, Kind.META):
        yield "pointer-kind", f"a pointer to {kind.value}"
    elif kind is Kind.CONTEXT and insn.is_load and not (insn.off in (0, 4) and insn.size == 4):
        yield "context-load", f"field at octet {insn.off}"
    elif kind is Kind.CONTEXT and insn.is_store and insn.off != _QUEUE:
        yield "context-store", f"field at octet {insn.off}"
    elif kind is Kind.VALUE:
        names = ", ".join(sorted({one.place.name for one in pointers
                                  if isinstance(one.place, Map)}))
        if insn.is_store:
            yield "map-write", names
        elif any(one.fixed is None for one in pointers):
            yield "value-offset", names
    elif kind is Kind.STACK:
        offsets = [one.fixed for one in pointers]
        if None in offsets:
            yield "stack-variable", ""
        elif len({offset % 4 for offset in offsets if offset is not None}) > 1:
            yield "stack-moves", "offsets " + ", ".join(
                str(offset) for offset in dict.fromkeys(offsets))


def _helper(insn: Insn, facts: Facts) -> Iterator[tuple[str, str]]:
    if insn.src or insn.imm not in _HELPERS:
        yield "helper", bpf.helper_name(insn.imm) if not insn.src else "a function of the kernel"
        return
    for arguments in facts.arguments:
        problem = _arguments(insn.imm, arguments)
        if problem:
            yield problem
            return


def _arguments(helper: int, arguments: tuple[Reg | None, ...]) -> tuple[str, str] | None:
    if helper == bpf.MAP_LOOKUP:
        return _on_stack("the key", arguments[1])
    if helper == bpf.EVENT:
        flags = arguments[2]
        if flags and not (flags.number.is_half_constant and flags.number.wlow == scalar.M32):
            return "event-cpu", ""
        if arguments[3] and arguments[3].kind is Kind.STACK:
            return _on_stack("the event", arguments[3])
    if helper == bpf.ADJUST_TAIL:
        by = arguments[1]
        if by and not by.is_pointer and 0 < by.number.wlow and by.number.whigh < 1 << 31:
            return "tail-grows", f"by {by.number.wlow} or more"
    return None


def _on_stack(what: str, pointer: Reg | None) -> tuple[str, str] | None:
    if pointer is None or pointer.kind is Kind.SCALAR:
        return None
    if pointer.kind is not Kind.STACK:
        return "stack-argument", f"{what} is in {pointer.kind.value}"
    if pointer.fixed is None:
        return "stack-argument", f"the offset of {what} is not constant"
    if pointer.fixed % 4:
        return "stack-argument", f"{what} is at offset {pointer.fixed}"
    return None


def _results(facts: Facts) -> Iterator[tuple[str, str]]:
    high = max((one.number.high for one in facts.results if not one.is_pointer), default=0)
    if high < 4:
        return
    constants = sorted({one.number.value for one in facts.results if one.number.is_constant
                        and one.number.value > 3})
    known = [_XDP_CODES[one] if one < len(_XDP_CODES) else f"{one:#x}" for one in constants]
    yield "return-code", f"returns {', '.join(known)}" if known else f"returns {_bits(high)}"


# What holds for a program, and for all of them.

def _stack_size(trace: Trace) -> Iterator[Finding]:
    size, chain = _deepest_chain(trace, trace.program.functions[0].start)
    if size > FIRMWARE.stack:
        names = " > ".join(trace.program.function(start).name for start in chain)
        yield _find("stack-size", trace.program, chain[-1], f"{names}: {size} octets")


def _deepest_chain(trace: Trace, start: int) -> tuple[int, list[int]]:
    """Octets, and the functions by their first instructions."""
    program = trace.program
    function = program.function(start)
    depth = trace.depths.get(start, 0)
    if function is not program.functions[0]:
        # The return address, and the registers that the function saves.
        saves = any(insn.dst in (6, 7, 8, 9) for insn in program.insns[start:function.end])
        depth += 4 + (32 if saves else 0)
    below = [_deepest_chain(trace, program.calls[at])
             for at in range(start, function.end) if at in program.calls]
    size, chain = max(below, default=(0, []))
    return size + -(-depth // _FRAME) * _FRAME, [start, *chain]


def stack_size(trace: Trace) -> int:
    """As the card counts it."""
    return _deepest_chain(trace, trace.program.functions[0].start)[0]


def _read_and_counted(traces: list[Trace]) -> Iterator[Finding]:
    counted: dict[tuple[str, int], tuple[Program, int]] = {}
    reads: list[tuple[Program, int, str, set[int]]] = []
    for trace in traces:
        for at, facts in sorted(trace.facts.items()):
            insn = trace.program.insns[at]
            if not (insn.is_load or insn.is_atomic):
                continue
            for pointer in facts.pointers:
                if pointer.kind is not Kind.VALUE or pointer.fixed is None:
                    continue
                assert isinstance(pointer.place, Map)
                first = pointer.fixed + insn.off
                words = set(range(first // 4, (first + insn.size - 1) // 4 + 1))
                if insn.is_load:
                    reads.append((trace.program, at, pointer.place.name, words))
                else:
                    for word in words:
                        counted.setdefault((pointer.place.name, word), (trace.program, at))
    told = set()
    for program, at, name, words in reads:
        both = sorted(word for word in words if (name, word) in counted)
        if both and (program.name, at) not in told:
            told.add((program.name, at))
            other, where = counted[name, both[0]]
            line = other.lines[where]
            yield _find("read-and-counted", program, at,
                        f"octet {both[0] * 4} of {name}, which {other.function(where).name}() "
                        f"counts" + (f" in line {line.number}" if line else ""))
