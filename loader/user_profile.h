/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The data path's headers as the tier userspace has them: what lb/profile.h wants to be told. Included before
 * any of them, by every file of that tier.
 */
#ifndef SHUNT_USER_PROFILE_H
#define SHUNT_USER_PROFILE_H

#define LB_MAY_PERCPU	0
#define LB_MAY_REDIRECT 1
#define LB_MAY_AES	1
#define LB_MAY_GUE	1
#define LB_MAY_TRACK	0 /* flows.h remembers them */
/* The packet bounds them, not the verifier. */
#define LB_MAX_EXTENSIONS 8192
#define LB_MAX_IP_HEADERS 65535

#endif
