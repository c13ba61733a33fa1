# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Says what a tier must do with a frame, written from the documents and not from the programs.

Start with ``model.route``; ``corpus`` holds the frames that every tier is held against.
"""
