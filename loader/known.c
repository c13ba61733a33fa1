/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The card's conn_map, kept by what promote.h decides. See known.h.
 */
#include "known.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "batch.h"
#include "decide.h"
#include "log.h"
#include "pins.h"
#include "promote.h"
#include "seen.h"
#include "stacked.h"

/* Each is a message to the card, which answers thousands a second. */
#define LOOKS_A_TICK   256
#define CHANGES_A_TICK 128
/* How many ticks lie between two looks at the configs that the card routes by. */
#define SEEN_TICKS 4

struct site {
	struct attachment *list; /* all of the interface */
	size_t n_list;
	const struct map_set *card, *host; /* of the list */
	uint32_t card_id, host_id; /* of maps that only they have */
	struct stacked stacked;
	struct promote *promote;
	struct seen *seen;
	bool adopted; /* what the card held before is judged */
	bool started; /* ticks: what was sampled before is no news */
	bool broken; /* the maps cannot be used any more */
	uint32_t ticks[LB_CID_SAMPLES]; /* when each sample was left */
	uint64_t packets; /* by encrypted configs in the host tier, so far */
	unsigned int turns;
};

struct known {
	size_t n;
	struct site **sites;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

static void site_free(struct site *site)
{
	if (!site)
		return;
	seen_free(site->seen);
	promote_free(site->promote);
	stacked_free(&site->stacked);
	attach_list_free(site->list, site->n_list);
	free(site);
}

static void find_tiers(struct site *site)
{
	for (size_t i = 0; i < site->n_list; i++) {
		const struct map_set *maps = &site->list[i].maps;

		if (site->list[i].tier == TIER_OFFLOAD && maps->conn >= 0)
			site->card = maps;
		else if (site->list[i].tier != TIER_USERSPACE && maps->cid_sample >= 0 &&
			 maps->cid_key >= 0 && maps->cid_seen >= 0)
			site->host = maps;
	}
}

/* NULL: the interface has not both tiers, or something failed, which whoever attaches tells. */
static struct site *site_find(const char *interface)
{
	struct site *site = calloc(1, sizeof(*site));
	struct reason ignored = {};

	if (site && !attach_list(interface, &site->list, &site->n_list, &ignored))
		find_tiers(site);
	if (!site || !site->card || !site->host) {
		site_free(site);
		return NULL;
	}
	site->card_id = map_id(site->card->conn);
	site->host_id = map_id(site->host->cid_sample);
	return site;
}

/* False: no memory. */
static bool site_begin(struct site *site)
{
	uint32_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = site->card_id;
	site->promote = promote_new(site->card->sizes.known_cids, seed);
	site->seen = seen_new(site->card, site->host);
	return site->promote && site->seen;
}

/* What was detached or replaced is let go at once, for it has its place on the card as long as we hold it. */
static bool is_pinned(const struct site *site, const struct map_set *maps, const char *name,
		      uint32_t id)
{
	for (size_t i = 0; i < site->n_list; i++) {
		struct pin_path folder =
			pins_folder(site->list[i].interface, tiers[site->list[i].tier].name);
		bool same;
		int fd;

		if (&site->list[i].maps != maps)
			continue;
		fd = bpf_obj_get(pins_in(&folder, name).text);
		if (fd < 0)
			return false;
		same = map_id(fd) == id;
		close(fd);
		return same;
	}
	return false;
}

static bool is_attached(const struct site *site)
{
	return is_pinned(site, site->card, LB_MAP_CONN, site->card_id) &&
	       is_pinned(site, site->host, LB_MAP_CID_SAMPLE, site->host_id);
}

/* "c0ffee…": what of the CID is compared. */
static const char *cid_text(const struct site *site, const struct lb_conn_key *key, char *text)
{
	const struct plan *plan = site->stacked.plan;
	uint8_t octets[LB_CID_MAX];
	size_t length = sizeof(octets);

	if (plan && key->config < plan->n_cids && plan->cids[key->config].cid_length)
		length = plan->cids[key->config].cid_length;
	memcpy(octets, key->cid, sizeof(octets));
	return config_hex_text(octets, length, text);
}

static void tell_change(const struct site *site, const struct promote_change *change)
{
	char text[2 * LB_CID_MAX + 1], name[STACKED_NAME];

	log_debug("%s: offload: %s %s of config %u, server %s; %u of %u", site->list->interface,
		  change->drop ? "forgot" : "learnt", cid_text(site, &change->key, text),
		  change->key.config & LB_CONFIG_RESERVED,
		  stacked_server_name(&site->stacked, change->server, name),
		  promote_count(site->promote), promote_budget(site->promote));
}

/* An entry that is not there is gone as wished. */
static void take_off(struct site *site, const struct lb_conn_key *key)
{
	if (bpf_map_delete_elem(site->card->conn, key) && errno != ENOENT)
		site->broken = true;
}

static void put_on(struct site *site, const struct promote_change *change)
{
	const struct lb_conn conn = { .server = change->server };

	if (!bpf_map_update_elem(site->card->conn, &change->key, &conn, BPF_ANY)) {
		tell_change(site, change);
		return;
	}
	promote_forget(site->promote, &change->key);
	if (errno == E2BIG || errno == ENOMEM) {
		log_debug("%s: offload: %u known CIDs are all it takes", site->list->interface,
			  promote_count(site->promote));
		promote_full(site->promote);
	} else {
		site->broken = true;
	}
}

/* What the card was told before this process was: right, or taken off. */
static void adopt_one(struct site *site, const struct lb_conn_key *key, int64_t now)
{
	struct lb_conn conn;
	struct lb_conn_key again;
	uint32_t server;

	if (bpf_map_lookup_elem(site->card->conn, key, &conn))
		return;
	if (!decide_known(site->stacked.plan, key->config, (const uint8_t *)key->cid, &again,
			  &server) ||
	    memcmp(&again, key, sizeof(again)) || server != conn.server ||
	    !promote_adopt(site->promote, key, server, conn.packets, now))
		take_off(site, key);
}

static void adopt(struct site *site, int64_t now)
{
	struct lb_conn_key key, next;
	int fd = site->card->conn;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	/* The one behind is asked for first: a key that is gone leads to the beginning. */
	for (uint32_t i = 0; more && i < site->card->sizes.known_cids; i++) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		adopt_one(site, &key, now);
	}
	if (promote_count(site->promote))
		log_debug("%s: offload: knows %u CIDs already", site->list->interface,
			  promote_count(site->promote));
	site->adopted = true;
}

