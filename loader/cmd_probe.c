/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader probe: what each tier could do on an interface, and why not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"
#include "config.h"
#include "log.h"
#include "out.h"
#include "probe.h"
#include "report.h"

#define WORD 8 /* octets of an instruction of the card's own, all that nfp's JIT makes */

struct options {
	bool all, trial;
	const char *require;
};

static const char *const usable_names[] = {
	[PROBE_NO] = "no",
	[PROBE_YES] = "yes",
	[PROBE_UNKNOWN] = "unknown",
};

/* Text ---------------------------------------------------------------------------------------- */

static void print_nic(const struct nic *nic)
{
	const char *driver = nic_driver(nic);

	out_text("%-9s %s%s%s", nic->name, driver[0] ? driver : "no driver name",
		 nic->bus[0] ? " " : "", nic->bus);
	if (nic->firmware[0])
		out_text("   firmware %s", nic->firmware);
	out_text("   mtu %u   queues %u of %u   link %s\n", nic->mtu, nic->queues_used,
		 nic->queues_max, nic->up && nic->carrier ? "up" : "down");
}

static void print_attached(const struct probe *probe)
{
	bool none = true;

	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		const struct probe_program *program = &probe->attached[tier];

		if (!program->id)
			continue;
		out_text("%-9s %s mode: %s (program %u%s)\n", none ? "attached" : "",
			 tiers[tier].name, program->name[0] ? program->name : "name not readable",
			 program->id, program->ours ? ", shunt's" : "");
		none = false;
	}
	if (none)
		out_text("attached  nothing\n");
}

static void print_line(const char *line)
{
	if (line[0])
		out_text("%-19s%s\n", "", line);
}

static void print_reason(const struct reason *reason)
{
	char line[400];

	if (reason->kernel[0]) {
		snprintf(line, sizeof(line), "kernel: \"%s\"", reason->kernel);
		print_line(line);
	} else if (reason_kernel(reason)[0] && reason->code != REASON_NO_PERMISSION) {
		snprintf(line, sizeof(line), "kernel: %s at %s", reason_kernel(reason),
			 reason->stage);
		print_line(line);
	}
	print_line(reason_hint(reason));
}

static void print_use(const struct probe_use *use)
{
	char line[160], words[32] = "";

	if (use->jited)
		snprintf(words, sizeof(words), ", words %u", use->jited / WORD);
	snprintf(line, sizeof(line), "insns %u%s, maps %u, elements %llu", use->instructions, words,
		 use->maps, (unsigned long long)use->elements);
	print_line(line);
	for (uint32_t i = 0; i < use->maps; i++) {
		const struct probe_map *map = &use->map[i];

		if (map->entries == map->asked)
			continue;
		snprintf(line, sizeof(line), "%s holds %u of %u: what the device takes", map->name,
			 map->entries, map->asked);
		print_line(line);
	}
}

/* As wide as the longest sentence of a tier that has a code behind it. */
static int text_width(const struct probe *probe)
{
	size_t width = 0;

	for (enum tier number = 0; number < TIER_COUNT; number++) {
		const struct probe_tier *tier = &probe->tiers[number];
		size_t length = strlen(probe_text(tier));

		if (tier->reason.code != REASON_NONE && length > width)
			width = length;
	}
	return (int)width;
}

static void print_tiers(const struct probe *probe)
{
	int width = text_width(probe);

	out_text("\n%-9s %-8s %s\n", "tier", "usable", "why");
	for (enum tier number = 0; number < TIER_COUNT; number++) {
		const struct probe_tier *tier = &probe->tiers[number];
		const char *text = probe_text(tier);

		if (tier->reason.code == REASON_NONE)
			out_text("%-9s %-*s%s\n", tiers[number].name, text[0] ? 9 : 0,
				 usable_names[tier->usable], text);
		else
			out_text("%-9s %-8s %-*s  %s\n", tiers[number].name,
				 usable_names[tier->usable], width, text,
				 reason_code_name(tier->reason.code));
		if (tier->reason.code != REASON_NONE)
			print_reason(&tier->reason);
		if (tier->loaded)
			print_use(&tier->use);
	}
}

