/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds a verdict for each tier. What the kernel tells without a change comes first, and a program
 * that is attached already decides before anything is tried.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "advice.h"
#include "attach.h"
#include "claim.h"
#include "device.h"
#include "hook.h"
#include "log.h"
#include "object.h"
#include "probe_internal.h"

#define OUR_PREFIX    "shunt_"
#define KERNEL_OLDEST 5010 /* major * 1000 + minor */

const char *probe_text(const struct probe_tier *tier)
{
	return tier->text[0] ? tier->text : reason_text(tier->reason.code);
}

void probe_set_text(struct probe_tier *tier, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(tier->text, sizeof(tier->text), format, arguments);
	va_end(arguments);
}

void probe_yes(struct probe_tier *tier)
{
	tier->usable = PROBE_YES;
	tier->reason = (struct reason){};
}

void probe_no(struct probe_tier *tier, const struct reason *reason)
{
	/* What may not be asked stays open; so does what nobody tried. */
	bool open = reason->code == REASON_NO_PERMISSION || reason->code == REASON_UNTRIED;

	tier->usable = open ? PROBE_UNKNOWN : PROBE_NO;
	tier->reason = *reason;
}

static void no_because(struct probe *probe, enum tier number, enum reason_code code,
		       const char *stage)
{
	struct reason reason;

	reason_set(&reason, code, stage, 0, "%s, %s", probe->nic.name, tiers[number].name);
	probe_no(&probe->tiers[number], &reason);
}

static int kernel_version(void)
{
	struct utsname kernel;
	int major, minor;

	if (uname(&kernel) || sscanf(kernel.release, "%d.%d", &major, &minor) != 2)
		return KERNEL_OLDEST;
	return major * 1000 + minor;
}

static bool may_use_pointers(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	return syscall(SYS_capget, &header, data) ||
	       data[CAP_TO_INDEX(CAP_PERFMON)].effective & CAP_TO_MASK(CAP_PERFMON) ||
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* A refused load says what the program lacks; on an old kernel it is the kernel that lacks it. */
void probe_explain_load(struct probe_tier *tier, struct reason *reason)
{
	enum reason_code code = reason_classify(0, reason->kernel);

	if (code != REASON_UNKNOWN)
		reason->code = code;
	if (reason->code == REASON_NO_PERMISSION) {
		probe_set_text(
			tier,
			"the kernel refuses: CAP_BPF counts in the first user namespace only");
		reason_set_hint(reason, "run as root outside of the user namespace");
	}
	/* Without CAP_PERFMON the verifier takes every pointer for a secret, and says so in riddles. */
	if (reason->code == REASON_VERIFIER && reason->error == EACCES && !may_use_pointers()) {
		reason->code = REASON_NO_PERMISSION;
		probe_set_text(tier, "CAP_PERFMON is missing");
		reason_set_hint(reason, "run as root, or with CAP_PERFMON");
	}
	if (reason->code == REASON_VERIFIER && kernel_version() < KERNEL_OLDEST)
		reason->code = REASON_KERNEL_TOO_OLD;
	probe_no(tier, reason);
}

/* The host's verifier does not care for the interface: asked once a tier, however many there are. */
static int try_host_load(enum tier number, const struct probe_options *options,
			 struct reason *reason)
{
	static struct {
		bool known;
		int error;
		struct reason reason;
	} answers[TIER_COUNT];
	struct plan_sizes sizes = options->sizes;
	struct object_request request = { .tier = number, .sizes = &sizes };
	struct bpf_object *object;
	int fd;

	/* Places for a million flows are nine tenths of the time, and no verifier asks how many there are. */
	sizes.flows = 0;
	if (!answers[number].known) {
		answers[number].known = true;
		answers[number].error =
			object_load(&request, &object, &fd, &answers[number].reason);
		if (!answers[number].error)
			bpf_object__close(object);
	}
	*reason = answers[number].reason;
	return answers[number].error;
}

/*
 * No signal comes between attach and detach, and only the program that went on is taken off: a
 * probe leaves nothing behind.
 */
int probe_try_attach(const struct nic *nic, enum tier number, int fd, struct reason *reason)
{
	struct reason left;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	error = hook_set(nic->name, nic->ifindex, number, fd, -1, reason);
	if (!error && hook_set(nic->name, nic->ifindex, number, -1, fd, &left))
		log_error("%s: the trial's program stays attached (%s); ip link set %s xdp off",
			  nic->name, reason_errno_name(left.error), nic->name);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error)
		reason->stage = "trial-attach";
	return error;
}

