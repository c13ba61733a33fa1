/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rings, sockets and a timer around relay.h. See balancer.h.
 *
 * A turn of work takes no more than lies in the rings when it begins, and they are bounded: whoever waits for
 * the service's loop besides waits a few ms. What the rings do not hold the kernel drops and counts.
 */
#include "balancer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "claim.h"
#include "detour.h"
#include "log.h"
#include "pins.h"
#include "relay.h"
#include "send.h"
#include "tally.h"
#include "tracked.h"

#define RING_PAGES 128 /* of each CPU: 300 packets of full size, or 6,000 of the smallest */

struct serving {
	struct balancer *balancer;
	char interface[IF_NAMESIZE];
	uint32_t ifindex;
	uint32_t maps_id, ring_id; /* of what is pinned */
	struct attachment attachment; /* with its maps, owned */
	int claim, ring_map;
	struct perf_buffer *ring;
	struct tables tables;
	struct relay *relay;
	struct tally *tally;
	struct tracked *tracked;
	bool looked; /* ways may have changed since the tables were read */
};

struct balancer {
	struct sender sender;
	int epoll, timer;
	size_t n;
	struct serving **list;
	int64_t now; /* ms, of this turn */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int balancer_open(struct balancer **result, struct reason *reason)
{
	struct balancer *balancer = calloc(1, sizeof(*balancer));
	struct epoll_event event = { .events = EPOLLIN };
	int error = balancer ? send_open(&balancer->sender) : -ENOMEM;

	if (error) {
		free(balancer);
		return error == -EPERM ?
			       reason_set(reason, REASON_NO_PERMISSION, "service", EPERM,
					  "CAP_NET_RAW") :
			       reason_set(reason, REASON_UNKNOWN, "service", -error, "sockets");
	}
	balancer->epoll = epoll_create1(EPOLL_CLOEXEC);
	balancer->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (balancer->epoll < 0 || balancer->timer < 0 ||
	    epoll_ctl(balancer->epoll, EPOLL_CTL_ADD, balancer->timer, &event)) {
		error = errno;
		balancer_free(balancer);
		return reason_set(reason, REASON_UNKNOWN, "service", error, "descriptors");
	}
	*result = balancer;
	return 0;
}

int balancer_fd(const struct balancer *balancer)
{
	return balancer->epoll;
}

/* One interface ------------------------------------------------------------------------------- */

static int send_out(void *context, const struct forwarded *out)
{
	const struct serving *serving = context;
	const struct sender *sender = &serving->balancer->sender;

	/* The kernel finds the way to an address; a server of mode l2dsr has none but its MAC. */
	if (out->server && out->server->mode == LB_MODE_L2DSR)
		return send_frame(sender,
				  out->server->egress ? out->server->egress : serving->ifindex,
				  out->frame, out->length);
	return send_packet(sender, out->frame + out->link_length, out->length - out->link_length);
}

static void count(void *context, const struct relay_count *counted)
{
	const struct serving *serving = context;

	tally_add(serving->tally, counted);
}

static void on_sample(void *context, int cpu, void *data, __u32 size)
{
	struct serving *serving = context;
	struct lb_handed handed;

	(void)cpu;
	if (size < sizeof(handed))
		return;
	memcpy(&handed, data, sizeof(handed));
	if (handed.captured > size - sizeof(handed))
		return;
	relay_frame(serving->relay, &serving->tables.view, serving->tables.setting.answers,
		    (const uint8_t *)data + sizeof(handed), handed.captured, handed.gso_size,
		    handed.vlan, serving->balancer->now);
}

static void on_lost(void *context, int cpu, __u64 packets)
{
	const struct serving *serving = context;

	(void)cpu;
	tally_lost(serving->tally, packets);
}

static void serving_free(struct serving *serving)
{
	if (!serving)
		return;
	perf_buffer__free(
		serving->ring); /* closing its descriptor takes it out of the epoll, too */
	if (serving->ring_map >= 0)
		close(serving->ring_map);
	if (serving->tally)
		tally_bring(serving->tally, 0);
	tracked_free(serving->tracked);
	tally_free(serving->tally);
	relay_free(serving->relay);
	tables_free(&serving->tables);
	attach_close(&serving->attachment);
	if (serving->claim >= 0)
		close(serving->claim);
	free(serving);
}

static uint32_t pinned_id(const char *interface, const char *part, const char *map)
{
	struct pin_path folder = pins_folder(interface, part);

	return pins_map_id(&folder, map);
}

/* The tier's maps. -ENOENT: it is not attached here. */
static int find_tier(struct serving *serving)
{
	struct attachment *list;
	struct reason ignored = {};
	size_t n;
	int error = attach_list(serving->interface, &list, &n, &ignored);

	if (error)
		return error;
	error = -ENOENT;
	for (size_t i = 0; i < n; i++) {
		if (list[i].tier != TIER_USERSPACE) {
			attach_close(&list[i]);
			continue;
		}
		serving->attachment = list[i];
		serving->ifindex = list[i].ifindex;
		error = 0;
	}
	free(list);
	return error;
}

static int open_ring(struct serving *serving)
{
	struct pin_path folder = pins_folder(serving->interface, PINS_STACK);
	struct epoll_event event = { .events = EPOLLIN };

	serving->ring_map = bpf_obj_get(pins_in(&folder, LB_MAP_HAND).text);
	if (serving->ring_map < 0)
		return -errno;
	serving->ring =
		perf_buffer__new(serving->ring_map, RING_PAGES, on_sample, on_lost, serving, NULL);
	if (!serving->ring)
		return -errno;
	return epoll_ctl(serving->balancer->epoll, EPOLL_CTL_ADD,
			 perf_buffer__epoll_fd(serving->ring), &event) ?
		       -errno :
		       0;
}

static int serving_open(struct serving *serving)
{
	const struct relay_sink sink = { .context = serving, .send = send_out, .count = count };
	int error = find_tier(serving);

	if (error)
		return error;
	serving->claim = claim_userspace(serving->interface);
	if (serving->claim < 0)
		return serving->claim;
	serving->relay = relay_new(&sink);
	serving->tally = tally_new(&serving->attachment.maps);
	if (!serving->relay || !serving->tally)
		return -ENOMEM;
	serving->tracked =
		tracked_new(&serving->attachment.maps, serving->tally, !serving->attachment.shares);
	if (!serving->tracked)
		return -ENOMEM;
	return open_ring(serving);
}

static struct serving *serving_new(struct balancer *balancer, const char *interface)
{
	struct serving *serving = calloc(1, sizeof(*serving));
	int error;

