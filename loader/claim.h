/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who serves the tier userspace of an interface. Changes nothing.
 */
#ifndef SHUNT_CLAIM_H
#define SHUNT_CLAIM_H

#include <stdbool.h>

/*
 * Who serves the tier holds a lock on its pins: it goes with the process, however that ends. The lock, -EBUSY
 * if another process has it, -errno. close() it.
 */
int claim_userspace(const char *interface);
bool claim_is_held(const char *interface);

#endif