static int load_pass(struct reason *reason)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_trial", "Dual BSD/GPL", pass,
			       sizeof(pass) / sizeof(pass[0]), NULL);

	if (fd < 0)
		return reason_set(reason, REASON_UNKNOWN, "prog-load", errno, "pass program");
	return fd;
}

static void try_host_attach(struct probe *probe, enum tier number)
{
	struct probe_tier *tier = &probe->tiers[number];
	struct reason reason;
	int fd = load_pass(&reason);

	if (fd < 0) {
		probe_no(tier, &reason);
		return;
	}
	if (probe_try_attach(&probe->nic, number, fd, &reason)) {
		probe_no(tier, &reason);
	} else {
		probe_yes(tier);
		probe_set_text(tier, "tried: a program could be attached");
	}
	close(fd);
}

static void name_program(char *text, size_t size, const struct probe_program *program)
{
	if (program->name[0])
		snprintf(text, size, "%s (program %u)", program->name, program->id);
	else
		snprintf(text, size, "program %u", program->id);
}

/* Whether a program that is attached settles the tier's verdict. */
bool probe_settled(struct probe *probe, enum tier number)
{
	static const enum tier excluded[TIER_COUNT] = {
		[TIER_OFFLOAD] = TIER_NONE, /* goes with either host tier */
		[TIER_DRIVER] = TIER_GENERIC,
		[TIER_GENERIC] = TIER_DRIVER,
		[TIER_USERSPACE] = TIER_NONE, /* below whatever there is */
	};
	const struct probe_program *same = &probe->attached[number];
	const struct probe_program *other =
		excluded[number] == TIER_NONE ? NULL : &probe->attached[excluded[number]];
	struct probe_tier *tier = &probe->tiers[number];
	char name[64];

	if (same->id && same->ours) {
		probe_yes(tier);
		probe_set_text(tier, "attached: program %u", same->id);
	} else if (same->id && !same->name[0]) {
		no_because(probe, number, REASON_NO_PERMISSION, "interface");
		probe_set_text(tier, "program %u is attached; whose it is cannot be read",
			       same->id);
		reason_set_hint(&tier->reason, "run as root, or with CAP_SYS_ADMIN");
	} else if (same->id) {
		name_program(name, sizeof(name), same);
		no_because(probe, number, REASON_BUSY_FOREIGN_PROGRAM, "interface");
		probe_set_text(tier, "%s is attached, which is not shunt's", name);
	} else if (other && other->id && other->ours) {
		no_because(probe, number, REASON_BUSY_OTHER_TIER, "interface");
		probe_set_text(tier, "shunt's %s tier is attached here",
			       tiers[excluded[number]].name);
	} else if (other && other->id) {
		name_program(name, sizeof(name), other);
		no_because(probe, number, REASON_BUSY_OTHER_MODE, "interface");
		probe_set_text(tier,
			       "%s is attached in %s mode, and the kernel allows one of the two",
			       name, tiers[excluded[number]].name);
	} else {
		return false;
	}
	return true;
}

static void probe_generic(struct probe *probe, const struct probe_options *options)
{
	struct reason reason;

	if (probe_settled(probe, TIER_GENERIC))
		return;
	if (try_host_load(TIER_GENERIC, options, &reason))
		probe_explain_load(&probe->tiers[TIER_GENERIC], &reason);
	else if (options->trial && !probe->nic.lro) /* generic XDP turns LRO off, for good */
		try_host_attach(probe, TIER_GENERIC);
	else
		probe_yes(&probe->tiers[TIER_GENERIC]);
}

