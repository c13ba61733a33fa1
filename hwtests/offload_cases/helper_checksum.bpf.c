// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A checksum.
// verdict: refused
// rule: helper
// driver: unsupported function id: 28
#include "case.h"

SEC("xdp")
int helper_checksum(struct xdp_md *ctx)
{
	__u32 word_ = word(ctx);

	return bpf_csum_diff(NULL, 0, &word_, sizeof(word_), 0) & 1 ? XDP_TX : XDP_PASS;
}
