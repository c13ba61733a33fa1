/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the probe share: how a verdict is written down, and tried.
 */
#ifndef SHUNT_PROBE_INTERNAL_H
#define SHUNT_PROBE_INTERNAL_H

#include "probe.h"

void probe_yes(struct probe_tier *tier);
void probe_no(struct probe_tier *tier, const struct reason *reason);
void probe_set_text(struct probe_tier *tier, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A refused load says what the program lacks; on an old kernel it is the kernel that lacks it. */
void probe_explain_load(struct probe_tier *tier, struct reason *reason);
/* Whether a program that is attached settles the tier's verdict. */
bool probe_settled(struct probe *probe, enum tier number);
/* Attaches the program and takes it off again. */
int probe_try_attach(const struct nic *nic, enum tier number, int fd, struct reason *reason);

/* probe_offload.c */
void probe_offload(struct probe *probe, const struct probe_options *options);

#endif
