# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The loader: every loader/*.c, with the BPF objects embedded by loader/objects.S.

LOADER_LIBS := libbpf libxdp libmnl libpcap jansson yaml-0.1
LOADER_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -I loader -I bpf/include \
	$(shell $(PKG_CONFIG) --cflags $(LOADER_LIBS))
LOADER_LDLIBS = $(shell $(PKG_CONFIG) --libs $(LOADER_LIBS)) -lm
LOADER_SOURCES := $(wildcard loader/*.c)
LOADER_OBJECTS := $(LOADER_SOURCES:loader/%.c=$(BUILD)/loader.o/%.o) $(BUILD)/loader.o/objects.o

$(BUILD)/loader.o/%.o: loader/%.c loader/build.mk
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LOADER_CFLAGS) $(DEPS) -c $< -o $@

$(BUILD)/loader.o/objects.o: loader/objects.S $(BPF_NAMES:%=$(BUILD)/bpf/%.bpf.o)
	@echo "  AS    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -I $(BUILD)/bpf -c $< -o $@

$(BUILD)/loader: $(LOADER_OBJECTS)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LOADER_LDLIBS) -o $@

-include $(LOADER_SOURCES:loader/%.c=$(BUILD)/loader.o/%.d)
