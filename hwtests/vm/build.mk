# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the programs of others that the tests in the virtual machine attach; a fragment for the top
# Makefile, after bpf/build.mk.

VM_PROGRAMS := $(patsubst hwtests/vm/bpf/%.c,$(BUILD)/vm/bpf/%.o,$(wildcard hwtests/vm/bpf/*.bpf.c))

$(BUILD)/vm/bpf/%.bpf.o: hwtests/vm/bpf/%.bpf.c hwtests/vm/build.mk
	@echo "  BPF   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(DEPS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

-include $(VM_PROGRAMS:.o=.d)
