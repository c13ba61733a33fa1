/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/quic.h: the DCID by RFC 8999, for every length a header can state.
 */
#include "frame.h"

#include "lb/quic.h"

/* In a block that ends with the payload. Returns the DCID's offset, -1: there is none. */
static long find(const __u8 *payload, __u32 length, __u32 *dcid_length)
{
	__u8 *copy = malloc(length ? length : 1);
	struct lb_dcid dcid = {};
	long offset = -1;

	assert_non_null(copy);
	memcpy(copy, payload, length);
	if (lb_quic_dcid(copy, length, copy + length, &dcid)) {
		offset = dcid.octets - copy;
		*dcid_length = dcid.length;
	}
	free(copy);
	return offset;
}

static void short_header(void **state)
{
	__u8 payload[1500];
	__u32 n = 0;

	(void)state;
	memset(payload, 0x40, sizeof(payload));
	assert_int_equal(find(payload, 0, &n), -1);
	assert_int_equal(find(payload, 1, &n), -1);
	for (__u32 length = 2; length <= sizeof(payload); length++) {
		assert_int_equal(find(payload, length, &n), 1);
		assert_int_equal(n, length - 1);
	}
}

/* 0 to 255 octets stated, in datagrams shorter and longer than that. */
static void long_header(void **state)
{
	__u8 payload[300] = { 0xc3, 0, 0, 0, 1 };
	__u32 n = 0;

	(void)state;
	for (__u32 stated = 0; stated < 256; stated++) {
		payload[5] = stated;
		for (__u32 length = 0; length <= sizeof(payload); length++) {
			if (!stated || length < 6 + stated) {
				assert_int_equal(find(payload, length, &n), -1);
				continue;
			}
			assert_int_equal(find(payload, length, &n), 6);
			assert_int_equal(n, stated);
		}
	}
}

/* Only the first bit of the first octet counts, and no version does. */
static void nothing_else_steers(void **state)
{
	static const __u8 versions[][4] = {
		{ 0, 0, 0, 0 },
		{ 0x6b, 0x33, 0x43, 0xcf },
		{ 0xff, 0, 0, 29 },
		{ 0x1a, 0x2a, 0x3a, 0x4a },
	};
	__u8 payload[40] = { 0, 0, 0, 0, 1, 8 };
	__u32 n = 0;

	(void)state;
	for (int first = 0; first < 256; first++) {
		payload[0] = first;
		assert_int_equal(find(payload, sizeof(payload), &n), first & 0x80 ? 6 : 1);
		assert_int_equal(n, first & 0x80 ? 8 : 39);
	}
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		payload[0] = 0x80;
		memcpy(payload + 1, versions[i], 4);
		assert_int_equal(find(payload, sizeof(payload), &n), 6);
		assert_int_equal(n, 8);
	}
}

/* The datagram goes on where nobody can read: no more than six octets are needed. */
static void what_cannot_be_read(void **state)
{
	__u8 payload[6] = { 0xc0, 0, 0, 0, 1, 20 };
	struct lb_dcid dcid;

	(void)state;
	assert_int_equal(lb_quic_dcid(payload, 1200, payload + 6, &dcid), 1);
	assert_int_equal(dcid.length, 20);
	for (int i = 0; i < 6; i++)
		assert_int_equal(lb_quic_dcid(payload, 1200, payload + i, &dcid), 0);
	payload[0] = 0x40;
	assert_int_equal(lb_quic_dcid(payload, 1200, payload + 2, &dcid), 1);
	assert_int_equal(dcid.length, 1199);
	assert_int_equal(lb_quic_dcid(payload, 1200, payload + 1, &dcid), 0);
	assert_int_equal(lb_quic_dcid(payload, 1200, payload, &dcid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_header),
		cmocka_unit_test(long_header),
		cmocka_unit_test(nothing_else_steers),
		cmocka_unit_test(what_cannot_be_read),
	};

	return cmocka_run_group_tests_name("quic", tests, NULL, NULL);
}
