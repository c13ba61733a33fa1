/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/flow.h: what a packet shows of its connection, in a block that ends with it; times over their wrap.
 */
#include "frame.h"

#include "lb/flow.h"

static struct lb_flow_query look(const __u8 *payload, __u32 length)
{
	__u8 *copy = malloc(length ? length : 1);
	struct lb_flow_query query;

	assert_non_null(copy);
	memcpy(copy, payload, length);
	lb_flow_look(&query, copy, length, copy + length);
	free(copy);
	return query;
}

/* Every length of DCID and SCID that can be stated, in every datagram that is too short for them, and longer. */
static void any_long_header(void **state)
{
	__u8 payload[600];

	(void)state;
	for (__u32 i = 0; i < sizeof(payload); i++)
		payload[i] = (__u8)(i * 7 + 1);
	payload[0] = 0xc0;
	for (__u32 dcid = 0; dcid < 256; dcid += 5) {
		for (__u32 scid = 0; scid < 256; scid += 3) {
			payload[5] = (__u8)dcid;
			payload[6 + dcid] = (__u8)scid;
			for (__u32 length = 0; length <= sizeof(payload); length += 11) {
				struct lb_flow_query query = look(payload, length);
				__u32 form = LB_FLOW_LONG | (dcid >= 8 ? LB_FLOW_CID : 0);

				assert_int_equal(query.form,
						 length < LB_FLOW_PACKET_MIN ? 0 : form);
				if (length < 7 + dcid + (scid < 8 ? 8 : scid))
					assert_int_equal(query.scid, 0);
				else
					assert_int_not_equal(query.scid, 0);
			}
			payload[6 + dcid] = (__u8)((6 + dcid) * 7 + 1);
		}
	}
}

/* Its length, its first and its last octets tell one SCID from another; what follows it does not. */
static void scids_differ(void **state)
{
	__u8 payload[60] = { 0xc0, 0, 0, 0, 1, 8 };

	(void)state;
	for (__u32 n = 1; n <= 20; n++) {
		struct lb_flow_query query, other;

		payload[14] = (__u8)n;
		query = look(payload, sizeof(payload));
		payload[15 + n] ^= 0x55;
		other = look(payload, sizeof(payload));
		assert_int_equal(query.scid, other.scid);
		payload[15 + n] ^= 0x55;
		payload[14 + n] ^= 0x55;
		other = look(payload, sizeof(payload));
		assert_int_not_equal(query.scid, other.scid);
		payload[14 + n] ^= 0x55;
		payload[14] = (__u8)(n + 1);
		other = look(payload, sizeof(payload));
		assert_int_not_equal(query.scid, other.scid);
	}
}

/* At any jiffies, also those where their lower half begins anew. */
static void flows_expire(void **state)
{
	struct lb_setting setting = { .handshake_ticks = 1500, .established_ticks = 30000 };
	static const __u32 times[] = { 0, 1, 1499, 0x7fffffff, 0x80000000, 0xfffffc00, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct lb_flow flow = { .seen = times[i] };

		assert_false(lb_flow_expired(&flow, &setting, times[i]));
		assert_false(lb_flow_expired(&flow, &setting, times[i] - 1)); /* another CPU's */
		assert_false(lb_flow_expired(&flow, &setting, times[i] + 1500));
		assert_true(lb_flow_expired(&flow, &setting, times[i] + 1501));
		flow.flags = LB_FLOW_ESTABLISHED;
		assert_false(lb_flow_expired(&flow, &setting, times[i] + 30000));
		assert_true(lb_flow_expired(&flow, &setting, times[i] + 30001));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_long_header),
		cmocka_unit_test(scids_differ),
		cmocka_unit_test(flows_expire),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
