/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Configuration files of many servers and all seven configs, as users would write them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "control/control.h"
#include "lb/abi.h"

#define KEY "6f6e6c7920666f7220612062656e6368\n"

static int write_key(const char *folder)
{
	char path[256];
	int fd, error = 0;

	snprintf(path, sizeof(path), "%s/bench.key", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, KEY, sizeof(KEY) - 1) != sizeof(KEY) - 1)
		error = -EIO;
	close(fd);
	return error;
}

/* Config 0 in clear, half of the others with one block, half with two. */
static void write_configs(FILE *file)
{
	fprintf(file, "cid_configs:\n"
		      "  - { id: 0, server_id_length: 4, nonce_length: 8 }\n");
	for (int id = 1; id < LB_CONFIG_IDS; id++)
		fprintf(file,
			"  - { id: %d, server_id_length: 4, nonce_length: %d, key_file: bench.key }\n",
			id, id % 2 ? 12 : 8);
}

static void write_servers(FILE *file, const struct control_file *what)
{
	fprintf(file, "pools:\n"
		      "  - name: all\n"
		      "    servers:\n");
	for (uint32_t i = 0; i < what->servers; i++) {
		fprintf(file,
			"      - name: s%u\n        address: 10.1.%u.%u\n        weight: %u\n", i,
			i >> 8, i & 0xff, i == what->changed ? 50 : 100);
		fprintf(file, "        server_ids:\n");
		for (int id = 0; id < LB_CONFIG_IDS; id++)
			fprintf(file, "          - { config: %d, id: \"%08x\" }\n", id,
				(i + 1) * 0x9e3779b1u);
	}
}

int control_file_write(const char *folder, const struct control_file *what)
{
	char path[256];
	FILE *file;
	int error = write_key(folder);

	if (error)
		return error;
	snprintf(path, sizeof(path), "%s/shunt.yaml", folder);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	fprintf(file, "version: 1\n"
		      "interfaces:\n"
		      "  - { name: far0, tier: driver }\n"
		      "fallback: { rows: 65536 }\n"
		      "vips:\n"
		      "  - { name: v4, address: 192.0.2.80, port: 443, pool: all }\n");
	if (what->default_limits)
		fprintf(file, "limits: { flows: %u }\n", what->flows);
	else
		fprintf(file, "limits: { servers: %u, server_ids: %u, flows: %u }\n", what->servers,
			what->servers * LB_CONFIG_IDS, what->flows);
	write_configs(file);
	write_servers(file, what);
	return fclose(file) ? -errno : 0;
}
