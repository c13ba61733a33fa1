/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts a tier on an interface, takes it off, lists what is there. See attach.h.
 *
 * Pins come before the program: a folder new-TIER is filled, the program swapped in, the folder
 * renamed to TIER. Wherever a loader dies in between, the next one sees by the program's id which of
 * the two is true (site.h).
 */
#include "attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach_userspace.h"
#include "device.h"
#include "dispatcher.h"
#include "flow_table.h"
#include "log.h"
#include "object.h"
#include "site.h"
#include "stack.h"

/* One change of one tier. */
struct change {
	struct site *site;
	enum tier tier;
	const struct attach_options *options;
	bool ours; /* this tier of ours is attached */
	bool share; /* go by the dispatcher */
	bool shared; /* and it did */
	struct attachment before; /* if ours */
	int before_fd; /* program in the host slot or on the card, -1: none */
	enum tier before_tier; /* where it is */
	struct bpf_object *object;
	int fd; /* the new program; owned if shared or alone by libxdp */
	bool fd_owned;
};

static void reset(struct attachment *attachment)
{
	memset(attachment, 0, sizeof(*attachment));
	memset(&attachment->maps, 0xff, offsetof(struct map_set, percpu)); /* descriptors: -1 */
}

int attach_load_private(enum tier tier, const struct plan_sizes *sizes, struct bpf_object **object,
			int *program_fd, struct map_set *maps, struct reason *reason)
{
	const struct object_request request = { .tier = tier, .sizes = sizes };
	int error = object_load(&request, object, program_fd, reason);

	if (error)
		return error;
	error = map_set_from_object(maps, *object, reason);
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
	}
	return error;
}

/* Nobody asked the kernel: no errno to show. */
static int no_interface(const char *interface, struct reason *reason)
{
	reason_set(reason, REASON_NO_INTERFACE, "interface", 0, "%s", interface);
	return -ENODEV;
}

static bool is_host(enum tier tier)
{
	return tier != TIER_OFFLOAD;
}

/* Whether maps that are there hold what is asked for. */
static bool fits(const struct plan_sizes *have, const struct plan_sizes *want)
{
	return have->vip_buckets >= want->vip_buckets && have->sid_buckets >= want->sid_buckets &&
	       have->rows >= want->rows && have->servers >= want->servers &&
	       have->vips >= want->vips && have->pools >= want->pools &&
	       have->flows >= want->flows && have->cache_pages >= want->cache_pages;
}

static int busy_ours(const struct change *change, enum tier where, struct reason *reason)
{
	reason_set(reason, REASON_BUSY_OTHER_TIER, "attach", 0, "%s, %s: %s is attached",
		   change->site->interface, tiers[change->tier].name, tiers[where].name);
	return -EBUSY;
}

static int busy_foreign(const struct change *change, enum tier where, struct reason *reason)
{
	struct hook_program program;
	int fd = hook_program_by_id(change->site->hook.id[where], &program);

	if (fd >= 0)
		close(fd);
	reason_set(reason,
		   where == change->tier ? REASON_BUSY_FOREIGN_PROGRAM : REASON_BUSY_OTHER_MODE,
		   "attach", 0, "%s, %s: program id %u%s%s", change->site->interface,
		   tiers[where].name, program.id, program.name[0] ? " " : "", program.name);
	return -EBUSY;
}

/* What is in the way, if anything: refused, or to be replaced. */
static int look_before(struct change *change, struct reason *reason)
{
	const struct site *site = change->site;
	struct hook_program program;
	struct pin_path folder;
	enum tier where;

	for (where = 0; where < TIER_COUNT; where++) {
		if (!site->hook.id[where] || is_host(where) != is_host(change->tier))
			continue; /* card and host go together */
		if (site_find(site, where, &folder)) {
			if (where != change->tier)
				return busy_ours(change, where, reason);
			change->ours = true;
			change->before_fd = pins_program(&folder);
			change->before_tier = where;
			return site_read(site, where, &folder, &change->before, reason);
		}
		if (where == change->tier && change->share && dispatcher_is(site->hook.id[where]))
			continue;
		if (!change->options->replace)
			return busy_foreign(change, where, reason);
		change->before_fd = hook_program_by_id(site->hook.id[where], &program);
		change->before_tier = where;
		if (change->before_fd < 0)
			return reason_set(reason, REASON_NO_PERMISSION, "attach", EPERM,
					  "%s, program id %u: CAP_SYS_ADMIN", site->interface,
					  site->hook.id[where]);
	}
	return 0;
}

