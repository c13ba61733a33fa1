# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The tests of the virtual machine. They change a kernel as they like: none runs outside of it."""
