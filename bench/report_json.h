/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The figures as JSON: what each part of a run says of itself, and with what.
 */
#ifndef BENCH_REPORT_JSON_H
#define BENCH_REPORT_JSON_H

#include <jansson.h>

#include "results.h"

/* To three decimals. */
double json_rounded(double value);
json_t *figure_json(const struct figure *figure);

/* veth/report.c. null where veth is NULL. */
json_t *veth_json(const struct veth *veth);

#endif
