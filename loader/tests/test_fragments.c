/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments in every order, with holes, overlaps and garbage: what is held, what is decided, what is bounded;
 * datagrams that come apart, and checksums.
 *
 * Links: fragments.c piece.c segments.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fragments.h"
#include "piece.h"
#include "segments.h"

#define LINK	 14
#define IPV4	 20
#define IPV6	 40
#define MOST	 70000
#define PAYLOAD	 1000
#define DATAGRAM (8 + PAYLOAD) /* octets of UDP */

/* What came out, by the first octet of each frame's fragment. */
struct out {
	uint32_t taken, dropped;
	size_t octets;
};

static void take(const struct fragments_frame *frame, void *context)
{
	struct out *out = context;

	out->taken++;
	out->octets += frame->length;
}

static void drop(const struct fragments_frame *frame, void *context)
{
	struct out *out = context;

	out->dropped++;
	out->octets += frame->length;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* An octet of the datagram: UDP's header, then a pattern. */
static uint8_t octet_of(uint32_t at, uint32_t total)
{
	uint8_t udp[8] = { 0x12, 0x34, 0x01, 0xbb, (uint8_t)(total >> 8), (uint8_t)total };

	return at < 8 ? udp[at] : (uint8_t)(at * 7);
}

/* Octets from to to of a datagram of `total`. */
static size_t ipv4_piece(uint8_t *frame, uint16_t id, uint32_t from, uint32_t to, uint32_t total)
{
	uint8_t *ip = frame + LINK;

	memset(frame, 0, LINK + IPV4);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, IPV4 + to - from);
	put16(ip + 4, id);
	put16(ip + 6, from >> 3 | (to < total ? 0x2000 : 0));
	ip[8] = 64;
	ip[9] = 17;
	ip[12] = 10;
	ip[16] = 203;
	for (uint32_t i = from; i < to; i++)
		ip[IPV4 + i - from] = octet_of(i, total);
	return LINK + IPV4 + to - from;
}

static size_t ipv6_piece(uint8_t *frame, uint16_t id, uint32_t from, uint32_t to, uint32_t total)
{
	uint8_t *ip = frame + LINK, *header = ip + IPV6;

	memset(frame, 0, LINK + IPV6 + 8);
	put16(frame + 12, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, 8 + to - from);
	ip[6] = 44;
	ip[7] = 64;
	ip[8] = 0xfd;
	ip[24] = 0x20;
	header[0] = 17;
	put16(header + 2, from | (to < total));
	put16(header + 6, id);
	for (uint32_t i = from; i < to; i++)
		header[8 + i - from] = octet_of(i, total);
	return LINK + IPV6 + 8 + to - from;
}

typedef size_t make_piece(uint8_t *frame, uint16_t id, uint32_t from, uint32_t to, uint32_t total);
static make_piece *const families[] = { ipv4_piece, ipv6_piece };
#define FAMILIES (sizeof(families) / sizeof(families[0]))

static const struct fragments_way some_way = { .reason = 5, .server = 7, .vip = 1 };

static enum fragments_verdict give(struct fragments *fragments, make_piece *make, uint16_t id,
				   uint32_t from, uint32_t to, int64_t now, struct out *out)
{
	struct fragments_result result;
	uint8_t frame[MOST];
	size_t n = make(frame, id, from, to, DATAGRAM);

	fragments_add(fragments, frame, n, now, &result, drop, out);
	if (result.verdict == FRAGMENTS_READY) {
		size_t headers = result.length - DATAGRAM;

		assert_true(headers == LINK + IPV4 || headers == LINK + IPV6);
		assert_true(result.readable >= headers + 72 && result.readable <= result.length);
		for (uint32_t i = 0; i < result.readable - headers; i++)
			assert_int_equal(result.head[headers + i], octet_of(i, DATAGRAM));
		/* No longer a fragment, and as long as the whole. */
		assert_int_equal(result.head[LINK + 6], make == ipv4_piece ? 0 : 17);
		fragments_release(fragments, &some_way, take, out);
	}
	if (result.verdict == FRAGMENTS_KNOWN)
		assert_int_equal(result.way.server, some_way.server);
	return result.verdict;
}

/* Where a datagram is cut, in eighths of PAYLOAD. */
static const uint32_t cuts[] = { 0, 16, 48, 128, 512, 800, DATAGRAM };
#define PIECES (sizeof(cuts) / sizeof(cuts[0]) - 1)