static void describe(const struct change *change, struct attachment *attachment)
{
	strcpy(attachment->interface, change->site->interface);
	attachment->ifindex = change->site->ifindex;
	attachment->tier = change->tier;
}

/* By what is at hand: an attachment that is in place does not fail for a question about it. */
static void describe_program(const struct change *change, struct attachment *attachment)
{
	struct hook_program program;

	hook_program(change->fd, &program);
	attachment->program_id = program.id;
	strcpy(attachment->tag, program.tag);
	attachment->loaded = program.loaded;
	attachment->dispatcher = change->shared;
	if (is_host(change->tier))
		attachment->stack = stack_look(change->site->interface, change->site->ifindex);
	attachment->current = true;
}

/* The program of attachment->maps' successor, loaded; maps filled if they are new. */
static int prepare(struct change *change,
		   int (*before_attach)(struct attachment *attachment, void *context,
					struct reason *reason),
		   void *context, struct attachment *attachment, struct reason *reason)
{
	const struct plan_sizes *floor = &change->options->floor;
	struct pin_path folder = {};
	struct object_request request = {
		.tier = change->tier,
		.what = change->site->interface,
		.ifindex = is_host(change->tier) ? 0 : change->site->ifindex,
		.sizes = &change->options->sizes,
		.floor = floor->servers ? floor : NULL,
	};
	int error = 0;

	if (change->ours && !change->options->reload &&
	    fits(&change->before.maps.sizes, request.ifindex ? floor : request.sizes) &&
	    site_find(change->site, change->tier, &folder))
		request.reuse = folder.text;
	else if (change->ours && flow_table_fit(&change->before.maps, request.sizes) &&
		 site_find(change->site, change->tier, &folder))
		request.flows = folder.text;
	if (request.ifindex)
		error = device_try(request.what, request.ifindex, reason);
	if (!error)
		error = object_load(&request, &change->object, &change->fd, reason);
	if (error)
		return error;
	error = request.reuse ? map_set_from_pins(&attachment->maps, request.reuse, reason) :
				map_set_from_object(&attachment->maps, change->object, reason);
	attachment->previous = change->ours ? &change->before.maps : NULL;
	if (!error && !request.reuse && before_attach)
		error = before_attach(attachment, context, reason);
	attachment->previous = NULL;
	return error;
}

static int pin_new(const struct change *change, const struct attachment *attachment,
		   struct reason *reason)
{
	struct pin_path fresh = site_fresh_folder(change->site, change->tier);
	int error = pins_make(&fresh, reason);

	if (!error)
		error = map_set_pin(&attachment->maps, fresh.text, reason);
	if (!error)
		error = pins_mark(&fresh, reason, SITE_BUILD_MARK,
				  (unsigned long long)object_build(change->tier));
	if (!error)
		error = pins_put(change->fd, &fresh, PINS_PROGRAM, reason);
	return error;
}

/* Directly, by netlink: in one step where the program of before is in the same slot. */
static int swap_direct(const struct change *change, struct reason *reason)
{
	const struct site *site = change->site;
	struct reason ignored = {};
	int error;

	if (change->before_fd < 0 || change->before_tier == change->tier)
		return hook_set(site->interface, site->ifindex, change->tier, change->fd,
				change->before_fd, reason);
	/* Native and generic cannot be on at once: here is a moment with neither. */
	error = hook_set(site->interface, site->ifindex, change->before_tier, -1, change->before_fd,
			 reason);
	if (error)
		return error;
	error = hook_set(site->interface, site->ifindex, change->tier, change->fd, -1, reason);
	if (error)
		hook_set(site->interface, site->ifindex, change->before_tier, change->before_fd, -1,
			 &ignored);
	return error;
}

