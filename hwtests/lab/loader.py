# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs the project's loader on the balancer's node and writes its configuration file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Mapping

from .bed import Bed, built
from .errors import LabError
from .netns import Node
from .process import Process

#: For a file's limits: the kernel makes each entry ready at every attach, and few tests fill any.
FEW_FLOWS = {"flows": 4096}


class Loader:
    """Calls the loader as an operator would: ``loader("attach", "lb0")``; on the bed's balancer or
    another node."""

    def __init__(self, bed: Bed, *, node: Node | None = None, log_dir: Path | None = None) -> None:
        self._bed = bed
        self._node = node or bed.lb
        self._log_dir = log_dir
        self.path = built("loader")

    def __call__(self, *args: str | os.PathLike[str], check: bool = True,
                 input: str | None = None, timeout: float = 30.0
                 ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; with check, a failure raises with its output."""
        return self._node.run([self.path, *args], check=check, input=input, timeout=timeout)

    def json(self, *args: str | os.PathLike[str], check: bool = True, input: str | None = None,
             timeout: float = 30.0) -> Any:
        """Run it with --json and give the document; without check, that of a failure too."""
        done = self(*args, "--json", check=check, input=input, timeout=timeout)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise LabError(f"loader {' '.join(map(str, args))} --json: exit status "
                           f"{done.returncode}, not one JSON document\n"
                           f"{done.stdout}{done.stderr}") from None

    def start(self, *args: str | os.PathLike[str], notify: bool = True,
              ready_timeout: float = 10.0) -> Process:
        """Start it as a service (``run``) and wait for its readiness."""
        process = Process(self._node, [self.path, *args], name="loader", notify=notify,
                          log_dir=self._log_dir)
        try:
            if notify:
                process.wait_ready(ready_timeout)
        except BaseException:
            process.close()
            raise
        return process

    def write_config(self, config: Mapping[str, Any], path: Path | None = None) -> Path:
        """Write the configuration; JSON is YAML, so the standard library will do."""
        target = path or self._bed.dir / "shunt.yaml"
        target.write_text(json.dumps(config, indent=2) + "\n")
        return target