/* All orders of six pieces. */
static void test_every_order(void **state)
{
	(void)state;
	for (size_t family = 0; family < FAMILIES; family++)
		for (uint32_t order = 0; order < 720; order++) {
			struct fragments *fragments = fragments_new();
			uint32_t left[PIECES], n = PIECES, rest = order, known = 0;
			struct out out = {};

			for (uint32_t i = 0; i < PIECES; i++)
				left[i] = i;
			while (n) {
				uint32_t pick = rest % n, piece = left[pick];

				rest /= n;
				left[pick] = left[--n];
				known += give(fragments, families[family], 1, cuts[piece],
					      cuts[piece + 1], 0, &out) == FRAGMENTS_KNOWN;
			}
			assert_int_equal(out.taken + known, PIECES);
			assert_int_equal(out.dropped, 0);
			assert_int_equal(fragments_octets(fragments), 0);
			/* And the identification is free for another one. */
			assert_int_equal(fragments_count(fragments), 0);
			fragments_free(fragments);
		}
}

/* The first three decide: what comes later goes on at once. */
static void test_no_more_than_needed_is_held(void **state)
{
	(void)state;
	for (size_t i = 0; i < FAMILIES; i++) {
		struct fragments *fragments = fragments_new();
		struct out out = {};

		assert_int_equal(give(fragments, families[i], 1, 0, 48, 0, &out), FRAGMENTS_HELD);
		assert_int_equal(give(fragments, families[i], 1, 48, 512, 0, &out),
				 FRAGMENTS_READY);
		assert_int_equal(out.taken, 2);
		assert_int_equal(give(fragments, families[i], 1, 512, DATAGRAM, 0, &out),
				 FRAGMENTS_KNOWN);
		fragments_free(fragments);
	}
}

static void test_a_hole_ends_with_the_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < FAMILIES; i++) {
		struct fragments *fragments = fragments_new();
		struct out out = {};

		assert_int_equal(give(fragments, families[i], 1, 0, 48, 10, &out), FRAGMENTS_HELD);
		assert_int_equal(give(fragments, families[i], 1, 512, DATAGRAM, 10, &out),
				 FRAGMENTS_HELD);
		assert_int_equal(fragments_expire(fragments, 20, drop, &out), FRAGMENTS_MS - 10);
		assert_int_equal(out.dropped, 0);
		assert_int_equal(fragments_expire(fragments, 10 + FRAGMENTS_MS, drop, &out), -1);
		assert_int_equal(out.dropped, 2);
		assert_int_equal(fragments_count(fragments), 0);
		fragments_free(fragments);
	}
}

/* RFC 5722: nothing of the datagram goes on, whatever comes later; another datagram does. */
static void test_overlaps(void **state)
{
	static const uint32_t wrong[][2] = { { 8, 32 },	 { 0, 24 },  { 8, 16 },
					     { 16, 24 }, { 40, 56 }, { 0, 512 } };

	(void)state;
	for (size_t i = 0; i < FAMILIES * 6; i++) {
		struct fragments *fragments = fragments_new();
		make_piece *make = families[i % FAMILIES];
		const uint32_t *piece = wrong[i / FAMILIES];
		struct out out = {};

		assert_int_equal(give(fragments, make, 1, 0, 48, 0, &out), FRAGMENTS_HELD);
		assert_int_equal(give(fragments, make, 1, piece[0], piece[1], 0, &out),
				 FRAGMENTS_REFUSED);
		assert_int_equal(out.dropped, 1);
		assert_int_equal(give(fragments, make, 1, 48, DATAGRAM, 0, &out),
				 FRAGMENTS_REFUSED);
		assert_int_equal(give(fragments, make, 2, 0, 512, 0, &out), FRAGMENTS_READY);
		fragments_free(fragments);
	}
}

/* Also behind the decision; but the same once more is only dropped. */
static void test_overlap_of_what_went_on(void **state)
{
	struct out out = {};
	struct fragments *fragments = fragments_new();

	(void)state;
	assert_int_equal(give(fragments, ipv4_piece, 1, 0, 512, 0, &out), FRAGMENTS_READY);
	assert_int_equal(give(fragments, ipv4_piece, 1, 0, 512, 0, &out), FRAGMENTS_REFUSED);
	assert_int_equal(give(fragments, ipv4_piece, 1, 512, 800, 0, &out), FRAGMENTS_KNOWN);
	assert_int_equal(give(fragments, ipv4_piece, 1, 792, DATAGRAM, 0, &out), FRAGMENTS_REFUSED);
	assert_int_equal(give(fragments, ipv4_piece, 1, 800, DATAGRAM, 0, &out), FRAGMENTS_REFUSED);
	fragments_free(fragments);
}

