/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The handle: which configs it holds, which one is active, and who may look at them meanwhile. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define LEAST_RANDOM 7 /* draft section 3.2: at least eight octets of CID without a config */

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void let_go(struct shunt_cid *s)
{
	if (s->mark)
		munmap(s->mark, sizeof(*s->mark));
	explicit_bzero(s, sizeof(*s));
	munmap(s, sizeof(*s));
}

/*
 * A page and not the process's number, for in another PID namespace the child can have the same. A
 * kernel that cannot wipe pages leaves only the number.
 */
static int mark_owner(struct shunt_cid *s)
{
	s->mark = map(sizeof(*s->mark));
	if (!s->mark)
		return -1;
	if (madvise(s->mark, sizeof(*s->mark), MADV_WIPEONFORK))
		s->pid = getpid();
	*s->mark = 1;
	return 0;
}

/* Asked before any lock is taken: in a child a thread may hold it that does not exist there. */
static bool forked(const struct shunt_cid *s)
{
	return !*s->mark || (s->pid && s->pid != getpid());
}

/* glibc's default lets readers that never pause keep a rotation out for good. */
static int init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attributes;
	int error = pthread_rwlockattr_init(&attributes);

	if (error)
		return error;
	(void)pthread_rwlockattr_setkind_np(&attributes,
					    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	error = pthread_rwlock_init(lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	return error;
}

static struct shunt_cid *make_handle(void)
{
	struct shunt_cid *s = map(sizeof(*s));

	if (!s)
		return NULL;
	/* A kernel that cannot leave pages out of core files is no reason not to serve. */
	(void)madvise(s, sizeof(*s), MADV_DONTDUMP);
	if (mark_owner(s) || init_lock(&s->lock)) {
		let_go(s);
		return NULL;
	}
	s->active = SHUNT_CID_UNCONFIGURED;
	s->random_length = 1 + LEAST_RANDOM;
	return s;
}

int shunt_cid_open(const struct shunt_cid_config *config, struct shunt_cid **opened)
{
	struct shunt_cid *s;
	int error;

	if (!opened)
		return SHUNT_CID_ERR_ARGUMENT;
	*opened = NULL;
	s = make_handle();
	if (!s)
		return SHUNT_CID_ERR_MEMORY;
	error = config ? shunt_cid_add_config(s, config) : 0;
	if (!error && config)
		error = shunt_cid_activate(s, config->config_id);
	if (error) {
		shunt_cid_close(s);
		return error;
	}
	*opened = s;
	return 0;
}

void shunt_cid_close(struct shunt_cid *s)
{
	bool child;

	if (!s)
		return;
	child = forked(s);
	for (int i = 0; i < LB_CONFIG_IDS; i++)
		shunt_cid_drop_(&s->configs[i], !child);
	/* A thread of the parent may have held it, and one that is held must not be destroyed. */
	if (!child)
		pthread_rwlock_destroy(&s->lock);
	let_go(s);
}

int shunt_cid_add_config(struct shunt_cid *s, const struct shunt_cid_config *config)
{
	int error;

	if (!s || !config)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	error = shunt_cid_check_(config);
	if (error)
		return error;
	pthread_rwlock_wrlock(&s->lock);
	if (config->config_id == SHUNT_CID_UNCONFIGURED)
		s->random_length = 1 + (config->nonce_length ? config->nonce_length : LEAST_RANDOM);
	else if (s->configs[config->config_id].held)
		error = SHUNT_CID_ERR_HELD;
	else
		error = shunt_cid_hold_(&s->configs[config->config_id], config);
	pthread_rwlock_unlock(&s->lock);
	return error;
}

int shunt_cid_activate(struct shunt_cid *s, unsigned int config_id)
{
	int error = 0;

	if (!s)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	if (config_id > SHUNT_CID_UNCONFIGURED)
		return SHUNT_CID_ERR_CONFIG_ID;
	pthread_rwlock_wrlock(&s->lock);
	if (config_id != SHUNT_CID_UNCONFIGURED && !s->configs[config_id].held)
		error = SHUNT_CID_ERR_NOT_HELD;
	else
		s->active = config_id;
	pthread_rwlock_unlock(&s->lock);
	return error;
}

int shunt_cid_retire(struct shunt_cid *s, unsigned int config_id)
{
	int error = 0;

	if (!s)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	if (config_id >= LB_CONFIG_IDS)
		return SHUNT_CID_ERR_CONFIG_ID;
	pthread_rwlock_wrlock(&s->lock);
	if (s->active == config_id)
		error = SHUNT_CID_ERR_ACTIVE;
	else if (!s->configs[config_id].held)
		error = SHUNT_CID_ERR_NOT_HELD;
	else
		shunt_cid_drop_(&s->configs[config_id], true);
	pthread_rwlock_unlock(&s->lock);
	return error;
}

/* The lock is no part of what a caller sees as constant. */
static void look(const struct shunt_cid *s)
{
	pthread_rwlock_rdlock((pthread_rwlock_t *)&s->lock);
}

static void looked(const struct shunt_cid *s)
{
	pthread_rwlock_unlock((pthread_rwlock_t *)&s->lock);
}

unsigned int shunt_cid_active(const struct shunt_cid *s)
{
	unsigned int active;

	if (forked(s))
		return SHUNT_CID_UNCONFIGURED;
	look(s);
	active = s->active;
	looked(s);
	return active;
}

/* With the lock held. */
static size_t length_of(const struct shunt_cid *s, unsigned int config_id)
{
	if (config_id == SHUNT_CID_UNCONFIGURED)
		return s->random_length;
	return s->configs[config_id].held ? shunt_cid_length_(&s->configs[config_id]) : 0;
}

size_t shunt_cid_length(const struct shunt_cid *s, unsigned int config_id)
{
	size_t length;

	if (config_id > SHUNT_CID_UNCONFIGURED || forked(s))
		return 0;
	look(s);
	length = length_of(s, config_id);
	looked(s);
	return length;
}

unsigned int shunt_cid_rules(const struct shunt_cid *s)
{
	/* Draft section 3.2: nobody could follow such a client to another address. */
	return shunt_cid_active(s) == SHUNT_CID_UNCONFIGURED ?
		       SHUNT_CID_ONE_ONLY | SHUNT_CID_NO_MIGRATION :
		       0;
}

/* With the lock held. */
static int issue(struct shunt_cid *s, unsigned int config_id, uint8_t *cid, size_t *length)
{
	size_t needed = length_of(s, config_id);
	int error;

	if (!needed)
		return SHUNT_CID_ERR_NOT_HELD;
	if (*length < needed)
		return SHUNT_CID_ERR_ROOM;
	if (config_id == SHUNT_CID_UNCONFIGURED)
		error = shunt_cid_make_random_(cid, needed);
	else
		error = shunt_cid_make_(&s->configs[config_id], cid);
	if (!error)
		*length = needed;
	return error;
}

int shunt_cid_issue(struct shunt_cid *s, uint8_t *cid, size_t *length)
{
	int error;

	if (!s || !cid || !length)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	look(s);
	error = issue(s, s->active, cid, length);
	looked(s);
	return error;
}

int shunt_cid_issue_under(struct shunt_cid *s, unsigned int config_id, uint8_t *cid, size_t *length)
{
	int error;

	if (!s || !cid || !length)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	if (config_id > SHUNT_CID_UNCONFIGURED)
		return SHUNT_CID_ERR_CONFIG_ID;
	look(s);
	error = issue(s, config_id, cid, length);
	looked(s);
	return error;
}

int shunt_cid_left(struct shunt_cid *s, unsigned int config_id, uint64_t *left)
{
	int error = 0;

	if (!s || !left)
		return SHUNT_CID_ERR_ARGUMENT;
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	if (config_id > SHUNT_CID_UNCONFIGURED)
		return SHUNT_CID_ERR_CONFIG_ID;
	look(s);
	if (!length_of(s, config_id))
		error = SHUNT_CID_ERR_NOT_HELD;
	else if (config_id == SHUNT_CID_UNCONFIGURED || !s->configs[config_id].keyed)
		*left = UINT64_MAX;
	else
		*left = shunt_cid_counter_left_(&s->configs[config_id].counter);
	looked(s);
	return error;
}

int shunt_cid_decode(struct shunt_cid *s, const uint8_t *cid, size_t length,
		     struct shunt_cid_info *info)
{
	unsigned int config_id;

	if (!s || (!cid && length) || !info)
		return SHUNT_CID_ERR_ARGUMENT;
	memset(info, 0, sizeof(*info));
	if (forked(s))
		return SHUNT_CID_ERR_FORKED;
	if (!length)
		return 0;
	config_id = lb_cid_config_id(cid[0]);
	info->config_id = (uint8_t)config_id;
	if (config_id == SHUNT_CID_UNCONFIGURED) {
		info->owner = SHUNT_CID_RANDOM;
		return 0;
	}
	look(s);
	if (s->configs[config_id].held)
		shunt_cid_read_(&s->configs[config_id], cid, length, info);
	looked(s);
	return 0;
}
