/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attaches the decapsulator to an interface of a server host and keeps its list of balancers. See
 * decap.h. Its pins, ATTACH_ROOT/IFACE/server/: "prog" and its maps.
 */
#include "decap.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "hook.h"
#include "log.h"
#include "objects.h"
#include "pins.h"

#define PINS_SERVER "server"

/* An interface, and what of ours is on it. */
struct place {
	char interface[IF_NAMESIZE];
	uint32_t ifindex; /* 0: gone, only its pins may be left */
	struct pin_path folder;
	struct hook hook;
	enum tier tier; /* where the pinned program is attached, TIER_NONE: nowhere */
	struct hook_program program;
};

static const enum tier host_tiers[] = { TIER_DRIVER, TIER_GENERIC };
#define N_HOST_TIERS (sizeof(host_tiers) / sizeof(*host_tiers))

static int place_look(const char *interface, struct place *place, struct reason *reason)
{
	int fd, error;

	*place = (struct place){ .tier = TIER_NONE };
	if (strlen(interface) >= sizeof(place->interface))
		return reason_set(reason, REASON_NO_INTERFACE, "interface", ENODEV, "%s",
				  interface);
	strcpy(place->interface, interface);
	place->folder = pins_folder(interface, PINS_SERVER);
	place->ifindex = if_nametoindex(interface);
	if (!place->ifindex)
		return 0;
	error = hook_query(interface, place->ifindex, &place->hook, reason);
	if (error)
		return error;
	fd = pins_program(&place->folder);
	if (fd < 0)
		return 0;
	if (!hook_program(fd, &place->program))
		for (size_t i = 0; i < N_HOST_TIERS; i++)
			if (place->hook.id[host_tiers[i]] == place->program.id)
				place->tier = host_tiers[i];
	close(fd);
	return 0;
}

/* The same for a change: with the lock, and without pins of something that is attached no more. */
static int place_enter(const char *interface, struct place *place, int *lock, struct reason *reason)
{
	int error = attach_check_rights(reason) ?: pins_check(reason);

	if (error)
		return error;
	*lock = pins_lock(reason);
	if (*lock < 0)
		return *lock;
	error = place_look(interface, place, reason);
	if (error)
		pins_unlock(*lock);
	else if (place->tier == TIER_NONE && pins_exist(&place->folder))
		pins_remove(&place->folder);
	return error;
}

/* The new program goes on with the maps of the old one. */
static int reuse_maps(const struct place *place, struct bpf_object *object, struct reason *reason)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		int fd = pins_get(&place->folder, bpf_map__name(map));
		int error = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);

		if (fd >= 0)
			close(fd);
		if (error)
			return reason_set(reason, REASON_ABI, "map-create", -error, "%s, %s",
					  place->interface, bpf_map__name(map));
	}
	return 0;
}

static int object_fail(const struct place *place, const char *stage, int error,
		       struct reason *reason)
{
	bool verifier = error == -EACCES || error == -EINVAL || error == -E2BIG;

	reason_set(reason,
		   verifier	   ? REASON_VERIFIER :
		   error == -EPERM ? REASON_NO_PERMISSION :
				     REASON_UNKNOWN,
		   stage, -error, "%s, decapsulator", place->interface);
	reason_set_kernel(reason, log_kernel_sentence());
	return error;
}

static int load(const struct place *place, struct bpf_object **object, struct reason *reason)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = LB_PROG_DECAP);
	int error;

	log_forget_kernel();
	*object = bpf_object__open_mem(object_decap, OBJECT_SIZE(decap), &opts);
	if (!*object)
		return object_fail(place, "object", -errno, reason);
	error = place->tier == TIER_NONE ? 0 : reuse_maps(place, *object, reason);
	if (!error) {
		error = bpf_object__load(*object);
		if (error)
			object_fail(place, "prog-load", error, reason);
	}
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
	}
	return error;
}

static int program_fd(const struct bpf_object *object)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, LB_PROG_DECAP));
}

