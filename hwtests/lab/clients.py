# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs real QUIC clients in the client node, and says what became of their connection."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from .bed import FAMILIES, Bed, Family
from .certs import Certificate
from .errors import LabError, require_commands
from .process import Process

_RECEIVED = re.compile(r"^Received packet: local=\[(.*?)\]:(\d+) remote=\[.*\]:\d+ .* (\d+) bytes$")
_SENT = re.compile(r"^Sent packet: local=\[(.*?)\]:(\d+) remote=")
_STATUS = re.compile(r"\[:status: (\d+)\]")
_CLOSED = re.compile(r"^HTTP stream (\d+) closed with error code (\d+)")
_NO_ERROR = 0x100  # H3_NO_ERROR, what an orderly stream ends with
_LENGTH = re.compile(r"\[content-length: (\d+)\]")
_DATA = re.compile(r"frm rx \S+ 1RTT STREAM\(0x..\) id=0x([0-9a-f]+) fin=\d offset=(\d+) len=(\d+)")
_TX_DCID = re.compile(r"pkt tx pkn=\d+ dcid=0x([0-9a-f]*) ")


@dataclass(frozen=True)
class GtlsResult:
    """One run of gtlsclient, read from its log: its exit status is 0 whatever happens."""

    exit_status: int
    handshake_completed: bool
    handshake_confirmed: bool
    #: HTTP status of each response, in order of arrival.
    statuses: list[int]
    #: Requests whose stream ended without an error.
    streams_ended: int
    #: Stream bytes received on request streams (frames and headers of HTTP/3 included).
    stream_bytes: int
    #: Sum of the responses' content-length.
    content_bytes: int
    #: UDP payload bytes received.
    udp_bytes: int
    early_data_sent: bool
    early_data_rejected: bool
    retried: bool
    #: DCIDs the client sent to, in order of first use: its own choice, then the server's.
    dcids: list[str]
    #: Own addresses in order of first use, before any NAT.
    local_addresses: list[tuple[str, int]]
    log: Path

    @property
    def early_data_accepted(self) -> bool:
        """Whether 0-RTT was used with effect."""
        return self.early_data_sent and self.handshake_completed and not self.early_data_rejected

    @property
    def ok(self) -> bool:
        """Whether every response came with status 200 and its stream ended well."""
        return (self.exit_status == 0 and self.handshake_completed and bool(self.statuses)
                and all(status == 200 for status in self.statuses)
                and self.streams_ended == len(self.statuses))

    @classmethod
    def parse(cls, exit_status: int, log: Path) -> GtlsResult:
        """Read the client's log."""
        text = log.read_text(errors="replace")
        statuses, content, ended, udp = [], 0, 0, 0
        ends: dict[int, int] = {}
        dcids: dict[str, None] = {}
        local: dict[tuple[str, int], None] = {}
        for line in text.splitlines():
            if m := _TX_DCID.search(line):
                dcids.setdefault(m[1])
            elif m := _DATA.search(line):
                # Retransmissions overlap: a stream's size is its furthest byte. Client-opened
                # bidirectional streams have 0 in the two low bits.
                if int(m[1], 16) % 4 == 0:
                    ends[int(m[1], 16)] = max(ends.get(int(m[1], 16), 0), int(m[2]) + int(m[3]))
            elif m := _RECEIVED.match(line):
                udp += int(m[3])
            elif m := _SENT.match(line):
                local.setdefault((m[1], int(m[2])))
            elif m := _CLOSED.match(line):
                ended += int(m[2]) == _NO_ERROR
            elif m := _STATUS.search(line):
                statuses.append(int(m[1]))
            elif m := _LENGTH.search(line):
                content += int(m[1])
        return cls(
            exit_status=exit_status,
            handshake_completed="QUIC handshake has completed" in text,
            handshake_confirmed="QUIC handshake has been confirmed" in text,
            statuses=statuses, streams_ended=ended, stream_bytes=sum(ends.values()),
            content_bytes=content, udp_bytes=udp,
            early_data_sent=re.search(r"frm tx \d+ 0RTT STREAM", text) is not None,
            early_data_rejected="Early data was rejected" in text,
            retried=re.search(r"pkt rx .*type=Retry", text) is not None,
            dcids=list(dcids), local_addresses=list(local), log=log)


