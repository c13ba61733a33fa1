/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Goes round conn_track by a timer. See sweep.h.
 *
 * A map that is full makes room by evicting what its LRU likes least, which in a flood may be anything. So new
 * flows end before that: the data path is told each second what a CPU may add until the next time, from the
 * count of the last round and what was added since it began.
 */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "flow_table.h"
#include "log.h"
#include "pins.h"

/* While a round lasts two batches each time, a few milliseconds in which no packet waits longer; then a pause. */
#define BATCHES	   2
#define ROUND_MS   50
#define PAUSE_MS   1000
#define COUNTS_FOR 5 /* seconds: afterwards nobody looks any more */
/* What is never promised: free entries that other CPUs hold. */
#define RESERVE 16

struct place {
	const struct map_set *maps;
	const char *interface;
	struct flow_table table;
	bool walking, known; /* in a round; some round has ended */
	uint64_t live, added_before; /* in this round, and what had been added when it began */
	uint64_t counted; /* in the last one */
};

struct sweep {
	int timer, interval;
	struct attachment *attached;
	size_t n_attached;
	struct place *places;
	size_t n;
	uint64_t jiffies; /* when it looked last */
	time_t seconds;
};

static int set_interval(struct sweep *sweep, int milliseconds)
{
	struct itimerspec spec = {
		.it_value = { milliseconds / 1000, milliseconds % 1000 * 1000000L },
		.it_interval = { milliseconds / 1000, milliseconds % 1000 * 1000000L },
	};

	if (sweep->interval == milliseconds)
		return 0;
	sweep->interval = milliseconds;
	return timerfd_settime(sweep->timer, 0, &spec, NULL);
}

int sweep_open(struct sweep **result, struct reason *reason)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return reason_set(reason, REASON_UNKNOWN, "memory", ENOMEM, NULL);
	sweep->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (sweep->timer < 0 || set_interval(sweep, PAUSE_MS)) {
		int error = errno;

		sweep_free(sweep);
		return reason_set(reason, REASON_UNKNOWN, "timer", error, NULL);
	}
	*result = sweep;
	return 0;
}

static void leave(struct sweep *sweep)
{
	for (size_t i = 0; i < sweep->n; i++)
		if (sweep->places[i].walking)
			flow_table_close(&sweep->places[i].table);
	free(sweep->places);
	attach_list_free(sweep->attached, sweep->n_attached);
	sweep->places = NULL;
	sweep->attached = NULL;
	sweep->n = sweep->n_attached = 0;
}

void sweep_free(struct sweep *sweep)
{
	if (!sweep)
		return;
	leave(sweep);
	if (sweep->timer >= 0)
		close(sweep->timer);
	free(sweep);
}

int sweep_fd(const struct sweep *sweep)
{
	return sweep->timer;
}

static bool is_wanted(const struct attachment *attachment, const struct config *config)
{
	for (uint32_t i = 0; i < config->n_interfaces; i++)
		if (!strcmp(config->interfaces[i].name, attachment->interface))
			return attachment->maps.conn_track >= 0;
	return false;
}

/* Tiers of one interface may have one map between them. */
static bool is_known(const struct sweep *sweep, const struct attachment *attachment)
{
	for (size_t i = 0; i < sweep->n; i++)
		if (flow_table_is_one(sweep->places[i].maps, &attachment->maps))
			return true;
	return false;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* Not asked of the kernel each time, which takes a program. */
static uint32_t jiffies(const struct sweep *sweep)
{
	return (uint32_t)(sweep->jiffies + clock_ticks((uint32_t)(seconds() - sweep->seconds)));
}

void sweep_look(struct sweep *sweep, const struct config *config)
{
	struct reason ignored = {};

	leave(sweep);
	sweep->seconds = seconds();
	if (clock_jiffies(&sweep->jiffies) ||
	    attach_list(NULL, &sweep->attached, &sweep->n_attached, &ignored))
		return;
	sweep->places = calloc(sweep->n_attached + 1, sizeof(*sweep->places));
	for (size_t i = 0; sweep->places && i < sweep->n_attached; i++) {
		const struct attachment *attachment = &sweep->attached[i];

		if (is_wanted(attachment, config) && !is_known(sweep, attachment))
			sweep->places[sweep->n++] =
				(struct place){ .maps = &attachment->maps,
						.interface = attachment->interface };
	}
}

static uint64_t added(const struct map_set *maps)
{
	struct lb_count counts[LB_FLOW_COUNT_COUNT] = {};

	if (maps->flow_stats < 0 ||
	    sync_counts(maps->flow_stats, true, LB_FLOW_COUNT_COUNT, counts))
		return 0;
	return counts[LB_FLOW_COUNT_added].packets + counts[LB_FLOW_COUNT_cid_added].packets;
}

/* Not while somebody applies, who writes the same entry. */
static void publish(const struct place *place, uint32_t room, uint32_t until)
{
	struct pin_path folder = pins_folder(place->interface, ".");
	int fd = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		flow_table_tell_room(place->maps, room, until);
	close(fd);
}

static void tell_room(const struct place *place, uint32_t now)
{
	const struct map_set *maps = place->maps;
	uint64_t size = maps->sizes.flows - maps->sizes.flows / RESERVE;
	uint64_t used = place->walking ? place->counted : place->live;
	uint64_t since = added(maps), n_cpus = (uint64_t)libbpf_num_possible_cpus();

	used += since > place->added_before ? since - place->added_before : 0;
	publish(place, used < size ? (uint32_t)((size - used + n_cpus - 1) / n_cpus) : 0,
		now + (uint32_t)clock_ticks(COUNTS_FOR));
}

static bool begin(struct place *place, uint32_t now)
{
	if (flow_table_open(&place->table, place->maps, &now))
		return false;
	place->walking = true;
	place->counted = place->live;
	place->live = 0;
	place->added_before = added(place->maps);
	return true;
}

static void end(struct place *place)
{
	flow_table_close(&place->table);
	place->walking = false;
	place->known = true;
}

static void step(struct place *place)
{
	struct flow_table *table = &place->table;
	int err = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		if (!flow_table_next(table, &err)) {
			end(place);
			return;
		}
		for (uint32_t i = 0; i < table->n; i++) {
			if (flow_table_is_over(table, &table->list[i]))
				flow_table_delete(table, i);
			else
				place->live++;
		}
	}
}

void sweep_work(struct sweep *sweep)
{
	uint32_t now = jiffies(sweep);
	bool walking = false;
	uint64_t times;

	if (read(sweep->timer, &times, sizeof(times)) < 0)
		return;
	for (size_t i = 0; i < sweep->n; i++) {
		struct place *place = &sweep->places[i];

		if (place->walking || begin(place, now))
			step(place);
		if (place->known)
			tell_room(place, now);
		walking |= place->walking;
	}
	if (set_interval(sweep, walking ? ROUND_MS : PAUSE_MS))
		log_error("timer: %s", strerror(errno));
}
