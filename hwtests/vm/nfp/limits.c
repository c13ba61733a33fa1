// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The limits of the card as module parameters, and the two forms in which the driver reads them:
 * words of a control BAR and a list of capabilities. The defaults are those of the BPF firmware
 * 2.0.6.124.
 *
 * A parameter is read when the card is bound: write it, then unbind and bind the device again.
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "card.h"

#define LIMIT(name, value, text)        \
	static uint name = value;       \
	module_param(name, uint, 0644); \
	MODULE_PARM_DESC(name, text)

LIMIT(ports, 1, "1: what is sent comes back in; 2: two ports of one card, cabled to each other");
LIMIT(abi, 2, "BPF ABI version in the control BAR");
LIMIT(max_words, 2560, "longest program, in words of microcode");
LIMIT(stack, 512, "stack in bytes, a multiple of 64");
LIMIT(inline_mtu, 30, "packet bytes a program reaches: 64 times this, less 32");
LIMIT(live_reload, 1, "a running program can be replaced");
LIMIT(map_types, BIT(BPF_MAP_TYPE_HASH) | BIT(BPF_MAP_TYPE_ARRAY), "bit mask of map types");
LIMIT(max_maps, 128, "maps on the card");
LIMIT(max_elems, 3072000, "entries of all maps together");
LIMIT(max_key, 56, "bytes of a key");
LIMIT(max_value, 56, "bytes of a value");
LIMIT(max_entry, 64, "bytes of key and value, each rounded up to 8");
LIMIT(map_lookup, 1, "helper map_lookup_elem");
LIMIT(map_update, 0, "helper map_update_elem");
LIMIT(map_delete, 0, "helper map_delete_elem");
LIMIT(perf_event, 1, "helper perf_event_output");
LIMIT(random, 1, "helper get_prandom_u32");
LIMIT(queue_select, 1, "stores to rx_queue_index");
LIMIT(adjust_tail, 1, "helper xdp_adjust_tail");
LIMIT(adjust_head, 1, "helper xdp_adjust_head");
LIMIT(head_min, 44, "smallest offset of a packet in its buffer");
LIMIT(head_max, 248, "largest offset of a packet in its buffer");
LIMIT(head_sub, 84, "bytes adjust_head always grants in front");
LIMIT(head_add, 112, "bytes adjust_head always takes away");
LIMIT(multi_entry, 0, "several map entries in one control message");
LIMIT(mute, 0, "the firmware answers no control message (read at once)");
LIMIT(refuse_reconfig, 0, "the firmware refuses to load, start and stop (read at once)");

/* Where the firmware's code would be. They end up in branches and change no program's length. */
enum fw_address {
	FW_PROGRAM = 0x0c00,
	FW_NEXT_PACKET = 0x0100,
	FW_HELPERS = 0x0200,
};

unsigned int limits_ports(void)
{
	return clamp_t(unsigned int, ports, 1, CARD_MAX_PORTS);
}

bool limits_mute(void)
{
	return READ_ONCE(mute);
}

bool limits_refuse_reconfig(void)
{
	return READ_ONCE(refuse_reconfig);
}

void limits_fill_bar(struct nfp_net *nn)
{
	nn_writeb(nn, NFP_NET_CFG_BPF_ABI, abi);
	nn_writeb(nn, NFP_NET_CFG_BPF_CAP, live_reload ? NFP_NET_BPF_CAP_RELO : 0);
	nn_writew(nn, NFP_NET_CFG_BPF_MAX_LEN, max_words);
	nn_writew(nn, NFP_NET_CFG_BPF_START, FW_PROGRAM);
	nn_writew(nn, NFP_NET_CFG_BPF_DONE, FW_NEXT_PACKET);
	nn_writeb(nn, NFP_NET_CFG_BPF_STACK_SZ, stack / 64);
	nn_writeb(nn, NFP_NET_CFG_BPF_INL_MTU, inline_mtu);
}

/* One record: type, length, then the body as 32-bit words, all little-endian. */
static void put_record(struct nfp_cpp_area *area, enum bpf_cap_tlv_type type, const u32 *words,
		       unsigned int n_words)
{
	__le32 *at = (__le32 *)(area->bytes + area->size);
	unsigned int i;

	*at++ = cpu_to_le32(type);
	*at++ = cpu_to_le32(n_words * 4);
	for (i = 0; i < n_words; i++)
		*at++ = cpu_to_le32(words[i]);
	area->size += 8 + n_words * 4;
}

static void put_function(struct nfp_cpp_area *area, u32 id)
{
	const u32 words[] = { id, FW_HELPERS + id };

	put_record(area, NFP_BPF_CAP_TYPE_FUNC, words, ARRAY_SIZE(words));
}

struct nfp_cpp_area *limits_capabilities(void)
{
	const u32 maps[] = { map_types, max_maps, max_elems, max_key, max_value, max_entry };
	const u32 head[] = { NFP_BPF_ADJUST_HEAD_NO_META, head_min, head_max, head_sub, head_add };
	const u32 version[] = { abi };
	struct nfp_cpp_area *area = kzalloc(sizeof(*area) + 512, GFP_KERNEL);

	if (!area)
		return NULL;
	put_record(area, NFP_BPF_CAP_TYPE_ABI_VERSION, version, ARRAY_SIZE(version));
	put_record(area, NFP_BPF_CAP_TYPE_MAPS, maps, ARRAY_SIZE(maps));
	if (map_lookup)
		put_function(area, BPF_FUNC_map_lookup_elem);
	if (map_update)
		put_function(area, BPF_FUNC_map_update_elem);
	if (map_delete)
		put_function(area, BPF_FUNC_map_delete_elem);
	if (perf_event)
		put_function(area, BPF_FUNC_perf_event_output);
	if (adjust_head)
		put_record(area, NFP_BPF_CAP_TYPE_ADJUST_HEAD, head, ARRAY_SIZE(head));
	if (random)
		put_record(area, NFP_BPF_CAP_TYPE_RANDOM, NULL, 0);
	if (queue_select)
		put_record(area, NFP_BPF_CAP_TYPE_QUEUE_SELECT, NULL, 0);
	if (adjust_tail)
		put_record(area, NFP_BPF_CAP_TYPE_ADJUST_TAIL, NULL, 0);
	if (multi_entry)
		put_record(area, NFP_BPF_CAP_TYPE_CMSG_MULTI_ENT, NULL, 0);
	return area;
}
