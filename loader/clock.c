/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the kernel for jiffies by running a program that returns them.
 */
#include "clock.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <time.h>
#include <unistd.h>

/* r0 = bpf_jiffies64() >> r; a test run hands back 32 bits of it. */
static int read_half(int shift, uint32_t *half)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = shift },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char frame[14] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_jiffies", "Dual BSD/GPL", program,
			       sizeof(program) / sizeof(program[0]), NULL);
	int err = fd < 0 || bpf_prog_test_run_opts(fd, &run) ? -errno : 0;

	*half = run.retval;
	if (fd >= 0)
		close(fd);
	return err;
}

int clock_jiffies(uint64_t *now)
{
	uint32_t low = 0, high = 0, again = 0;
	int err;

	do {
		err = read_half(32, &high);
		if (!err)
			err = read_half(0, &low);
		if (!err)
			err = read_half(32, &again);
	} while (!err && again != high);
	*now = (uint64_t)high << 32 | low;
	return err;
}

/* The coarse clocks go by jiffies, so their resolution is one. */
static double tick_seconds(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return 0;
	return (double)tick.tv_sec + (double)tick.tv_nsec / 1e9;
}

uint64_t clock_ticks(uint32_t seconds)
{
	double tick = tick_seconds();

	return tick > 0 && seconds / tick >= 1 ? (uint64_t)(seconds / tick) : 1;
}

double clock_seconds(uint64_t then, uint64_t now)
{
	return now <= then ? 0 : (double)(now - then) * tick_seconds();
}
