/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is measured, in the order of the table. The first case is also the measure of the noise.
 */
#include "bench.h"

/* clang-format off */
/* 4,000 connections meet nearly every server, as 512,000 do: what is left between them is connections. */
#define SIZES(name, frames, bed, version, reason)                                   \
	{ name, frames, bed, TIER_DRIVER, version, 1, reason, false },              \
	{ name, frames, bed, TIER_DRIVER, version, 4000, reason, true },            \
	{ name, frames, bed, TIER_DRIVER, version, 64000, reason, true },           \
	{ name, frames, bed, TIER_DRIVER, version, BENCH_CONNECTIONS, reason, false }

const struct bench_case bench_cases[] = {
	SIZES("clear", FRAME_CLEAR, BED_IPIP4, 4, LB_REASON_cid),
	SIZES("single pass", FRAME_SINGLE, BED_IPIP4, 4, LB_REASON_cid),
	SIZES("three encrypts", FRAME_THREE, BED_IPIP4, 4, LB_REASON_cid),
	SIZES("four encrypts", FRAME_FOUR, BED_IPIP4, 4, LB_REASON_cid),
	SIZES("hash fallback", FRAME_HASH, BED_IPIP4, 4, LB_REASON_hash_unknown_config),
	{ "not for a VIP", FRAME_NOT_VIP, BED_IPIP4, TIER_DRIVER, 4, 1, LB_REASON_not_vip, false },
	SIZES("clear", FRAME_CLEAR, BED_L2DSR, 4, LB_REASON_cid),
	SIZES("clear", FRAME_CLEAR, BED_IPIP4, 6, LB_REASON_cid),
	SIZES("clear", FRAME_CLEAR, BED_IPIP6, 6, LB_REASON_cid),
	{ "clear", FRAME_CLEAR, BED_IPIP4, TIER_GENERIC, 4, 1, LB_REASON_cid, false },
	{ "three encrypts", FRAME_THREE, BED_IPIP4, TIER_GENERIC, 4, 1, LB_REASON_cid, false },
	{ "clear", FRAME_CLEAR, BED_IPIP4, TIER_OFFLOAD, 4, 1, LB_REASON_cid, false },
};
/* clang-format on */

const uint32_t bench_n_cases = sizeof(bench_cases) / sizeof(bench_cases[0]);
