# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The report of a run: what was tested with what, and what came of it, as JSON and as text."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hwtests.lab.bed import built

from .plan import Plan, loader_json

SCHEMA = "shunt/hwtest/1"


def compilers() -> dict[str, str | None]:
    """What the loader's own notes say of gcc, and the clang that make takes for the programs."""
    notes = subprocess.run(["readelf", "--string-dump=.comment", str(built("loader"))],
                           capture_output=True, text=True, check=False).stdout
    gcc = next((line.partition("]")[2].strip() for line in notes.splitlines() if "GCC" in line),
               None)
    done = subprocess.run([os.environ.get("CLANG") or "clang-14", "--version"],
                          capture_output=True, text=True, check=False)
    return {"gcc": gcc, "clang": done.stdout.partition("\n")[0] or None}


class Report:
    """Written when a run has ended, in whatever way."""

    def __init__(self, plan: Plan, only: str) -> None:
        nic = plan.probe["interface"]
        self.data: dict[str, Any] = {
            "schema": SCHEMA,
            "started": _now(), "finished": None, "result": None, "error": None,
            "kernel": plan.probe["kernel"], "machine": platform.machine(),
            "nic": {key: nic[key] for key in ("name", "driver", "bus", "firmware", "mtu", "queues",
                                              "xdp_features")},
            "peer": None, "only": only or None,
            "loader": loader_json("version")["version"], "compilers": compilers(),
            "tiers": [], "left_out": [], "restored": None,
        }

    def offered(self, probe: dict[str, Any]) -> None:
        """What the probe says after trying."""
        self.data["tiers"] = [
            {"tier": row["tier"], "usable": row["usable"], "reason": row["reason"], "tests": []}
            for row in probe["tiers"]]

    def ran(self, tier: str, tests: list[dict[str, Any]]) -> None:
        """A tier's results, with their sums."""
        sums = Counter(test["outcome"] for test in tests)
        numbers = {word: sums[word] for word in ("passed", "failed", "skipped")}
        rows: list[dict[str, Any]] = self.data["tiers"]
        if tier not in [row["tier"] for row in rows]:
            rows.append({"tier": tier, "usable": "yes", "reason": None})
        (row,) = [row for row in rows if row["tier"] == tier]
        row.update(numbers, tests=tests)

    def finish(self, result: str, restored: dict[str, Any], error: str | None) -> None:
        """passed, failed or interrupted; a NIC that is not as it was found is a failure."""
        if result == "passed" and not restored["restored"]:
            result = "failed"
        self.data |= {"finished": _now(), "result": result, "restored": restored, "error": error}

    def text(self) -> str:
        """For people."""
        data, nic = self.data, self.data["nic"]
        queues = nic["queues"]
        lines = [
            f"hwtest    {data['result']}, {data['started']} to {data['finished']}",
            f"NIC       {nic['name']}, driver {nic['driver']}, bus {nic['bus'] or '-'}, firmware "
            f"{nic['firmware'] or '-'}, MTU {nic['mtu']}, queues {queues['used']} of "
            f"{queues['max']}",
            "peer      " + _peer(data["peer"]),
            f"host      Linux {data['kernel']} {data['machine']}",
            f"loader    {data['loader']}, {data['compilers']['gcc']}, "
            f"{data['compilers']['clang']}",
            *([f"only      tests that match {data['only']}"] if data["only"] else []),
            "", f"{'tier':<10}{'usable':<9}{'passed':>7}{'failed':>7}{'skipped':>8}"]
        for row in data["tiers"]:
            numbers = "".join(f"{row.get(word, '-'):>{width}}" for word, width in
                              (("passed", 7), ("failed", 7), ("skipped", 8)))
            why = f"  {row['reason']['text']} ({row['reason']['code']})" if row["reason"] else ""
            lines.append(f"{row['tier']:<10}{row['usable']:<9}{numbers}{why}")
        for row in data["tiers"]:
            for test in row["tests"]:
                notes = [f"{name} {value}" for name, value in test["notes"].items()]
                if test["outcome"] == "failed" or notes:
                    lines += ["", f"{row['tier']}: {test['name']}: "
                              + ", ".join([test["outcome"], *notes])]
                    lines += [f"    {line}" for line in test["why"].splitlines()[:20]]
        if data["left_out"]:
            lines += ["", "not sent, for a wire or a NIC may not carry them: "
                      + ", ".join(data["left_out"])]
        if data["error"]:
            lines += ["", data["error"]]
        lines += ["", "the ports are as they were found" if data["restored"]["restored"] else
                  "the ports are NOT as they were found:"]
        lines += [f"    {line}" for line in data["restored"]["differences"]]
        return "\n".join(lines) + "\n"

    def write(self, directory: Path) -> None:
        """REPORT.json and REPORT.txt."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "REPORT.json").write_text(json.dumps(self.data, indent=2) + "\n")
        (directory / "REPORT.txt").write_text(self.text())


def _peer(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return "none: no packet was sent"
    return f"{facts['where']}, driver {facts['driver'] or '-'}, Linux {facts['kernel']}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
