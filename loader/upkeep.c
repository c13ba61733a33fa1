/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The interfaces that the service looks after. See upkeep.h.
 */
#include "upkeep.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "attach.h"
#include "log.h"
#include "walk.h"

/*
 * How long an update waits for next hops: a neighbour that was flushed answers within this, and one
 * that answers later is an event of its own.
 */
#define UPDATE_TIMEOUT_MS 200

static void tell_failure(const char *what, const struct reason *reason)
{
	const char *error = reason_errno_name(reason->error), *hint = reason_hint(reason);
	const char *kernel = reason->kernel[0] ? reason->kernel : error;

	log_error("%s: %s%s%s%s%s%s", what, reason_text(reason->code),
		  kernel[0] ? " (kernel: " : "", kernel, kernel[0] ? ")" : "", hint[0] ? "; " : "",
		  hint);
}

static void add_interface(struct upkeep *upkeep, const struct config_interface *wanted)
{
	upkeep->list[upkeep->n++] = (struct upkeep_interface){ .wanted = *wanted, .owed = true };
}

int upkeep_init(struct upkeep *upkeep, struct config *config, struct reason *reason)
{
	*upkeep = (struct upkeep){ .config = config };
	upkeep->list = calloc(config->n_interfaces + 1, sizeof(*upkeep->list));
	upkeep->unresolved = json_array();
	if (!upkeep->list || !upkeep->unresolved) {
		upkeep_free(upkeep);
		return reason_set(reason, REASON_UNKNOWN, "memory", ENOMEM, NULL);
	}
	for (uint32_t i = 0; i < config->n_interfaces; i++)
		add_interface(upkeep, &config->interfaces[i]);
	return 0;
}

void upkeep_free(struct upkeep *upkeep)
{
	config_free(upkeep->config);
	free(upkeep->list);
	json_decref(upkeep->unresolved);
	*upkeep = (struct upkeep){};
}

static const char *text_of(const json_t *server, const char *key)
{
	return json_string_value(json_object_get(server, key)) ?: "";
}

/* A list of servers by "pool/server": new object, borrowed servers. There may be thousands. */
static json_t *by_name(json_t *list)
{
	json_t *index = json_object(), *server;
	char name[2 * CONFIG_NAME_MAX + 2];
	size_t i;

	json_array_foreach(list, i, server) {
		snprintf(name, sizeof(name), "%s/%s", text_of(server, "pool"),
			 text_of(server, "server"));
		json_object_set(index, name, server);
	}
	return index;
}

/* Servers that have lost their way or have it back; each once. */
static void tell_servers(struct upkeep *upkeep, const struct apply_result *result)
{
	json_t *then = by_name(upkeep->unresolved), *now = by_name(result->unresolved);
	const json_t *before;
	const char *name;
	json_t *server;

	json_object_foreach(now, name, server) {
		before = json_object_get(then, name);
		if (!before || strcmp(text_of(before, "problem"), text_of(server, "problem")))
			log_warn("pools.%s.servers.%s: %s: %s", text_of(server, "pool"),
				 text_of(server, "server"), text_of(server, "address"),
				 text_of(server, "problem"));
	}
	json_object_foreach(then, name, server)
		if (!json_object_get(now, name))
			log_info("pools.%s.servers.%s: %s: the way is known again",
				 text_of(server, "pool"), text_of(server, "server"),
				 text_of(server, "address"));
	json_decref(now);
	json_decref(then);
	json_decref(upkeep->unresolved);
	upkeep->unresolved = json_incref(result->unresolved);
	upkeep->n_servers = result->n_servers;
}

static void tell_applied(struct upkeep *upkeep, const char *interface, enum tier tier,
			 const struct apply_result *result)
{
	if (!result->unresolved)
		return;
	if (result->changed)
		log_info("%s: %s: generation %u, %u servers, %u of them without a way", interface,
			 tiers[tier].name, result->generation, result->n_servers,
			 result->n_unresolved);
	if (result->changed && result->shut[0])
		log_warn("%s: " WAYBACK_TEXT "; " WAYBACK_HINT, interface, result->shut,
			 result->shut);
	tell_servers(upkeep, result);
}

