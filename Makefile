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
# BUILD may be written from here or from the root, and the next time in the other way.
DEPS = -MMD -MP $(addprefix -MT ,$(sort $(abspath $@) $(patsubst $(CURDIR)/%,%,$(abspath $@))))

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc

export BUILD PYTHON

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror
TRIPLET := $(shell $(CC) -dumpmachine 2>/dev/null)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

include bpf/build.mk
include loader/build.mk
include lib/build.mk
include bpf/tests/build.mk
include hwtests/quic/build.mk
include hwtests/lab/build.mk
include hwtests/offload_cases/build.mk
include hwtests/vm/build.mk
include loader/doc/build.mk
include bench/build.mk
include bench/whole/build.mk

.PHONY: all everything help lint check-offload test test-vm demo bench bench-quick hwtest install uninstall clean
all: $(BUILD)/loader $(MAN_PAGES) $(BUILD)/completion/shunt $(LIB_FILES) ## everything that make install installs
everything: all $(BUILD)/quic-server $(BUILD)/bpf/pass.bpf.o $(BUILD)/bpf/next.bpf.o \
	$(BUILD)/flood $(BUILD)/bench $(BUILD)/quic-load $(UNIT_PROGRAMS) $(VM_PROGRAMS) ## and what the tests need

help: ## this table
	$(Q)sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 18

lint: ## format, static analysis, shell, Python, licences: changes nothing
	$(Q)ci/lint.sh

check-offload: $(BUILD)/bpf/offload.bpf.o ## would a card take the offload object? Also with CHECK=--words
	$(Q)$(PYTHON) -m ci.check_offload $< $(CHECK)

test: ## everything there is to test (root); installs the packages it needs
	$(Q)ci/test.sh

test-vm: ## the part of it that needs other kernels, in virtual machines; minutes
	$(Q)ci/vm.sh

demo: ## real clients and servers through the balancer, in namespaces (root); installs what it needs
	$(Q)ci/demo.sh

bench: ## what a packet costs, in the kernel and against bare XDP_TX (root); under ten minutes
	$(Q)ci/bench.sh

bench-quick: ## the same in under a minute
	$(Q)ci/bench.sh --quick

hwtest: ## the tests on a real NIC (root): NIC=IFACE [PEER=IFACE]; asks first, see hwtests/nic/README.md
	$(Q)ci/hwtest.sh

install: all ## to DESTDIR, PREFIX, SBINDIR, LIBEXECDIR, LIBDIR, INCLUDEDIR, MANDIR, UNITDIR, SYSCONFDIR
install uninstall:
	$(Q)DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SBINDIR=$(SBINDIR) LIBEXECDIR=$(LIBEXECDIR) \
		LIBDIR=$(LIBDIR) INCLUDEDIR=$(INCLUDEDIR) LIB_VERSION=$(LIB_VERSION) \
		LIB_SONAME=$(LIB_SONAME) MANDIR=$(MANDIR) UNITDIR=$(UNITDIR) SYSCONFDIR=$(SYSCONFDIR) ci/place.sh $@

uninstall: ## what install put there, and nothing else

clean: ## the build folder
	$(Q)rm -rf $(BUILD)
