/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF objects that objects.S embeds. */
#ifndef SHUNT_OBJECTS_H
#define SHUNT_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

#define OBJECT(name) extern const unsigned char object_##name[], object_##name##_end[]
OBJECT(offload);
OBJECT(driver);
OBJECT(generic);
OBJECT(ingress);
OBJECT(egress);
OBJECT(decap);
#undef OBJECT
/* As numbers: to C the two symbols are different objects, which have no distance. */
#define OBJECT_SIZE(name) ((size_t)((uintptr_t)object_##name##_end - (uintptr_t)object_##name))

#endif
