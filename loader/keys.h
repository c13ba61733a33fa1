/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Key files of encrypted connection IDs: reads one, and keeps what was read to this process.
 */
#ifndef SHUNT_KEYS_H
#define SHUNT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define KEYS_SIZE	      16
#define KEYS_FINGERPRINT_SIZE 7 /* six digits */

/*
 * A file of 16 octets, or of 32 hexadecimal digits and perhaps a line's end, that belongs to root or
 * to the caller and that nobody else can read or write. A relative path starts at `folder`. 0 and the
 * key, or -errno with what is wrong with the file. From the first key on the process leaves no core
 * file. Wipe the key.
 */
int keys_read(const char *folder, const char *path, uint8_t *key, char *problem, size_t size);

/* The key check value: AES(key, zeros)'s first three octets in hexadecimal. */
void keys_fingerprint(const uint8_t *key, char *fingerprint);

/* Out of core files, and out of ptrace's reach but root's; nothing that can fail matters. */
void keys_protect_process(void);
/* Memory that holds keys: not swapped out, as far as the limits let it. */
void keys_protect(const void *memory, size_t size);

#endif
