/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The harness program in the kernel: frames put into it, targets hung into it, runs timed.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

extern const unsigned char bench_object[], bench_object_end[];

struct harness {
	struct bpf_object *object;
	int program[2], bare[2], target_fd[2]; /* of XDP, of TC */
	int send, control_fd, n_cpus;
	struct harness_frame *frames;
	size_t mapped;
	uint64_t salt; /* where the spoofed addresses go on */
	uint8_t input[BENCH_FRAME];
};

static int program_fd(const struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

int harness_open(uint32_t n_frames, struct harness **result)
{
	struct harness *harness = calloc(1, sizeof(*harness));
	long page = sysconf(_SC_PAGESIZE);
	struct bpf_map *frames;
	int error;

	if (!harness)
		return -ENOMEM;
	harness->n_cpus = libbpf_num_possible_cpus();
	harness->object =
		bpf_object__open_mem(bench_object, (size_t)(bench_object_end - bench_object), NULL);
	if (!harness->object) {
		free(harness);
		return -errno;
	}
	frames = bpf_object__find_map_by_name(harness->object, "frame_map");
	error = bpf_map__set_max_entries(frames, n_frames);
	if (!error)
		error = bpf_object__load(harness->object);
	if (error) {
		harness_close(harness);
		return error;
	}
	harness->program[0] = program_fd(harness->object, "bench_harness");
	harness->program[1] = program_fd(harness->object, "bench_stack_harness");
	harness->bare[0] = program_fd(harness->object, "bench_bare");
	harness->bare[1] = program_fd(harness->object, "bench_stack_bare");
	harness->send = program_fd(harness->object, "bench_send");
	harness->control_fd = bpf_object__find_map_fd_by_name(harness->object, "control_map");
	harness->target_fd[0] = bpf_object__find_map_fd_by_name(harness->object, "target_map");
	harness->target_fd[1] =
		bpf_object__find_map_fd_by_name(harness->object, "stack_target_map");
	harness->mapped = ((size_t)n_frames * sizeof(struct harness_frame) + page - 1) &
			  ~(page - 1);
	harness->frames = mmap(NULL, harness->mapped, PROT_READ | PROT_WRITE, MAP_SHARED,
			       bpf_map__fd(frames), 0);
	if (harness->frames == MAP_FAILED) {
		error = -errno;
		harness->frames = NULL;
		harness_close(harness);
		return error;
	}
	*result = harness;
	return 0;
}

void harness_close(struct harness *harness)
{
	if (!harness)
		return;
	if (harness->frames)
		munmap(harness->frames, harness->mapped);
	bpf_object__close(harness->object);
	free(harness);
}

struct harness_frame *harness_frames(struct harness *harness)
{
	return harness->frames;
}

int harness_bare(const struct harness *harness, enum bench_hook hook)
{
	return harness->bare[hook != HOOK_XDP];
}

static uint64_t thread_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The same for every CPU: only the caller's looks at it. */
static int set_control(const struct harness *harness, const struct harness_span *span,
		       uint64_t salt)
{
	const struct harness_control control = {
		.base = span->base,
		.count = span->count,
		.next = span->first,
		.length = sizeof(harness->input),
		.salt = span->spoofed ? salt : 0,
		.salt_step = span->spoofed ? HARNESS_SALT_STEP : 0,
	};
	struct harness_control *controls = calloc(harness->n_cpus, sizeof(*controls));
	const uint32_t key = 0;
	int error = 0;

	if (!controls)
		return -ENOMEM;
	for (int i = 0; i < harness->n_cpus; i++)
		controls[i] = control;
	if (bpf_map_update_elem(harness->control_fd, &key, controls, BPF_ANY))
		error = -errno;
	free(controls);
	return error;
}

int harness_run(struct harness *harness, int program, const struct harness_span *span,
		uint32_t packets, struct harness_result *result)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = harness->input,
		    .data_size_in = sizeof(harness->input), .data_out = result->frame,
		    .data_size_out = sizeof(result->frame), .repeat = (int)packets);
	/* What leaves as an answer has come in somewhere. */
	struct __sk_buff skb = { .ingress_ifindex = 1 };
	bool is_stack = span->hook != HOOK_XDP;
	const uint32_t key = 0;
	uint64_t from;
	int error = set_control(harness, span, harness->salt);

	if (error)
		return error;
	if (is_stack) {
		run.ctx_in = &skb;
		run.ctx_size_in = sizeof(skb);
	}
	if (bpf_map_update_elem(harness->target_fd[is_stack], &key, &program, BPF_ANY))
		return -errno;
	from = thread_time();
	if (bpf_prog_test_run_opts(harness->program[is_stack], &run))
		return -errno;
	result->time = thread_time() - from;
	if (span->spoofed)
		harness->salt += packets * HARNESS_SALT_STEP;
	result->verdict = run.retval;
	result->length = run.data_size_out;
	return 0;
}

int harness_ready(const struct harness *harness, const struct harness_span *span)
{
	return set_control(harness, span, harness->salt);
}

#define AT_ONCE 64

int harness_send(const struct harness *harness, uint32_t ifindex, uint32_t packets)
{
	struct xdp_md context = { .data_end = sizeof(harness->input), .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = harness->input,
		    .data_size_in = sizeof(harness->input), .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = (int)packets,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = AT_ONCE);

	return bpf_prog_test_run_opts(harness->send, &run) ? -errno : 0;
}
