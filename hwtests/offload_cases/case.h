/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the small programs for the offload linter and for the card's driver share. */
#ifndef OFFLOAD_CASE_H
#define OFFLOAD_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define MAP(name_, type_, key_, value_, entries_) \
	struct {                                  \
		__uint(type, type_);              \
		__type(key, key_);                \
		__type(value, value_);            \
		__uint(max_entries, entries_);    \
	} name_ SEC(".maps")

/* One instruction as it lies in memory, for those that no compiler here would write. */
#define RAW(code, dst, src, off, imm)                                                           \
	".quad " #code " | " #dst " << 8 | " #src " << 12 | (" #off " & 0xffff) << 16 | (" #imm \
	" & 0xffffffff) << 32\n"

/* The compiler knows nothing about x from here on. */
#define HIDE(x) asm volatile("" : "+r"(x))

/* The packet's first octets; NULL where it is shorter. */
static __always_inline void *packet(const struct xdp_md *ctx, __u64 length)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	__builtin_assume(data != NULL);
	return data + length > end ? NULL : data;
}

/* A number that only the packet knows. */
static __always_inline __u32 word(const struct xdp_md *ctx)
{
	const __u32 *first = packet(ctx, sizeof(*first));

	return first ? *first : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
