/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * That a measured packet is a forwarded packet: what comes out of the harness, after packets that were
 * put back into shape, is what the same program makes of the frame alone, and what the case is about.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "lb/parse.h"

static int wrong(struct reason *reason, const struct measured *measured, uint32_t connection,
		 const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
			  "%s, %u connections, number %u: %s", measured->what->name,
			  measured->what->connections, connection, what);
}

/* Octets that the mode puts in front. */
static uint32_t outer_length(enum bed_kind kind)
{
	switch (kind) {
	case BED_IPIP6:
		return LB_IPV6_LENGTH;
	case BED_L2DSR:
	case BED_NAT4:
	case BED_NAT6:
		return 0;
	case BED_GUE4:
		return LB_IPV4_LENGTH + LB_GUE_LENGTH;
	case BED_GUE6:
		return LB_IPV6_LENGTH + LB_GUE_LENGTH;
	default:
		return LB_IPV4_LENGTH;
	}
}

/* Where the address of the server stands that the packet is for. NULL: only the link's says so. */
static const uint8_t *find_address(const uint8_t *ip, enum bed_kind kind)
{
	if (kind == BED_L2DSR)
		return NULL;
	return ip + (ip[0] >> 4 == 4 ? 16 : 24);
}

/* One's complement: a right checksum of what was changed makes the sum what it was. */
static const char *check_nat(const uint8_t *before, const uint8_t *after, int version)
{
	uint64_t sums[2] = {};
	const uint8_t *packets[2] = { before, after };
	uint32_t header = version == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH;

	for (int i = 0; i < 2; i++)
		for (uint32_t at = version == 4 ? 12 : 8; at < header + LB_UDP_LENGTH; at += 2)
			sums[i] += lb_load16(packets[i] + at);
	if (sums[0] % 0xffff != sums[1] % 0xffff)
		return "the UDP checksum does not follow the address";
	if (lb_read16(after + header + 2) != BENCH_SERVER_PORT)
		return "to another port than the server's";
	return NULL;
}

/* The outer header's part before the addresses is the packet corpus' to test, not a bench's. */
static const char *check_forwarded(const struct measured *measured, uint32_t connection,
				   const uint8_t *before, const struct harness_result *after)
{
	const struct bench_case *what = measured->what;
	bool is_nat = what->bed == BED_NAT4 || what->bed == BED_NAT6;
	uint32_t server = frames_server(connection), outer = outer_length(what->bed);
	uint32_t inner = (what->version == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH) +
			 (is_nat ? LB_UDP_LENGTH : 0);
	const uint8_t *ip = after->frame + LB_ETH_LENGTH, *frame = before + LB_ETH_LENGTH;
	const uint8_t *address = find_address(ip, what->bed);

	if (after->verdict != XDP_TX)
		return "not transmitted";
	if (after->length != BENCH_FRAME + outer)
		return "of another length than the mode makes it";
	if (memcmp(ip + outer + inner, frame + inner, BENCH_FRAME - LB_ETH_LENGTH - inner) != 0)
		return "the payload was changed";
	if (ip[outer + (what->version == 4 ? 8 : 7)] != 56)
		return "the time to live is not one less";
	if (what->reason != LB_REASON_cid)
		return NULL;
	if (after->frame[4] != server >> 8 || after->frame[5] != (server & 0xff))
		return "to another server than the connection ID names";
	if (address &&
	    memcmp(address,
		   plan_server(measured->bed->config, server, &(uint32_t){ 0 })->address.octets,
		   ip[0] >> 4 == 4 ? 4 : 16) != 0)
		return "to another address than the server's";
	return is_nat ? check_nat(frame, ip, what->version) : NULL;
}

/* What the stack gets or sends stays as it was, but an answer, which comes from the VIP now. */
static const char *check_stack(const struct measured *measured, const uint8_t *before,
			       const struct harness_result *after)
{
	const uint8_t *ip = after->frame + LB_ETH_LENGTH, *was = before + LB_ETH_LENGTH;
	static const uint8_t vip[] = { 192, 0, 2, 80 };
	uint32_t check[2] = {};

	if (after->verdict != (uint32_t)TC_ACT_UNSPEC || after->length != BENCH_FRAME)
		return "not handed on";
	if (measured->what->frames != FRAME_ANSWER)
		return memcmp(before, after->frame, BENCH_FRAME) != 0 ? "changed" : NULL;
	if (memcmp(ip + 12, vip, sizeof(vip)) != 0 || lb_read16(ip + LB_IPV4_LENGTH) != BENCH_PORT)
		return "not from the VIP";
	for (uint32_t at = 12; at < LB_IPV4_LENGTH + LB_UDP_LENGTH; at += 2) {
		check[0] += lb_load16(was + at);
		check[1] += lb_load16(ip + at);
	}
	return check[0] % 0xffff != check[1] % 0xffff ?
		       "the UDP checksum does not follow the address" :
		       NULL;
}

static int check_one(struct harness *harness, const struct measured *measured, uint32_t connection,
		     struct reason *reason)
{
	uint32_t count = measured->span.count;
	struct harness_span span = { .base = measured->span.base,
				     .count = count,
				     .first = (connection ? connection : count) - 1,
				     .hook = measured->what->hook };
	struct harness_result got, alone = {};
	uint8_t frame[BENCH_FRAME] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .data_out = alone.frame, .data_size_out = sizeof(alone.frame), .repeat = 1);
	const char *complaint = NULL;
	int program = bed_program(measured->bed, measured->what->hook);
	int error = harness_run(harness, program, &span, 2, &got);

	memcpy(frame, &harness_frames(harness)[span.base + connection], HARNESS_OCTETS);
	if (!error && measured->what->hook != HOOK_XDP) {
		complaint = check_stack(measured, frame, &got);
		return complaint ? wrong(reason, measured, connection, complaint) : 0;
	}
	if (!error && bpf_prog_test_run_opts(program, &run))
		error = -errno;
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "test-run", -error, "%s",
				  measured->what->name);
	if (run.retval != got.verdict || run.data_size_out != got.length ||
	    memcmp(alone.frame, got.frame, got.length) != 0)
		return wrong(reason, measured, connection, "not as without the harness");
	if (measured->what->reason >= LB_REASON_cid)
		complaint = check_forwarded(measured, connection, frame, &got);
	else if (got.verdict != XDP_PASS || memcmp(frame, got.frame, sizeof(frame)) != 0)
		complaint = "not passed untouched";
	return complaint ? wrong(reason, measured, connection, complaint) : 0;
}

int check_output(struct harness *harness, const struct measured *measured, struct reason *reason)
{
	uint32_t count = measured->span.count, step = count / 8 + 1;
	int error = 0;

	for (uint32_t i = 0; i < count && !error; i += step)
		error = check_one(harness, measured, i, reason);
	return error ? error : check_one(harness, measured, count - 1, reason);
}
