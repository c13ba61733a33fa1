/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the bench runs the loader and others: a folder, and a BPF file system that nobody else sees.
 */
#include "workplace.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int fail(struct reason *reason, const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, "workplace", errno, "%s", what);
}

int workplace_open(struct workplace *workplace, struct reason *reason)
{
	ssize_t n = readlink("/proc/self/exe", workplace->loader, sizeof(workplace->loader) - 16);

	if (n < 0)
		return fail(reason, "/proc/self/exe");
	workplace->loader[n] = '\0';
	strcpy(strrchr(workplace->loader, '/') + 1, "loader");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		return fail(reason, "a BPF file system of its own");
	strcpy(workplace->folder, "/tmp/shunt-bench-XXXXXX");
	if (mkdtemp(workplace->folder))
		return 0;
	workplace->folder[0] = '\0';
	return fail(reason, "a folder in /tmp");
}

void workplace_close(struct workplace *workplace)
{
	DIR *folder = *workplace->folder ? opendir(workplace->folder) : NULL;
	struct dirent *entry;

	if (!folder)
		return;
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	rmdir(workplace->folder);
	workplace->folder[0] = '\0';
}
