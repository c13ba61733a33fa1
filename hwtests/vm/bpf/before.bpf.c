// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that runs in front of ours in libxdp's dispatcher, whose priority is 50. */
#define BESIDE before
#define PLACE  10
#include "beside.h"
