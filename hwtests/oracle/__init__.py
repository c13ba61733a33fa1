# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Says what a tier must do with a frame, written from the documents and not from the programs.

``route(config, frame)`` gives the decision; ``corpus`` holds the frames that every tier is held
against; ``plan`` and ``program`` run a BPF object without the loader.
"""

from .model import Decision, Model, route

__all__ = ["Decision", "Model", "route"]
