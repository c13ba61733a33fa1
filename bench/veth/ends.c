/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of bench/ends.bpf.c in the kernel, and what they have counted.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "veth/veth.h"

extern const unsigned char bench_ends[], bench_ends_end[];

static const char *const names[END_PROGRAMS] = {
	[END_SINK] = "bench_sink",
	[END_SWAP] = "bench_swap",
	[END_COUNT] = "bench_count",
	[END_WRAP] = "bench_wrap",
};

int ends_open(struct ends *ends)
{
	int error;

	ends->n_cpus = libbpf_num_possible_cpus();
	ends->object =
		bpf_object__open_mem(bench_ends, (size_t)(bench_ends_end - bench_ends), NULL);
	if (!ends->object)
		return -errno;
	error = bpf_object__load(ends->object);
	if (error) {
		ends_close(ends);
		return error;
	}
	for (int i = 0; i < END_PROGRAMS; i++)
		ends->programs[i] =
			bpf_program__fd(bpf_object__find_program_by_name(ends->object, names[i]));
	ends->met_fd = bpf_object__find_map_fd_by_name(ends->object, "met_map");
	return 0;
}

void ends_close(struct ends *ends)
{
	bpf_object__close(ends->object);
	ends->object = NULL;
}

uint64_t ends_met(const struct ends *ends, int cpu)
{
	uint64_t *counts = calloc(ends->n_cpus, sizeof(*counts)), sum = 0;
	const uint32_t key = 0;

	if (counts && !bpf_map_lookup_elem(ends->met_fd, &key, counts))
		for (int i = 0; i < ends->n_cpus; i++)
			if (cpu < 0 || cpu == i)
				sum += counts[i];
	free(counts);
	return sum;
}