/* Any TC program: ours asks for the maps of a configuration. */
static int load_classifier(struct reason *reason)
{
	static const struct bpf_insn next[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	log_forget_kernel();
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "shunt_trial", "Dual BSD/GPL", next,
			   sizeof(next) / sizeof(next[0]), NULL);
	if (fd < 0) {
		reason_set(reason, REASON_UNKNOWN, "prog-load", errno, "tc program");
		reason_set_kernel(reason, log_kernel_sentence());
		return -1;
	}
	close(fd);
	return 0;
}

/* Needs maps and TC; XDP it can do without. */
static void probe_userspace(struct probe *probe, const struct probe_options *options)
{
	struct probe_tier *tier = &probe->tiers[TIER_USERSPACE];
	bool served = claim_is_held(probe->nic.name);
	struct reason reason;

	if (try_host_load(TIER_USERSPACE, options, &reason) || load_classifier(&reason)) {
		probe_explain_load(tier, &reason);
		return;
	}
	probe_yes(tier);
	if (served)
		probe_set_text(tier, "served by loader run");
	else
		probe_set_text(tier, "where loader run serves it");
}

static void list_features(const struct nic *nic, struct probe_tier *tier)
{
	char list[120] = "";
	size_t length = 0;

	for (enum nic_feature i = 0; i < NIC_FEATURE_COUNT; i++)
		if (nic_has_feature(nic, i))
			length += snprintf(list + length, sizeof(list) - length, "%s%s",
					   length ? ", " : "", nic_feature_name(i));
	probe_set_text(tier, "the driver reports native XDP: %s", list);
}

/* drivers/net/veth.c, veth_xdp_set(): the peer's frames must fit, and its queues be no more. */
static bool refused_by_veth(struct probe *probe)
{
	struct probe_tier *tier = &probe->tiers[TIER_DRIVER];
	const struct nic *nic = &probe->nic;
	struct nic_peer peer;

	if (nic->features_known && !nic_has_feature(nic, NIC_FEATURE_BASIC)) {
		no_because(probe, TIER_DRIVER, REASON_QUEUES, "interface");
		probe_set_text(tier, "the peer has more transmit queues than %s has receive queues",
			       nic->name);
		return true;
	}
	if (nic_read_peer(nic, &peer) || peer.mtu <= ADVICE_MTU_MAX)
		return false;
	no_because(probe, TIER_DRIVER, REASON_MTU, "interface");
	probe_set_text(tier, "the peer %s has an MTU of %u: XDP on veth takes at most %u",
		       peer.name, peer.mtu, ADVICE_MTU_MAX);
	return true;
}

/* What an untried native attach would come to, as far as facts tell. */
static void guess_driver(struct probe *probe)
{
	struct probe_tier *tier = &probe->tiers[TIER_DRIVER];
	const struct nic *nic = &probe->nic;

	if (nic->peer && refused_by_veth(probe))
		return;
	if (nic->features_known && !nic_has_feature(nic, NIC_FEATURE_BASIC)) {
		no_because(probe, TIER_DRIVER, REASON_NO_NATIVE, "interface");
		return;
	}
	if (nic->features_known && !nic->lro && nic->mtu <= ADVICE_MTU_MAX) {
		probe_yes(tier);
		list_features(nic, tier);
		return;
	}
	no_because(probe, TIER_DRIVER, REASON_UNTRIED, "interface");
	if (nic->lro)
		probe_set_text(tier, "not known until tried: LRO is on, which most drivers refuse");
	else if (nic->features_known)
		probe_set_text(tier,
			       "not known until tried: an MTU of %u is more than most drivers take",
			       nic->mtu);
	else
		probe_set_text(tier,
			       "not known until tried: this kernel does not tell (Linux 6.3 does)");
	reason_set_hint(&tier->reason, "loader --probe --trial %s (the link may reset)", nic->name);
}