static bool means(const struct lb_conn_key *key, void *context)
{
	const struct plan *plan = context;

	return key->config < plan->n_cids && plan->cids[key->config].tag &&
	       plan->cids[key->config].tag == key->tag;
}

/* After an apply, by whomever: what the card knows may mean nothing any more. */
static void follow(struct site *site, int64_t now)
{
	int old = stacked_is_old(&site->stacked, site->card, site->host), err;

	if (old > 0) {
		stacked_free(&site->stacked);
		err = stacked_read(site->card, site->host, &site->stacked);
		site->broken = err && err != -ENOENT;
		if (!err && site->stacked.plan)
			promote_revise(site->promote, means, site->stacked.plan);
		else if (!site->broken)
			log_debug("%s: the card learns nothing while its tiers run different files",
				  site->list->interface);
	}
	site->broken |= old < 0;
	if (!site->broken && !site->adopted && site->stacked.plan)
		adopt(site, now);
}

/* Packets that the host tier forwarded by encrypted CIDs since the last tick. */
static uint64_t count_packets(struct site *site)
{
	uint32_t n = LB_CID_INDEX(site->host->sizes.pools + 1, 0);
	struct lb_count *counts = calloc(n, sizeof(*counts));
	uint64_t sum = 0, before = site->packets;

	if (!counts || sync_counts(site->host->cid_stats, site->host->percpu, n, counts)) {
		free(counts);
		return 0;
	}
	for (uint32_t i = 0; i < site->stacked.n; i++)
		if (site->stacked.cids[i].host_tag && site->stacked.cids[i].host < n)
			sum += counts[site->stacked.cids[i].host].packets;
	free(counts);
	site->packets = sum;
	return sum > before ? sum - before : 0;
}

/* The CID of a sample as the card is to know it. */
static bool read_sample(const struct site *site, const struct lb_cid_sample *sample,
			struct lb_conn_key *key, uint32_t *server)
{
	const struct stacked_cid *cid = stacked_by_host(&site->stacked, sample->config);

	return cid && cid->host_tag && cid->host_tag == sample->tag &&
	       decide_known(site->stacked.plan, cid->card, (const uint8_t *)sample->cid, key,
			    server);
}

