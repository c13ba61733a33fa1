// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that runs behind ours in libxdp's dispatcher, whose priority is 50. */
#define BESIDE behind
#define PLACE  90
#include "beside.h"
