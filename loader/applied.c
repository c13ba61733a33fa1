/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A head that tells the kind, the length and the sum of what follows. See applied.h.
 */
#include "applied.h"

#include <errno.h>
#include <string.h>

#include "config_pack.h"
#include "lb/lookup3.h"

#define MAGIC 0x31706173u /* "sap1", read as octets; another layout takes another */
#define SEED  0x6170706cu

struct head {
	uint32_t magic;
	uint32_t length; /* of everything, a multiple of four */
	uint32_t sum; /* of what follows the head */
};

static uint32_t sum_of(const uint8_t *octets, size_t length)
{
	const uint32_t *words = (const uint32_t *)(octets + sizeof(struct head));
	size_t n = (length - sizeof(struct head)) / sizeof(*words);

	return n ? lb_lookup3(words, (uint32_t)n, SEED).first : 0;
}

static void pack_numbers(struct pack *pack, uint32_t *numbers, uint32_t n, uint32_t highest)
{
	pack_octets(pack, numbers, n * sizeof(*numbers));
	for (uint32_t i = 0; i < n && !pack->error; i++)
		if (!numbers[i] || numbers[i] > highest)
			pack->error = -EINVAL;
}

static void pack_all_numbers(struct pack *pack, const struct plan_numbers *numbers,
			     const struct plan_sizes *sizes)
{
	const struct config *config = numbers->config;

	pack_numbers(pack, numbers->servers, plan_count_servers(config), sizes->servers - 1);
	pack_numbers(pack, numbers->vips, config->n_vips, sizes->vips);
	pack_numbers(pack, numbers->pools, config->n_pools, sizes->pools);
}

int applied_pack(const struct plan *plan, struct pack *pack)
{
	const struct plan_numbers numbers = { plan->config, plan->server_number, plan->vip_number,
					      plan->pool_number };
	struct head head = { .magic = MAGIC };
	uint32_t pad = 0;

	PACK(pack, head);
	config_pack(plan->config, pack);
	pack_all_numbers(pack, &numbers, &plan->sizes);
	pack_octets(pack, &pad, -pack->n % sizeof(pad));
	if (pack->error)
		return pack->error;
	head.length = (uint32_t)pack->n;
	head.sum = sum_of(pack->octets, pack->n);
	memcpy(pack->octets, &head, sizeof(head));
	return 0;
}

int applied_unpack(struct pack *pack, const struct plan_sizes *sizes, struct config **config,
		   struct plan_numbers **numbers)
{
	struct head head = {};
	int err;

	*config = NULL;
	*numbers = NULL;
	PACK(pack, head);
	if (pack->error || head.magic != MAGIC || head.length > pack->n ||
	    head.length < sizeof(head) || head.length % sizeof(uint32_t) ||
	    head.sum != sum_of(pack->octets, head.length))
		return -EINVAL;
	err = config_unpack(pack, config);
	if (err)
		return err;
	*numbers = plan_numbers_new(*config);
	if (!*numbers)
		pack->error = -ENOMEM;
	else
		pack_all_numbers(pack, *numbers, sizes);
	if (pack->error) {
		plan_numbers_free(*numbers);
		config_free(*config);
		*config = NULL;
		*numbers = NULL;
	}
	return pack->error;
}
