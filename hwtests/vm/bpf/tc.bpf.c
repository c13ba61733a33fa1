// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A TC program for a card, which then takes none of XDP. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int pass_tc(struct __sk_buff *skb)
{
	(void)skb;
	return 0; /* TC_ACT_OK */
}

char _license[] SEC("license") = "Dual BSD/GPL";
