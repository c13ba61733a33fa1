/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes and removes the maps of the tier userspace, and keeps them those of the host tier above. See
 * attach_userspace.h.
 */
#include "attach_userspace.h"

#include <string.h>
#include <unistd.h>

#include "object.h"
#include "stack.h"

/* The pins of the driver or the generic tier. False: neither is there. */
static bool find_host(const struct site *site, struct pin_path *folder)
{
	return site_find(site, TIER_DRIVER, folder) || site_find(site, TIER_GENERIC, folder);
}

/* The host tier has got other maps since, or there was none. */
static bool is_apart(const struct site *site, const struct pin_path *folder)
{
	struct pin_path host;

	return find_host(site, &host) &&
	       pins_map_id(&host, LB_MAP_META) != pins_map_id(folder, LB_MAP_META);
}

static int make_maps(const struct site *site, const struct attach_options *options,
		     struct map_set *maps, struct reason *reason)
{
	const struct object_request request = {
		.tier = TIER_USERSPACE,
		.what = site->interface,
		.sizes = &options->sizes,
	};
	struct bpf_object *object;
	int program, error = object_load(&request, &object, &program, reason);

	if (error)
		return error;
	error = map_set_from_object(maps, object, reason);
	bpf_object__close(object);
	return error;
}

static int pin_all(const struct site *site, const struct map_set *maps, struct reason *reason)
{
	struct pin_path fresh = site_fresh_folder(site, TIER_USERSPACE);
	int error = pins_make(&fresh, reason);

	if (!error)
		error = map_set_pin(maps, fresh.text, reason);
	if (!error)
		error = pins_mark(&fresh, reason, SITE_BUILD_MARK,
				  (unsigned long long)object_build(TIER_USERSPACE));
	if (!error)
		error = pins_mark(&fresh, reason, SITE_DEVICE_MARK, site->ifindex);
	return error;
}

/* The TC programs read the host tier's maps, which are these, or these alone. */
static int attach_stack(const struct site *site, const struct map_set *maps, struct reason *reason)
{
	struct pin_path host;

	if (find_host(site, &host) && stack_look(site->interface, site->ifindex).whole)
		return 0;
	return stack_attach(site->interface, site->ifindex, maps, reason);
}

static int put(const struct site *site, const struct map_set *maps, struct reason *reason)
{
	struct pin_path folder = site_folder(site, TIER_USERSPACE);
	struct pin_path fresh = site_fresh_folder(site, TIER_USERSPACE);
	int error = pin_all(site, maps, reason);

	if (!error)
		error = attach_stack(site, maps, reason);
	if (!error)
		error = pins_move(&fresh, &folder, reason);
	if (error)
		pins_remove(&fresh);
	return error;
}

static int make(const struct site *site, const struct attach_options *options,
		int (*before_attach)(struct attachment *attachment, void *context,
				     struct reason *reason),
		void *context, struct attachment *attachment, struct reason *reason)
{
	struct pin_path host;
	bool shares = find_host(site, &host);
	int error = shares ? map_set_from_pins(&attachment->maps, host.text, reason) :
			     make_maps(site, options, &attachment->maps, reason);

	if (!error)
		error = map_set_own_counters(&attachment->maps, reason);
	if (!error && !shares && before_attach)
		error = before_attach(attachment, context, reason);
	return error ? error : put(site, &attachment->maps, reason);
}

static int adopt(const struct site *site, const struct pin_path *folder,
		 struct attachment *attachment, struct reason *reason)
{
	int error = site_read(site, TIER_USERSPACE, folder, attachment, reason);

	if (error || attachment->stack.whole)
		return error;
	error = attach_stack(site, &attachment->maps, reason);
	attachment->stack = stack_look(site->interface, site->ifindex);
	return error;
}

int userspace_attach(const struct site *site, const struct attach_options *options,
		     int (*before_attach)(struct attachment *attachment, void *context,
					  struct reason *reason),
		     void *context, struct attachment *attachment, enum attach_outcome *outcome,
		     struct reason *reason)
{
	struct attachment before = {};
	struct pin_path folder;
	bool ours = site_find(site, TIER_USERSPACE, &folder);
	int error = 0;

	*outcome = ours ? ATTACH_REPLACED : ATTACH_NEW;
	if (ours && !options->reload && !is_apart(site, &folder) &&
	    pins_marked(&folder, SITE_BUILD_MARK,
			(unsigned long long)object_build(TIER_USERSPACE))) {
		*outcome = ATTACH_ADOPTED;
		return adopt(site, &folder, attachment, reason);
	}
	strcpy(attachment->interface, site->interface);
	attachment->ifindex = site->ifindex;
	attachment->tier = TIER_USERSPACE;
	if (ours && !site_read(site, TIER_USERSPACE, &folder, &before, &(struct reason){}))
		attachment->previous = &before.maps;
	error = make(site, options, before_attach, context, attachment, reason);
	if (attachment->previous)
		attach_close(&before);
	attachment->previous = NULL;
	attachment->shares = find_host(site, &folder);
	attachment->stack = stack_look(site->interface, site->ifindex);
	attachment->current = true;
	return error;
}

void userspace_detach(const struct site *site)
{
	struct pin_path folder = site_folder(site, TIER_USERSPACE), host;

	if (!find_host(site, &host))
		stack_detach(site->interface, site->ifindex);
	pins_remove(&folder);
}
