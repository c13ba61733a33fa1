/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TC programs beside a host tier. See stack.h.
 */
#include "stack.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clsact.h"
#include "hook.h"
#include "log.h"
#include "object.h"
#include "objects.h"
#include "pins.h"
#include "tcx.h"

#define BUILD_MARK "build-" /* and a number: of which loader the programs are */
#define ENDS	   2 /* enum lb_direction */

/* The pins of each end, and under which name a program waits until it is in its place. */
static const struct {
	const char *word, *program, *pin, *fresh, *link;
} ends[ENDS] = {
	[LB_INGRESS] = { "ingress", LB_PROG_INGRESS, PINS_PROGRAM, "new-" PINS_PROGRAM,
			 "link-ingress" },
	[LB_EGRESS] = { "egress", LB_PROG_EGRESS, "prog-egress", "new-prog-egress", "link-egress" },
};

static const struct {
	const char *name, *fresh;
} own_maps[] = {
	{ LB_MAP_STACK_STATS, "new-" LB_MAP_STACK_STATS },
	{ LB_MAP_HAND, "new-" LB_MAP_HAND },
};
#define N_OWN_MAPS (sizeof(own_maps) / sizeof(own_maps[0]))

/* One interface's TC programs, before and after a change. */
struct change {
	const char *interface;
	uint32_t ifindex;
	struct pin_path folder;
	struct bpf_object *object[ENDS];
	int fd[ENDS]; /* of the new programs; not owned */
	int old_fd[ENDS]; /* of those that are pinned, -1: none */
	uint32_t old[ENDS]; /* their ids, 0: none */
};

static int stack_reason(const struct change *change, const char *stage, enum lb_direction direction,
			int error, struct reason *reason)
{
	reason_set(reason, error == -EPERM ? REASON_NO_PERMISSION : REASON_UNKNOWN, stage, -error,
		   "%s, tc %s", change->interface, ends[direction].word);
	reason_set_kernel(reason, log_kernel_sentence());
	return error;
}

static uint64_t build_number(void)
{
	return object_hash(object_ingress, OBJECT_SIZE(ingress)) ^
	       object_hash(object_egress, OBJECT_SIZE(egress));
}

static struct change look(const char *interface, uint32_t ifindex)
{
	struct change change = { .interface = interface,
				 .ifindex = ifindex,
				 .folder = pins_folder(interface, PINS_STACK),
				 .fd = { -1, -1 } };

	for (int i = 0; i < ENDS; i++) {
		struct pin_path path = pins_in(&change.folder, ends[i].pin);
		struct hook_program program = {};

		change.old_fd[i] = bpf_obj_get(path.text);
		if (change.old_fd[i] >= 0 && !hook_program(change.old_fd[i], &program))
			change.old[i] = program.id;
	}
	return change;
}

static void leave(struct change *change)
{
	for (int i = 0; i < ENDS; i++) {
		bpf_object__close(change->object[i]);
		if (change->old_fd[i] >= 0)
			close(change->old_fd[i]);
	}
}

/* A map of before, if it is as large: counters go on, and who reads the ring need not look again. */
static void keep_map(struct bpf_map *map, const struct pin_path *folder)
{
	struct pin_path path = pins_in(folder, bpf_map__name(map));
	struct bpf_map_info info = {};
	__u32 length = sizeof(info), entries = bpf_map__max_entries(map);
	int fd = bpf_obj_get(path.text);

	if (fd < 0)
		return;
	/* hand_map has as many entries as there are CPUs, which libbpf sees to. */
	if (!bpf_obj_get_info_by_fd(fd, &info, &length) &&
	    (!entries || info.max_entries == entries) &&
	    info.value_size == bpf_map__value_size(map) && info.type == bpf_map__type(map))
		bpf_map__reuse_fd(map, fd);
	close(fd);
}

/* The tier's own maps, for both programs; stats is the ingress program's, for the other too. */
static int share_maps(struct change *change, enum lb_direction direction,
		      const struct map_set *maps)
{
	const struct bpf_object *ingress = change->object[LB_INGRESS];
	const struct {
		const char *name;
		int fd;
	} shared[] = {
		{ LB_MAP_META, maps->meta },
		{ LB_MAP_GENERATION, maps->generation },
		{ LB_MAP_VIP, maps->vip },
		{ LB_MAP_SETTING, maps->setting },
		{ LB_MAP_ADDRESS, maps->address },
		{ LB_MAP_VIP_ADDRESS, maps->vip_address },
		{ LB_MAP_STACK_STATS,
		  direction == LB_INGRESS ?
			  -1 :
			  bpf_object__find_map_fd_by_name(ingress, LB_MAP_STACK_STATS) },
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]) && !error; i++)
		if (shared[i].fd >= 0)
			error = bpf_map__reuse_fd(
				bpf_object__find_map_by_name(change->object[direction],
							     shared[i].name),
				shared[i].fd);
	return error;
}

