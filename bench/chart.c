/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One picture of a run, as SVG: bars of what a packet costs in the kernel, and of frames through veth.
 */
#include "results.h"

#include <errno.h>
#include <string.h>

#define WIDTH	   760
#define LABELS	   264 /* where bars begin */
#define BAR	   16
#define STEP	   22
#define HEAD	   64
#define PANEL_HEAD 44
#define BARS_MAX   64

struct bar {
	char label[64];
	double value, low, high; /* of its rounds */
	const char *colour;
};

struct panel {
	const char *title;
	int decimals; /* of a value */
	uint32_t n;
	struct bar list[BARS_MAX];
};

static void add(struct panel *panel, const char *label, const char *place,
		const struct figure *figure, const char *colour)
{
	struct bar *bar = &panel->list[panel->n];

	if (panel->n == BARS_MAX)
		return;
	snprintf(bar->label, sizeof(bar->label), "%s, %s", label, place);
	bar->value = figure->median > 0 ? figure->median : 0;
	bar->low = figure->low > 0 ? figure->low : 0;
	bar->high = figure->high > 0 ? figure->high : 0;
	bar->colour = colour;
	panel->n++;
}

/* Cases of one connection: what more of them cost is a matter of caches, and the table's. */
static void collect_kernel(const struct measurement *measurement, struct panel *panel)
{
	panel->title = "CPU time a packet above bare XDP_TX, ns (one connection)";
	panel->decimals = 0;
	for (uint32_t i = 0; i + 1 < measurement->n; i++) {
		const struct measured *measured = &measurement->list[i];
		const struct bench_case *what = measured->what;
		char place[32];

		if (what->connections != 1 || what->frames == FRAME_NOT_UDP)
			continue;
		/* Of all modes the first algorithm, of the first mode all of them. */
		if (what->bed != BED_IPIP4 && what->frames != FRAME_CLEAR &&
		    !bed_tracks(what->bed) && what->hook == HOOK_XDP)
			continue;
		snprintf(place, sizeof(place), "%s, %s, v%d", case_place(what),
			 bed_modes[what->bed], what->version);
		add(panel, what->name, place, &measured->net_figure,
		    bed_tracks(what->bed) ? "#b5651d" : "#2a6f97");
	}
}

static void collect_veth(const struct veth *veth, struct panel *panel)
{
	panel->title = "Through veth: million frames a second of CPU time";
	panel->decimals = 2;
	for (uint32_t i = 0; veth && i + 1 < veth->n; i++) {
		const struct veth_measured *measured = &veth->list[i];
		const struct veth_case *what = measured->what;
		char place[48];

		/* How many connections and cores are a matter of the table. */
		if (measured->missing || what->only_full || what->cores > 1)
			continue;
		snprintf(place, sizeof(place), "%s%s%s", what->tier, *veth_mode(what) ? ", " : "",
			 veth_mode(what));
		add(panel, what->name, place, &measured->figures[VETH_MPPS],
		    what->inverse ? "#8d99ae" : "#2a6f97");
	}
}

static double highest(const struct panel *panel)
{
	double value = 0;

	for (uint32_t i = 0; i < panel->n; i++) {
		if (panel->list[i].value > value)
			value = panel->list[i].value;
		if (panel->list[i].high > value)
			value = panel->list[i].high;
	}
	return value > 0 ? value : 1;
}

static int height(const struct panel *panel)
{
	return panel->n ? PANEL_HEAD + (int)panel->n * STEP : 0;
}

static void draw_bar(FILE *out, const struct panel *panel, const struct bar *bar, int y)
{
	double unit = (WIDTH - LABELS - 70) / highest(panel);
	double middle = y + BAR / 2.0;

	fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LABELS - 8,
		middle + 4, bar->label);
	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LABELS,
		y, bar->value * unit, BAR, bar->colour);
	fprintf(out,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#222\"/>\n<text x=\"%.1f\" y=\"%.1f\">",
		LABELS + bar->low * unit, middle, LABELS + bar->high * unit, middle,
		LABELS + (bar->high > bar->value ? bar->high : bar->value) * unit + 6, middle + 4);
	fprintf(out, "%.*f</text>\n", panel->decimals, bar->value);
}

static void draw_panel(FILE *out, const struct panel *panel, int y)
{
	if (!panel->n)
		return;
	fprintf(out, "<text x=\"16\" y=\"%d\" font-weight=\"bold\">%s</text>\n", y + 26,
		panel->title);
	for (uint32_t i = 0; i < panel->n; i++)
		draw_bar(out, panel, &panel->list[i], y + PANEL_HEAD + (int)i * STEP);
}

int chart_svg(const char *path, const struct results *results)
{
	struct surroundings around = look_around();
	struct panel kernel = {}, veth = {};
	FILE *out = fopen(path, "we");
	int tall;

	if (!out)
		return -errno;
	collect_kernel(&results->kernel, &kernel);
	collect_veth(results->veth, &veth);
	tall = HEAD + height(&kernel) + height(&veth) + 24;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, tall, WIDTH, tall);
	fprintf(out,
		"<text x=\"16\" y=\"26\" font-size=\"15\">shunt: medians of %u rounds, "
		"lines from the 10th to the 90th percentile</text>\n"
		"<text x=\"16\" y=\"46\" fill=\"#555\">%.10s, Linux %s, %s, %s</text>\n",
		results->kernel.rounds, around.date, around.kernel, around.processor,
		bench_compiler);
	draw_panel(out, &kernel, HEAD);
	draw_panel(out, &veth, HEAD + height(&kernel));
	fprintf(out, "</svg>\n");
	return fclose(out) ? -errno : 0;
}
