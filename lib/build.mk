# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# libshunt-cid: static, shared, its pkg-config file and manual; and its tests.

LIB_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
# The first number is that of the interface, as in libshunt-cid.map.
LIB_VERSION := 1.0.0
LIB_SONAME := libshunt-cid.so.1
LIB_CFLAGS = -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror $(CFLAGS) -fPIC -fvisibility=hidden -pthread \
	-I $(LIB_DIR) -I $(LIB_DIR)/../bpf/include
LIB_SOURCES := $(wildcard $(LIB_DIR)/*.c)
LIB_OBJECTS := $(LIB_SOURCES:$(LIB_DIR)/%.c=$(BUILD)/lib.o/%.o)
LIB_FILES := $(BUILD)/libshunt-cid.a $(BUILD)/$(LIB_SONAME) $(BUILD)/libshunt-cid.pc \
	$(BUILD)/man/shunt-cid.3

$(BUILD)/lib.o/%.o: $(LIB_DIR)/%.c $(LIB_DIR)/build.mk
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LIB_CFLAGS) $(DEPS) -c $< -o $@

$(BUILD)/libshunt-cid.a: $(LIB_OBJECTS)
	@echo "  AR    $@"
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/$(LIB_SONAME): $(LIB_OBJECTS) $(LIB_DIR)/libshunt-cid.map
	@echo "  LD    $@"
	$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) -pthread -Wl,-soname,$(LIB_SONAME) -Wl,-z,defs \
		-Wl,--version-script,$(LIB_DIR)/libshunt-cid.map $(LIB_OBJECTS) -o $@

# PREFIX, LIBDIR and INCLUDEDIR may differ from those of the last time.
.PHONY: lib-places
$(BUILD)/libshunt-cid.pc: $(LIB_DIR)/libshunt-cid.pc.in lib-places
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(LIB_VERSION)|' $< >$@

$(BUILD)/man/shunt-cid.3: $(LIB_DIR)/shunt-cid.3.scd
	@echo "  MAN   $@"
	$(Q)mkdir -p $(@D)
	$(Q)scdoc <$< >$@

.PHONY: lib
lib: $(LIB_FILES) ## the server library: static, shared, pkg-config, manual

# Each test is built with the library's sources, for sanitizers and to set what no user can.
LIB_TESTS := $(patsubst $(LIB_DIR)/tests/%.c,$(BUILD)/tests/lib/%,$(wildcard $(LIB_DIR)/tests/test_*.c))
comma := ,
LIB_TEST_CFLAGS = $(LIB_CFLAGS) -O1 -g -Wno-unknown-pragmas

LIB_TEST_NEEDS := $(LIB_SOURCES) $(LIB_DIR)/build.mk $(LIB_DIR)/tests/test_threads.c \
	$(wildcard $(LIB_DIR)/*.h $(LIB_DIR)/shunt/*.h $(LIB_DIR)/tests/*.h) \
	$(wildcard $(LIB_DIR)/../bpf/include/lb/*.h)
lib_test = $(CC) $(LIB_TEST_CFLAGS) -fsanitize=$(1) -fno-sanitize-recover=all $< $(LIB_SOURCES) \
	-o $(2) -lcmocka

$(filter-out %/test_races,$(LIB_TESTS)): $(BUILD)/tests/lib/%: $(LIB_DIR)/tests/%.c $(LIB_TEST_NEEDS)
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(call lib_test,address$(comma)undefined,$@)

# ThreadSanitizer of this age finds no place for itself where a kernel draws addresses from more bits.
$(BUILD)/tests/lib/test_races: $(LIB_DIR)/tests/test_races.c $(LIB_TEST_NEEDS)
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(call lib_test,thread,$@.tsan)
	$(Q)printf '#!/bin/sh\nsetarch -R true 2>/dev/null && exec setarch -R "$$0.tsan"\nexec "$$0.tsan"\n' >$@
	$(Q)chmod 755 $@

unit everything: $(LIB_TESTS)

-include $(LIB_OBJECTS:.o=.d)
