/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Compares a table with half a map, and writes what differs. See half.h.
 */
#include "half.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMPARED_AT_ONCE 64

int half_open(const struct half_image *image, uint32_t half, struct array *held)
{
	return array_open(image->fd, half * image->stride, image->n, image->size, held);
}

static int write_values(const struct half_image *image, const uint32_t *keys, const char *values,
			uint32_t n)
{
	uint32_t done = n;

	if (!n)
		return 0;
	if (!bpf_map_update_batch(image->fd, keys, values, &done, NULL) && done == n)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_update_elem(image->fd, &keys[i], values + (size_t)i * image->size,
					BPF_ANY))
			return -errno;
	return 0;
}

/* What has to be written: keys and values beside each other, as a batch takes them. */
struct changes {
	uint32_t n, room;
	uint32_t *keys;
	char *values;
};

static int add_change(struct changes *changes, uint32_t key, const char *value, uint32_t size)
{
	if (changes->n == changes->room) {
		uint32_t room = changes->room ? 2 * changes->room : 256;
		uint32_t *keys = reallocarray(changes->keys, room, sizeof(*keys));
		char *values = NULL;

		if (keys) {
			changes->keys = keys;
			values = reallocarray(changes->values, room, size);
		}
		if (!values)
			return -ENOMEM;
		changes->values = values;
		changes->room = room;
	}
	changes->keys[changes->n] = key;
	memcpy(changes->values + (size_t)changes->n++ * size, value, size);
	return 0;
}

static const char *wanted_at(const struct half_image *image, uint32_t i)
{
	return (const char *)image->values + (size_t)i * image->size;
}

/* The first value from i on that the map holds otherwise; image->n: there is none. Many are equal at once. */
static uint32_t next_change(const struct half_image *image, const struct array *held, uint32_t i)
{
	bool packed = held->stride == image->size;

	while (packed && i + COMPARED_AT_ONCE <= image->n &&
	       !memcmp(array_at(held, i), wanted_at(image, i), COMPARED_AT_ONCE * image->size))
		i += COMPARED_AT_ONCE;
	while (i < image->n && !memcmp(array_at(held, i), wanted_at(image, i), image->size))
		i++;
	return i;
}

int half_write(const struct half_image *image, uint32_t half)
{
	struct changes changes = {};
	struct array held;
	int err = half_open(image, half, &held);

	if (err)
		return err;
	for (uint32_t i = next_change(image, &held, 0); !err && i < image->n;
	     i = next_change(image, &held, i + 1))
		err = add_change(&changes, half * image->stride + i, wanted_at(image, i),
				 image->size);
	array_close(&held);
	if (!err)
		err = write_values(image, changes.keys, changes.values, changes.n);
	/* What is to be written may be keys. */
	if (changes.values)
		explicit_bzero(changes.values, (size_t)changes.n * image->size);
	free(changes.values);
	free(changes.keys);
	return err;
}

bool half_same(const struct half_image *image, uint32_t half)
{
	struct array held;
	bool same;

	if (half_open(image, half, &held))
		return false;
	same = next_change(image, &held, 0) == image->n;
	array_close(&held);
	return same;
}
