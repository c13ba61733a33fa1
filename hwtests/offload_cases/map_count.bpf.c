// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// 129 maps, where the firmware has 128.
// verdict: refused
// rule: map-count
// driver: too many maps for a device
// log: kernel
#include "case.h"

#define ONE(name) MAP(name, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1)
#define EIGHT(name)   \
	ONE(name##0); \
	ONE(name##1); \
	ONE(name##2); \
	ONE(name##3); \
	ONE(name##4); \
	ONE(name##5); \
	ONE(name##6); \
	ONE(name##7)

EIGHT(a);
EIGHT(b);
EIGHT(c);
EIGHT(d);
EIGHT(e);
EIGHT(f);
EIGHT(g);
EIGHT(h);
EIGHT(i);
EIGHT(j);
EIGHT(k);
EIGHT(l);
EIGHT(m);
EIGHT(n);
EIGHT(o);
EIGHT(p);
ONE(last);

SEC("xdp")
int map_count(struct xdp_md *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&last, &key) ? XDP_TX : XDP_PASS;
}
