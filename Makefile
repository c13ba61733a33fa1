# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The table of targets. What a target does beyond one line is in ci/ or in the fragment of its folder.

BUILD ?= build
CC ?= gcc
CLANG ?= clang-14
LLVM_STRIP ?= llvm-strip-14
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror
TRIPLET := $(shell $(CC) -dumpmachine)

.DELETE_ON_ERROR:
.PHONY: all help
all: $(BUILD)/loader $(BUILD)/bpf/pass.bpf.o ## everything that make install installs

help: ## this table
	$(Q)sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 18

include bpf/build.mk
include loader/build.mk
include bpf/tests/build.mk
include hwtests/quic/build.mk
include hwtests/lab/build.mk
