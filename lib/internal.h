/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of libshunt-cid share and its users do not see. */
#ifndef SHUNT_CID_INTERNAL_H
#define SHUNT_CID_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lb/cid.h"
#include "shunt/cid.h"

#define MAX_COUNTER LB_NONCE_MAX

/* A file that remembers how far a counter may have come. */
struct cid_state {
	int fd; /* -1: none */
	uint64_t writes; /* so far; the parity says to which line */
	uint64_t check; /* of the key it belongs to */
};

/* A counter that starts anywhere and runs once around: nonces of a key must never come again. */
struct cid_counter {
	pthread_mutex_t lock;
	uint8_t start[MAX_COUNTER];
	unsigned int length; /* octets of start that count */
	uint64_t next; /* how many were taken */
	uint64_t reserved; /* how many may be taken before the file has to be told */
	uint64_t limit; /* how many there are */
	struct cid_state state;
};

struct held_config {
	bool held, keyed;
	uint8_t config_id;
	uint8_t worker_length, flags;
	uint8_t server_id[SHUNT_CID_MAX_SERVER_ID];
	uint8_t worker[SHUNT_CID_MAX_WORKER];
	struct lb_cid_config layout;
	struct lb_cid_key key;
	struct lb_aes_key worker_key;
	struct cid_counter counter; /* keyed */
};

/* In pages of its own, which core dumps leave out. */
struct shunt_cid {
	pthread_rwlock_t lock; /* over active and which configs are held */
	unsigned int active;
	size_t random_length; /* of connection IDs without a config */
	/* A page of its own that fork() leaves zero in the child, who would count on from here. */
	uint8_t *mark;
	pid_t pid; /* the process, where the kernel has no such pages; else 0 */
	struct held_config configs[LB_CONFIG_IDS];
};

/* config.c: 0, or what is wrong with it; of config id 7 as well. */
int shunt_cid_check_(const struct shunt_cid_config *config);
/* config.c: held is zero before and after a failure. */
int shunt_cid_hold_(struct held_config *held, const struct shunt_cid_config *config);
/* config.c: save: the process that counted lets go, not its child. */
void shunt_cid_drop_(struct held_config *held, bool save);

/* counter.c: check: binds the state file to the key. */
int shunt_cid_counter_open_(struct cid_counter *counter, unsigned int length, const char *path,
			    uint64_t check);
void shunt_cid_counter_close_(struct cid_counter *counter, bool save);
/* counter.c: counter->length octets that were never given before. */
int shunt_cid_counter_take_(struct cid_counter *counter, uint8_t *octets);
uint64_t shunt_cid_counter_left_(struct cid_counter *counter);
int shunt_cid_random_(void *octets, size_t length);

/* state.c: counter->start and ->reserved as the file has them; *found: it has. */
int shunt_cid_state_open_(struct cid_counter *counter, const char *path, bool *found);
/* state.c: on disk when this returns 0. */
int shunt_cid_state_write_(struct cid_counter *counter, uint64_t reserved);
void shunt_cid_state_close_(struct cid_counter *counter);

/* encode.c: cid has room; its length, or an error. */
int shunt_cid_make_(struct held_config *held, uint8_t *cid);
int shunt_cid_make_random_(uint8_t *cid, size_t length);
void shunt_cid_read_(const struct held_config *held, const uint8_t *cid, size_t length,
		     struct shunt_cid_info *info);
size_t shunt_cid_length_(const struct held_config *held);

#endif
