# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tree promises about itself: which file may know what, names that fit, a manual and a
README that are true, and an installation that goes away again."""

from __future__ import annotations

import json
import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from hwtests.lab.bed import build_dir, built

TREE = Path(__file__).resolve().parents[1]
LOADER = TREE / "loader"

# What a file of the loader may know: header, and the only files that include it.
MAY_INCLUDE = {
    "bpf/*": "balancer.c batch.c clock.c clsact.c conns.c counts.c decap.c device.[ch] "
             "dispatcher.h flow_table.c half.c hook.c log.c maps.c known.c object.[ch] pins.c "
             "probe.c probe_offload.c recount.c rotation.c seen.c stack.c stacked.c stats.c "
             "stats_cache.c stats_stack.c sync.[ch] tables.c tally.c tcx.c tracked.c trace.c "
             "view.c cmd_status.c",
    "xdp/*": "dispatcher.c log.c",
    "libmnl/*": "clsact.c nexthop*.c nic.c way.[ch]",
    "pcap/*": "cmd_trace.c",
    "yaml.h": "config_yaml.c",
    "jansson.h": "config.h out.h plan.h",
    "cli.h": "main.c cli.c cmd_*.c",
    "out.h": "out.c cli.c cmd_*.c report.c",
    "report.h": "cmd_*.c report.c",
    "config_internal.h": "config*",
    "config_read.h": "config*",
    "objects.h": "decap.c stack.c tier.c",
    "hook.h": "clsact.c decap.c dispatcher.c hook.c probe.c site.h stack.c",
    "site.h": "attach*.[ch] site.c",
    "way.h": "nexthop*.c way.c way_internal.h",
}

# These compute only: they are tested without root, and no kernel is asked for anything.
PURE = ("main.c reason.[ch] tier.c plan.[ch] plan_*.c rows.c table.c fit.[ch] "
        "cid.[ch] names.[ch] decide.[ch] forward.[ch] fragments.[ch] piece.[ch] segments.[ch] "
        "relay.[ch] flows.[ch] promote.[ch] "
        "config*.[ch]")
NOT_PURE = ["bpf/bpf.h", "bpf/libbpf.h", "xdp/*", "libmnl/*", "net/if.h", "sys/ioctl.h",
            "sys/socket.h", "sys/syscall.h", "attach.h", "sync.h", "hook.h", "nexthop.h", "nic.h",
            "pins.h", "log.h"]

# stdout carries a result and nothing else, so few may write to it.
MAY_PRINT = "out.c"
PRINTS = re.compile(r"\b(?:v?printf|puts|putchar)\(|\bf(?:puts|putc|write|printf)\([^;]*stdout")


def one_of(name: str, patterns: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns.split())


def includes() -> Iterator[tuple[str, str]]:
    for path in sorted([*LOADER.glob("*.c"), *LOADER.glob("*.h")]):
        for header in re.findall(r'^#include [<"]([^>"]+)', path.read_text(), re.MULTILINE):
            yield path.name, header


@pytest.mark.parametrize("header", MAY_INCLUDE)
def test_only_these_files_know_it(header: str) -> None:
    strangers = sorted({name for name, used in includes()
                        if fnmatch(used, header) and not one_of(name, MAY_INCLUDE[header])})
    assert not strangers, f"{header} is for {MAY_INCLUDE[header]}"


def test_pure_files_ask_no_kernel() -> None:
    assert not [f"{name} includes {used}" for name, used in includes()
                if one_of(name, PURE) and any(fnmatch(used, header) for header in NOT_PURE)]


def test_only_out_prints() -> None:
    assert not [path.name for path in LOADER.glob("*.c")
                if PRINTS.search(path.read_text()) and not one_of(path.name, MAY_PRINT)]


def test_names_fit_the_kernel() -> None:
    """Longer ones are cut to 15 characters without a word (BPF_OBJ_NAME_LEN)."""
    header = (TREE / "bpf/include/lb/abi.h").read_text()
    names = re.findall(r'^#define LB_(?:MAP|PROG)_\w+\s+"(\w+)"', header, re.MULTILINE)
    assert len(names) > 15
    for path in sorted(build_dir().glob("bpf/*.bpf.o")):
        symbols = subprocess.run(["readelf", "--symbols", "--wide", path], check=True,
                                 capture_output=True, text=True).stdout
        names += re.findall(r"(?:OBJECT|FUNC)\s+GLOBAL\s+\w+\s+\d+\s+(\w+)$", symbols,
                            re.MULTILINE)
    assert "shunt_driver" in names
    assert not [name for name in names if len(name) > 15]


# The manual.

class Field(NamedTuple):
    required: bool
    about: str


def schema() -> dict[str, Field]:
    """Every key of the file by its path, out of the tables of config_schema.c."""
    text = (LOADER / "config_schema.c").read_text()
    tables = {name: re.findall(r'\{ ?"(\w+)", (true|false), (.*?) ?\},\n', body, re.DOTALL)
              for name, body in re.findall(
                  r"static const struct field (\w+)\[\] = \{\n(.*?)\n\};", text, re.DOTALL)}
    lists = dict(re.findall(r"static const struct list (\w+) = \{\s*(\w+),", text))
    found: dict[str, Field] = {}

    def walk(table: str, path: str) -> None:
        for key, required, rest in tables[table]:
            about = re.sub(r".*[\s&]", "", rest)
            if about in lists:
                found[path + key] = Field(required == "true", about)
                walk(lists[about], f"{path}{key}[].")
            elif about in tables:
                walk(about, f"{path}{key}.")
            else:
                found[path + key] = Field(required == "true", about)

    walk("file_fields", "")
    return found


def manual_entries() -> dict[str, str]:
    """Path of a key: what shunt.yaml(5) says about it."""
    text = (LOADER / "doc/shunt.yaml.5.scd").read_text()
    entries: dict[str, str] = {}
    for head, body in re.findall(r"^(\*[^\n]+\*)\n((?:\t[^\n]+\n)+)", text, re.MULTILINE):
        for path in re.findall(r"\*([^*]+)\*", head):
            entries[path] = body
    return entries


def test_manual_has_every_key() -> None:
    assert len(schema()) > 25
    assert set(manual_entries()) == set(schema())


def test_manual_says_what_is_required_and_allowed() -> None:
    text = (LOADER / "config_schema.c").read_text()
    constants = dict(re.findall(r"^#define ((?:LB|CONFIG)_\w+)\s+(\d+)\b",
                                (TREE / "bpf/include/lb/abi.h").read_text(), re.MULTILINE))
    constants["CONFIG_MAX_SERVER_IDS"] = str(1 << 20)
    ranges = {name: [constants.get(end, end) for end in ends.split(", ")]
              for name, ends in re.findall(
                  r"static const struct range (\w+_range) = \{ ?(.*?) ?\};", text)}
    words = {name: re.findall(r'\{ ?"(\w+)",', body) for name, body in re.findall(
        r"static const struct word (\w+)\[\] = \{(.*?)END", text, re.DOTALL)}
    assert ranges and words
    for path, entry in manual_entries().items():
        field = schema()[path]
        assert ("Required" in entry) == field.required, path
        for word in [*words.get(field.about, []), *ranges.get(field.about, [])]:
            assert f"*{word}*" in entry, f"{path}: {word}"


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commands() -> list[str]:
    text = run(built("loader"), "help")
    return re.findall(r"^  ([a-z][a-z-]*)", text[text.index("commands:"):text.index("options:")],
                      re.MULTILINE)


def page(name: str) -> str:
    """As a reader sees it, on one line."""
    text = subprocess.run(["man", "--encoding=UTF-8", "--no-hyphenation", "--local-file",
                           built(f"man/{name}", target="all")], check=True, capture_output=True,
                          text=True, env={**os.environ, "MANWIDTH": "100"}).stdout
    return " ".join(re.sub(".\b", "", text).split())


def test_manual_and_completion_know_every_command_and_option() -> None:
    manual, completion = page("shunt.8"), run(built("loader"), "completion", "bash")
    assert len(commands()) > 14
    for command in commands():
        assert f"shunt {command}" in manual
        assert re.search(rf"\b{command}\b", completion)
        if command in {"help", "version", "completion"}:
            continue
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)",
                                 run(built("loader"), "help", command), re.MULTILINE):
            assert option in manual, command
            assert option in completion, command


def test_manual_knows_every_reason() -> None:
    manual = page("shunt.8")
    codes = re.findall(r'^\tX\(\w+, "([a-z-]+)"', (LOADER / "reason.h").read_text(), re.MULTILINE)
    counters = re.findall(r"^\tX\((\w+), *", (TREE / "bpf/include/lb/counters.h").read_text(),
                          re.MULTILINE)
    assert len(codes) > 25 and len(counters) > 20
    for name in {*codes, *counters} - {"none"}:
        assert re.search(rf"\b{name}\b", manual), name


def test_manual_knows_the_probe_document() -> None:
    manual = page("shunt.8")
    manual = manual[manual.index(" PROBE "):manual.index(" EXIT STATUS ")]
    source = (LOADER / "cmd_probe.c").read_text()
    source = source[source.index("/* JSON"):source.index("/* The command")]
    keys = set(re.findall(r'"([a-z_]+)"', source))
    document = json.loads(run(built("loader"), "probe", "lo", "--json"))
    assert {*document, *document["interface"], "words", "asked"} <= keys | {"reason"}
    warnings = re.findall(r'"([a-z]+(?:-[a-z]+)+)",', (LOADER / "probe_warn.c").read_text())
    assert len(warnings) > 5
    for key in {*keys, *warnings} - {"schema"}:
        assert re.search(rf"\b{key}\b", manual), key


def test_manual_knows_what_is_told_of_the_stack() -> None:
    manual = page("shunt.8")
    manual = manual[manual.index(" PACKETS "):manual.index(" CARDS ")]
    keys = {*re.findall(r'"([a-z_]+)"', (LOADER / "stats_stack.c").read_text()),
            *re.findall(r'"(stack\w*|forwarding.off)"', "".join(
                (LOADER / name).read_text() for name in (
                    "cmd_status.c", "cmd_apply.c", "cmd_attach.c", "stats.c")))}
    assert len(keys) > 10
    for key in keys:
        assert re.search(rf"\b{key}\b", manual), key


def test_manual_knows_what_is_told_of_cards() -> None:
    manual = page("shunt.8")
    manual = manual[manual.index(" CARDS "):manual.index(" FILES ")]
    stats, shown = (LOADER / "stats.c").read_text(), (LOADER / "cmd_show.c").read_text()
    keys = {*re.findall(r'"([a-z_]+)"', stats[stats.index("*shares_json("):
                                              stats.index("stats_json(const")]),
            *re.findall(r'"([a-z_]+)"', shown[shown.index("void known_row("):
                                              shown.index("*show_known(")])}
    assert len(keys) >= 10
    for key in keys:
        assert re.search(rf"\b{key}\b", manual), key


@pytest.mark.parametrize("name", ["shunt.8", "shunt.yaml.5"])
def test_manual_is_well_formed(name: str) -> None:
    done = subprocess.run(["man", "--warnings", "--encoding=UTF-8", "--local-file",
                           built(f"man/{name}", target="all")], check=True, capture_output=True,
                          text=True, env={**os.environ, "MANWIDTH": "100"})
    assert done.stderr == ""


def test_example_file_is_valid() -> None:
    run(built("loader"), "check", LOADER / "dist/shunt.yaml")


# The README.

def readme_commands() -> list[str]:
    text = (TREE / "README.md").read_text()
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()
            if re.match(r"(?:make|loader|shunt) ", line)]


def test_readme_shows_what_is_tested() -> None:
    tests = "".join(path.read_text() for path in (TREE / "hwtests").rglob("*.py"))
    targets = run("make", "-C", TREE, "--no-print-directory", "help")
    assert len(readme_commands()) > 5
    for command in readme_commands():
        program, word = command.split()[:2]
        if program == "make":
            assert re.search(rf"^{word} ", targets, re.MULTILINE), command
        else:
            assert word.lstrip("-") in commands(), command
            assert f'"{word}"' in tests, command


def test_readme_file_is_valid(tmp_path: Path) -> None:
    text = (TREE / "README.md").read_text()
    examples = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert examples
    for example in examples:
        (tmp_path / "shunt.yaml").write_text(example)
        run(built("loader"), "check", tmp_path / "shunt.yaml")


# make install.

def everything_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")
            if path.is_symlink() or path.is_file()}


def make(target: str, root: Path, *variables: str) -> None:
    run("make", "-C", TREE, "--no-print-directory", target, f"DESTDIR={root}",
        f"BUILD={build_dir()}", *variables)


def test_install_and_uninstall(tmp_path: Path) -> None:
    make("install", tmp_path)
    assert everything_below(tmp_path) == {
        "etc/shunt/shunt.yaml.example",
        "usr/local/include/shunt/cid.h",
        "usr/local/lib/libshunt-cid.a",
        "usr/local/lib/libshunt-cid.so",
        "usr/local/lib/libshunt-cid.so.1",
        "usr/local/lib/libshunt-cid.so.1.0.0",
        "usr/local/lib/pkgconfig/libshunt-cid.pc",
        "usr/local/lib/systemd/system/shunt@.service",
        "usr/local/libexec/shunt/loader",
        "usr/local/sbin/shunt",
        "usr/local/share/bash-completion/completions/shunt",
        "usr/local/share/man/man3/shunt-cid.3",
        "usr/local/share/man/man5/shunt.yaml.5",
        "usr/local/share/man/man8/shunt.8",
    }
    assert run(tmp_path / "usr/local/sbin/shunt", "version").startswith("shunt ")
    unit = (tmp_path / "usr/local/lib/systemd/system/shunt@.service").read_text()
    assert "\nExecStart=/usr/local/sbin/shunt run " in unit
    make("uninstall", tmp_path)
    assert everything_below(tmp_path) == set()
    assert not [path for path in tmp_path.rglob("shunt*")]


def test_install_elsewhere_keeps_a_written_file(tmp_path: Path) -> None:
    places = ["PREFIX=/usr", "SBINDIR=/usr/bin", "SYSCONFDIR=/usr/etc",
              "UNITDIR=/lib/systemd/system"]
    make("install", tmp_path, *places)
    assert (tmp_path / "usr/bin/shunt").resolve() == tmp_path / "usr/libexec/shunt/loader"
    unit = (tmp_path / "lib/systemd/system/shunt@.service").read_text()
    assert "\nExecStart=/usr/bin/shunt run " in unit
    written = tmp_path / "usr/etc/shunt/shunt.yaml"
    written.write_text("version: 1\n")
    make("install", tmp_path, *places)
    make("uninstall", tmp_path, *places)
    assert everything_below(tmp_path) == {"usr/etc/shunt/shunt.yaml"}
    assert written.read_text() == "version: 1\n"
