/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each tier could do on an interface, and why not: facts, trial loads, and only when asked a
 * trial attach. Keeps nothing loaded and nothing attached.
 */
#ifndef SHUNT_PROBE_H
#define SHUNT_PROBE_H

#include "nic.h"
#include "plan.h"
#include "reason.h"
#include "tier.h"

enum probe_usable { PROBE_NO, PROBE_YES, PROBE_UNKNOWN };

#define PROBE_MAPS_MAX 16

/* A map on the device: what it holds, and what the file's limits ask for. */
struct probe_map {
	char name[16];
	uint32_t entries, asked;
};

/* What our object takes on a device. */
struct probe_use {
	uint32_t instructions, maps;
	struct probe_map map[PROBE_MAPS_MAX];
	uint64_t elements;
	uint32_t jited; /* octets of the device's own code */
};

struct probe_tier {
	enum probe_usable usable;
	struct reason reason; /* REASON_NONE with PROBE_YES */
	char text[160]; /* why, for people; empty: the reason's own text */
	bool loaded; /* offload: `use` is filled in */
	struct probe_use use;
};

/* A program on the interface's hook. id 0: none. */
struct probe_program {
	uint32_t id;
	char name[16]; /* empty where it cannot be read (CAP_SYS_ADMIN) */
	char tag[17];
	bool ours;
};

struct probe_warning {
	const char *code; /* stable, as the reasons' */
	char text[200], hint[200];
};

#define PROBE_WARNINGS_MAX 8

struct probe_options {
	bool trial; /* attach for a moment: the link may reset */
	struct plan_sizes sizes, floor; /* as in struct attach_options */
	char keyed[32]; /* numbers of the file's encrypted CID configs: "1, 3" */
	const char *
		tunnel; /* the file sends in ipip or gue: say what that asks of the MTU; NULL: in neither */
};

struct probe {
	struct nic nic;
	struct probe_program attached[TIER_COUNT];
	struct probe_tier tiers[TIER_COUNT];
	bool trial;
	size_t n_warnings;
	struct probe_warning warnings[PROBE_WARNINGS_MAX];
};

/* 0 whatever the verdicts are; an error only where there is no interface to tell about. */
int probe_interface(const char *name, const struct probe_options *options, struct probe *probe,
		    struct reason *reason);
/* Adds the warnings to a probe that has its verdicts; probe_interface() calls it. */
void probe_warn(struct probe *probe, const struct probe_options *options);
/*
 * What would make the generic tier take several datagrams for one packet; room for
 * PROBE_GENERIC_WARNINGS. How many there are.
 */
#define PROBE_GENERIC_WARNINGS 2
size_t probe_warn_generic(const struct nic *nic, struct probe_warning *warnings);
/* Whether attach would use this tier here: offload where it can, and the better host tier. */
bool probe_chooses(const struct probe *probe, enum tier tier);
const char *probe_text(const struct probe_tier *tier);

#endif
