/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* This server's configs for connection IDs: as told on the command line or in a file, and in use. */
#ifndef HWTESTS_QUIC_CID_H
#define HWTESTS_QUIC_CID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shunt/cid.h"

enum {
	CID_CONFIGS = 7,
	CID_KEY_PATH = 256,
	CID_WHY = 512,
};

struct cid_config {
	struct shunt_cid_config lib; /* without the key */
	char key_file[CID_KEY_PATH]; /* "": in clear */
	bool retiring;
};

/* What is wanted. One of them, the first if none says otherwise, is not retiring. */
struct cid_configs {
	struct cid_config list[CID_CONFIGS];
	size_t n;
	uint8_t random_length; /* octets behind the first without a config */
};

struct cids {
	struct shunt_cid *lib;
	struct cid_configs configs;
	/* By config id, also of those no longer held: there may be connections that use them. */
	uint8_t lengths[SHUNT_CID_UNCONFIGURED + 1];
};

/*
 * Make wanted hold, at first or in the place of what does. 0, or -1 with a line in why[CID_WHY], and
 * nothing has changed but that new configs may be decoded already.
 */
int cids_apply(struct cids *cids, const struct cid_configs *wanted, char *why);
void cids_close(struct cids *cids);

/*
 * A fresh connection ID in cid[SHUNT_CID_MAX_LENGTH]; its length, or an error of the library. begun:
 * the one a connection began with, NULL if there is none: libngtcp2 0.12 does not let the length
 * change, so that one of another length is only for new connections.
 */
int cids_issue(struct cids *cids, const uint8_t *begun, size_t begun_length, uint8_t *cid);

/* How long the connection ID of a short header is that begins with this octet. */
size_t cids_short_length(const struct cids *cids, uint8_t octet);

struct shunt_cid_info cids_decode(struct cids *cids, const uint8_t *cid, size_t length);

/* cid_file.c: "0a0b" into octets; the number of octets, 0 if it is not that or more than room. */
size_t cid_unhex(const char *text, uint8_t *octets, size_t room);

/*
 * cid_file.c: lines "CONFIG-ID SERVER-ID NONCE-LENGTH KEY-FILE|- active|retiring"; the flags and the
 * random length of wanted stay as they are. 0, or -1 with a line in why.
 */
int cid_file_read(const char *path, uint32_t flags, struct cid_configs *wanted, char *why);

#endif
