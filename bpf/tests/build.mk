# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Unit tests in C, under AddressSanitizer and UBSan: each test_*.c is one program. A test of the loader
# names the loader's files it needs in a line " * Links: config.c out.c" of its opening comment; other
# libraries than cmocka stand in a line " * Libraries: -lgnutls".

UNIT_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g $(WARNINGS) -Wno-unknown-pragmas -I bpf/include \
	-fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_HEADERS := $(patsubst bpf/tests/%.c,$(BUILD)/tests/%,$(wildcard bpf/tests/test_*.c))
UNIT_LOADER := $(patsubst loader/tests/%.c,$(BUILD)/tests/loader/%,$(wildcard loader/tests/test_*.c))
UNIT_PROGRAMS := $(UNIT_HEADERS) $(UNIT_LOADER)

unit_libraries = $(shell sed -n 's/^ \* Libraries: //p' $(1))

$(UNIT_HEADERS): $(BUILD)/tests/%: bpf/tests/%.c bpf/tests/build.mk
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -I bpf/tests $(DEPS) $< -o $@ -lcmocka $(call unit_libraries,$<)

$(BUILD)/tests/loader.o/%.o: loader/%.c bpf/tests/build.mk
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LOADER_CFLAGS) $(UNIT_CFLAGS) $(DEPS) -c $< -o $@

unit_links = $(shell sed -n 's/^ \* Links: //p' $(1))

define unit_loader_rule
$(1): loader/tests/$(notdir $(1)).c bpf/tests/build.mk \
	$(patsubst %.c,$(BUILD)/tests/loader.o/%.o,$(call unit_links,loader/tests/$(notdir $(1)).c))
	@echo "  CC    $$@"
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LOADER_CFLAGS) $$(UNIT_CFLAGS) $$(DEPS) $$(filter %.c %.o,$$^) -o $$@ \
		$$(LOADER_LDLIBS) -lcmocka
endef
$(foreach program,$(UNIT_LOADER),$(eval $(call unit_loader_rule,$(program))))

.PHONY: unit
unit: $(UNIT_PROGRAMS) ## unit tests of the headers and of the loader, with sanitizers; no root needed
	$(Q)failed=; for program in $^; do echo "  RUN   $$program"; $$program || failed="$$failed $$program"; done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

-include $(UNIT_PROGRAMS:%=%.d) $(wildcard $(BUILD)/tests/loader.o/*.d)