static void print_choice(const struct probe *probe)
{
	bool none = true;

	out_text("\n%-9s ", "choice");
	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		if (!probe_chooses(probe, tier))
			continue;
		out_text("%s%s", none ? "" : " + ", tiers[tier].name);
		none = false;
	}
	if (none)
		out_text("none\n");
	else
		out_text("   (loader attach %s%s)\n", probe->nic.name,
			 probe->tiers[TIER_DRIVER].reason.code == REASON_UNTRIED ?
				 ", which tries driver first" :
				 "");
}

static void print_probe(const struct probe *probe)
{
	print_nic(&probe->nic);
	print_attached(probe);
	print_tiers(probe);
	print_choice(probe);
	for (size_t i = 0; i < probe->n_warnings; i++) {
		out_text("warning   %s\n", probe->warnings[i].text);
		print_line(probe->warnings[i].hint);
	}
}

/* JSON ---------------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
	return text[0] ? out_string(text) : json_null();
}

static json_t *features_json(const struct nic *nic)
{
	json_t *list;

	if (!nic->features_known)
		return json_null();
	list = json_array();
	for (enum nic_feature i = 0; i < NIC_FEATURE_COUNT; i++)
		if (nic_has_feature(nic, i))
			json_array_append_new(list, json_string(nic_feature_name(i)));
	return list;
}

static json_t *nic_json(const struct nic *nic)
{
	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:I, s:{s:I, s:I}, s:b, s:b, s:b, s:o}", "name",
			 out_string(nic->name), "ifindex", (json_int_t)nic->ifindex, "driver",
			 text_or_null(nic_driver(nic)), "bus", text_or_null(nic->bus), "firmware",
			 text_or_null(nic->firmware), "mtu", (json_int_t)nic->mtu, "queues", "used",
			 (json_int_t)nic->queues_used, "max", (json_int_t)nic->queues_max,
			 "link_up", nic->up && nic->carrier, "rx_vlan_offload",
			 nic->rx_vlan_offload, "lro", nic->lro, "xdp_features", features_json(nic));
}

static json_t *attached_json(const struct probe *probe)
{
	json_t *list = json_array();

	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		const struct probe_program *program = &probe->attached[tier];

		if (program->id)
			json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o, s:o}", "tier",
							      tiers[tier].name, "program",
							      (json_int_t)program->id, "name",
							      text_or_null(program->name), "tag",
							      text_or_null(program->tag), "ours",
							      program->name[0] ?
								      json_boolean(program->ours) :
								      json_null()));
	}
	return list;
}

static json_t *limits_json(const struct probe_tier *tier)
{
	const struct probe_use *use = &tier->use;
	json_t *sizes;

	if (!tier->loaded)
		return json_null();
	sizes = json_object();
	for (uint32_t i = 0; i < use->maps; i++)
		json_object_set_new(sizes, use->map[i].name,
				    json_pack("{s:I, s:I}", "entries",
					      (json_int_t)use->map[i].entries, "asked",
					      (json_int_t)use->map[i].asked));
	return json_pack("{s:I, s:o, s:I, s:I, s:o}", "insns", (json_int_t)use->instructions,
			 "words", use->jited ? json_integer(use->jited / WORD) : json_null(),
			 "maps", (json_int_t)use->maps, "elements", (json_int_t)use->elements,
			 "sizes", sizes);
}

static json_t *tier_json(const struct probe_tier *tier, enum tier number)
{
	json_t *reason = out_reason_json(&tier->reason);
	json_t *object;

	if (json_is_object(reason))
		json_object_set_new(reason, "text", out_string(probe_text(tier)));
	object = json_pack("{s:s, s:s, s:o, s:o}", "tier", tiers[number].name, "usable",
			   usable_names[tier->usable], "reason", reason, "note",
			   tier->reason.code ? json_null() : text_or_null(tier->text));
	if (number == TIER_OFFLOAD)
		json_object_set_new(object, "limits", limits_json(tier));
	return object;
}

static json_t *probe_json(const struct probe *probe)
{
	json_t *list = json_array(), *choice = json_array(), *warnings = json_array();
	struct utsname kernel = {};

	uname(&kernel);
	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		json_array_append_new(list, tier_json(&probe->tiers[tier], tier));
		if (probe_chooses(probe, tier))
			json_array_append_new(choice, json_string(tiers[tier].name));
	}
	for (size_t i = 0; i < probe->n_warnings; i++)
		json_array_append_new(warnings,
				      json_pack("{s:s, s:o, s:o}", "code", probe->warnings[i].code,
						"text", out_string(probe->warnings[i].text), "hint",
						out_string(probe->warnings[i].hint)));
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "schema",
			 "shunt/probe/1", "host", out_string(kernel.nodename), "kernel",
			 kernel.release, "loader", SHUNT_VERSION, "interface",
			 nic_json(&probe->nic), "attached", attached_json(probe), "tiers", list,
			 "choice", choice, "warnings", warnings, "trial", probe->trial);
}

/* The command --------------------------------------------------------------------------------- */

