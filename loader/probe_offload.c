/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The card's verdict: an engine, then our own maps and program on it, then if asked an attach.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "object.h"
#include "probe_internal.h"
#include "sync.h"

static void note_map(struct probe_use *use, const struct bpf_map *map,
		     const struct plan_sizes *sizes)
{
	uint32_t entries = bpf_map__max_entries(map);
	uint32_t asked = map_set_entries(bpf_map__name(map), sizes);

	use->elements += entries;
	if (use->maps == PROBE_MAPS_MAX)
		return;
	use->map[use->maps] =
		(struct probe_map){ .entries = entries, .asked = asked ? asked : entries };
	snprintf(use->map[use->maps++].name, sizeof(use->map[0].name), "%s", bpf_map__name(map));
}

static void note_use(struct probe_tier *tier, const struct bpf_object *object, int fd,
		     const struct plan_sizes *sizes)
{
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	const struct bpf_map *map;

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return;
	tier->loaded = true;
	tier->use = (struct probe_use){
		.instructions = info.xlated_prog_len / sizeof(struct bpf_insn),
		.jited = info.jited_prog_len,
	};
	bpf_object__for_each_map(map, object)
		note_map(&tier->use, map, sizes);
}

/* What was refused, behind the interface and the tier that it is told under. */
static const char *detail(const struct reason *reason)
{
	const char *found = strstr(reason->what, ": ");

	return found ? found + 2 : NULL;
}

static void explain(struct probe_tier *tier, struct reason *reason)
{
	const char *refused = detail(reason);

	probe_explain_load(tier, reason);
	if (reason->code == REASON_NO_PERMISSION)
		probe_set_text(tier, "CAP_SYS_ADMIN is missing: maps of a device need it");
	else if (refused && reason->code == REASON_MAP_LIMIT)
		probe_set_text(tier, "%s", refused);
	else if (refused)
		probe_set_text(tier, "%s: %s", reason_text(reason->code), refused);
}

static void try_device_object(struct probe *probe, const struct probe_options *options)
{
	struct probe_tier *tier = &probe->tiers[TIER_OFFLOAD];
	struct object_request request = {
		.tier = TIER_OFFLOAD,
		.what = probe->nic.name,
		.ifindex = probe->nic.ifindex,
		.sizes = &options->sizes,
		.floor = options->floor.servers ? &options->floor : NULL,
		.driver = nic_driver(&probe->nic),
	};
	struct bpf_object *object;
	struct reason reason;
	int fd;

	if (object_load(&request, &object, &fd, &reason)) {
		explain(tier, &reason);
		return;
	}
	note_use(tier, object, fd, &options->sizes);
	if (options->trial && probe_try_attach(&probe->nic, TIER_OFFLOAD, fd, &reason)) {
		probe_no(tier, &reason);
	} else {
		probe_yes(tier);
		probe_set_text(tier, options->trial ? "tried: the program could be attached" :
						      "the program loads on the device");
	}
	bpf_object__close(object);
}

void probe_offload(struct probe *probe, const struct probe_options *options)
{
	struct probe_tier *tier = &probe->tiers[TIER_OFFLOAD];
	const struct nic *nic = &probe->nic;
	struct reason reason;

	if (probe_settled(probe, TIER_OFFLOAD))
		return;
	if (!device_try(nic->name, nic->ifindex, &reason)) {
		try_device_object(probe, options);
		return;
	}
	/* What has native XDP has ndo_bpf. */
	if (reason.code == REASON_NO_NDO_BPF && nic_has_feature(nic, NIC_FEATURE_BASIC))
		reason.code = REASON_OFFLOAD_REFUSED;
	if (reason.code == REASON_NO_OFFLOAD_DEVICE && nic_driver(nic)[0])
		probe_set_text(tier, "%s has XDP but no offload engine", nic_driver(nic));
	probe_explain_load(tier, &reason);
}
