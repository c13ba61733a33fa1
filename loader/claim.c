/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A lock on the folder of the tier's pins. See claim.h.
 */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "pins.h"
#include "tier.h"

static int try_lock(const char *interface, int how)
{
	struct pin_path folder = pins_folder(interface, tiers[TIER_USERSPACE].name);
	int fd = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	if (!flock(fd, how | LOCK_NB))
		return fd;
	error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return error;
}

int claim_userspace(const char *interface)
{
	return try_lock(interface, LOCK_EX);
}

bool claim_is_held(const char *interface)
{
	int fd = try_lock(interface, LOCK_SH);

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}