static int status_of(const struct probe *probe, enum tier required)
{
	bool forbidden = false;

	for (enum tier tier = 0; tier < TIER_COUNT; tier++) {
		/* The last one has to be asked for: by itself it takes no packet. */
		if (tier != required && (required != TIER_NONE || tier == TIER_USERSPACE))
			continue;
		if (probe->tiers[tier].usable == PROBE_YES)
			return 0;
		forbidden |= probe->tiers[tier].reason.code == REASON_NO_PERMISSION;
	}
	return forbidden ? reason_exit(&(struct reason){ .code = REASON_NO_PERMISSION }) : 3;
}

/* stdout has the table; this is the line for those who watch stderr and the exit status. */
static void tell_status(const struct probe *probe, enum tier required, int status)
{
	enum tier number = required == TIER_NONE ? TIER_GENERIC : required;
	const struct probe_tier *tier = &probe->tiers[number];
	bool forbidden = tier->reason.code == REASON_NO_PERMISSION;

	if (!status || out.json)
		return;
	for (enum tier i = 0; required == TIER_NONE && status == 4 && !forbidden; i++) {
		tier = &probe->tiers[i];
		forbidden = tier->reason.code == REASON_NO_PERMISSION;
	}
	log_error("%s: %s: %s; %s", probe->nic.name,
		  required != TIER_NONE ? tiers[required].name :
		  forbidden		? "cannot be told" :
					  "no tier is usable",
		  probe_text(tier), reason_hint(&tier->reason));
}

static int probe_one(const char *name, const struct probe_options *options, enum tier required,
		     json_t **document, struct reason *reason)
{
	struct probe probe;
	int status;

	if (probe_interface(name, options, &probe, reason))
		return -1;
	print_probe(&probe);
	*document = out.json ? probe_json(&probe) : NULL;
	status = status_of(&probe, required);
	tell_status(&probe, required, status);
	return status;
}

/* Without --all: what carries Ethernet, which leaves out lo and the tunnels every namespace has. */
static bool is_meant(const struct nic_entry *entry, bool all, bool any_ethernet)
{
	return all || (any_ethernet ? entry->ethernet : !strcmp(entry->name, "lo"));
}

/* The exit status of several is 0 if one has a usable tier, or with --require if all have it. */
static int combine(int a, int b, bool required)
{
	if (a < 0)
		return b;
	if (required)
		return a ? a : b;
	return a && b ? a : 0;
}

static int probe_list(const struct options *chosen, const struct probe_options *options,
		      enum tier required)
{
	json_t *documents = json_array(), *document;
	struct nic_entry *list;
	struct reason reason;
	bool any_ethernet = false;
	int status = -1;
	size_t n;

	if (nic_list(&list, &n, &reason)) {
		json_decref(documents);
		return out_fail(&reason);
	}
	for (size_t i = 0; i < n; i++)
		any_ethernet |= list[i].ethernet;
	for (size_t i = 0; i < n; i++) {
		int one;

		if (!is_meant(&list[i], chosen->all, any_ethernet))
			continue;
		if (status >= 0)
			out_text("\n");
		one = probe_one(list[i].name, options, required, &document, &reason);
		if (one < 0)
			continue; /* went away since it was listed */
		status = combine(status, one, required != TIER_NONE);
		if (document)
			json_array_append_new(documents, document);
	}
	free(list);
	out_json(json_pack("{s:s, s:o}", "schema", "shunt/probe-list/1", "interfaces", documents));
	return status < 0 ? 5 : status;
}

