# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the small programs that the offload linter and the card's driver both judge; a fragment for the
# top Makefile, after bpf/build.mk.

CASE_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
CASES := $(patsubst $(CASE_DIR)/%.bpf.c,$(BUILD)/offload_cases/%.bpf.o,$(wildcard $(CASE_DIR)/*.bpf.c))

.PHONY: offload-cases
offload-cases: $(CASES)

$(BUILD)/offload_cases/%.bpf.o: $(CASE_DIR)/%.bpf.c $(CASE_DIR)/build.mk
	@echo "  BPF   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -Wno-unused-parameter $(DEPS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

-include $(CASES:.o=.d)
