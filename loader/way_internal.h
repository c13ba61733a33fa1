/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What way.c and way_route.c share: a request with its answer, and addresses in it.
 */
#ifndef SHUNT_WAY_INTERNAL_H
#define SHUNT_WAY_INTERNAL_H

#include "way.h"

/* One request and its whole answer. 0 or -errno. */
int way_ask(struct mnl_socket *nl, struct nlmsghdr *request, mnl_cb_t callback, void *context);
size_t way_address_size(int family);
void way_address_read(struct config_address *address, int family, const struct nlattr *attr);

#endif
