# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""libshunt-cid as installed: found by pkg-config, usable from C and C++, shared and static."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from hwtests.lab.bed import build_dir

TREE = Path(__file__).resolve().parents[2]
HEADER = TREE / "lib/shunt/cid.h"
PLACES = "usr/local"
PROGRAM = r"""
#include <shunt/cid.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    struct shunt_cid_config config;
    struct shunt_cid_info info;
    struct shunt_cid *s;
    uint8_t cid[SHUNT_CID_MAX_LENGTH];
    static const uint8_t key[SHUNT_CID_KEY_LENGTH] = { 1, 2, 3 };
    size_t length = sizeof(cid);
    int error;

    memset(&config, 0, sizeof(config));
    config.config_id = 2;
    config.server_id_length = 3;
    config.nonce_length = 13;
    config.key = key;
    config.flags = SHUNT_CID_DESCRIBE_LENGTH;
    error = shunt_cid_open(&config, &s);
    if (!error)
        error = shunt_cid_issue(s, cid, &length);
    if (!error)
        error = shunt_cid_decode(s, cid, length, &info);
    if (!error)
        printf("%02x %zu %d\n", cid[0], length, info.owner == SHUNT_CID_OWN);
    else
        puts(shunt_cid_strerror(error));
    shunt_cid_close(s);
    return error;
}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["make", "-C", TREE, "--no-print-directory", "install", f"DESTDIR={root}",
                    f"BUILD={build_dir()}"], check=True, capture_output=True)
    return root


def flags(root: Path, *which: str) -> list[str]:
    environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root),
                   "PKG_CONFIG_LIBDIR": str(root / PLACES / "lib/pkgconfig")}
    done = subprocess.run(["pkg-config", *which, "libshunt-cid"], env=environment, check=True,
                          capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99", "-xc"], ["g++", "-std=c++11", "-xc++"]])
@pytest.mark.parametrize("linked", ["shared", "static"])
def test_programs(installed: Path, tmp_path: Path, compiler: list[str], linked: str) -> None:
    source, program = tmp_path / "source", tmp_path / "program"
    source.write_text(PROGRAM)
    link = (["-xnone", *flags(installed, "--libs")] if linked == "shared" else
            ["-xnone", str(installed / PLACES / "lib/libshunt-cid.a"), "-pthread"])
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                    *flags(installed, "--cflags"), str(source), *link, "-o", str(program)],
                   check=True)
    done = subprocess.run([program], check=True, capture_output=True, text=True,
                          env={"LD_LIBRARY_PATH": str(installed / PLACES / "lib")})
    assert done.stdout == "50 17 1\n"
    needed = subprocess.run(["readelf", "-d", program], check=True, capture_output=True,
                            text=True).stdout
    assert ("[libshunt-cid.so.1]" in needed) == (linked == "shared")


def test_shows_what_the_header_declares_and_no_more(installed: Path) -> None:
    library = installed / PLACES / "lib/libshunt-cid.so"
    table = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout
    declared = set(re.findall(r"^[a-z][^#;(]*?\*?(shunt_cid_\w+)\(", HEADER.read_text(),
                              re.MULTILINE))
    assert set(re.findall(r" T (\w+)@@SHUNT_CID_1$", table, re.MULTILINE)) == declared
    assert set(re.findall(r" [A-Z] ([^\s@]+)", table)) - declared == {"SHUNT_CID_1"}
    needed = subprocess.run(["readelf", "-d", library], check=True, capture_output=True,
                            text=True).stdout
    assert re.findall(r"NEEDED.*\[(.*)\]", needed) == ["libc.so.6"]
    assert "SONAME" in needed and "[libshunt-cid.so.1]" in needed


def test_manual_tells_of_every_function(installed: Path) -> None:
    page = (installed / PLACES / "share/man/man3/shunt-cid.3").read_text()
    page = page.replace("\\", "")
    for name in re.findall(r"\b(shunt_cid_\w+)\(", HEADER.read_text()):
        assert name in page, name