/* An end before what was seen, another end, no multiple of eight in the middle, an empty one. */
static void test_what_no_sender_makes(void **state)
{
	struct fragments_result result;
	struct fragments *fragments = fragments_new();
	uint8_t frame[MOST];
	struct out out = {};
	size_t n;

	(void)state;
	assert_int_equal(give(fragments, ipv4_piece, 1, 800, DATAGRAM, 0, &out), FRAGMENTS_HELD);
	n = ipv4_piece(frame, 1, 400, 408, 408);
	fragments_add(fragments, frame, n, 0, &result, drop, &out);
	assert_int_equal(result.verdict, FRAGMENTS_REFUSED);
	assert_int_equal(give(fragments, ipv4_piece, 2, 16, 23, 0, &out), FRAGMENTS_REFUSED);
	assert_int_equal(give(fragments, ipv4_piece, 3, 16, 16, 0, &out), FRAGMENTS_REFUSED);
	/* Beyond what a packet can be. */
	n = ipv4_piece(frame, 4, 65528, 65600, 65600);
	fragments_add(fragments, frame, n, 0, &result, drop, &out);
	assert_int_equal(result.verdict, FRAGMENTS_REFUSED);
	fragments_free(fragments);
}

/* A flood of beginnings holds no more than it may, and the newest can still be completed. */
static void test_bounds(void **state)
{
	struct fragments *fragments = fragments_new();
	struct out out = {};

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		assert_int_equal(give(fragments, ipv4_piece, (uint16_t)i, 800, DATAGRAM, i / 100,
				      &out),
				 FRAGMENTS_HELD);
		assert_true(fragments_count(fragments) <= FRAGMENTS_DATAGRAMS);
		assert_true(fragments_octets(fragments) <= FRAGMENTS_OCTETS);
	}
	assert_int_equal(out.dropped + fragments_count(fragments), 20000);
	assert_int_equal(give(fragments, ipv4_piece, 19999, 0, 800, 200, &out), FRAGMENTS_READY);
	assert_int_equal(out.taken, 2);
	fragments_free(fragments);
}

static void test_octets_are_bounded(void **state)
{
	struct fragments *fragments = fragments_new();
	struct fragments_result result;
	uint8_t frame[MOST];
	struct out out = {};

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		size_t n = ipv4_piece(frame, (uint16_t)i, 80, 40080, 50000);

		fragments_add(fragments, frame, n, i, &result, drop, &out);
		assert_int_equal(result.verdict, FRAGMENTS_HELD);
		assert_true(fragments_octets(fragments) <= FRAGMENTS_OCTETS);
	}
	assert_true(out.dropped > 150);
	fragments_free(fragments);
}

/* Frames changed and cut at random: nothing but the bounds is sure. For the sanitizers. */
static void test_garbage(void **state)
{
	struct fragments *fragments = fragments_new();
	uint32_t verdicts[5] = {}, seed = 4711;
	uint8_t frame[MOST], out_frame[MOST];
	struct out out = {};

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		make_piece *make = families[rand_r(&seed) % FAMILIES];
		uint32_t from = rand_r(&seed) % 12 * 8, to = from + 8 + rand_r(&seed) % 20 * 8;
		size_t n = make(frame, rand_r(&seed) % 512, from, to, 400);
		uint8_t *exact;
		struct fragments_result result;
		struct piece_place place;
		struct segments segments;

		for (uint32_t j = rand_r(&seed) % 4; j; j--)
			frame[LINK + rand_r(&seed) % 60] = (uint8_t)rand_r(&seed);
		if (rand_r(&seed) % 4 == 0)
			n = rand_r(&seed) % (n + 1);
		exact = malloc(n + 1);
		memcpy(exact, frame, n);
		fragments_add(fragments, exact, n, i, &result, drop, &out);
		verdicts[result.verdict]++;
		if (result.verdict == FRAGMENTS_READY)
			fragments_release(fragments, &some_way, take, &out);
		piece_place(exact, n, &place);
		segments_begin(&segments, exact, n, rand_r(&seed) % 100);
		while (segments_next(&segments, out_frame))
			assert_true(segments.n < 1000);
		if (i % 100 == 0)
			fragments_expire(fragments, i, drop, &out);
		free(exact);
		assert_true(fragments_octets(fragments) <= FRAGMENTS_OCTETS);
	}
	for (uint32_t i = 0; i < 5; i++)
		assert_true(verdicts[i] > 100);
	fragments_free(fragments);
}

/* Segments ------------------------------------------------------------------------------------ */

static uint32_t sum(uint32_t from, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		from += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (from >> 16)
		from = (from & 0xffff) + (from >> 16);
	return from;
}

