/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gets a configuration from a file, and gives it back. What is in it is judged elsewhere.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_internal.h"
#include "memory.h"

/* LB_MAX_SERVERS servers with two server ids each, written generously, are half of it. */
#define FILE_MAX   (32u << 20)
#define FIRST_ROOM (64u << 10)
/* What becomes of a file's octet until it is in the maps: tree, configuration, plan. */
#define MEMORY_A_FILE 8

static void add_finding(struct config_findings *findings, bool warning, const char *path,
			const char *format, va_list arguments)
{
	struct config_finding *list, *finding;

	if (!warning)
		findings->errors++;
	/* Full at every power of two. */
	if (!(findings->n & (findings->n - 1))) {
		list = reallocarray(findings->list, findings->n ? 2 * findings->n : 1,
				    sizeof(*list));
		if (!list)
			return;
		findings->list = list;
	}
	finding = &findings->list[findings->n++];
	finding->warning = warning;
	snprintf(finding->path, sizeof(finding->path), "%s", path);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
}

void config_error(struct config_findings *findings, const char *path, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_finding(findings, false, path, format, arguments);
	va_end(arguments);
}

void config_warn(struct config_findings *findings, const char *path, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_finding(findings, true, path, format, arguments);
	va_end(arguments);
}

void config_findings_free(struct config_findings *findings)
{
	free(findings->list);
	memset(findings, 0, sizeof(*findings));
}

/* Deeper than any file: config_yaml.c refuses what is nested like that. */
static size_t path_step(struct config_path *path, const char *key, size_t index)
{
	size_t before = path->n;

	if (before < CONFIG_PATH_STEPS) {
		path->step[before].key = key;
		path->step[before].index = index;
		path->n++;
	}
	return before;
}

size_t config_path_key(struct config_path *path, const char *key)
{
	return path_step(path, key, 0);
}

size_t config_path_index(struct config_path *path, size_t index)
{
	return path_step(path, NULL, index);
}

void config_path_cut(struct config_path *path, size_t length)
{
	path->n = length;
}

const char *config_path_text(const struct config_path *path, char *buffer)
{
	char shown[CONFIG_SHOWN];
	size_t length = 0;

	*buffer = '\0';
	for (size_t i = 0; i < path->n && length < CONFIG_PATH_SIZE; i++) {
		const char *key = path->step[i].key;

		if (key)
			length += snprintf(buffer + length, CONFIG_PATH_SIZE - length, "%s%s",
					   i ? "." : "",
					   *key ? config_shown(key, shown, sizeof(shown)) : "\"\"");
		else
			length += snprintf(buffer + length, CONFIG_PATH_SIZE - length, "[%zu]",
					   path->step[i].index);
	}
	return buffer;
}

const char *config_path_at(char *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buffer, CONFIG_PATH_SIZE, format, arguments);
	va_end(arguments);
	return buffer;
}

const char *config_shown(const char *text, char *buffer, size_t size)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		buffer[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	buffer[i] = '\0';
	if (text[i])
		memcpy(buffer + i - 3, "...", 3);
	return buffer;
}

/* All of fd, at most FILE_MAX octets; room: as many as there may be. The caller frees *text. */
static int read_all(int fd, size_t room, char **text, size_t *length)
{
	size_t size = room + 1, n = 0;
	char *buffer = malloc(size), *larger;
	ssize_t got;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		got = read(fd, buffer + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += got;
		if (n > FILE_MAX) {
			free(buffer);
			return -EFBIG;
		}
		if (n == size) {
			larger = realloc(buffer, 2 * size);
			if (!larger) {
				free(buffer);
				return -ENOMEM;
			}
			buffer = larger;
			size *= 2;
		}
	}
	if (got < 0) {
		int error = -errno;

		free(buffer);
		return error;
	}
	*text = buffer;
	*length = n;
	return 0;
}

static int read_file(const char *path, char **text, size_t *length)
{
	size_t room = FIRST_ROOM;
	struct stat stat;
	int fd, error;

	if (!strcmp(path, "-"))
		return read_all(STDIN_FILENO, room, text, length);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &stat) && stat.st_size > 0 && stat.st_size <= FILE_MAX)
		room = (size_t)stat.st_size;
	memory_expect(MEMORY_A_FILE * room);
	error = read_all(fd, room, text, length);
	close(fd);
	return error;
}

static uint32_t default_limit(uint32_t given, uint32_t needed, uint32_t usual, uint32_t max)
{
	uint32_t limit = usual;

	if (given)
		return given;
	if (needed > usual)
		for (limit = 1; limit < needed && limit < max; limit *= 2)
			;
	return limit < max ? limit : max;
}

