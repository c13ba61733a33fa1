/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/counters.h's lists as text.
 */
#include "names.h"

#define PASS	"pass"
#define FORWARD "forward"
#define RETURN	"return"
#define ANSWER	"answer"
#define DROP	"drop"

static const struct {
	const char *name, *verdict, *help;
} reasons[] = {
#define X(name, verdict, help) [LB_REASON_##name] = { #name, verdict, help },
	LB_REASONS(X)
#undef X
};

static unsigned int known(enum lb_reason reason)
{
	return (unsigned int)reason < LB_REASON_COUNT;
}

const char *names_reason(enum lb_reason reason)
{
	return known(reason) ? reasons[reason].name : "unknown";
}

const char *names_reason_verdict(enum lb_reason reason)
{
	return known(reason) ? reasons[reason].verdict : "unknown";
}

const char *names_reason_help(enum lb_reason reason)
{
	return known(reason) ? reasons[reason].help : "";
}

static const struct {
	const char *name, *help;
} flows[] = {
#define X(name, help) [LB_FLOW_COUNT_##name] = { #name, help },
	LB_FLOW_COUNTERS(X)
#undef X
};

const char *names_flow(enum lb_flow_counter counter)
{
	return flows[counter].name;
}

const char *names_flow_help(enum lb_flow_counter counter)
{
	return flows[counter].help;
}
