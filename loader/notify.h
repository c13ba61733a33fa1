/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells the service manager how the service is, by the protocol of sd_notify(3). Does nothing where
 * there is none.
 */
#ifndef SHUNT_NOTIFY_H
#define SHUNT_NOTIFY_H

/* READY=1 with a status line for people, printf-style. */
void notify_ready(const char *format, ...) __attribute__((format(printf, 1, 2)));
void notify_reloading(void);
void notify_stopping(void);

#endif