static uint32_t udp_sum(const uint8_t *ip, const uint8_t *udp, size_t length)
{
	uint32_t from = 17 + (uint32_t)length;

	from = ip[0] >> 4 == 4 ? sum(from, ip + 12, 8) : sum(from, ip + 8, 32);
	return sum(from, udp, length);
}

static size_t whole(uint8_t *frame, int version, uint32_t payload)
{
	size_t n = version == 4 ? ipv4_piece(frame, 100, 0, 8 + payload, 8 + payload) :
				  ipv6_piece(frame, 100, 0, 8 + payload, 8 + payload);
	uint8_t *ip = frame + LINK, *udp = ip + IPV4;

	if (version == 6) { /* without the fragment header */
		memmove(ip + IPV6, ip + IPV6 + 8, 8 + payload);
		put16(ip + 4, 8 + payload);
		ip[6] = 17;
		udp = ip + IPV6;
		n -= 8;
	}
	put16(udp + 6, udp_sum(ip, udp, 0) + (uint32_t)payload + 8); /* of the pseudo-header */
	return n;
}

static void test_datagrams_come_apart(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		uint32_t at = 0, n_frames = 0, headers = LINK + (version == 4 ? IPV4 : IPV6);
		uint8_t frame[MOST], out[MOST];
		size_t n, length = whole(frame, version, 3000);
		struct segments segments;

		segments_begin(&segments, frame, length, 1200);
		while ((n = segments_next(&segments, out))) {
			uint8_t *ip = out + LINK, *udp = out + headers;
			size_t payload = n - headers - 8;

			assert_int_equal(payload, n_frames == 2 ? 600 : 1200);
			assert_int_equal(udp[4] << 8 | udp[5], payload + 8);
			assert_int_equal(udp_sum(ip, udp, payload + 8), 0xffff);
			if (version == 4) {
				assert_int_equal(sum(0, ip, IPV4), 0xffff);
				assert_int_equal(ip[2] << 8 | ip[3], n - LINK);
				assert_int_equal(ip[4] << 8 | ip[5], 100 + n_frames);
			} else {
				assert_int_equal(ip[4] << 8 | ip[5], payload + 8);
			}
			assert_memory_equal(udp + 8, frame + headers + 8 + at, payload);
			at += (uint32_t)payload;
			n_frames++;
		}
		assert_int_equal(n_frames, 3);
	}
}

/* What is right stays, what is wrong stays, what is unfinished is finished, none stays none. */
static void test_checksums(void **state)
{
	uint8_t frame[MOST], out[MOST], again[MOST];
	size_t length = whole(frame, 4, 333);
	uint8_t *udp = frame + LINK + IPV4;
	struct segments segments;

	(void)state;
	segments_begin(&segments, frame, length, 0);
	assert_int_equal(segments_next(&segments, out), length);
	assert_int_equal(udp_sum(out + LINK, out + LINK + IPV4, 341), 0xffff);
	assert_int_equal(segments_next(&segments, again), 0);
	segments_begin(&segments, out, length, 0);
	segments_next(&segments, again);
	assert_memory_equal(again, out, length);
	for (uint32_t check = 0; check < 3; check++) {
		put16(udp + 6, check);
		segments_begin(&segments, frame, length, 0);
		segments_next(&segments, out);
		assert_memory_equal(out, frame, length);
	}
}

static void test_cut(void **state)
{
	uint8_t frame[MOST], out[MOST], joined[MOST];
	size_t length = whole(frame, 4, 1400), from = 0, n, at = 0;
	uint32_t field = 0x2000;

	(void)state;
	while ((n = segments_cut(frame, length, LINK, 500, &from, out))) {
		const uint8_t *ip = out + LINK;

		assert_true(n - LINK <= 500);
		assert_int_equal(sum(0, ip, IPV4), 0xffff);
		field = (uint32_t)ip[6] << 8 | ip[7];
		assert_int_equal((field & 0x1fff) << 3, at);
		memcpy(joined + at, ip + IPV4, n - LINK - IPV4);
		at += n - LINK - IPV4;
	}
	assert_int_equal(field & 0x2000, 0);
	assert_int_equal(at, 1408);
	assert_memory_equal(joined, frame + LINK + IPV4, at);
	from = 0;
	assert_int_equal(segments_cut(frame, length, LINK, IPV4 + 7, &from, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_no_more_than_needed_is_held),
		cmocka_unit_test(test_a_hole_ends_with_the_time),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_overlap_of_what_went_on),
		cmocka_unit_test(test_what_no_sender_makes),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_octets_are_bounded),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_datagrams_come_apart),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