/* By libxdp, which loads the program itself: a second one, on the maps that are filled already. */
static int swap_shared(struct change *change, const struct attachment *attachment,
		       struct reason *reason)
{
	const struct object_request request = {
		.tier = change->tier,
		.what = change->site->interface,
		.sizes = &change->options->sizes,
		.share = change->object,
	};
	struct pin_path fresh = site_fresh_folder(change->site, change->tier);
	struct pin_path old = site_folder(change->site, change->tier);
	struct pin_path pending = site_pending_folder(change->site, change->tier);
	struct pin_path program;
	struct reason ignored = {};
	struct bpf_object *object;
	int error = object_open(&request, &object, reason);

	if (error)
		return error;
	error = pins_make(&pending, reason);
	if (!error)
		error = dispatcher_attach(change->site->interface, change->site->ifindex,
					  change->tier, object, &change->fd, &change->shared,
					  reason);
	bpf_object__close(object);
	if (error) {
		pins_remove(&pending);
		return error;
	}
	change->fd_owned = true;
	error = pin_new(change, attachment, reason);
	program = pins_in(error ? &fresh : &old, PINS_PROGRAM);
	if (error || change->ours)
		dispatcher_detach(change->site->interface, change->site->ifindex, change->tier,
				  program.text, &ignored);
	pins_remove(&pending);
	if (!error && !change->shared)
		log_warn("%s: this kernel does not let XDP programs share an interface (freplace "
			 "is refused); attached alone",
			 change->site->interface);
	return error;
}

/* Nobody else is there, so nothing is lost but the chance to share. */
static int put_alone(struct change *change, const struct attachment *attachment,
		     struct reason *reason)
{
	const struct site *site = change->site;
	int error;

	log_warn("%s: %s; attached alone", site->interface, reason_text(reason->code));
	*reason = (struct reason){};
	error = pin_new(change, attachment, reason);
	return error ? error :
		       hook_set(site->interface, site->ifindex, change->tier, change->fd, -1,
				reason);
}

static int put(struct change *change, const struct attachment *attachment, struct reason *reason)
{
	const struct site *site = change->site;
	bool clear = change->share && change->before_fd >= 0 && !change->ours;
	struct reason ignored = {};
	int error;

	if (!change->share) {
		error = pin_new(change, attachment, reason);
		return error ? error : swap_direct(change, reason);
	}
	/* libxdp takes no place of a program that has no dispatcher. */
	if (clear) {
		error = hook_set(site->interface, site->ifindex, change->before_tier, -1,
				 change->before_fd, reason);
		if (error)
			return error;
	}
	error = swap_shared(change, attachment, reason);
	if (error && reason->code == REASON_NO_SHARING && (clear || !site->hook.id[change->tier]))
		error = put_alone(change, attachment, reason);
	if (error && clear)
		hook_set(site->interface, site->ifindex, change->before_tier, change->before_fd, -1,
			 &ignored);
	return error;
}

/* After put(): the interface as it was. */
static void take_back(const struct change *change)
{
	const struct site *site = change->site;
	struct pin_path fresh = site_fresh_folder(site, change->tier);
	struct pin_path program = pins_in(&fresh, PINS_PROGRAM);
	bool same = change->before_fd >= 0 && change->before_tier == change->tier;
	struct reason ignored = {};

	if (change->shared) {
		dispatcher_detach(site->interface, site->ifindex, change->tier, program.text,
				  &ignored);
		same = false;
	} else {
		hook_set(site->interface, site->ifindex, change->tier,
			 same ? change->before_fd : -1, change->fd, &ignored);
	}
	/* Ours in a dispatcher was taken out last, and is gone for good. */
	if (change->before_fd >= 0 && !same && !change->ours)
		hook_set(site->interface, site->ifindex, change->before_tier, change->before_fd, -1,
			 &ignored);
}

static int commit(struct change *change, const struct attachment *attachment, struct reason *reason)
{
	const struct site *site = change->site;
	struct pin_path fresh = site_fresh_folder(site, change->tier);
	struct pin_path folder = site_folder(site, change->tier);
	struct reason ignored = {};
	int error = put(change, attachment, reason);

	if (error)
		goto unpin;
	if (is_host(change->tier))
		error = stack_attach(site->interface, site->ifindex, &attachment->maps, reason);
	if (error)
		goto undo;
	/* If not, they count where they are, and the next loader moves them (site_find()). */
	pins_move(&fresh, &folder, &ignored);
	return 0;
undo:
	take_back(change);
unpin:
	pins_remove(&fresh);
	return error;
}

