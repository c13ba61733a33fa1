/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of bench/ends.bpf.c in the kernel, and what they have counted.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "veth/veth.h"

extern const unsigned char bench_ends[], bench_ends_end[];

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
	ends->sink = bpf_program__fd(bpf_object__find_program_by_name(ends->object, "bench_sink"));
	ends->swap = bpf_program__fd(bpf_object__find_program_by_name(ends->object, "bench_swap"));
	ends->met_fd = bpf_object__find_map_fd_by_name(ends->object, "met_map");
	return 0;
}

void ends_close(struct ends *ends)
{
	bpf_object__close(ends->object);
	ends->object = NULL;
}

uint64_t ends_met(const struct ends *ends)
{
	uint64_t *counts = calloc(ends->n_cpus, sizeof(*counts)), sum = 0;
	const uint32_t key = 0;

	if (counts && !bpf_map_lookup_elem(ends->met_fd, &key, counts))
		for (int i = 0; i < ends->n_cpus; i++)
			sum += counts[i];
	free(counts);
	return sum;
}
