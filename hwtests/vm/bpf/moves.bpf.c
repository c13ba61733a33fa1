// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that may change packets: newer kernels let none such into libxdp 1.3's dispatcher. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int moves(struct xdp_md *ctx)
{
	bpf_xdp_adjust_head(ctx, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
