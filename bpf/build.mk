# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The BPF objects: one rule for all; -mcpu=v3 because a card's JIT knows no store-immediate of v4.

BPF_CFLAGS := -O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 -I bpf/include \
	-I/usr/include/$(TRIPLET)
BPF_NAMES := offload driver generic ingress egress decap

bpf_source_offload := bpf/offload/xdp_lb.bpf.c
bpf_source_driver := bpf/driver/xdp_lb.bpf.c
bpf_source_generic := bpf/generic/xdp_lb.bpf.c
bpf_source_ingress := bpf/tc/ingress.bpf.c
bpf_source_egress := bpf/tc/egress.bpf.c
bpf_source_decap := bpf/server/decap.bpf.c

define bpf_rule
$(BUILD)/bpf/$(1).bpf.o: $(bpf_source_$(1)) bpf/build.mk
	@echo "  BPF   $$@"
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CLANG) $$(BPF_CFLAGS) $$(DEPS) -c $$< -o $$@
	$$(Q)$$(LLVM_STRIP) -g $$@
endef
$(foreach name,$(BPF_NAMES),$(eval $(call bpf_rule,$(name))))
-include $(BPF_NAMES:%=$(BUILD)/bpf/%.bpf.d)
