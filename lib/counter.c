/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Nonces: random ones, and counters that never come back to where they were. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "internal.h"

/* How many nonces one write to the state file reserves, and a crash at most throws away. */
#define BLOCK 8192

int shunt_cid_random_(void *octets, size_t length)
{
	ssize_t got;

	do
		got = getrandom(octets, length, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)length ? 0 : SHUNT_CID_ERR_ENTROPY;
}

static int reserve(struct cid_counter *counter)
{
	uint64_t reserved = counter->limit;
	int error;

	if (counter->limit - counter->next > BLOCK)
		reserved = counter->next + BLOCK;
	error = shunt_cid_state_write_(counter, reserved);
	if (!error)
		counter->reserved = reserved;
	return error;
}

/* What another process may have used up, or a place that nobody knows. */
static int begin(struct cid_counter *counter, const char *path)
{
	bool found = false;
	int error = path ? shunt_cid_state_open_(counter, path, &found) : 0;

	if (!error && !found)
		error = shunt_cid_random_(counter->start, counter->length);
	if (error)
		return error;
	counter->next = found ? counter->reserved : 0;
	if (path && counter->next < counter->limit)
		error = reserve(counter);
	else
		counter->reserved = counter->limit;
	return error;
}

int shunt_cid_counter_open_(struct cid_counter *counter, unsigned int length, const char *path,
			    uint64_t check)
{
	int error;

	counter->length = length;
	counter->limit = length < 8 ? (uint64_t)1 << 8 * length : UINT64_MAX;
	counter->state.fd = -1;
	counter->state.check = check;
	if (pthread_mutex_init(&counter->lock, NULL))
		return SHUNT_CID_ERR_MEMORY;
	error = begin(counter, path);
	if (error)
		shunt_cid_counter_close_(counter, false);
	return error;
}

void shunt_cid_counter_close_(struct cid_counter *counter, bool save)
{
	/* In good order nothing is thrown away; if this write fails, the block is. */
	if (save && counter->state.fd >= 0)
		(void)shunt_cid_state_write_(counter, counter->next);
	shunt_cid_state_close_(counter);
	pthread_mutex_destroy(&counter->lock);
}

/* to = from + n, as numbers with the first octet the highest, the carry beyond it dropped. */
static void add(uint8_t *to, const uint8_t *from, unsigned int length, uint64_t n)
{
	unsigned int carry = 0;

	for (unsigned int i = length; i-- > 0; n >>= 8) {
		carry += from[i] + (unsigned int)(n & 0xff);
		to[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

int shunt_cid_counter_take_(struct cid_counter *counter, uint8_t *octets)
{
	uint64_t taken = 0;
	int error = 0;

	pthread_mutex_lock(&counter->lock);
	if (counter->next == counter->limit)
		error = SHUNT_CID_ERR_EXHAUSTED;
	else if (counter->next == counter->reserved)
		error = reserve(counter);
	if (!error)
		taken = counter->next++;
	pthread_mutex_unlock(&counter->lock);
	if (!error)
		add(octets, counter->start, counter->length, taken);
	return error;
}

uint64_t shunt_cid_counter_left_(struct cid_counter *counter)
{
	uint64_t left;

	pthread_mutex_lock(&counter->lock);
	left = counter->limit == UINT64_MAX ? UINT64_MAX : counter->limit - counter->next;
	pthread_mutex_unlock(&counter->lock);
	return left;
}
