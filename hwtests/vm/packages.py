# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Finds a kernel among Debian's packages, and unpacks of them what a boot and a module need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from hwtests.lab.errors import search_path

# What is taken out of linux-source: whole drivers, whose other headers linux-headers has.
SOURCES = ("drivers/net/netdevsim", "drivers/net/ethernet/netronome/nfp")
# What of the image's modules: all that tests load, and what the root file system comes over.
MODULES = ("modules.*", "kernel/crypto", "kernel/lib", "kernel/fs", "kernel/net",
           "kernel/drivers/net/*.ko*", "kernel/drivers/ptp", "kernel/drivers/virtio",
           "kernel/drivers/net/ethernet/netronome")


class Unavailable(Exception):
    """The packages cannot be had here; the text is one line that says which and why."""


class Refused(Exception):
    """A command that had to work did not; the text ends with what it said."""


@dataclass(frozen=True)
class Kernel:
    """A kernel of Debian's, unpacked."""

    series: str  #: "6.1"
    release: str  #: "6.1.0-56-amd64"
    version: str  #: "6.1.192-2", of all its packages
    home: Path  #: everything about it

    @property
    def root(self) -> Path:
        """Where its packages are unpacked."""
        return self.home / "root"

    @property
    def image(self) -> Path:
        """What is booted."""
        return self.root / f"boot/vmlinuz-{self.release}"

    @property
    def headers(self) -> Path:
        """Where `make -C` builds modules."""
        return self.root / f"usr/src/linux-headers-{self.release}"

    @property
    def source(self) -> Path:
        """The top of the kernel's tree, with SOURCES only."""
        return self.home / "source"


@dataclass(frozen=True)
class Wanted:
    """The packages of a kernel, all in one version."""

    series: str
    release: str
    version: str
    image: str
    headers: tuple[str, ...]
    source: str


def run(*argv: str | os.PathLike[str], cwd: Path | None = None) -> str:
    """A command's output; a failure ends with what it said last."""
    # What an outer make was told is not for these.
    environment = {name: text for name, text in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**environment, "LC_ALL": "C", "PATH": search_path()})
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Refused(f"{' '.join(map(str, argv[:3]))} ...: "
                      + "\n    ".join(said[-15:] or [f"exit status {done.returncode}"]))
    return done.stdout


def get(series: str, home: Path) -> Kernel:
    """The newest kernel of a series that all packages are there of; fetched if need be."""
    there = _unpacked(series, home)
    try:
        wanted = _find(series)
        if there is None or there.version != wanted.version:
            there = _fetch(wanted, home)
    except Unavailable as why:
        if there is None:
            raise
        print(f"   {series}: goes on with {there.version}, which is here already ({why})")
    return there


def _unpacked(series: str, home: Path) -> Kernel | None:
    try:
        release, version = (home / "unpacked").read_text().split()
    except (OSError, ValueError):
        return None
    return Kernel(series, release, version, home)


def _find(series: str) -> Wanted:
    if shutil.which("apt-cache", path=search_path()) is None:
        raise Unavailable("no apt here: the kernel comes from Debian's packages")
    try:
        return _candidates(series)
    except Unavailable:
        _update()
        return _candidates(series)


def _update() -> None:
    try:
        run("apt-get", "-q", "update")
    except Refused as refused:
        raise Unavailable(f"apt-get update: {str(refused).splitlines()[-1].strip()}") from None


def _candidates(series: str) -> Wanted:
    """The image whose version linux-source has too, so that modules fit what is booted."""
    source = f"linux-source-{series}"
    version = _versions([source]).get(source)
    if version is None:
        raise Unavailable(f"apt knows no package {source}")
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.[^-]*(?:-\d+)?-amd64)(-unsigned)?")
    images = {name: match for name in run("apt-cache", "pkgnames", f"linux-image-{series}.").split()
              if (match := pattern.fullmatch(name))}
    found = [name for name, candidate in _versions(sorted(images)).items() if candidate == version]
    if not found:
        raise Unavailable(f"apt knows no linux-image of version {version}, which {source} has")
    image = min(found, key=len)  # the signed one, if there is one
    release = images[image][1]
    headers = f"linux-headers-{release}"
    needs = re.search(r"^Depends: (.*)", run("apt-cache", "show", f"{headers}={version}"), re.M)
    kbuild = re.search(r"linux-kbuild-[^ ,]+", needs[1]) if needs else None
    if kbuild is None:
        raise Unavailable(f"{headers} {version} names no linux-kbuild")
    common = headers.removesuffix("amd64") + "common"
    return Wanted(series, release, version, image, (headers, common, kbuild[0]), source)


def _versions(names: Iterable[str]) -> dict[str, str]:
    """Of each package that can be installed, the version that would be."""
    blocks = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)",
                        run("apt-cache", "policy", *names), re.M)
    return {name: version for name, version in blocks if version != "(none)"}


def _fetch(wanted: Wanted, home: Path) -> Kernel:
    """Unpacked beside what is there, which goes only when all is complete."""
    packages = [wanted.image, *wanted.headers, wanted.source]
    print(f"   {wanted.series}: fetching {wanted.image} {wanted.version}, its headers and source",
          flush=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetch-") as folder:
        fresh = Kernel(wanted.series, wanted.release, wanted.version, Path(folder) / "new")
        debs = Path(folder) / "debs"
        debs.mkdir()
        try:
            run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
                *[f"{name}={wanted.version}" for name in packages], cwd=debs)
        except Refused as refused:
            raise Unavailable(f"apt-get download {wanted.image} {wanted.version}: "
                              f"{str(refused).splitlines()[-1].strip()}") from None
        _unpack(wanted, debs, fresh)
        shutil.rmtree(home, ignore_errors=True)
        fresh.home.rename(home)
    kernel = Kernel(wanted.series, wanted.release, wanted.version, home)
    # The headers of Debian name the place where they expect each other.
    makefile = kernel.headers / "Makefile"
    makefile.write_text(makefile.read_text().replace(" /usr/src/", f" {kernel.root}/usr/src/"))
    (home / "unpacked").write_text(f"{kernel.release} {kernel.version}\n")
    return kernel


def _unpack(wanted: Wanted, debs: Path, kernel: Kernel) -> None:
    kernel.root.mkdir(parents=True)
    kernel.source.mkdir()
    modules = f"./lib/modules/{wanted.release}"
    _untar(_deb(debs, wanted.image), kernel.root, [f"./boot/vmlinuz-{wanted.release}",
                                                   *[f"{modules}/{name}" for name in MODULES]])
    for name in wanted.headers:
        _untar(_deb(debs, name), kernel.root, [])
    top = wanted.source
    inner = f"| tar -xO ./usr/src/{top}.tar.xz | tar -xJ --strip-components=1"
    _untar(_deb(debs, wanted.source), kernel.source, [f"{top}/{path}" for path in SOURCES], inner)
    run("depmod", "-b", kernel.root, wanted.release)


def _deb(debs: Path, name: str) -> Path:
    (found,) = debs.glob(f"{name}_*.deb")
    return found


def _untar(deb: Path, into: Path, patterns: list[str], unpack: str = "| tar -x") -> None:
    run("bash", "-c", f'set -o pipefail; dpkg-deb --fsys-tarfile "$1" {unpack} --wildcards '
        '-C "$2" "${@:3}"', "unpack", deb, into, *patterns)
