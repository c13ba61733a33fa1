/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the data path's reasons and counters are called and mean, from the lists in lb/counters.h.
 */
#ifndef SHUNT_NAMES_H
#define SHUNT_NAMES_H

#include "lb/counters.h"

/* "hash_short_dcid"; "unknown" out of range. */
const char *names_reason(enum lb_reason reason);
/* "pass" or "forward" */
const char *names_reason_verdict(enum lb_reason reason);
/* A sentence for people. */
const char *names_reason_help(enum lb_reason reason);

/* Of flow_stats. */
const char *names_flow(enum lb_flow_counter counter);
const char *names_flow_help(enum lb_flow_counter counter);

#endif
