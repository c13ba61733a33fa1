/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/hash.h, lb/lookup3.h, lb/table.h and lb/tuple.h against the same written anew in another language.
 */
#include "frame.h"

#include <arpa/inet.h>

#include "hash_vectors.h"
#include "lb/hash.h"
#include "lb/lookup3.h"
#include "lb/table.h"
#include "lb/tuple.h"

#define N_VECTORS (sizeof(hash_vectors) / sizeof(*hash_vectors))
#define N_FIVE	  (sizeof(five_vectors) / sizeof(*five_vectors))
#define N_TUPLES  (sizeof(tuple_vectors) / sizeof(*tuple_vectors))

static void words_of_any_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct hash_vector *v = &hash_vectors[i];
		__u32 *words = malloc(v->n * sizeof(*words));
		struct lb_hash hash;

		assert_non_null(words);
		memcpy(words, v->words, v->n * sizeof(*words));
		hash = lb_lookup3(words, v->n, v->seed);
		assert_int_equal(hash.first, v->first);
		assert_int_equal(hash.second, v->second);
		free(words);
	}
}

static void pairs_and_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FIVE; i++) {
		const struct five_vector *v = &five_vectors[i];
		__u64 hash = lb_hash(lb_pair_of(v->words[0], v->words[1]),
				     lb_pair_of(v->words[2], v->words[3]), v->words[4]);

		assert_int_equal((__u32)hash, v->first);
		assert_int_equal(hash >> 32, v->second);
	}
}

static void buckets_stay_below_the_mask(void **state)
{
	__u32 words[LB_KEY_WORDS] = {};

	(void)state;
	for (__u32 i = 0; i < 1000; i++) {
		struct lb_table_key key;
		struct lb_buckets at;
		__u64 whole;

		words[i % LB_KEY_WORDS] += i;
		key = lb_table_key(words);
		whole = lb_hash(key.first, key.second, key.last);
		at = lb_table_buckets(&key, 0xff);
		assert_int_equal(at.first, whole & 0xff);
		assert_int_equal(at.second, whole >> 40 & 0xff);
		at = lb_table_buckets(&key, 0);
		assert_int_equal(at.first | at.second, 0);
	}
}

/*
 * Keys that differ in few bits, as addresses and ports do, spread over both buckets like random ones:
 * chi-squared of 256 buckets stays within six standard deviations of its mean.
 */
static void neighbours_spread(void **state)
{
	(void)state;
	for (int word = 0; word < LB_KEY_WORDS; word++) {
		for (int shift = 0; shift <= 16; shift += 8) {
			__u32 count[2][256] = {}, words[LB_KEY_WORDS] = { 10, 20, 30, 40, 50 };
			double first = 0, second = 0;

			for (__u32 i = 0; i < 65536; i++) {
				struct lb_table_key key;
				struct lb_buckets at;

				words[word] = i << shift;
				key = lb_table_key(words);
				at = lb_table_buckets(&key, 0xff);
				count[0][at.first]++;
				count[1][at.second]++;
			}
			for (int i = 0; i < 256; i++) {
				first += (count[0][i] - 256.0) * (count[0][i] - 256.0) / 256;
				second += (count[1][i] - 256.0) * (count[1][i] - 256.0) / 256;
			}
			assert_true(first < 255 + 6 * 22.6);
			assert_true(second < 255 + 6 * 22.6);
		}
	}
}

