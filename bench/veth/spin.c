/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CPU time of a thread and of the softirq daemon beside it. A softirq mostly runs within the thread's own
 * system call and counts as its time; what it cannot finish there the daemon does.
 *
 * A kernel built with CONFIG_IRQ_TIME_ACCOUNTING takes the softirqs out of the thread's time. Then the time
 * on the clock, which is counted beside it, is far longer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "veth/street.h"

/* Whether /proc/PID is the process of that name. */
static bool is_named(const char *pid, const char *name)
{
	char path[300], found[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(found, sizeof(found), file))
		found[0] = '\0';
	fclose(file);
	found[strcspn(found, "\n")] = '\0';
	return !strcmp(found, name);
}

static int open_daemon(int cpu)
{
	char name[32], path[300];
	struct dirent *entry;
	DIR *processes = opendir("/proc");
	int fd = -1;

	snprintf(name, sizeof(name), "ksoftirqd/%d", cpu);
	while (processes && fd < 0 && (entry = readdir(processes))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !is_named(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (processes)
		closedir(processes);
	return fd;
}

int spin_stay(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

void spin_open(int cpu, clockid_t clock, struct spin *spin)
{
	spin->clock = clock;
	spin->daemon = open_daemon(cpu);
}

void spin_close(struct spin *spin)
{
	if (spin->daemon >= 0)
		close(spin->daemon);
	spin->daemon = -1;
}

uint64_t spin_time(const struct spin *spin)
{
	char text[64];
	ssize_t n = spin->daemon < 0 ? 0 : pread(spin->daemon, text, sizeof(text) - 1, 0);
	uint64_t daemon = 0;

	if (n > 0) {
		text[n] = '\0';
		daemon = strtoull(text, NULL, 10);
	}
	return daemon + clock_ns(spin->clock);
}

uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
