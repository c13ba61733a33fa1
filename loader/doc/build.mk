# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Man pages and shell completion, from what the program itself says.

MAN_PAGES := $(BUILD)/man/shunt.8 $(BUILD)/man/shunt.yaml.5

$(MAN_PAGES): $(BUILD)/man/%: loader/doc/%.scd loader/doc/page.sh loader/dist/shunt.yaml $(BUILD)/loader
	@echo "  MAN   $@"
	$(Q)mkdir -p $(@D)
	$(Q)CC=$(CC) loader/doc/page.sh $(BUILD)/loader <$< >$@.scd
	$(Q)scdoc <$@.scd >$@

$(BUILD)/completion/shunt: $(BUILD)/loader
	@echo "  GEN   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(BUILD)/loader completion bash >$@