static int make_own_maps(struct change *change, const struct map_set *maps)
{
	struct bpf_object *object = change->object[LB_INGRESS];
	int error =
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, LB_MAP_STACK_STATS),
					 map_set_entries(LB_MAP_STACK_STATS, &maps->sizes));

	for (size_t i = 0; i < N_OWN_MAPS && !error; i++)
		keep_map(bpf_object__find_map_by_name(object, own_maps[i].name), &change->folder);
	return error;
}

static int load(struct change *change, enum lb_direction direction, const struct map_set *maps,
		struct reason *reason)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = ends[direction].program);
	struct bpf_object *object;
	int error;

	log_forget_kernel();
	object = direction == LB_INGRESS ?
			 bpf_object__open_mem(object_ingress, OBJECT_SIZE(ingress), &opts) :
			 bpf_object__open_mem(object_egress, OBJECT_SIZE(egress), &opts);
	if (!object)
		return stack_reason(change, "object", direction, -errno, reason);
	change->object[direction] = object;
	error = share_maps(change, direction, maps);
	if (!error && direction == LB_INGRESS)
		error = make_own_maps(change, maps);
	if (!error)
		error = bpf_object__load(object);
	if (error)
		return stack_reason(change, "prog-load", direction, error, reason);
	change->fd[direction] =
		bpf_program__fd(bpf_object__find_program_by_name(object, ends[direction].program));
	return 0;
}

/* By TCX. */

static int put_links(const struct change *change, enum lb_direction *failed)
{
	struct pin_path ingress = pins_in(&change->folder, ends[LB_INGRESS].link);
	struct pin_path egress = pins_in(&change->folder, ends[LB_EGRESS].link);
	bool was = tcx_program(&ingress, change->ifindex, LB_INGRESS);
	int error = tcx_put(&ingress, change->ifindex, LB_INGRESS, change->fd[LB_INGRESS]);

	*failed = LB_INGRESS;
	if (error)
		return error;
	*failed = LB_EGRESS;
	error = tcx_put(&egress, change->ifindex, LB_EGRESS, change->fd[LB_EGRESS]);
	if (!error)
		return 0;
	if (was && change->old_fd[LB_INGRESS] >= 0)
		tcx_put(&ingress, change->ifindex, LB_INGRESS, change->old_fd[LB_INGRESS]);
	else
		tcx_remove(&ingress);
	return error;
}

/* By clsact. */

static struct clsact_filter filter_of(const struct change *change, enum lb_direction direction)
{
	return (struct clsact_filter){ change->ifindex, direction, ends[direction].program,
				       change->old[direction] };
}

static void remove_filters(const struct change *change)
{
	for (int i = 0; i < ENDS; i++) {
		struct clsact_filter filter = filter_of(change, i);

		clsact_remove(&filter);
	}
	clsact_remove_qdisc(change->ifindex, &change->folder);
}

/* Where somebody has an "ingress" qdisc in clsact's place there is no egress. */
static int put_filters(const struct change *change, enum lb_direction *failed,
		       struct reason *reason)
{
	struct clsact_filter filter = filter_of(change, LB_INGRESS);
	bool made;
	int error;

	*failed = LB_INGRESS;
	log_forget_kernel();
	error = clsact_make_qdisc(change->ifindex, &change->folder, &made, reason);
	if (error)
		return error;
	error = clsact_put(&filter, change->fd[LB_INGRESS]);
	if (error) {
		if (made)
			clsact_remove_qdisc(change->ifindex, &change->folder);
		return error;
	}
	filter = filter_of(change, LB_EGRESS);
	error = clsact_put(&filter, change->fd[LB_EGRESS]);
	if (error)
		log_warn("%s: no tc egress program (%s): answers of nat servers that leave here "
			 "keep the server's address",
			 change->interface,
			 log_kernel_sentence()[0] ? log_kernel_sentence() : strerror(-error));
	return 0;
}

/* Pins. */

static void drop_fresh(const struct pin_path *folder)
{
	struct pin_path path;

	for (size_t i = 0; i < N_OWN_MAPS; i++) {
		path = pins_in(folder, own_maps[i].fresh);
		unlink(path.text);
	}
	for (int i = 0; i < ENDS; i++) {
		path = pins_in(folder, ends[i].fresh);
		unlink(path.text);
	}
}

