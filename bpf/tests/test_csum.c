/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/csum.h, exhaustively where the sums can be counted.
 */
#include "frame.h"

#include "lb/csum.h"

#define IPV4_WORDS  10
#define LARGEST_SUM (IPV4_WORDS * 0xffffu)

static __u16 fold(__u32 sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __u16 checksum(__u32 sum)
{
	return ~fold(sum);
}

/* Every sum that the ten words of an IPv4 header can have; one fold would get 36 of them wrong. */
static void fold_every_sum(void **state)
{
	__u32 wrong = 0, first = 0;

	(void)state;
	for (__u32 sum = 0; sum <= LARGEST_SUM; sum++) {
		assert_int_equal(lb_csum_fold(sum), fold(sum));
		if ((__u16)((sum & 0xffff) + (sum >> 16)) != fold(sum)) {
			first = wrong ? first : sum;
			wrong++;
		}
	}
	assert_int_equal(wrong, 36);
	assert_int_equal(first, 0x1ffff);
}

static void fold_the_largest(void **state)
{
	(void)state;
	for (__u32 sum = 0xffffffff; sum > 0xffff0000; sum--)
		assert_int_equal(lb_csum_fold(sum), fold(sum));
}

static void word_is_its_two_halves(void **state)
{
	(void)state;
	assert_int_equal(lb_csum_word(0), 0);
	assert_int_equal(lb_csum_word(0xffffffff), 0x1fffe);
	assert_int_equal(lb_csum_word(0x12345678), 0x1234 + 0x5678);
}

/*
 * An outer header whose sum, little-endian as it lies in memory, is one of the 36: length 60, TTL 64,
 * DF, IP in IP.
 */
static void header_that_one_fold_gets_wrong(void **state)
{
	static const __u8 header[] = { 0x45, 0, 0,   60,  0, 0, 0x40, 0,   64,	4,
				       0,    0, 192, 168, 0, 1, 192,  168, 186, 108 };
	__u32 sum = 0, words = 0;

	(void)state;
	for (int i = 0; i < 20; i += 4)
		words += lb_csum_word(lb_load32(header + i));
	for (int i = 0; i < 20; i += 2)
		sum += header[i] << 8 | header[i + 1];
	assert_int_equal(words, 0x1ffff);
	assert_int_equal((__u16)~lb_csum_fold(words), LB_CONST16(checksum(sum)));
}

/* RFC 1624 section 4: the older equation gives 0xffff here, which no header's checksum is. */
static void example_of_rfc_1624(void **state)
{
	(void)state;
	assert_int_equal(lb_csum_replace(0xdd2f, 0x5555, 0x3285), 0x0000);
}

/*
 * The word of TTL and protocol, for every checksum and every TTL that is forwarded, against summing
 * anew. check is that of a header whose other words add up to `rest`.
 */
static void ttl_less_one(void **state)
{
	(void)state;
	for (__u32 ttl = 2; ttl < 256; ttl++) {
		__u8 octets[4] = { ttl, LB_PROTO_UDP, ttl - 1, LB_PROTO_UDP };
		__u16 before, after;

		memcpy(&before, octets, 2);
		memcpy(&after, octets + 2, 2);
		for (__u32 rest = 1; rest <= 0xffff; rest++) {
			__u16 check = checksum(rest + before);

			if (lb_csum_replace(check, before, after) != checksum(rest + after))
				fail_msg("ttl %u, rest %#x", ttl, rest);
		}
	}
}

/* Random words at random places of whole headers. */
static void whole_headers(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 100000; round++) {
		__u16 words[IPV4_WORDS], changed = rand();
		__u32 before = 0, after;
		int at = rand() % IPV4_WORDS;

		for (int i = 0; i < IPV4_WORDS; i++)
			words[i] = round % 3 ? rand() : -(rand() & 1);
		words[at ? 0 : 1] |= 1; /* no header is all zeros: it begins with the version */
		for (int i = 0; i < IPV4_WORDS; i++)
			before += words[i];
		after = before - words[at] + changed;
		assert_int_equal(lb_csum_replace(checksum(before), words[at], changed),
				 checksum(after));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_every_sum),
		cmocka_unit_test(fold_the_largest),
		cmocka_unit_test(word_is_its_two_halves),
		cmocka_unit_test(header_that_one_fold_gets_wrong),
		cmocka_unit_test(example_of_rfc_1624),
		cmocka_unit_test(ttl_less_one),
		cmocka_unit_test(whole_headers),
	};

	return cmocka_run_group_tests_name("csum", tests, NULL, NULL);
}
