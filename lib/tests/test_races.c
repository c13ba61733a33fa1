/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The same with ThreadSanitizer, which takes fewer rounds and finds what they do not show. */
#define EACH 2000
#include "test_threads.c" /* NOLINT(bugprone-suspicious-include) */
