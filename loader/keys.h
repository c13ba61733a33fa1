/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Key files of encrypted connection IDs: reads and writes them, and keeps keys to this process.
 */
#ifndef SHUNT_KEYS_H
#define SHUNT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_SIZE	      16
#define KEYS_FINGERPRINT_SIZE 7 /* six digits */
#define KEYS_FINGERPRINT_NAME "kcv:" /* what stands before them where people and machines read */

/*
 * A file of 16 octets, or of 32 hexadecimal digits and perhaps a line's end, that belongs to root or
 * to the caller and that nobody else can read or write. A relative path starts at `folder`. 0 and the
 * key, or -errno with what is wrong with the file. From the first key on the process leaves no core
 * file. Wipe the key.
 */
int keys_read(const char *folder, const char *path, uint8_t *key, char *problem, size_t size);

/* A new key: 0 or -errno. */
int keys_random(uint8_t *key);
/* A key as a file holds it; text of KEYS_TEXT_MAX. Returns how many octets. Wipe it. */
size_t keys_text(const uint8_t *key, bool raw, char *text);
#define KEYS_TEXT_MAX (2 * KEYS_SIZE + 2)
/*
 * Writes a file that is closed to others. There must be none yet, or with replace it is replaced in
 * one step. 0 or -errno, and then there is no new file.
 */
int keys_write(const char *path, const uint8_t *key, bool raw, bool replace);

/* The key check value: AES(key, zeros)'s first three octets in hexadecimal. */
void keys_fingerprint(const uint8_t *key, char *fingerprint);

/* Out of core files, and out of ptrace's reach but root's; nothing that can fail matters. */
void keys_protect_process(void);
/* Memory that holds keys: not swapped out, as far as the limits let it. */
void keys_protect(const void *memory, size_t size);

#endif