static void tell_walk(struct upkeep *upkeep, const char *interface, const struct walk *walk)
{
	static const char *const words[] = { "attached", "adopted", "replaced" };

	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		const struct walk_tier *tried = &walk->tiers[tier];

		if (tried->state == WALK_NO)
			log_info("%s: not %s: %s%s%s%s", interface, tiers[tier].name,
				 reason_text(tried->reason.code),
				 tried->reason.kernel[0] ? " (kernel: " : "", tried->reason.kernel,
				 tried->reason.kernel[0] ? ")" : "");
		if (tried->state == WALK_YES) {
			log_info("%s: %s: %s", interface, tiers[tier].name, words[tried->outcome]);
			tell_applied(upkeep, interface, tier, &tried->applied);
		}
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* All interfaces of a round wait for the same next hops, so they share the time. */
static void begin_round(struct upkeep *upkeep, int timeout_ms)
{
	upkeep->deadline = now_ms() + timeout_ms;
}

static int time_left(const struct upkeep *upkeep)
{
	int64_t left = upkeep->deadline - now_ms();

	return left > 0 ? (int)left : 0;
}

static int attach_one(struct upkeep *upkeep, struct upkeep_interface *site, struct reason *reason)
{
	/* Looked up before: if it is exchanged meanwhile, the next update sees another one. */
	uint32_t ifindex = if_nametoindex(site->wanted.name);
	struct walk_request request;
	struct walk walk;
	int error;

	walk_request_init(&request, site->wanted.name, upkeep->config);
	request.timeout_ms = time_left(upkeep);
	request.served = true;
	error = walk_tiers(&request, &walk, reason);
	if (!error || site->failure != reason->code)
		tell_walk(upkeep, site->wanted.name, &walk);
	walk_free(&walk);
	site->ifindex = error ? 0 : ifindex;
	site->failure = error ? reason->code : REASON_NONE;
	site->owed = error;
	memset(site->foreign, 0, sizeof(site->foreign));
	return error;
}

int upkeep_attach(struct upkeep *upkeep, int timeout_ms, struct reason *reason)
{
	int error = 0;

	begin_round(upkeep, timeout_ms);
	for (uint32_t i = 0; i < upkeep->n && !error; i++)
		error = attach_one(upkeep, &upkeep->list[i], reason);
	return error;
}

/*
 * Into every tier that is attached on the interface, by whomever; not over what somebody else applied,
 * but dry_run asks about that too.
 */
static int apply_one(struct upkeep *upkeep, const struct upkeep_interface *site,
		     const struct config *config, bool dry_run, struct reason *reason)
{
	struct attachment *list;
	size_t n;
	int error = attach_list(site->wanted.name, &list, &n, reason);

	if (!error && !n) {
		reason_set(reason, REASON_NOT_ATTACHED, "apply", 0, "%s", site->wanted.name);
		reason_set_hint(reason, "was it detached by hand? SIGHUP attaches it again");
		return -ENOENT;
	}
	for (size_t i = 0; i < n && !error; i++) {
		const struct apply_request request = {
			.timeout_ms = dry_run ? 0 : time_left(upkeep),
			.dry_run = dry_run,
			.only_over = dry_run ? 0 : site->compared[list[i].tier],
		};
		struct apply_result result = {};

		if (list[i].shares || (!dry_run && site->foreign[list[i].tier]))
			continue;
		error = apply_config(&list[i], config, &request, &result, reason);
		if (!error && !dry_run)
			tell_applied(upkeep, site->wanted.name, list[i].tier, &result);
		apply_result_free(&result);
	}
	attach_list_free(list, n);
	return error;
}

static bool is_foreign(const struct upkeep_interface *site)
{
	for (enum tier tier = 0; tier < TIER_COUNT; tier++)
		if (site->foreign[tier])
			return true;
	return false;
}

/* The host tier has got other maps than those that the tier below it shared with it. */
static bool is_apart(const char *interface)
{
	struct attachment *list;
	struct reason ignored = {};
	bool host = false, apart = false;
	size_t n;

	if (attach_list(interface, &list, &n, &ignored))
		return false;
	for (size_t i = 0; i < n; i++) {
		host |= list[i].tier == TIER_DRIVER || list[i].tier == TIER_GENERIC;
		apart |= list[i].tier == TIER_USERSPACE && !list[i].shares;
	}
	attach_list_free(list, n);
	return host && apart;
}

static void update_one(struct upkeep *upkeep, struct upkeep_interface *site)
{
	uint32_t ifindex = if_nametoindex(site->wanted.name);
	enum reason_code told = site->failure;
	struct reason reason = {};
	int error;

	if (!ifindex) {
		if (site->ifindex)
			log_warn("%s: the interface is gone; waiting for it", site->wanted.name);
		site->ifindex = 0;
		return;
	}
	if (ifindex != site->ifindex || (!is_foreign(site) && is_apart(site->wanted.name))) {
		error = attach_one(upkeep, site, &reason);
	} else {
		error = apply_one(upkeep, site, upkeep->config, false, &reason);
		site->owed = site->owed && error;
	}
	site->failure = error ? reason.code : REASON_NONE;
	if (error && reason.code != told)
		tell_failure(reason.what[0] ? reason.what : site->wanted.name, &reason);
}

void upkeep_update(struct upkeep *upkeep)
{
	begin_round(upkeep, UPDATE_TIMEOUT_MS);
	for (uint32_t i = 0; i < upkeep->n; i++) {
		update_one(upkeep, &upkeep->list[i]);
		memset(upkeep->list[i].compared, 0, sizeof(upkeep->list[i].compared));
	}
}

static const struct upkeep_interface *find(const struct upkeep *upkeep, const char *name)
{
	for (uint32_t i = 0; i < upkeep->n; i++)
		if (!strcmp(upkeep->list[i].wanted.name, name))
			return &upkeep->list[i];
	return NULL;
}

static bool same_wish(const struct config_interface *a, const struct config_interface *b)
{
	return a->tier == b->tier && a->require == b->require && a->exclusive == b->exclusive;
}

/* Whether every attached tier that the new file keeps can hold it. */
static int try_change(struct upkeep *upkeep, const struct config *config, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < config->n_interfaces && !error; i++) {
		const struct upkeep_interface *site = find(upkeep, config->interfaces[i].name);

		if (site && site->ifindex && site->failure != REASON_NOT_ATTACHED &&
		    site->ifindex == if_nametoindex(site->wanted.name))
			error = apply_one(upkeep, site, config, true, reason);
	}
	return error;
}