static struct lb_peer peer_key(const struct config_address *address)
{
	struct lb_peer peer = { .ip_version = address->family == AF_INET ? 4 : 6 };

	memcpy(peer.address, address->octets, sizeof(peer.address));
	return peer;
}

static bool is_wanted(const struct decap_request *request, const struct lb_peer *key)
{
	for (size_t i = 0; i < request->n_peers; i++) {
		struct lb_peer peer = peer_key(&request->peers[i]);

		if (!memcmp(&peer, key, sizeof(peer)))
			return true;
	}
	return false;
}

/* New balancers first, so that one which stays is never a stranger for a moment. */
static int set_peers(int fd, const struct decap_request *request, struct reason *reason)
{
	struct lb_peer key, next;
	uint32_t one = 1;
	bool more;

	for (size_t i = 0; i < request->n_peers; i++) {
		key = peer_key(&request->peers[i]);
		if (bpf_map_update_elem(fd, &key, &one, BPF_ANY))
			return reason_set(reason, REASON_UNKNOWN, "map-update", errno,
					  "%s, " LB_MAP_PEER, request->interface);
	}
	for (more = !bpf_map_get_next_key(fd, NULL, &key); more; key = next) {
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!is_wanted(request, &key))
			bpf_map_delete_elem(fd, &key);
	}
	return 0;
}

static int set_gue_port(int fd, const struct decap_request *request, struct reason *reason)
{
	struct lb_decap decap = { .gue_port = htons(request->gue_port) };
	uint32_t zero = 0;

	if (bpf_map_update_elem(fd, &zero, &decap, BPF_ANY))
		return reason_set(reason, REASON_UNKNOWN, "map-update", errno, "%s, " LB_MAP_DECAP,
				  request->interface);
	return 0;
}

static int pin_all(const struct place *place, const struct bpf_object *object,
		   struct reason *reason)
{
	int error = pins_make(&place->folder, reason);
	const struct bpf_map *map;

	if (!error)
		error = pins_put(program_fd(object), &place->folder, PINS_PROGRAM, reason);
	bpf_object__for_each_map(map, object)
		if (!error)
			error = pins_put(bpf_map__fd(map), &place->folder, bpf_map__name(map),
					 reason);
	return error;
}

/* What is in the way in the host's hook: its tier, or TIER_NONE. */
static enum tier occupied(const struct place *place)
{
	for (size_t i = 0; i < N_HOST_TIERS; i++)
		if (place->hook.id[host_tiers[i]])
			return host_tiers[i];
	return TIER_NONE;
}

/* fd of the program in the slot if it may be taken away, or -errno with the reason why not. */
static int may_displace(const struct place *place, enum tier slot, bool replace,
			struct reason *reason)
{
	struct hook_program other = {};
	int fd = hook_program_by_id(place->hook.id[slot], &other);

	if (!strcmp(other.name, LB_PROG_DRIVER) || !strcmp(other.name, LB_PROG_GENERIC))
		reason_set(reason, REASON_BUSY_OTHER_TIER, "attach", EBUSY,
			   "%s: the balancer's %s tier is there", place->interface,
			   tiers[slot].name);
	else if (!replace)
		reason_set(reason, REASON_BUSY_FOREIGN_PROGRAM, "attach", EBUSY,
			   "%s, %s, program %u %s", place->interface, tiers[slot].name, other.id,
			   other.name);
	else if (fd < 0)
		reason_set(reason, REASON_UNKNOWN, "attach", -fd, "%s, %s, program %u",
			   place->interface, tiers[slot].name, other.id);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -EBUSY;
}

/* other: the program in the slot, -1 with TIER_NONE. Puts it back where it was on failure. */
static int take_hook(const struct place *place, enum tier tier, int fd, enum tier slot, int other,
		     struct reason *reason)
{
	struct reason ignored;
	int error;

