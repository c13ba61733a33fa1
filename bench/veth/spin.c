/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CPU time of a thread and of the softirq daemon beside it. A softirq mostly runs within the thread's own
 * system call and counts as its time; what it cannot finish there the daemon does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "veth/veth.h"

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

int spin_open(int cpu, struct spin *spin)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	spin->cpu = cpu;
	spin->daemon = open_daemon(cpu);
	return 0;
}

void spin_close(struct spin *spin)
{
	if (spin->daemon >= 0)
		close(spin->daemon);
	spin->daemon = -1;
}

uint64_t spin_time(const struct spin *spin)
{
	struct timespec now;
	char text[64];
	ssize_t n = spin->daemon < 0 ? 0 : pread(spin->daemon, text, sizeof(text) - 1, 0);
	uint64_t daemon = 0;

	if (n > 0) {
		text[n] = '\0';
		daemon = strtoull(text, NULL, 10);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return daemon + (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
