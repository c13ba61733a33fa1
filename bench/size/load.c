/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Loads one object, asks the kernel what it has become, and times the load in its parts.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "plan.h"
#include "size/size.h"
#include "sync.h"

#define LOG_SIZE  4096
#define LOG_STATS 4 /* BPF_LOG_STATS: a few lines at the end, and no other */

/* When libbpf had only the program left to load. It has one place for handlers, of the whole process. */
static double program_began;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int note_beginning(struct bpf_program *program, struct bpf_prog_load_opts *options,
			  long cookie)
{
	(void)program, (void)options, (void)cookie;
	program_began = now_ms();
	return 0;
}

static struct plan_sizes default_sizes(void)
{
	const struct config_limits limits = { .servers = LB_DEFAULT_SERVERS,
					      .server_ids = LB_DEFAULT_SERVER_IDS,
					      .vips = LB_DEFAULT_VIPS,
					      .pools = LB_DEFAULT_POOLS,
					      .known_cids = LB_DEFAULT_KNOWN_CIDS,
					      .flows = LB_DEFAULT_FLOWS };

	return plan_sizes(&limits, LB_DEFAULT_ROWS);
}

/* The number after the words, 0 if they are not in the log. */
static uint32_t number_after(const char *log, const char *words)
{
	const char *found = strstr(log, words);

	return found ? (uint32_t)strtoul(found + strlen(words), NULL, 10) : 0;
}

static int ask_kernel(const struct bpf_program *program, const char *log, struct size_row *row)
{
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length))
		return -errno;
	row->figures[SIZE_VERIFIED] = info.verified_insns;
	row->figures[SIZE_JITED] = info.jited_prog_len;
	row->translated = info.xlated_prog_len;
	row->peak_states = number_after(log, "peak_states ");
	row->total_states = number_after(log, "total_states ");
	return 0;
}

/* Opened, and its program told to keep what the verifier says in the end. NULL: errno says why. */
static struct bpf_object *open_object(const char *path, char *log)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program = object ? bpf_object__next_program(object, NULL) : NULL;

	*log = '\0';
	if (program) {
		bpf_program__set_log_buf(program, log, LOG_SIZE);
		bpf_program__set_log_level(program, LOG_STATS);
	}
	return object;
}

static int failed(const char *path, int error, struct reason *reason)
{
	reason_set(reason, REASON_UNKNOWN, "size", -error, "%s", path);
	reason_set_kernel(reason, log_kernel_sentence());
	return error;
}

/* For good: libbpf 1.1 frees its list twice if the last one is taken away and another comes. */
int size_watch_loads(struct reason *reason)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = note_beginning);
	int error = libbpf_register_prog_handler("xdp", BPF_PROG_TYPE_XDP, BPF_XDP, &options);

	if (error >= 0)
		error = libbpf_register_prog_handler("tc", BPF_PROG_TYPE_SCHED_CLS, 0, &options);
	return error >= 0 ? 0 : reason_set(reason, REASON_UNKNOWN, "size", -error, "libbpf");
}

int size_ask(const char *path, struct size_row *row, struct reason *reason)
{
	char log[LOG_SIZE];
	struct bpf_object *object;
	int error;

	log_forget_kernel();
	object = open_object(path, log);
	error = object ? bpf_object__load(object) : -errno;
	if (!error)
		error = ask_kernel(bpf_object__next_program(object, NULL), log, row);
	bpf_object__close(object);
	return error ? failed(path, error, reason) : 0;
}

int size_time(const char *path, struct size_load *load, struct reason *reason)
{
	const struct plan_sizes sizes = default_sizes();
	char log[LOG_SIZE];
	struct bpf_object *object;
	double began, opened;
	int error;

	log_forget_kernel();
	began = now_ms();
	object = open_object(path, log);
	opened = now_ms();
	error = object ? map_set_size_object(object, &sizes) : -errno;
	if (!error)
		error = bpf_object__load(object);
	load->program = now_ms() - program_began;
	load->maps = program_began - opened;
	load->open = opened - began;
	load->verification = number_after(log, "verification time ") / 1e3;
	bpf_object__close(object);
	return error ? failed(path, error, reason) : 0;
}

double size_load_total(const struct size_load *load)
{
	return load->open + load->maps + load->program;
}