static int pin_fresh(const struct change *change, struct reason *reason)
{
	const struct pin_path *folder = &change->folder;
	int error = pins_make(folder, reason);

	drop_fresh(folder); /* of one that was killed */
	for (size_t i = 0; i < N_OWN_MAPS && !error; i++)
		error = pins_put(bpf_object__find_map_fd_by_name(change->object[LB_INGRESS],
								 own_maps[i].name),
				 folder, own_maps[i].fresh, reason);
	for (int i = 0; i < ENDS && !error; i++)
		error = pins_put(change->fd[i], folder, ends[i].fresh, reason);
	return error;
}

static void move_pin(const struct pin_path *folder, const char *from, const char *to)
{
	struct pin_path source = pins_in(folder, from), target = pins_in(folder, to);

	rename(source.text, target.text);
}

static void move_fresh(const struct pin_path *folder)
{
	struct reason ignored = {};

	for (size_t i = 0; i < N_OWN_MAPS; i++)
		move_pin(folder, own_maps[i].fresh, own_maps[i].name);
	for (int i = 0; i < ENDS; i++)
		move_pin(folder, ends[i].fresh, ends[i].pin);
	pins_unmark(folder, BUILD_MARK);
	pins_mark(folder, &ignored, BUILD_MARK "%llx", (unsigned long long)build_number());
}

/* had: there were pins before. */
static void take_back(const struct change *change, bool had)
{
	drop_fresh(&change->folder);
	if (!had && pins_exist(&change->folder))
		pins_remove(&change->folder);
}

static int put(const struct change *change, struct reason *reason)
{
	enum lb_direction failed = LB_INGRESS;
	int error;

	log_forget_kernel();
	error = put_links(change, &failed);
	if (error == -EOPNOTSUPP)
		error = put_filters(change, &failed, reason);
	else if (!error)
		remove_filters(change); /* of a loader that knew no TCX */
	if (!error || reason->code != REASON_NONE)
		return error;
	return stack_reason(change, "attach", failed, error, reason);
}

int stack_attach(const char *interface, uint32_t ifindex, const struct map_set *maps,
		 struct reason *reason)
{
	struct change change = look(interface, ifindex);
	bool had = pins_exist(&change.folder);
	int error = load(&change, LB_INGRESS, maps, reason);

	if (!error)
		error = load(&change, LB_EGRESS, maps, reason);
	if (!error)
		error = pin_fresh(&change, reason);
	if (!error)
		error = put(&change, reason);
	if (!error)
		move_fresh(&change.folder);
	else
		take_back(&change, had);
	leave(&change);
	return error;
}

/* What runs at that end: the id of a program that is ours. */
static uint32_t running(const struct change *change, enum stack_mode mode,
			enum lb_direction direction)
{
	struct pin_path link = pins_in(&change->folder, ends[direction].link);
	struct clsact_filter filter = filter_of(change, direction);

	return mode == STACK_TCX ? tcx_program(&link, change->ifindex, direction) :
				   clsact_program(&filter);
}

struct stack_state stack_look(const char *interface, uint32_t ifindex)
{
	struct change change = look(interface, ifindex);
	struct stack_state state = {};

	for (enum stack_mode mode = STACK_TCX; mode != STACK_NONE && !state.mode; mode--)
		if (running(&change, mode, LB_INGRESS))
			state.mode = mode;
	/* Another id than the pinned one: a loader ended between the program's change and the pin's. */
	state.whole = state.mode && pins_marked(&change.folder, BUILD_MARK "%llx",
						(unsigned long long)build_number());
	for (int i = 0; i < ENDS; i++)
		state.whole = state.whole && change.old[i] &&
			      running(&change, state.mode, i) == change.old[i];
	leave(&change);
	return state;
}

void stack_detach(const char *interface, uint32_t ifindex)
{
	struct change change = look(interface, ifindex);

	for (int i = 0; i < ENDS; i++) {
		struct pin_path link = pins_in(&change.folder, ends[i].link);

		tcx_remove(&link);
	}
	if (ifindex)
		remove_filters(&change);
	if (pins_exist(&change.folder))
		pins_remove(&change.folder);
	leave(&change);
}

const char *stack_mode_text(enum stack_mode mode)
{
	static const char *const texts[] = {
		[STACK_NONE] = "no",
		[STACK_CLSACT] = "clsact",
		[STACK_TCX] = "tcx",
	};

	return texts[mode];
}
