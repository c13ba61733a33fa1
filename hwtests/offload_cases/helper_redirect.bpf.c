// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Another device.
// verdict: refused
// rule: helper
// driver: unsupported function id: 23
#include "case.h"

SEC("xdp")
int helper_redirect(struct xdp_md *ctx)
{
	return bpf_redirect(1, 0) == XDP_REDIRECT ? XDP_DROP : XDP_PASS;
}
