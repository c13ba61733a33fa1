# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The bench: bench/*.c and what each of its folders measures, with the loader's own code, and its own programs
# embedded.

BENCH_SOURCES := $(filter-out %.bpf.c bench/whole/%,$(wildcard bench/*.c bench/*/*.c))
BENCH_OBJECTS := $(BENCH_SOURCES:bench/%.c=$(BUILD)/bench.o/%.o) $(BUILD)/bench.o/objects.o
BENCH_PROGRAMS := $(patsubst bench/%.c,$(BUILD)/bench.o/%.o,$(wildcard bench/*.bpf.c bench/*/*.bpf.c))
BENCH_COMPILER = $(shell $(CLANG) --version | head -n 1)

$(BUILD)/bench.o/%.o: bench/%.c bench/build.mk
	@echo "  CC    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LOADER_CFLAGS) -I bench $(DEPS) -c $< -o $@

$(BUILD)/bench.o/%.bpf.o: bench/%.bpf.c bench/build.mk
	@echo "  BPF   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(DEPS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BUILD)/bench.o/objects.o: bench/objects.S $(BENCH_PROGRAMS)
	@echo "  AS    $@"
	$(Q)$(CC) -I $(BUILD)/bench.o -DBENCH_COMPILER='"$(BENCH_COMPILER)"' -c $< -o $@

# An archive, so that only what the bench calls comes in, and no command.
$(BUILD)/bench.o/loader.a: $(LOADER_OBJECTS)
	@echo "  AR    $@"
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/bench: $(BENCH_OBJECTS) $(BUILD)/bench.o/loader.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LOADER_LDLIBS) -o $@

# The programs by every compiler that is here, for bench --size: the build's own rules in a folder of each.
SIZE_COMPILERS = $(foreach name,clang-14 clang-16 clang-19,$(if $(shell command -v $(name)),$(name)))

$(BUILD)/bpf/%.size.json: $(BUILD)/bpf/%.bpf.o ci/object_sizes.py $(wildcard ci/check_offload/*.py)
	@echo "  SIZE  $@"
	$(Q)$(PYTHON) -m ci.object_sizes $< >$@

.PHONY: size-objects
size-objects: $(SIZE_COMPILERS:%=size-objects-%)
size-objects-%:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/size/$* CLANG=$* \
		$(BPF_NAMES:%=$(BUILD)/size/$*/bpf/%.size.json)

-include $(wildcard $(BUILD)/bench.o/*.d $(BUILD)/bench.o/*/*.d)
