/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writes the events as JSON lines. */
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A process has one event log, as it has one standard error. */
static FILE *out;
static const char *server;

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int log_open(const char *path, const char *server_name)
{
	server = server_name;
	out = path ? fopen(path, "ae") : stdout;
	if (!out) {
		fprintf(stderr, "quic-server: %s: %s: give --log a writable file\n", path,
			strerror(errno));
		return -1;
	}
	/* One write a line: readers that follow the file never see half an event. */
	setvbuf(out, NULL, _IOFBF, 65536);
	return 0;
}

void log_close(void)
{
	fflush(out);
	if (out != stdout)
		fclose(out);
}

static void put_string(const uint8_t *s, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			fprintf(out, "\\%c", s[i]);
		else if (s[i] < 0x20 || s[i] > 0x7e)
			/* A request path may be any octets; each stands for itself. */
			fprintf(out, "\\u%04x", s[i]);
		else
			fputc(s[i], out);
	}
	fputc('"', out);
}

void log_begin(const char *event)
{
	uint64_t t = now_ns();

	fprintf(out, "{\"event\":\"%s\"", event);
	log_text("server", server);
	fprintf(out, ",\"t\":%" PRIu64 ".%06" PRIu64, t / 1000000000u, t % 1000000000u / 1000);
}

void log_end(void)
{
	fputs("}\n", out);
	fflush(out);
}

void log_bytes(const char *key, const void *value, size_t len)
{
	fprintf(out, ",\"%s\":", key);
	put_string(value, len);
}

void log_text(const char *key, const char *value)
{
	log_bytes(key, value, strlen(value));
}

void log_num(const char *key, uint64_t value)
{
	fprintf(out, ",\"%s\":%" PRIu64, key, value);
}

void log_bool(const char *key, bool value)
{
	fprintf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

void log_hex(const char *key, const void *value, size_t len)
{
	const uint8_t *p = value;

	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", p[i]);
	fputc('"', out);
}

void log_version(const char *key, uint32_t version)
{
	fprintf(out, ",\"%s\":\"0x%08" PRIx32 "\"", key, version);
}

void log_addr(const char *key, const struct sockaddr *addr)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		fprintf(out, ",\"%s\":\"[%s]:%u\"", key, text, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		fprintf(out, ",\"%s\":\"%s:%u\"", key, text, ntohs(in->sin_port));
	}
}