static int compare_words(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/*
 * A word that makes a factor as small as it can be must not swallow its partner: addresses and server ids are
 * not ours to choose. The constants are those of lb_hash().
 */
static void small_factors_swallow_nothing(void **state)
{
	static const __u32 constants[4] = { 0xda779d50, 0xf44213c9, 0xf89718ae, 0x5ac4662f };
	static const __u32 factors[] = { 0, 1, 2, 1u << 31, 1u << 31 | 1 };
	static __u32 digests[4096];

	(void)state;
	for (int small = 0; small < 4; small++) {
		for (size_t f = 0; f < sizeof(factors) / sizeof(*factors); f++) {
			__u32 words[4] = { 10, 20, 30, 40 }, distinct = 1;

			words[small] = constants[small] ^ factors[f];
			for (__u32 i = 0; i < 4096; i++) {
				words[small ^ 1] = i * 0x10001;
				digests[i] = (__u32)lb_hash(lb_pair_of(words[0], words[1]),
							    lb_pair_of(words[2], words[3]), 0);
			}
			qsort(digests, 4096, sizeof(*digests), compare_words);
			for (int i = 1; i < 4096; i++)
				distinct += digests[i] != digests[i - 1];
			assert_true(distinct > 4000);
		}
	}
}

static void slots_of_a_bucket(void **state)
{
	const __u32 words[LB_KEY_WORDS] = { 1, 2, 3, 4, 5 };
	struct lb_table_key key = lb_table_key(words);
	struct lb_bucket bucket = {};

	(void)state;
	assert_int_equal(lb_bucket_find(&bucket, &key), 0);
	for (int slot = 0; slot < LB_SLOTS; slot++) {
		memset(&bucket, 0, sizeof(bucket));
		memcpy(bucket.slot[slot].key, words, sizeof(words));
		bucket.slot[slot].value = 7;
		assert_int_equal(lb_bucket_find(&bucket, &key), 7);
		for (int word = 0; word < LB_KEY_WORDS; word++) {
			for (int bit = 0; bit < 32; bit++) {
				bucket.slot[slot].key[word] ^= 1u << bit;
				assert_int_equal(lb_bucket_find(&bucket, &key), 0);
				bucket.slot[slot].key[word] ^= 1u << bit;
			}
		}
		bucket.slot[1 - slot].value = 9; /* of the key of zeros */
		assert_int_equal(lb_bucket_find(&bucket, &key), 7);
	}
}

/* An empty slot's key is all zeros, and so may a looked-up one be: its value 0 says "not here". */
static void empty_slot_is_no_match(void **state)
{
	struct lb_table_key zero = {};
	struct lb_bucket bucket = {};

	(void)state;
	assert_int_equal(lb_bucket_find(&bucket, &zero), 0);
	bucket.slot[1].value = 3;
	assert_int_equal(lb_bucket_find(&bucket, &zero), 3);
}

static void make_tuple(struct frame *frame, const struct tuple_vector *v, int extra)
{
	__u32 offset, size = v->version == 4 ? 4 : 16;
	int family = v->version == 4 ? AF_INET : AF_INET6;

	if (v->version == 4) {
		frame_link(frame, 0, LB_ETHERTYPE_IPV4);
		frame_ipv4(frame, extra, LB_PROTO_UDP, 8 + 20);
		offset = 14 + 12;
	} else {
		frame_link(frame, 0, LB_ETHERTYPE_IPV6);
		frame_ipv6(frame, extra ? LB_PROTO_HOPOPTS : LB_PROTO_UDP, 8 * extra + 8 + 20);
		if (extra)
			frame_extension(frame, LB_PROTO_HOPOPTS, LB_PROTO_UDP, 8 * extra);
		offset = 14 + 8;
	}
	assert_int_equal(inet_pton(family, v->source, frame->octets + offset), 1);
	assert_int_equal(inet_pton(family, v->destination, frame->octets + offset + size), 1);
	frame_udp(frame, 20);
	offset = frame->length - 28;
	frame->octets[offset] = v->source_port >> 8;
	frame->octets[offset + 1] = v->source_port;
	frame->octets[offset + 2] = v->destination_port >> 8;
	frame->octets[offset + 3] = v->destination_port;
}

/* Addresses and ports alone: options, TTL, lengths and payload change nothing. */
static void tuple_hashes(void **state)
{
	struct frame frame;
	struct lb_pkt pkt;

	(void)state;
	for (size_t i = 0; i < N_TUPLES; i++) {
		for (int extra = 0; extra <= 3; extra++) {
			make_tuple(&frame, &tuple_vectors[i], extra);
			memset(frame.octets + frame.length - 20, 17 * extra, 20);
			frame.octets[tuple_vectors[i].version == 4 ? 22 : 21] = 5 + extra;
			memset(&pkt, 0, sizeof(pkt));
			assert_int_equal(lb_parse(&pkt, frame.octets, frame.octets + frame.length,
						  frame.length),
					 LB_NEXT);
			assert_int_equal(lb_tuple_hash(pkt.ip, pkt.udp, pkt.end),
					 tuple_vectors[i].hash);
		}
	}
}

static void unreadable_tuple(void **state)
{
	struct frame frame;
	struct lb_pkt pkt = {};

	(void)state;
	make_tuple(&frame, &tuple_vectors[0], 0);
	assert_int_equal(lb_parse(&pkt, frame.octets, frame.octets + frame.length, frame.length),
			 LB_NEXT);
	pkt.end = (const __u8 *)pkt.udp + 3;
	assert_int_equal(lb_tuple_hash(pkt.ip, pkt.udp, pkt.end), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_any_number),
		cmocka_unit_test(pairs_and_one),
		cmocka_unit_test(neighbours_spread),
		cmocka_unit_test(small_factors_swallow_nothing),
		cmocka_unit_test(buckets_stay_below_the_mask),
		cmocka_unit_test(slots_of_a_bucket),
		cmocka_unit_test(empty_slot_is_no_match),
		cmocka_unit_test(tuple_hashes),
		cmocka_unit_test(unreadable_tuple),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
