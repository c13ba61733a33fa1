/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a tier must say about itself before it includes the pipeline. With maps.h this is the only
 * file that knows the tiers apart; everything else asks these constants in plain if (). What a card has
 * no room for it says beside them; the host's way is the default where each is used (bytes.h, parse.h).
 */
#ifndef LB_PROFILE_H
#define LB_PROFILE_H

#if !defined(LB_MAY_REDIRECT) || !defined(LB_MAY_PERCPU) || !defined(LB_MAY_AES) || \
	!defined(LB_MAY_GUE) || !defined(LB_MAY_TRACK)
#error "a tier defines LB_MAY_REDIRECT, _PERCPU, _AES, _GUE and _TRACK before it includes the pipeline"
#endif

#endif
