/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was found of live frames: as a table, as JSON, and beside what is promised.
 */
#include "report_json.h"

static double median(const struct veth_measured *measured, enum veth_value value)
{
	return measured->figures[value].median;
}

static void print_row(FILE *out, const struct veth *veth, const struct veth_measured *measured)
{
	const struct veth_case *what = measured->what;
	double ratio = median(measured, VETH_RATIO);

	fprintf(out, "%-20s %-9s %-6s %6u %5u ", what->name, what->tier, veth_mode(what),
		what->connections, what->cores);
	if (measured->missing)
		fprintf(out, "%8s\n", "not here");
	else
		fprintf(out, "%8.*f %8.*f %8.0f %8.0f %6.*f  %s\n", what->inverse ? 3 : 2,
			median(measured, VETH_MPPS), what->inverse ? 3 : 2,
			measured->figures[VETH_CLOCK].high, median(measured, VETH_NS),
			median(measured, VETH_ABOVE), what->inverse ? 3 : 2,
			what->inverse ? 1 / ratio : ratio, veth->list[what->base].what->name);
}

/* CPU time is the least that time on the clock can be, or it leaves something out. */
static bool is_counted(const struct veth_measured *measured)
{
	return measured->figures[VETH_CLOCK].high < 1.1 * measured->figures[VETH_MPPS].high;
}

/* What the columns are, and what is particular about some rows. */
static void explain(FILE *out, const struct veth *veth)
{
	fprintf(out,
		"\nMpps: frames a second of CPU time in which a core sends, forwards and takes them back; "
		"median of %u rounds\n"
		"clock: the same on the clock, where others run, too: of the best rounds\n"
		"ns: CPU time a frame; above: more than bare XDP_TX in the same hook and round\n",
		veth->rounds);
	if (!is_counted(&veth->list[0]))
		fprintf(out, "CPU time is too little here: the kernel does not count softirqs "
			     "(CONFIG_IRQ_TIME_ACCOUNTING), so only the clock is right\n");
	for (uint32_t i = 0; i < veth->n; i++) {
		const struct veth_measured *measured = &veth->list[i];

		if (!measured->missing && veth_is_process(measured->what))
			fprintf(out,
				"%s, %s: CPU time of the process alone, %d frames under way, %.2f %% lost\n",
				measured->what->name, measured->what->tier, VETH_UNDER_WAY,
				100 * median(measured, VETH_LOST));
	}
}

void veth_table(FILE *out, const struct veth *veth)
{
	const struct figure *noise = &veth->list[veth->n - 1].figures[VETH_RATIO];

	fprintf(out, "%-20s %-9s %-6s %6s %5s %8s %8s %8s %8s %6s  %s\n", "through veth", "tier",
		"mode", "flows", "cores", "Mpps", "clock", "ns", "above", "ratio", "to");
	for (uint32_t i = 0; i + 1 < veth->n; i++)
		print_row(out, veth, &veth->list[i]);
	explain(out, veth);
	fprintf(out,
		"noise: bare XDP_TX, measured twice a round, is %.2f of itself (p10 %.2f, p90 %.2f)\n\n",
		noise->median, noise->low, noise->high);
}

static json_t *row_json(const struct veth *veth, const struct veth_measured *measured)
{
	const struct veth_case *what = measured->what;
	const char *mode = veth_mode(what);

	return json_pack("{s:s, s:s, s:s?, s:i, s:i, s:o, s:o, s:o, s:o, s:s, s:o, s:b, s:o}",
			 "program", what->name, "tier", what->tier, "mode", *mode ? mode : NULL,
			 "connections", (int)what->connections, "cores", (int)what->cores, "mpps",
			 figure_json(&measured->figures[VETH_MPPS]), "clock_mpps",
			 figure_json(&measured->figures[VETH_CLOCK]), "ns",
			 figure_json(&measured->figures[VETH_NS]), "above_bare_ns",
			 figure_json(&measured->figures[VETH_ABOVE]), "against",
			 veth->list[what->base].what->name, "ratio",
			 figure_json(&measured->figures[VETH_RATIO]), "inverse", what->inverse,
			 "lost", figure_json(&measured->figures[VETH_LOST]));
}

json_t *veth_json(const struct veth *veth)
{
	json_t *list;

	if (!veth)
		return json_null();
	list = json_array();
	for (uint32_t i = 0; i + 1 < veth->n; i++)
		if (!veth->list[i].missing)
			json_array_append_new(list, row_json(veth, &veth->list[i]));
	return json_pack("{s:I, s:I, s:o, s:o}", "rounds", (json_int_t)veth->rounds, "frames",
			 (json_int_t)veth->frames, "noise_ratio",
			 figure_json(&veth->list[veth->n - 1].figures[VETH_RATIO]), "cases", list);
}

uint32_t veth_aims(const struct veth *veth, struct aim *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < veth->n; i++) {
		const struct veth_measured *measured = &veth->list[i];
		const struct veth_case *what = measured->what, *base = veth->list[what->base].what;
		struct aim *aim = &list[n];

		if (measured->missing || what->at_least <= 0)
			continue;
		*aim = (struct aim){ .unit = "x",
				     .got = median(measured, VETH_RATIO),
				     .bound = what->at_least,
				     .at_least = true };
		if (what->inverse)
			snprintf(aim->text, sizeof(aim->text), "veth: %s against %s", base->name,
				 what->name);
		else if (what->cores > 1)
			snprintf(aim->text, sizeof(aim->text), "veth: %s, two cores against one",
				 what->name);
		else
			snprintf(aim->text, sizeof(aim->text), "veth, %s: %s against %s",
				 what->tier, what->name, base->name);
		n++;
	}
	return n;
}
