/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What of ours is on one interface. See site.h.
 */
#include "site.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher.h"
#include "log.h"
#include "object.h"
#include "stack.h"

struct pin_path site_folder(const struct site *site, enum tier tier)
{
	return pins_folder(site->interface, tiers[tier].name);
}

struct pin_path site_fresh_folder(const struct site *site, enum tier tier)
{
	char part[32];

	snprintf(part, sizeof(part), "new-%s", tiers[tier].name);
	return pins_folder(site->interface, part);
}

struct pin_path site_pending_folder(const struct site *site, enum tier tier)
{
	char part[32];

	snprintf(part, sizeof(part), "pending-%s", tiers[tier].name);
	return pins_folder(site->interface, part);
}

int site_look(struct site *site, const char *interface, struct reason *reason)
{
	memset(site, 0, sizeof(*site));
	site->lock = -1;
	if (strlen(interface) >= sizeof(site->interface))
		return 0; /* no interface has such a name */
	strcpy(site->interface, interface);
	site->ifindex = if_nametoindex(interface);
	return site->ifindex ? hook_query(interface, site->ifindex, &site->hook, reason) : 0;
}

/* Whether the program of these pins is what the tier's slot holds, alone or by a dispatcher. */
static bool is_attached(const struct site *site, enum tier tier, const struct pin_path *folder)
{
	uint32_t slot = site->hook.id[tier];
	int fd = slot ? pins_program(folder) : -ENOENT;
	struct hook_program program = {};

	if (tier == TIER_USERSPACE)
		return site->ifindex && pins_marked(folder, SITE_DEVICE_MARK, site->ifindex);
	if (fd < 0)
		return false;
	hook_program(fd, &program); /* fails where the card is gone: then the id is 0 */
	close(fd);
	if (!program.id)
		return false;
	return program.id == slot ||
	       (dispatcher_is(slot) && dispatcher_holds(site->ifindex, program.id));
}

bool site_find(const struct site *site, enum tier tier, struct pin_path *folder)
{
	*folder = site_folder(site, tier);
	if (is_attached(site, tier, folder))
		return true;
	*folder = site_fresh_folder(site, tier);
	return tier != TIER_USERSPACE && is_attached(site, tier, folder);
}

static int remove_stale(const struct pin_path *folder)
{
	if (!pins_exist(folder))
		return 0;
	log_warn("%s: removed the pins of a program that is not attached any more", folder->text);
	pins_remove(folder);
	return 1;
}

/* Also finishes a change that was broken off between the swap of programs and that of pins. */
static int settle(const struct site *site, enum tier tier)
{
	struct pin_path folder = site_folder(site, tier), fresh = site_fresh_folder(site, tier);
	struct reason ignored = {};

	if (tier != TIER_USERSPACE && is_attached(site, tier, &fresh)) {
		pins_move(&fresh, &folder, &ignored);
		return 0;
	}
	return remove_stale(&fresh) +
	       (is_attached(site, tier, &folder) ? 0 : remove_stale(&folder));
}

/* libxdp attaches before we can pin: a loader that is killed in between leaves a program of ours. */
static int drop_strays(struct site *site, enum tier tier)
{
	struct pin_path folder = site_folder(site, tier), pending = site_pending_folder(site, tier);
	struct hook_program ours = {};
	struct reason ignored = {};
	int fd, dropped = 0;

	/* Without the mark a program of that name may be pinned where we do not see it (a container). */
	if (!pins_exist(&pending))
		return 0;
	fd = pins_program(&folder);
	if (fd >= 0) {
		hook_program(fd, &ours);
		close(fd);
	}
	if (dispatcher_is(site->hook.id[tier]))
		dropped = dispatcher_drop_strays(site->ifindex, tier, ours.id);
	pins_remove(&pending);
	if (dropped) {
		log_warn("%s: took a program of a loader that was killed out of the dispatcher",
			 site->interface);
		hook_query(site->interface, site->ifindex, &site->hook, &ignored);
	}
	return dropped;
}

static int settle_all(struct site *site)
{
	struct pin_path stack = pins_folder(site->interface, PINS_STACK), folder;
	bool host = false;
	enum tier tier;
	int cleaned = 0;

	for (tier = 0; tier < TIER_COUNT; tier++) {
		cleaned += settle(site, tier);
		cleaned += drop_strays(site, tier);
	}
	for (tier = TIER_DRIVER; tier < TIER_COUNT; tier++) {
		folder = site_folder(site, tier);
		host |= pins_exist(&folder);
	}
	if (!host && pins_exist(&stack)) {
		stack_detach(site->interface, site->ifindex);
		cleaned++;
	}
	return cleaned;
}

int site_enter(struct site *site, const char *interface, int *cleaned, struct reason *reason)
{
	int error = pins_check(reason), lock;

	if (error)
		return error;
	lock = pins_lock(reason);
	if (lock < 0)
		return lock;
	error = site_look(site, interface, reason);
	if (error) {
		pins_unlock(lock);
		return error;
	}
	site->lock = lock;
	*cleaned = settle_all(site);
	return 0;
}

void site_leave(struct site *site)
{
	if (site->lock >= 0)
		pins_unlock(site->lock);
	site->lock = -1;
}

/* The maps of the tier userspace are those of a host tier. */
static bool shares(const struct site *site, const struct pin_path *folder)
{
	uint32_t id = pins_map_id(folder, LB_MAP_META);
	struct pin_path host;

	for (enum tier tier = TIER_DRIVER; tier < TIER_USERSPACE; tier++)
		if (site_find(site, tier, &host) && pins_map_id(&host, LB_MAP_META) == id)
			return true;
	return false;
}

int site_read(const struct site *site, enum tier tier, const struct pin_path *folder,
	      struct attachment *attachment, struct reason *reason)
{
	struct hook_program program = {};
	int fd, error;

	memset(attachment, 0, sizeof(*attachment));
	error = map_set_from_pins(&attachment->maps, folder->text, reason);
	if (error)
		return error;
	fd = pins_program(folder);
	if (fd >= 0) {
		hook_program(fd, &program);
		close(fd);
	}
	strcpy(attachment->interface, site->interface);
	attachment->ifindex = site->ifindex;
	attachment->tier = tier;
	attachment->program_id = program.id;
	strcpy(attachment->tag, program.tag);
	attachment->loaded = tier == TIER_USERSPACE ? pins_made(folder) : program.loaded;
	attachment->dispatcher = program.id != site->hook.id[tier];
	if (tier != TIER_OFFLOAD)
		attachment->stack = stack_look(site->interface, site->ifindex);
	attachment->shares = tier == TIER_USERSPACE && shares(site, folder);
	attachment->current =
		pins_marked(folder, SITE_BUILD_MARK, (unsigned long long)object_build(tier));
	return 0;
}