	if (slot == TIER_NONE || slot == tier)
		return hook_set(place->interface, place->ifindex, tier, fd, other, reason);
	/* Native and generic exclude each other, so here there is a moment without a program. */
	error = hook_set(place->interface, place->ifindex, slot, -1, other, reason);
	if (error)
		return error;
	error = hook_set(place->interface, place->ifindex, tier, fd, -1, reason);
	if (error && hook_set(place->interface, place->ifindex, slot, other, -1, &ignored))
		log_error("%s: the program that was there could not be put back: %s",
			  place->interface, strerror(ignored.error));
	return error;
}

static int take_best(const struct decap_request *request, const struct place *place, int fd,
		     struct decap_result *result, struct reason *reason)
{
	enum tier slot = occupied(place);
	int other = slot == TIER_NONE ? -1 : may_displace(place, slot, request->replace, reason);
	int error = -EBUSY;

	if (slot != TIER_NONE && other < 0)
		return other;
	for (size_t i = 0; i < N_HOST_TIERS && error; i++) {
		enum tier tier = host_tiers[i];

		if (request->tier != TIER_NONE && request->tier != tier)
			continue;
		if (tier == TIER_GENERIC && request->tier == TIER_NONE)
			result->refused = *reason;
		error = take_hook(place, tier, fd, slot, other, reason);
		if (!error)
			result->tier = tier;
	}
	if (other >= 0)
		close(other);
	return error;
}

static int attach_new(const struct decap_request *request, const struct place *place,
		      const struct bpf_object *object, struct decap_result *result,
		      struct reason *reason)
{
	int error = pin_all(place, object, reason);

	if (!error)
		error = take_best(request, place, program_fd(object), result, reason);
	if (error)
		pins_remove(&place->folder);
	return error;
}

/* Another build's program is exchanged for this one's, in the same place and with the same maps. */
static int update_program(const struct place *place, const struct bpf_object *object,
			  struct reason *reason)
{
	struct pin_path pin = pins_in(&place->folder, PINS_PROGRAM);
	struct hook_program ours;
	int old, error = hook_program(program_fd(object), &ours);

	if (error || !strcmp(ours.tag, place->program.tag))
		return 0;
	old = pins_program(&place->folder);
	if (old < 0)
		return reason_set(reason, REASON_UNKNOWN, "pin", -old, "%s", pin.text);
	error = hook_set(place->interface, place->ifindex, place->tier, program_fd(object), old,
			 reason);
	close(old);
	if (error)
		return error;
	unlink(pin.text);
	return pins_put(program_fd(object), &place->folder, PINS_PROGRAM, reason);
}

int decap_attach(const struct decap_request *request, struct decap_result *result,
		 struct reason *reason)
{
	struct bpf_object *object = NULL;
	struct place place;
	int lock, error;

	*result = (struct decap_result){ .tier = TIER_NONE };
	error = place_enter(request->interface, &place, &lock, reason);
	if (error)
		return error;
	if (!place.ifindex) {
		error = reason_set(reason, REASON_NO_INTERFACE, "interface", ENODEV, "%s",
				   request->interface);
	} else if (request->tier != TIER_NONE && place.tier != TIER_NONE &&
		   request->tier != place.tier) {
		error = reason_set(reason, REASON_BUSY_OTHER_TIER, "attach", EBUSY,
				   "%s: the decapsulator is in the %s tier", request->interface,
				   tiers[place.tier].name);
		reason_set_hint(reason, "loader server-detach %s first", request->interface);
	} else {
		error = load(&place, &object, reason);
	}
	if (error)
		goto out;
	error = set_peers(bpf_object__find_map_fd_by_name(object, LB_MAP_PEER), request, reason);
	if (!error)
		error = set_gue_port(bpf_object__find_map_fd_by_name(object, LB_MAP_DECAP), request,
				     reason);
	result->adopted = place.tier != TIER_NONE;
	result->tier = place.tier;
	if (!error)
		error = result->adopted ? update_program(&place, object, reason) :
					  attach_new(request, &place, object, result, reason);
	bpf_object__close(object);
out:
	pins_unlock(lock);
	return error;
}

