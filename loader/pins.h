/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The folders of ours in the BPF file system: their names, making and removing them, and marks in
 * them. Knows what a folder holds no more than by name.
 *
 * A mark is an empty folder whose name says something: bpffs holds no text.
 */
#ifndef SHUNT_PINS_H
#define SHUNT_PINS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define PINS_PROGRAM "prog"
#define PINS_STACK   "tc"

struct pin_path {
	char text[128];
};

/* ATTACH_ROOT/INTERFACE/PART. bpffs takes no dot in a name: eth0.5 becomes eth0:5, which no interface
 * is called. */
struct pin_path pins_folder(const char *interface, const char *part);
struct pin_path pins_in(const struct pin_path *folder, const char *name);

/* 0, or REASON_NO_BPFFS. */
int pins_check(struct reason *reason);
/* One loader at a time changes anything: the lock, or -errno. */
int pins_lock(struct reason *reason);
/* Gives it back; the folder of all pins goes when there are none. */
void pins_unlock(int lock);
int pins_make(const struct pin_path *folder, struct reason *reason);
/* With everything in it; the folders above go too when they are empty. */
void pins_remove(const struct pin_path *folder);
/* `from` takes the place of `to`. */
int pins_move(const struct pin_path *from, const struct pin_path *to, struct reason *reason);
/* When, in ns since boot; 0: not known. */
uint64_t pins_made(const struct pin_path *folder);
bool pins_exist(const struct pin_path *folder);

int pins_mark(const struct pin_path *folder, struct reason *reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes off all marks that begin so. */
void pins_unmark(const struct pin_path *folder, const char *prefix);
bool pins_marked(const struct pin_path *folder, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int pins_put(int fd, const struct pin_path *folder, const char *name, struct reason *reason);
/* Tells maps apart; 0: no map is pinned there. */
uint32_t pins_map_id(const struct pin_path *folder, const char *name);
/* What is pinned there under a name: fd, or -errno. */
int pins_get(const struct pin_path *folder, const char *name);
/* The program pinned there: fd, or -errno. */
int pins_program(const struct pin_path *folder);

/* Every interface that has a folder. *names: free() it. */
int pins_interfaces(char (**names)[IF_NAMESIZE], size_t *n, struct reason *reason);

#endif