	if (!serving)
		return NULL;
	serving->balancer = balancer;
	serving->claim = serving->ring_map = -1;
	memset(&serving->attachment.maps, 0xff, offsetof(struct map_set, percpu));
	snprintf(serving->interface, sizeof(serving->interface), "%s", interface);
	/* Read before: what is exchanged meanwhile is another one at the next look. */
	serving->maps_id = pinned_id(interface, tiers[TIER_USERSPACE].name, LB_MAP_REASON_STATS);
	serving->ring_id = pinned_id(interface, PINS_STACK, LB_MAP_HAND);
	error = serving_open(serving);
	if (!error)
		return serving;
	if (error == -EBUSY)
		log_warn("%s: userspace: another loader run serves it", interface);
	else if (error != -ENOENT)
		log_warn("%s: userspace: cannot be served: %s", interface, strerror(-error));
	serving_free(serving);
	return NULL;
}

static bool is_current(const struct serving *serving)
{
	return serving->maps_id &&
	       serving->maps_id == pinned_id(serving->interface, tiers[TIER_USERSPACE].name,
					     LB_MAP_REASON_STATS) &&
	       serving->ring_id == pinned_id(serving->interface, PINS_STACK, LB_MAP_HAND);
}

/* The generation of now. If it cannot be read, the one of before goes on. */
static void follow(struct serving *serving)
{
	const struct map_set *maps = &serving->attachment.maps;
	int changed = tables_follow(maps, &serving->tables, serving->looked);

	if (changed < 0)
		log_debug("%s: userspace: %s", serving->interface, strerror(-changed));
	if (changed > 0)
		detour_fill(maps, &serving->tables);
	else
		tables_refresh(maps, &serving->tables);
	if (serving->looked)
		tracked_set_clock(serving->tracked);
	serving->looked = false;
	serving->tables.view.flows = tracked_turn(serving->tracked, &serving->tables.setting);
}

/* All interfaces ------------------------------------------------------------------------------ */

static struct serving *take_current(struct balancer *balancer, const char *interface)
{
	for (size_t i = 0; i < balancer->n; i++) {
		struct serving *serving = balancer->list[i];

		if (!serving || strcmp(serving->interface, interface))
			continue;
		balancer->list[i] = NULL;
		serving->looked = true;
		if (is_current(serving))
			return serving;
		serving_free(serving);
	}
	return NULL;
}

static void let_go(struct balancer *balancer)
{
	for (size_t i = 0; i < balancer->n; i++)
		serving_free(balancer->list[i]);
	free(balancer->list);
	balancer->list = NULL;
	balancer->n = 0;
}

void balancer_free(struct balancer *balancer)
{
	if (!balancer)
		return;
	let_go(balancer);
	if (balancer->timer >= 0)
		close(balancer->timer);
	if (balancer->epoll >= 0)
		close(balancer->epoll);
	send_close(&balancer->sender);
	free(balancer);
}

void balancer_look(struct balancer *balancer, const struct config *config)
{
	struct serving **list = calloc(config->n_interfaces + 1, sizeof(struct serving *));
	size_t n = 0;

	for (uint32_t i = 0; list && i < config->n_interfaces; i++) {
		const char *interface = config->interfaces[i].name;
		struct serving *serving = take_current(balancer, interface);

		if (!serving)
			serving = serving_new(balancer, interface);
		if (serving)
			list[n++] = serving;
	}
	let_go(balancer);
	balancer->list = list;
	balancer->n = n;
}

static void set_timer(const struct balancer *balancer, int64_t ms)
{
	const struct itimerspec spec = { .it_value = { ms / 1000, ms % 1000 * 1000000 + 1 } };
	const struct itimerspec never = {};

	timerfd_settime(balancer->timer, 0, ms < 0 ? &never : &spec, NULL);
}

void balancer_work(struct balancer *balancer)
{
	int64_t next = -1;

	balancer->now = now_ms();
	for (size_t i = 0; i < balancer->n; i++) {
		struct serving *serving = balancer->list[i];
		int64_t due;

		follow(serving);
		perf_buffer__consume(serving->ring);
		due = relay_expire(serving->relay, balancer->now);
		if (due >= 0 && (next < 0 || due < next))
			next = due;
		tally_bring(serving->tally, tracked_jiffies(serving->tracked));
	}
	set_timer(balancer, next);
}
