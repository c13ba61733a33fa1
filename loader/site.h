/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What of ours is on one interface, by comparing its pins with its XDP hook; pins that the hook knows
 * nothing of are removed. The common ground of attaching, detaching and listing.
 */
#ifndef SHUNT_SITE_H
#define SHUNT_SITE_H

#include "attach.h"
#include "hook.h"
#include "pins.h"

struct site {
	char interface[IF_NAMESIZE];
	uint32_t ifindex; /* 0: there is no such interface (any more) */
	struct hook hook;
	int lock; /* -1: only looked at */
};

/* The tier's pins, and those of a change of it that is under way. */
struct pin_path site_folder(const struct site *site, enum tier tier);
struct pin_path site_fresh_folder(const struct site *site, enum tier tier);
/* There while libxdp attaches, before anything can be pinned: what is then found unpinned is ours. */
struct pin_path site_pending_folder(const struct site *site, enum tier tier);

/* Reads the hook. No such interface: ifindex 0 and an empty hook, no error. */
int site_look(struct site *site, const char *interface, struct reason *reason);
/* The same for a change: BPF file system, lock, and stale pins removed (*cleaned counts them). */
int site_enter(struct site *site, const char *interface, int *cleaned, struct reason *reason);
void site_leave(struct site *site);

/* The folder whose program is attached in this tier; false: none of ours is. */
bool site_find(const struct site *site, enum tier tier, struct pin_path *folder);
/* Everything about an attachment whose pins are in the folder. */
int site_read(const struct site *site, enum tier tier, const struct pin_path *folder,
	      struct attachment *attachment, struct reason *reason);

#define SITE_BUILD_MARK	 "build-%016llx"
#define SITE_DEVICE_MARK "device-%u" /* of the tier userspace, which no hook knows: the ifindex */

#endif