def start_gtlsclient(bed: Bed, paths: Sequence[str] = ("/",), *, family: Family = 4,
                     options: Sequence[str] = (), resume_dir: Path | None = None,
                     idle_timeout: float = 5.0, log_dir: Path | None = None) -> Process:
    """Start a client without waiting for it: for NAT rebinding in mid-connection.

    Options worth knowing: --change-local-addr=1s with --delay-stream=2s (active migration; with
    --nat-rebinding the CID stays), --key-update=1s, -v v2draft, -v 0x1a2a3a4a with
    --preferred-versions=v1, --dcid=, --scid=. With resume_dir, tickets and tokens are kept there
    and a second run sends 0-RTT.
    """
    require_commands({"gtlsclient": "ngtcp2-client"})
    words = ["gtlsclient", "--exit-on-all-streams-close", "--no-quic-dump", "--no-http-dump",
             f"--timeout={int(idle_timeout * 1000)}ms", *options]
    if resume_dir is not None:
        words += [f"--session-file={resume_dir}/session", f"--tp-file={resume_dir}/parameters",
                  f"--token-file={resume_dir}/token"]
    host = bed.vip_name(family)
    words += [host, str(bed.port), *(f"https://{host}:{bed.port}{path}" for path in paths)]
    return Process(bed.client, words, name="gtlsclient", log_dir=log_dir)


def finish_gtlsclient(client: Process, timeout: float = 20.0) -> GtlsResult:
    """Wait for a started client and read its log."""
    with client:
        return GtlsResult.parse(client.wait(timeout), client.stderr)


def gtlsclient(bed: Bed, paths: Sequence[str] = ("/",), *, family: Family = 4,
               options: Sequence[str] = (), resume_dir: Path | None = None,
               idle_timeout: float = 5.0, timeout: float = 20.0,
               log_dir: Path | None = None) -> GtlsResult:
    """Fetch paths from the VIP over one connection; see start_gtlsclient for the options."""
    return finish_gtlsclient(start_gtlsclient(
        bed, paths, family=family, options=options, resume_dir=resume_dir,
        idle_timeout=idle_timeout, log_dir=log_dir), timeout)


@dataclass(frozen=True)
class ChromiumResult:
    """One page loaded by Chromium. That QUIC carried it is for the server's log to prove."""

    exit_status: int
    dom: str
    stderr: str


def chromium(bed: Bed, certificate: Certificate, path: str = "/", *, family: Family | None = None,
             timeout: float = 40.0, options: Sequence[str] = (),
             log_dir: Path | None = None) -> ChromiumResult:
    """Load one page from the VIP in headless Chromium and give its DOM as text."""
    require_commands({"chromium": "chromium"})
    # One option with commas: of several, Chromium takes the last.
    origins = ",".join(f"{bed.vip_name(f)}:{bed.port}" for f in (None, *FAMILIES))
    with tempfile.TemporaryDirectory(prefix="chromium-", dir=bed.dir) as profile:
        words = [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={profile}",
            # QUIC at once, not after an Alt-Svc over TCP, which nobody serves here.
            f"--origin-to-force-quic-on={origins}",
            f"--ignore-certificate-errors-spki-list={certificate.spki}",
            # Nothing but the page: no first-run page, no updates, no reports.
            "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
            "--disable-component-update", "--disable-default-apps", "--disable-extensions",
            "--disable-sync", "--disable-domain-reliability", "--disable-breakpad",
            "--metrics-recording-only", "--disable-features=OptimizationHints,MediaRouter",
            *options, "--dump-dom",
            f"https://{bed.vip_name(family)}:{bed.port}{path}"]
        # Everything it writes beside the profile goes there too.
        home = {"HOME": profile, "TMPDIR": profile, "XDG_CONFIG_HOME": profile,
                "XDG_CACHE_HOME": profile, "XDG_RUNTIME_DIR": profile}
        with Process(bed.client, words, name="chromium", env=home, log_dir=log_dir,
                     cwd=profile) as process:
            status = process.wait(timeout)
            return ChromiumResult(status, process.stdout.read_text(errors="replace"),
                                  process.stderr.read_text(errors="replace"))


def require_ok(result: GtlsResult) -> GtlsResult:
    """The result itself, or an error that shows the end of the client's log."""
    if not result.ok:
        tail = "\n".join(result.log.read_text(errors="replace").splitlines()[-30:])
        raise LabError(f"gtlsclient: handshake {result.handshake_completed}, "
                       f"statuses {result.statuses}\n{tail}")
    return result
