/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is attached, what is left over, and whether this process may ask. See attach.h.
 */
#include "attach.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "site.h"

void attach_close(struct attachment *attachment)
{
	map_set_close(&attachment->maps);
}

/* CAP_PERFMON: the verifier lets programs hold packet pointers the way ours do only with it. */
int attach_check_rights(struct reason *reason)
{
	static const struct {
		int number;
		const char *name;
		bool by_sys_admin; /* CAP_SYS_ADMIN stands for it */
	} needed[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", false },
		{ CAP_BPF, "CAP_BPF", true },
		{ CAP_PERFMON, "CAP_PERFMON", true },
	};
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	char missing[64] = "";
	uint64_t held;
	size_t i;

	if (syscall(SYS_capget, &header, data))
		return 0; /* the kernel will tell */
	held = (uint64_t)data[1].effective << 32 | data[0].effective;
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (held >> needed[i].number & 1 ||
		    (needed[i].by_sys_admin && held >> CAP_SYS_ADMIN & 1))
			continue;
		if (missing[0])
			strcat(missing, ", ");
		strcat(missing, needed[i].name);
	}
	if (!missing[0])
		return 0;
	reason_set(reason, REASON_NO_PERMISSION, "rights", 0, "%s", missing);
	return -EPERM;
}

int attach_clean(const char *interface, struct reason *reason)
{
	char(*names)[IF_NAMESIZE] = NULL;
	int error = attach_check_rights(reason), cleaned, sum = 0;
	struct site site;
	size_t n = 0, i;

	if (!error && !interface)
		error = pins_interfaces(&names, &n, reason);
	for (i = 0; !error && i < (interface ? 1 : n); i++) {
		error = site_enter(&site, interface ? interface : names[i], &cleaned, reason);
		if (!error) {
			site_leave(&site);
			sum += cleaned;
		}
	}
	free(names);
	return error ? error : sum;
}

/* Appends what is attached on one interface. */
static int list_interface(const char *interface, struct attachment **list, size_t *n,
			  struct reason *reason)
{
	struct attachment *more;
	struct pin_path folder;
	struct site site;
	enum tier tier;
	int error = site_look(&site, interface, reason);

	for (tier = 0; !error && tier < TIER_COUNT; tier++) {
		if (!site_find(&site, tier, &folder))
			continue;
		more = reallocarray(*list, *n + 1, sizeof(**list));
		if (!more)
			return reason_set(reason, REASON_UNKNOWN, "list", ENOMEM, NULL);
		*list = more;
		error = site_read(&site, tier, &folder, &more[*n], reason);
		if (!error)
			++*n;
	}
	return error;
}

int attach_list(const char *interface, struct attachment **list, size_t *n, struct reason *reason)
{
	char(*names)[IF_NAMESIZE] = NULL;
	size_t n_names = 0, i;
	int error = attach_check_rights(reason);

	*list = NULL;
	*n = 0;
	if (error)
		return error;
	if (interface) {
		error = list_interface(interface, list, n, reason);
	} else {
		error = pins_interfaces(&names, &n_names, reason);
		for (i = 0; !error && i < n_names; i++)
			error = list_interface(names[i], list, n, reason);
		free(names);
	}
	if (error) {
		attach_list_free(*list, *n);
		*list = NULL;
		*n = 0;
	}
	return error;
}

void attach_list_free(struct attachment *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		attach_close(&list[i]);
	free(list);
}
