/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The folders of ours in the BPF file system. See pins.h.
 */
#include "pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"

#define BPFFS	   "/sys/fs/bpf"
#define MODE	   0700
#define MAX_LEVELS 8
/* Each is lost to one who had the lock and took the last pins away. */
#define LOCK_TRIES 100

struct pin_path pins_folder(const char *interface, const char *part)
{
	struct pin_path path;
	char name[IF_NAMESIZE];
	size_t i;

	snprintf(name, sizeof(name), "%s", interface);
	for (i = 0; name[i]; i++)
		if (name[i] == '.')
			name[i] = ':';
	snprintf(path.text, sizeof(path.text), ATTACH_ROOT "/%s/%.64s", name, part);
	return path;
}

struct pin_path pins_in(const struct pin_path *folder, const char *name)
{
	struct pin_path path;

	snprintf(path.text, sizeof(path.text), "%.80s/%.32s", folder->text, name);
	return path;
}

int pins_check(struct reason *reason)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs))
		return reason_set(reason, REASON_NO_BPFFS, "pin", errno, BPFFS);
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return reason_set(reason, REASON_NO_BPFFS, "pin", ENODEV, BPFFS);
	return 0;
}

/* mkdir -p; what is there already is fine. */
static int make_path(const char *path)
{
	char text[sizeof(struct pin_path)];
	char *slash;

	snprintf(text, sizeof(text), "%s", path);
	for (slash = text + strlen(BPFFS) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(text, MODE) && errno != EEXIST)
			return -errno;
	}
	return mkdir(text, MODE) && errno != EEXIST ? -errno : 0;
}

/* Whether it is still there: who had the lock before may have removed the folder. */
static bool is_root(int fd)
{
	struct stat held, there;

	return !fstat(fd, &held) && !stat(ATTACH_ROOT, &there) && held.st_ino == there.st_ino &&
	       held.st_dev == there.st_dev;
}

static int try_lock(void)
{
	int error = make_path(ATTACH_ROOT), fd;

	if (error)
		return error;
	fd = open(ATTACH_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = flock(fd, LOCK_EX) ? -errno : is_root(fd) ? 0 : -ENOENT;
	if (!error)
		return fd;
	close(fd);
	return error;
}

int pins_lock(struct reason *reason)
{
	int fd = -ENOENT;

	for (int tries = 0; fd == -ENOENT && tries < LOCK_TRIES; tries++)
		fd = try_lock();
	if (fd < 0)
		reason_set(reason, REASON_UNKNOWN, "pin", -fd, ATTACH_ROOT);
	return fd;
}

void pins_unlock(int lock)
{
	struct pin_path root = { ATTACH_ROOT };

	if (!rmdir(root.text)) {
		*strrchr(root.text, '/') = '\0';
		rmdir(root.text);
	}
	close(lock);
}

int pins_make(const struct pin_path *folder, struct reason *reason)
{
	int error = make_path(folder->text);

	return error ? reason_set(reason, REASON_UNKNOWN, "pin", -error, "%s", folder->text) : 0;
}

static void remove_below(int parent, const char *name, int levels)
{
	struct dirent *entry;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (levels && (entry = readdir(folder))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0))
			remove_below(dirfd(folder), entry->d_name, levels - 1);
	}
	closedir(folder);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void pins_remove(const struct pin_path *folder)
{
	char text[sizeof(*folder)];
	char *slash;

	remove_below(AT_FDCWD, folder->text, MAX_LEVELS);
	snprintf(text, sizeof(text), "%s", folder->text);
	while ((slash = strrchr(text, '/')) && slash > text + strlen(BPFFS)) {
		*slash = '\0';
		/* The root of all is locked: pins_unlock() removes it. */
		if (!strcmp(text, ATTACH_ROOT) || rmdir(text))
			return;
	}
}

int pins_move(const struct pin_path *from, const struct pin_path *to, struct reason *reason)
{
	remove_below(AT_FDCWD, to->text, MAX_LEVELS);
	if (rename(from->text, to->text))
		return reason_set(reason, REASON_UNKNOWN, "pin", errno, "%s", to->text);
	return 0;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) ? 0 : now.tv_sec * 1000000000LL + now.tv_nsec;
}

uint64_t pins_made(const struct pin_path *folder)
{
	struct stat made;
	int64_t since_boot;

	if (stat(folder->text, &made))
		return 0;
	since_boot = made.st_mtim.tv_sec * 1000000000LL + made.st_mtim.tv_nsec -
		     (now_ns(CLOCK_REALTIME) - now_ns(CLOCK_BOOTTIME));
	return since_boot > 0 ? (uint64_t)since_boot : 0;
}

bool pins_exist(const struct pin_path *folder)
{
	return !access(folder->text, F_OK);
}

int pins_mark(const struct pin_path *folder, struct reason *reason, const char *format, ...)
{
	struct pin_path path;
	char name[33];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	path = pins_in(folder, name);
	return pins_make(&path, reason);
}

void pins_unmark(const struct pin_path *folder, const char *prefix)
{
	DIR *list = opendir(folder->text);
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)))
			unlinkat(dirfd(list), entry->d_name, AT_REMOVEDIR);
	if (list)
		closedir(list);
}

bool pins_marked(const struct pin_path *folder, const char *format, ...)
{
	struct pin_path path;
	char name[33];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	path = pins_in(folder, name);
	return pins_exist(&path);
}

int pins_put(int fd, const struct pin_path *folder, const char *name, struct reason *reason)
{
	struct pin_path path = pins_in(folder, name);

	if (bpf_obj_pin(fd, path.text))
		return reason_set(reason, REASON_UNKNOWN, "pin", errno, "%s", path.text);
	return 0;
}

uint32_t pins_map_id(const struct pin_path *folder, const char *name)
{
	int fd = bpf_obj_get(pins_in(folder, name).text);
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	if (fd < 0)
		return 0;
	bpf_obj_get_info_by_fd(fd, &info, &length);
	close(fd);
	return info.id;
}

int pins_get(const struct pin_path *folder, const char *name)
{
	int fd = bpf_obj_get(pins_in(folder, name).text);

	return fd < 0 ? -errno : fd;
}

int pins_program(const struct pin_path *folder)
{
	return pins_get(folder, PINS_PROGRAM);
}

int pins_interfaces(char (**names)[IF_NAMESIZE], size_t *n, struct reason *reason)
{
	char(*list)[IF_NAMESIZE] = NULL, (*more)[IF_NAMESIZE];
	DIR *folder = opendir(ATTACH_ROOT);
	struct dirent *entry;
	size_t i, count = 0;

	*names = NULL;
	*n = 0;
	if (!folder)
		return errno == ENOENT ?
			       0 :
			       reason_set(reason, REASON_UNKNOWN, "pin", errno, ATTACH_ROOT);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= IF_NAMESIZE)
			continue;
		more = reallocarray(list, count + 1, sizeof(*list));
		if (!more) {
			free(list);
			closedir(folder);
			return reason_set(reason, REASON_UNKNOWN, "pin", ENOMEM, NULL);
		}
		list = more;
		memcpy(list[count], entry->d_name, strlen(entry->d_name) + 1);
		for (i = 0; list[count][i]; i++)
			if (list[count][i] == ':')
				list[count][i] = '.';
		count++;
	}
	closedir(folder);
	*names = list;
	*n = count;
	return 0;
}
