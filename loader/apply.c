/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One configuration into one attached tier, one at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "apply.h"
#include "nexthop.h"
#include "pins.h"
#include "rotation.h"
#include "seen.h"

/* Two applies at once would write the same half, of maps that two tiers may share: a lock on the interface's pins. */
static int take_lock(const struct attachment *attachment)
{
	struct pin_path folder = pins_folder(attachment->interface, ".");
	int fd = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd; /* -1: nothing is pinned yet, so nobody else knows these maps */
}

static void note_unresolved(const struct config *config, const struct plan_hop *hops,
			    struct apply_result *result)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t pool = 0;

	result->unresolved = json_array();
	for (uint32_t i = 0;; i++) {
		const struct config_server *server = plan_server(config, i, &pool);

		if (!server)
			break;
		result->n_servers++;
		if (hops[i].resolved)
			continue;
		result->n_unresolved++;
		json_array_append_new(result->unresolved,
				      json_pack("{s:s, s:s, s:s, s:s}", "server", server->name,
						"pool", config->pools[pool].name, "address",
						config_address_text(&server->address, text),
						"problem", hops[i].problem));
	}
}

/* Whether the times that a host tier of the interface keeps are those of the card above it, too. */
static bool times_are_kept(const struct attachment *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (seen_is_kept(&list[i].maps))
			return true;
	return false;
}

/* The same config may be used in another tier of the interface, which packets met first or come to next. */
static int check_others(const char *interface, enum tier tier, const struct config *config,
			bool *kept, struct reason *reason)
{
	struct attachment *list;
	size_t n;
	int err = attach_list(interface, &list, &n, reason);

	if (err)
		return err;
	*kept = times_are_kept(list, n);
	for (size_t i = 0; !err && i < n; i++) {
		struct config *running = NULL;
		struct plan_numbers *numbers = NULL;
		uint32_t generation;

		if (list[i].tier == tier)
			continue;
		err = sync_read(&list[i].maps, &running, &numbers, &generation, reason);
		if (!err)
			err = rotation_check(&list[i].maps, running, numbers, config, *kept,
					     reason);
		plan_numbers_free(numbers);
		config_free(running);
	}
	attach_list_free(list, n);
	return err;
}

/* from: the maps of this tier that run. */
static int check_rotation(const struct attachment *attachment, const struct map_set *from,
			  const struct config *running, const struct plan_numbers *numbers,
			  const struct config *config, struct reason *reason)
{
	bool kept = false;
	int err;

	if (!rotation_is_due(running, config))
		return 0;
	err = check_others(attachment->interface, attachment->tier, config, &kept, reason);
	return err ? err : rotation_check(from, running, numbers, config, kept, reason);
}

int apply_config(const struct attachment *attachment, const struct config *config,
		 const struct apply_request *request, struct apply_result *result,
		 struct reason *reason)
{
	const struct map_set *from;
	struct config *running = NULL;
	struct plan_hop *hops = NULL;
	struct plan *plan = NULL;
	struct plan_numbers *numbers = NULL;
	char problem[200];
	int lock, err;

	err = nexthop_resolve(config, attachment->ifindex, request->timeout_ms, &hops, reason);
	if (err)
		return err;
	note_unresolved(config, hops, result);
	wayback_check(config, hops, attachment->ifindex, result->shut);
	lock = take_lock(attachment);
	from = attachment->previous ? attachment->previous : &attachment->maps;
	err = sync_read(from, &running, &numbers, &result->generation, reason);
	/* Somebody else was here since the caller looked: that is his to judge first. */
	if (err || (request->only_over && result->generation != request->only_over))
		goto out;
	if (request->list_changes)
		result->changes = config_diff(running, config);
	if (!request->force)
		err = check_rotation(attachment, from, running, numbers, config, reason);
	if (err)
		goto out;
	err = plan_build(config, &attachment->maps.sizes, hops, numbers, &plan, problem,
			 sizeof(problem));
	if (err) {
		reason_set(reason, err == -ENOSPC ? REASON_CAPACITY : REASON_UNKNOWN, "plan", -err,
			   "%s %s: %s", attachment->interface, tiers[attachment->tier].name,
			   problem);
		goto out;
	}
	err = sync_apply(&attachment->maps, plan, attachment->previous ? NULL : numbers,
			 request->dry_run, &result->generation, &result->changed, reason);
	if (!err && attachment->previous && !request->dry_run)
		sync_carry(attachment->previous, &attachment->maps);
out:
	plan_free(plan);
	plan_numbers_free(numbers);
	config_free(running);
	if (lock >= 0)
		close(lock);
	free(hops);
	return err;
}

void apply_result_free(struct apply_result *result)
{
	json_decref(result->changes);
	json_decref(result->unresolved);
	result->changes = NULL;
	result->unresolved = NULL;
}
