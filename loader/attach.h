/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Loads programs and puts them on interfaces, takes them off, finds them again by their pins. The
 * only writer of NIC state and of the BPF file system; knows no YAML.
 *
 * /sys/fs/bpf/shunt/abi1/IFACE/TIER/: the tier's maps, "prog" (not of userspace); IFACE/tc/: stack.h;
 * IFACE/server/: the decapsulator's (decap.h). A dot in IFACE is a colon there.
 */
#ifndef SHUNT_ATTACH_H
#define SHUNT_ATTACH_H

#include "reason.h"
#include "stack.h"
#include "sync.h"
#include "tier.h"

#define ATTACH_ROOT "/sys/fs/bpf/shunt/" LB_ABI_DIR

struct attach_options {
	bool replace; /* take a foreign program's place */
	bool reload; /* make new maps and programs even if ours are there and current */
	bool exclusive; /* no dispatcher */
	struct plan_sizes sizes;
	/* What a card's maps must hold, where it does not take `sizes`. No servers: nothing yet. */
	struct plan_sizes floor;
};

/* One tier that is attached. */
struct attachment {
	char interface[16];
	uint32_t ifindex;
	enum tier tier;
	uint32_t program_id;
	char tag[17]; /* of the program, hex */
	uint64_t loaded; /* when it was loaded, ns since boot */
	bool dispatcher;
	struct stack_state stack; /* the TC programs */
	bool shares; /* the tier userspace: its maps are those of the host tier above */
	bool current; /* the program is the one this loader carries */
	struct map_set maps;
	/* While before_attach runs: the maps whose place these take, else NULL. Not owned. */
	const struct map_set *previous;
};

enum attach_outcome { ATTACH_NEW, ATTACH_ADOPTED, ATTACH_REPLACED };

/* Private copy of a tier's object, loaded on the host and attached nowhere. For trace and probe. */
int attach_load_private(enum tier tier, const struct plan_sizes *sizes, struct bpf_object **object,
			int *program_fd, struct map_set *maps, struct reason *reason);

/*
 * Puts one tier on one interface. before_attach (may be NULL) fills the new maps before any packet
 * meets the program. An adopted attachment keeps its maps and program. On failure the interface is
 * as it was found and nothing stays pinned.
 */
int attach_tier(const char *interface, enum tier tier, const struct attach_options *options,
		int (*before_attach)(struct attachment *attachment, void *context,
				     struct reason *reason),
		void *context, struct attachment *attachment, enum attach_outcome *outcome,
		struct reason *reason);
/* -ENOENT: the tier is not attached here. Removes pins, the TC program with the last host tier. */
int attach_detach(const char *interface, enum tier tier, struct reason *reason);
/* What is attached on the interface (NULL: on all). *list: free with attach_list_free(). */
int attach_list(const char *interface, struct attachment **list, size_t *n, struct reason *reason);
void attach_list_free(struct attachment *list, size_t n);
/*
 * Removes pins whose program is attached no more (NULL: of all interfaces, also of those that are
 * gone), a warning for each. How many, or -errno. attach_tier() and attach_detach() do it themselves.
 */
int attach_clean(const char *interface, struct reason *reason);
void attach_close(struct attachment *attachment);

/* What this process may not do: 0, or -EPERM with REASON_NO_PERMISSION naming the capability. */
int attach_check_rights(struct reason *reason);

#endif
