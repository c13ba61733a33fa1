# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds what the test-bed itself attaches and sends; a fragment for the top Makefile, also usable alone:
#     make -f hwtests/lab/build.mk build/bpf/pass.bpf.o build/flood
BUILD ?= build
CLANG ?= clang

$(BUILD)/bpf/pass.bpf.o $(BUILD)/bpf/next.bpf.o: $(BUILD)/bpf/%.bpf.o: hwtests/lab/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused-parameter -c $< -o $@

$(BUILD)/flood: hwtests/lab/flood.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(CFLAGS) -Wall -Wextra -Werror $(LDFLAGS) -o $@ $<
