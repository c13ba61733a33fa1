# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Key files for configurations whose key_file is the key itself in hexadecimal."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any


def with_keys(config: dict[str, Any], place: Path) -> dict[str, Any]:
    """The same configuration with its keys in files: half of them raw octets, half digits."""
    told = copy.deepcopy(config)
    for number, entry in enumerate(told.get("cid_configs") or []):
        if "key_file" in entry:
            key = bytes.fromhex(entry["key_file"])
            file = place / entry["key_file"]
            file.touch(0o600)
            file.write_bytes(key if number % 2 else key.hex().encode() + b"\n")
            entry["key_file"] = str(file)
    return told