struct config_limits config_needs(const struct config *config)
{
	struct config_limits needs = { .vips = config->n_vips, .pools = config->n_pools };
	const struct config_pool *pool;
	uint32_t i, k;

	for (i = 0; i < config->n_pools; i++) {
		pool = &config->pools[i];
		needs.servers += pool->n_servers;
		for (k = 0; k < pool->n_servers; k++)
			needs.server_ids += pool->servers[k].n_ids;
	}
	return needs;
}

static void set_limits(struct config *config)
{
	struct config_limits needs = config_needs(config), *limits = &config->limits;

	limits->servers =
		default_limit(limits->servers, needs.servers, LB_DEFAULT_SERVERS, LB_MAX_SERVERS);
	limits->server_ids = default_limit(limits->server_ids, needs.server_ids,
					   LB_DEFAULT_SERVER_IDS, CONFIG_MAX_SERVER_IDS);
	limits->vips = default_limit(limits->vips, needs.vips, LB_DEFAULT_VIPS, LB_MAX_VIPS);
	limits->pools = default_limit(limits->pools, needs.pools, LB_DEFAULT_POOLS, LB_MAX_POOLS);
	limits->known_cids =
		default_limit(limits->known_cids, 0, LB_DEFAULT_KNOWN_CIDS, LB_MAX_KNOWN_CIDS);
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct config_server_id));
}

/* Their order means nothing, so it shall make no difference between two files either. */
static void sort_server_ids(struct config *config)
{
	const struct config_pool *pool;
	uint32_t i, k;

	for (i = 0; i < config->n_pools; i++) {
		pool = &config->pools[i];
		for (k = 0; k < pool->n_servers; k++)
			if (pool->servers[k].n_ids)
				qsort(pool->servers[k].ids, pool->servers[k].n_ids,
				      sizeof(*pool->servers[k].ids), compare_ids);
	}
}

/* What one field alone cannot show, and what follows from the rest. */
static int judge(struct config *config, const char *folder, struct config_findings *findings)
{
	int error;

	set_limits(config);
	config_read_key_files(config, folder, findings);
	error = config_check(config, findings);
	if (!error && findings->errors)
		error = -EINVAL;
	if (error)
		return error;
	sort_server_ids(config);
	config_check_risks(config, findings);
	return 0;
}

/*
 * *config only if it is valid. 0, -EINVAL, -ENOMEM. Gives the tree back before the rest takes memory: what
 * was used is at hand, and new pages are dear.
 */
static int from_tree(struct config_tree *tree, const char *folder, struct config **config,
		     struct config_findings *findings)
{
	struct config *found = calloc(1, sizeof(*found));
	int error = found ? config_read(tree->root, found, findings) : -ENOMEM;

	config_tree_free(tree);
	if (!error)
		error = judge(found, folder, findings);
	if (error)
		config_free(found);
	else
		*config = found;
	return error;
}

/* Takes the text over. */
static int parse_in(const char *folder, char *text, size_t length, struct config **config,
		    struct config_findings *findings)
{
	struct config_tree tree = {};
	int error = config_yaml_parse(text, length, &tree, findings);

	free(text);
	if (!error)
		error = from_tree(&tree, folder, config, findings);
	config_tree_free(&tree);
	if (error == -ENOMEM)
		config_error(findings, "", "not enough memory to read it");
	return error;
}

int config_parse(const char *text, size_t length, struct config **config,
		 struct config_findings *findings)
{
	char *copy = malloc(length + 1);

	*config = NULL;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, length);
	return parse_in(".", copy, length, config, findings);
}

/* The folder that a file is in; the caller frees it. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, slash - path);
}

int config_load(const char *path, struct config **config, struct config_findings *findings)
{
	size_t length = 0;
	char *text = NULL, *folder = folder_of(path);
	int error = -ENOMEM;

	*config = NULL;
	if (folder)
		error = read_file(path, &text, &length);
	if (error == -EFBIG)
		config_error(findings, "", "larger than %u MiB: not a configuration",
			     FILE_MAX >> 20);
	else if (error)
		config_error(findings, "", "cannot be read: %s", strerror(-error));
	else
		error = parse_in(folder, text, length, config, findings);
	free(folder);
	return error;
}

void config_free(struct config *config)
{
	struct config_pool *pool;
	uint32_t i, k;

	if (!config)
		return;
	for (i = 0; i < config->n_pools; i++) {
		pool = &config->pools[i];
		for (k = 0; k < pool->n_servers; k++)
			free(pool->servers[k].ids);
		free(pool->servers);
	}
	if (config->cids)
		explicit_bzero(config->cids, config->n_cids * sizeof(*config->cids));
	free(config->interfaces);
	free(config->cids);
	free(config->pools);
	free(config->vips);
	free(config);
}