static void tell_removed(const struct upkeep *before, const struct upkeep *after)
{
	for (uint32_t i = 0; i < before->n; i++) {
		const char *name = before->list[i].wanted.name;

		if (!find(after, name))
			log_warn("%s: no longer in the file; what is attached stays as it is: "
				 "loader detach %s",
				 name, name);
	}
}

/*
 * From here on it is the new configuration's interfaces. over_all: it goes over what somebody else
 * applied too. Takes the configuration over, also on failure.
 */
static int exchange(struct upkeep *upkeep, struct config *config, bool over_all,
		    struct reason *reason)
{
	struct upkeep next;
	int error = upkeep_init(&next, config, reason);

	if (error)
		return error;
	for (uint32_t i = 0; i < next.n; i++) {
		struct upkeep_interface *site = &next.list[i];
		const struct upkeep_interface *before = find(upkeep, site->wanted.name);
		bool spare = before && !over_all && is_foreign(before);

		/* Without an ifindex the update attaches again, which adopts what is there. */
		if (spare || (before && before->failure == REASON_NONE &&
			      same_wish(&before->wanted, &site->wanted)))
			site->ifindex = before->ifindex;
		if (spare) {
			memcpy(site->foreign, before->foreign, sizeof(site->foreign));
			site->owed = false;
		}
	}
	json_decref(next.unresolved);
	next.unresolved = json_incref(upkeep->unresolved);
	tell_removed(upkeep, &next);
	upkeep_free(upkeep);
	*upkeep = next;
	return 0;
}