static int adopt(struct change *change, struct attachment *attachment, struct reason *reason)
{
	const struct site *site = change->site;
	int error;

	*attachment = change->before;
	reset(&change->before); /* its maps are the caller's now */
	if (!is_host(change->tier) || attachment->stack.whole)
		return 0;
	error = stack_attach(site->interface, site->ifindex, &attachment->maps, reason);
	attachment->stack = stack_look(site->interface, site->ifindex);
	return error;
}

static int change_tier(struct change *change,
		       int (*before_attach)(struct attachment *attachment, void *context,
					    struct reason *reason),
		       void *context, struct attachment *attachment, enum attach_outcome *outcome,
		       struct reason *reason)
{
	int error;

	if (change->tier == TIER_USERSPACE)
		return userspace_attach(change->site, change->options, before_attach, context,
					attachment, outcome, reason);
	error = look_before(change, reason);
	if (error)
		return error;
	*outcome = change->ours ? ATTACH_REPLACED : ATTACH_NEW;
	if (change->ours && change->before.current && !change->options->reload) {
		*outcome = ATTACH_ADOPTED;
		return adopt(change, attachment, reason);
	}
	if (change->ours)
		change->share = change->before.dispatcher;
	describe(change, attachment);
	error = prepare(change, before_attach, context, attachment, reason);
	if (!error)
		error = commit(change, attachment, reason);
	if (!error)
		describe_program(change, attachment);
	return error;
}

int attach_tier(const char *interface, enum tier tier, const struct attach_options *options,
		int (*before_attach)(struct attachment *attachment, void *context,
				     struct reason *reason),
		void *context, struct attachment *attachment, enum attach_outcome *outcome,
		struct reason *reason)
{
	struct change change = { .tier = tier,
				 .options = options,
				 .share = is_host(tier) && !options->exclusive,
				 .before_fd = -1,
				 .fd = -1 };
	struct site site;
	int error = attach_check_rights(reason), cleaned;

	reset(attachment);
	reset(&change.before);
	if (!error)
		error = site_enter(&site, interface, &cleaned, reason);
	if (error)
		return error;
	change.site = &site;
	error = site.ifindex ?
			change_tier(&change, before_attach, context, attachment, outcome, reason) :
			reason_set(reason, REASON_NO_INTERFACE, "interface", ENODEV, "%s",
				   interface);
	if (error)
		attach_close(attachment);
	attach_close(&change.before);
	bpf_object__close(change.object);
	if (change.before_fd >= 0)
		close(change.before_fd);
	if (change.fd_owned)
		close(change.fd);
	site_leave(&site);
	return error;
}

static int detach_tier(const struct site *site, enum tier tier, struct reason *reason)
{
	struct pin_path folder, program, below;
	bool alone;
	int fd, error;

	if (!site->ifindex)
		return no_interface(site->interface, reason);
	if (!site_find(site, tier, &folder)) {
		reason_set(reason, REASON_NOT_ATTACHED, "detach", 0, "%s, %s", site->interface,
			   tiers[tier].name);
		return -ENOENT;
	}
	if (tier == TIER_USERSPACE) {
		userspace_detach(site);
		return 0;
	}
	fd = pins_program(&folder);
	program = pins_in(&folder, PINS_PROGRAM);
	alone = !dispatcher_is(site->hook.id[tier]);
	error = alone ? hook_set(site->interface, site->ifindex, tier, -1, fd, reason) :
			dispatcher_detach(site->interface, site->ifindex, tier, program.text,
					  reason);
	if (fd >= 0)
		close(fd);
	if (error)
		return error;
	if (is_host(tier) && !site_find(site, TIER_USERSPACE, &below))
		stack_detach(site->interface, site->ifindex);
	pins_remove(&folder);
	return 0;
}

int attach_detach(const char *interface, enum tier tier, struct reason *reason)
{
	struct site site;
	int error = attach_check_rights(reason), cleaned;

	if (!error)
		error = site_enter(&site, interface, &cleaned, reason);
	if (error)
		return error;
	error = detach_tier(&site, tier, reason);
	site_leave(&site);
	return error;
}