static void probe_driver(struct probe *probe, const struct probe_options *options)
{
	struct reason reason;

	if (probe_settled(probe, TIER_DRIVER))
		return;
	if (probe->tiers[TIER_OFFLOAD].reason.code == REASON_NO_NDO_BPF) {
		no_because(probe, TIER_DRIVER, REASON_NO_NDO_BPF, "interface");
		return;
	}
	if (try_host_load(TIER_DRIVER, options, &reason))
		probe_explain_load(&probe->tiers[TIER_DRIVER], &reason);
	else if (options->trial)
		try_host_attach(probe, TIER_DRIVER);
	else
		guess_driver(probe);
}

static void read_attached(struct probe *probe)
{
	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		struct probe_program *program = &probe->attached[tier];
		struct hook_program found;
		int fd;

		program->id = probe->nic.program_id[tier];
		if (!program->id)
			continue;
		fd = hook_program_by_id(program->id, &found);
		if (fd < 0)
			continue;
		close(fd);
		memcpy(program->name, found.name, sizeof(program->name));
		memcpy(program->tag, found.tag, sizeof(program->tag));
		program->ours = !strncmp(found.name, OUR_PREFIX, strlen(OUR_PREFIX));
	}
}

/* Behind libxdp's dispatcher, or without the right to read its name, only the pins know a program. */
static void find_ours(struct probe *probe)
{
	struct attachment *list;
	struct reason reason;
	size_t n;

	if (attach_list(probe->nic.name, &list, &n, &reason))
		return;
	for (size_t i = 0; i < n; i++)
		if (list[i].dispatcher || list[i].program_id == probe->attached[list[i].tier].id)
			probe->attached[list[i].tier].ours = probe->attached[list[i].tier].id;
	attach_list_free(list, n);
}

static void lacks_rights(struct probe *probe, enum tier number, const struct reason *rights)
{
	probe_no(&probe->tiers[number], rights);
	probe_set_text(&probe->tiers[number], "%s is missing", rights->what);
}

int probe_interface(const char *name, const struct probe_options *options, struct probe *probe,
		    struct reason *reason)
{
	struct reason rights;
	int error;

	*probe = (struct probe){ .trial = options->trial };
	error = nic_read(name, &probe->nic, reason);
	if (error)
		return error;
	read_attached(probe);
	if (attach_check_rights(&rights)) {
		reason_set_hint(&rights, "run as root, or with %s", rights.what);
		/* Only the verifier asks for CAP_PERFMON: what the device can do is told without. */
		if (!strcmp(rights.what, "CAP_PERFMON"))
			probe_offload(probe, options);
		else
			lacks_rights(probe, TIER_OFFLOAD, &rights);
		lacks_rights(probe, TIER_DRIVER, &rights);
		lacks_rights(probe, TIER_GENERIC, &rights);
		lacks_rights(probe, TIER_USERSPACE, &rights);
	} else {
		find_ours(probe);
		probe_offload(probe, options);
		probe_driver(probe, options);
		probe_generic(probe, options);
		probe_userspace(probe, options);
	}
	/* Verdicts of an interface that is there no more would be wrong. */
	if (device_gone(probe->nic.ifindex)) {
		reason_set(reason, REASON_DEVICE_GONE, "probe", 0, "%s", name);
		return -ENODEV;
	}
	for (enum tier tier = 0; tier < TIER_COUNT; tier++)
		advise(&probe->nic, tier, &probe->tiers[tier].reason);
	probe_warn(probe, options);
	return 0;
}

bool probe_chooses(const struct probe *probe, enum tier tier)
{
	/* That one has to be asked for, or comes with the service. */
	if (probe->tiers[tier].usable != PROBE_YES || tier == TIER_USERSPACE)
		return false;
	return tier != TIER_GENERIC || probe->tiers[TIER_DRIVER].usable != PROBE_YES;
}