static void list_keyed(const struct config *config, struct probe_options *options)
{
	bool keyed[LB_CONFIG_IDS] = {};
	size_t length = 0;

	/* A config of each pool: one number for several. */
	for (uint32_t i = 0; i < config->n_cids; i++)
		if (config->cids[i].keyed)
			keyed[config->cids[i].id] = true;
	for (uint32_t id = 0; id < LB_CONFIG_IDS; id++)
		if (keyed[id])
			length += snprintf(options->keyed + length, sizeof(options->keyed) - length,
					   "%s%u", length ? ", " : "", id);
}

/* The file says how large the maps are that a device would have to take; without it, the defaults. */
static int read_sizes(const struct cli_common *common, struct probe_options *options)
{
	struct config_limits limits = { LB_DEFAULT_SERVERS, LB_DEFAULT_SERVER_IDS, LB_DEFAULT_VIPS,
					LB_DEFAULT_POOLS,   LB_DEFAULT_KNOWN_CIDS, LB_DEFAULT_FLOWS,
					LB_DEFAULT_CACHED };
	struct config_findings findings = {};
	struct config *config = NULL;
	int status = 0;

	options->sizes = plan_sizes(&limits, LB_DEFAULT_ROWS);
	if (common->config_given) {
		status = report_load(common->config, &config);
	} else if (!access(CONFIG_DEFAULT_PATH, R_OK)) {
		if (config_load(CONFIG_DEFAULT_PATH, &config, &findings))
			log_warn("%s is not valid: probing with default sizes; loader check",
				 CONFIG_DEFAULT_PATH);
		config_findings_free(&findings);
	}
	if (status || !config)
		return status;
	options->sizes = plan_sizes(&config->limits, config->rows);
	options->floor = plan_floor(config);
	list_keyed(config, options);
	if (config->mode != CONFIG_MODE_L2DSR)
		options->tunnel = config_mode_text(config->mode);
	config_free(config);
	return 0;
}

static int run(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const struct options *chosen = options;
	struct probe_options probe_options = { .trial = chosen->trial };
	enum tier required = TIER_NONE;
	struct reason reason;
	json_t *document;
	int status;

	if (chosen->require) {
		required = tier_by_name(chosen->require);
		if (required == TIER_NONE)
			return out_usage(chosen->require,
					 "a tier is offload, driver, generic or userspace");
	}
	if (chosen->all && argc)
		return out_usage("--all", "give either an interface or --all");
	status = read_sizes(common, &probe_options);
	if (status)
		return status;
	if (!argc)
		return probe_list(chosen, &probe_options, required);
	status = probe_one(argv[0], &probe_options, required, &document, &reason);
	if (status < 0)
		return out_fail(&reason);
	out_json(document);
	return status;
}

static const struct cli_option probe_command_options[] = {
	{ 0, "all", CLI_FLAG, offsetof(struct options, all), NULL,
	  "all interfaces, lo and those without Ethernet too" },
	{ 0, "trial", CLI_FLAG, offsetof(struct options, trial), NULL,
	  "attach a program for a moment: certain, but the link may reset" },
	{ 0, "require", CLI_STRING, offsetof(struct options, require), "TIER",
	  "exit 3 unless this tier is usable (on each interface probed)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_probe = {
	.name = "probe",
	.arguments = "[IFACE | --all]",
	.summary = "what each tier could do on an interface, and why not",
	.details =
		"Without IFACE: every interface that carries Ethernet, or lo where there is none.\n"
		"Nothing is changed and nothing stays loaded; with --trial a program that passes\n"
		"every packet is attached for a moment where nothing is attached, and the kernel's\n"
		"own words come back. `loader --probe` is the same as `loader probe`.\n\n"
		"unknown means not known until tried: a kernel before Linux 6.3 does not tell what a\n"
		"driver supports. Reason codes are stable, texts are not.\n\n"
		"Exit status 0: some tier is usable; 3: none is, or not the required one; 4: a\n"
		"capability is missing; 5: no such interface.",
	.options = probe_command_options,
	.options_size = sizeof(struct options),
	.max_arguments = 1,
	.run = run,
};