/* What was left since the last tick, moved to the front. */
static uint32_t pick_new(struct site *site, struct lb_cid_sample *samples)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < LB_CID_SAMPLES; i++) {
		if (!samples[i].config || samples[i].tick == site->ticks[i])
			continue;
		site->ticks[i] = samples[i].tick;
		samples[n++] = samples[i];
	}
	n = site->started ? n : 0;
	site->started = true;
	return n;
}

static void take_samples(struct site *site, int64_t now)
{
	struct lb_cid_sample samples[LB_CID_SAMPLES];
	struct lb_conn_key key;
	uint64_t packets;
	uint32_t server, n;

	if (batch_read(site->host->cid_sample, 0, LB_CID_SAMPLES, sizeof(samples[0]), samples)) {
		site->broken = true;
		return;
	}
	n = pick_new(site, samples);
	packets = count_packets(site);
	/* In a tick with many packets one sample stands for all of them. */
	for (uint32_t i = 0; i < n; i++)
		if (read_sample(site, &samples[i], &key, &server))
			promote_sample(site->promote, &key, server,
				       packets > n ? (double)packets / n : 1, now);
}

static void look_at_counters(struct site *site, int64_t now)
{
	uint32_t n = promote_count(site->promote);

	for (uint32_t i = 0; i < n && i < LOOKS_A_TICK && !site->broken; i++) {
		const struct lb_conn_key *next = promote_next(site->promote);
		struct lb_conn_key key;
		struct lb_conn conn;

		if (!next)
			return;
		key = *next;
		if (!bpf_map_lookup_elem(site->card->conn, &key, &conn))
			promote_counted(site->promote, &key, conn.packets, now);
		else if (errno == ENOENT)
			promote_forget(site->promote, &key);
		else
			site->broken = true;
	}
}

static void change(struct site *site, int64_t now)
{
	struct promote_change changes[CHANGES_A_TICK];
	size_t n = promote_turn(site->promote, now, changes, CHANGES_A_TICK);

	for (size_t i = 0; i < n && !site->broken; i++) {
		if (!changes[i].drop) {
			put_on(site, &changes[i]);
			continue;
		}
		take_off(site, &changes[i].key);
		tell_change(site, &changes[i]);
	}
}

static void site_tick(struct site *site)
{
	int64_t now = now_ms();

	site->broken = !is_attached(site);
	if (!site->broken)
		follow(site, now);
	if (!site->broken && site->turns++ % SEEN_TICKS == 0)
		site->broken = seen_look(site->seen, &site->stacked) < 0;
	if (site->broken || !site->adopted)
		return;
	if (site->stacked.n_known)
		take_samples(site, now);
	if (!site->broken)
		look_at_counters(site, now);
	if (!site->broken)
		change(site, now);
}

struct known *known_new(void)
{
	return calloc(1, sizeof(struct known));
}

static void remove_site(struct known *known, size_t i)
{
	site_free(known->sites[i]);
	known->sites[i] = known->sites[--known->n];
}

void known_free(struct known *known)
{
	while (known && known->n)
		remove_site(known, known->n - 1);
	if (known)
		free(known->sites);
	free(known);
}

static bool is_same(const struct site *a, const struct site *b)
{
	return !a->broken && a->card_id == b->card_id && a->host_id == b->host_id &&
	       !strcmp(a->list->interface, b->list->interface);
}

/* The site of before, if it is still the same. NULL: no memory. */
static struct site *keep(struct known *known, struct site *found)
{
	for (size_t i = 0; i < known->n; i++)
		if (is_same(known->sites[i], found)) {
			struct site *site = known->sites[i];

			known->sites[i] = found;
			return site;
		}
	if (site_begin(found))
		return found;
	site_free(found);
	return NULL;
}

void known_look(struct known *known, const struct config *config)
{
	struct site **sites = calloc(config->n_interfaces + 1, sizeof(struct site *));
	size_t n = 0;

	for (uint32_t i = 0; sites && i < config->n_interfaces; i++) {
		struct site *found = site_find(config->interfaces[i].name);

		if (found)
			found = keep(known, found);
		if (found)
			sites[n++] = found;
	}
	while (known->n)
		remove_site(known, known->n - 1);
	free(known->sites);
	known->sites = sites;
	known->n = n;
}

bool known_is_busy(const struct known *known)
{
	return known->n > 0;
}

bool known_tick(struct known *known)
{
	size_t before = known->n;

	for (size_t i = 0; i < known->n;) {
		site_tick(known->sites[i]);
		if (known->sites[i]->broken)
			remove_site(known, i);
		else
			i++;
	}
	return known->n == before;
}
