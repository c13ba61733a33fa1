// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Devices to redirect to.
// verdict: refused
// rule: map-type helper
#include "case.h"

MAP(devices, BPF_MAP_TYPE_DEVMAP, __u32, __u32, 16);

SEC("xdp")
int map_type_devices(struct xdp_md *ctx)
{
	return bpf_redirect_map(&devices, 0, XDP_PASS) == XDP_REDIRECT ? XDP_DROP : XDP_PASS;
}
