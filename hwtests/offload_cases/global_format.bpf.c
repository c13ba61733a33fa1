// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The text of a bpf_printk().
// verdict: refused
// rule: global-data helper
// driver: map flags are not supported
// log: kernel
#include "case.h"

SEC("xdp")
int global_format(struct xdp_md *ctx)
{
	bpf_printk("first %x", word(ctx));
	return XDP_PASS;
}
