/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells whoever started the server that it may be talked to. */
#ifndef HWTESTS_QUIC_READY_H
#define HWTESTS_QUIC_READY_H

/* Over fd, unless it is -1, and over NOTIFY_SOCKET, if set; -1 after one line on standard error. */
int say_ready(int fd);

#endif