int upkeep_change(struct upkeep *upkeep, struct config *config, struct reason *reason)
{
	int error = try_change(upkeep, config, reason);

	if (error) {
		config_free(config);
		return error;
	}
	return exchange(upkeep, config, true, reason);
}

/* What to compare with what runs. */
struct comparison {
	const char *path;
	const struct config *ours;
	const struct config *file; /* as it is now, NULL: not read yet, or it has errors */
	bool tell; /* the file was read, so what is not in it either is somebody else's */
	bool strange; /* something runs that is not ours and has not been told about */
	bool from_file; /* the file of now runs somewhere */
};

static void compare_one(struct upkeep_interface *site, const struct attachment *attachment,
			struct comparison *comparison)
{
	uint32_t generation, *foreign = &site->foreign[attachment->tier];
	struct config *config = NULL;
	struct reason ignored = {}; /* apply_config() reads the same and tells */

	if (sync_read(&attachment->maps, &config, NULL, &generation, &ignored))
		return;
	site->compared[attachment->tier] = generation;
	if (!config || config_equal(config, comparison->ours)) {
		*foreign = 0;
	} else if (comparison->file && config_equal(config, comparison->file)) {
		*foreign = 0;
		comparison->from_file = true;
	} else if (*foreign != generation) {
		comparison->strange = true;
		if (comparison->tell) {
			log_warn("%s: %s: generation %u was applied by somebody else from another "
				 "file; leaving it alone; SIGHUP applies %s again",
				 site->wanted.name, tiers[attachment->tier].name, generation,
				 comparison->path);
			*foreign = generation;
		}
	}
	config_free(config);
}

static void compare_all(struct upkeep *upkeep, struct comparison *comparison)
{
	for (uint32_t i = 0; i < upkeep->n; i++) {
		struct upkeep_interface *site = &upkeep->list[i];
		struct reason ignored = {};
		struct attachment *list;
		size_t n;

		/* What is not ours yet is going to be, and another interface is attached anew. */
		if (site->owed || site->ifindex != if_nametoindex(site->wanted.name) ||
		    attach_list(site->wanted.name, &list, &n, &ignored))
			continue;
		for (size_t j = 0; j < n; j++)
			if (!list[j].shares)
				compare_one(site, &list[j], comparison);
		attach_list_free(list, n);
	}
}

void upkeep_compare(struct upkeep *upkeep, const char *path,
		    struct config *(*load)(const char *path))
{
	struct comparison comparison = { .path = path, .ours = upkeep->config };
	struct reason reason = {};
	struct config *config;

	compare_all(upkeep, &comparison);
	if (comparison.strange) {
		config = load(path);
		comparison.file = config;
		comparison.tell = true;
		compare_all(upkeep, &comparison);
		if (!comparison.from_file)
			config_free(config);
		else if (exchange(upkeep, config, false, &reason))
			tell_failure(path, &reason);
		else
			log_info("%s: took over the configuration that was applied meanwhile",
				 path);
	}
}

bool upkeep_incomplete(const struct upkeep *upkeep)
{
	for (uint32_t i = 0; i < upkeep->n; i++)
		if (!upkeep->list[i].ifindex || upkeep->list[i].failure != REASON_NONE)
			return true;
	return false;
}

uint32_t upkeep_unresolved(const struct upkeep *upkeep)
{
	return json_array_size(upkeep->unresolved);
}