static int not_attached(const char *interface, struct reason *reason)
{
	if (!if_nametoindex(interface))
		return reason_set(reason, REASON_NO_INTERFACE, "interface", ENODEV, "%s",
				  interface);
	reason_set(reason, REASON_NOT_ATTACHED, "detach", ENOENT, "%s: no decapsulator", interface);
	reason_set_hint(reason, "loader server-attach %s --from BALANCER", interface);
	return -ENOENT;
}

int decap_detach(const char *interface, struct reason *reason)
{
	struct place place;
	int lock, old, error = place_enter(interface, &place, &lock, reason);

	if (error)
		return error;
	if (place.tier == TIER_NONE) {
		error = not_attached(interface, reason);
	} else {
		old = pins_program(&place.folder);
		error = hook_set(interface, place.ifindex, place.tier, -1, old, reason);
		if (old >= 0)
			close(old);
		if (!error)
			pins_remove(&place.folder);
	}
	pins_unlock(lock);
	return error;
}

static int read_peers(const struct place *place, struct decap_status *status)
{
	int fd = pins_get(&place->folder, LB_MAP_PEER);
	struct lb_peer key, *last = NULL;

	if (fd < 0)
		return fd;
	while (!bpf_map_get_next_key(fd, last, &key)) {
		struct config_address *peers =
			reallocarray(status->peers, status->n_peers + 1, sizeof(*peers));

		if (!peers)
			break;
		status->peers = peers;
		peers[status->n_peers].family = key.ip_version == 4 ? AF_INET : AF_INET6;
		memcpy(peers[status->n_peers++].octets, key.address, sizeof(key.address));
		last = &key;
	}
	close(fd);
	return 0;
}

static int read_gue_port(const struct place *place, struct decap_status *status)
{
	int fd = pins_get(&place->folder, LB_MAP_DECAP), error;
	struct lb_decap decap = {};
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	error = bpf_map_lookup_elem(fd, &zero, &decap) ? -errno : 0;
	close(fd);
	status->gue_port = ntohs(decap.gue_port);
	return error;
}

static int read_status(const struct place *place, struct decap_status *status,
		       struct reason *reason)
{
	int fd = pins_get(&place->folder, LB_MAP_DECAP_STATS);
	int error = fd < 0 ? fd : sync_counts(fd, true, LB_DECAP_COUNT, status->counts);

	if (fd >= 0)
		close(fd);
	if (!error)
		error = read_peers(place, status);
	if (!error)
		error = read_gue_port(place, status);
	if (error)
		return reason_set(reason, REASON_ABI, "map-read", -error, "%s", place->folder.text);
	strcpy(status->interface, place->interface);
	status->tier = place->tier;
	status->program_id = place->program.id;
	return 0;
}

static int add_status(const char *interface, struct decap_status **list, size_t *n,
		      struct reason *reason)
{
	struct decap_status *grown;
	struct place place;
	int error = place_look(interface, &place, reason);

	if (error || place.tier == TIER_NONE)
		return error;
	grown = reallocarray(*list, *n + 1, sizeof(**list));
	if (!grown)
		return reason_set(reason, REASON_UNKNOWN, "memory", ENOMEM, NULL);
	*list = grown;
	grown[*n] = (struct decap_status){};
	return read_status(&place, &grown[(*n)++], reason);
}

int decap_list(const char *interface, struct decap_status **list, size_t *n, struct reason *reason)
{
	char(*names)[IF_NAMESIZE] = NULL;
	size_t n_names = 0;
	int error = attach_check_rights(reason) ?: pins_check(reason);

	*list = NULL;
	*n = 0;
	if (!error && interface)
		error = add_status(interface, list, n, reason);
	else if (!error)
		error = pins_interfaces(&names, &n_names, reason);
	for (size_t i = 0; i < n_names && !error; i++)
		error = add_status(names[i], list, n, reason);
	free(names);
	if (error) {
		decap_list_free(*list, *n);
		*list = NULL;
		*n = 0;
	}
	return error;
}

void decap_list_free(struct decap_status *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].peers);
	free(list);
}
