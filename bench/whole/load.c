/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The event loop: starts connections, sends requests when they are due, counts what is answered. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "../../hwtests/quic/log.h"

enum {
	MAX_EVENTS = 64,
};

/* What is not over this long after the last that counts has failed. */
#define PATIENCE (10 * NGTCP2_SECONDS)

static bool counts(const struct load *load, uint64_t at)
{
	return load->begin && at >= load->begin && at < load->end;
}

static void set_window(struct load *load, uint64_t from)
{
	load->begin = from + load->plan.warmup;
	load->end = load->begin + load->plan.duration;
	load->due = from;
}

void load_ready(struct load *load)
{
	load->ready++;
	if (load->plan.kind != LOAD_CONNECTIONS && load->ready == load->plan.connections)
		set_window(load, now_ns());
}

void load_answered(struct load *load, uint64_t due)
{
	uint64_t now = now_ns();
	/* Requests belong to the time they were due in, connections to that of their end. */
	uint64_t at = load->plan.kind == LOAD_REQUESTS ? due : now;

	load->waiting--;
	load->done++;
	if (!counts(load, at))
		return;
	load->counted++;
	if (samples_add(&load->samples, now - due))
		load_failed(load, strerror(ENOMEM));
}

void load_octets(struct load *load, uint64_t n)
{
	load->moved += n;
	if (counts(load, load->now))
		load->octets += n;
}

void load_failed(struct load *load, const char *why)
{
	if (!load->failed++)
		load->why = why;
}

/* After something has happened to a connection. */
static void settle(struct load *load, struct client *c, bool alive)
{
	if (alive && !(load->plan.kind == LOAD_CONNECTIONS && c->answered))
		return;
	if (alive)
		client_close(c);
	client_free(c);
}

/* A run that is about connections replaces those that are over; the others have theirs at once. */
static void start(struct load *load)
{
	const struct plan *plan = &load->plan;

	while (!load->failed && load->live < plan->connections &&
	       (plan->kind == LOAD_CONNECTIONS ? load->now < load->end :
						 load->started < plan->connections))
		client_new(load);
}

static void send_due(struct load *load)
{
	while (load->plan.kind == LOAD_REQUESTS && load->begin && load->due <= load->now &&
	       load->due < load->end && load->live) {
		struct client *c = load->next ? load->next : LIST_FIRST(&load->clients);
		int err = http_request(c, load->due);

		if (err == -EAGAIN)
			return;
		load->next = LIST_NEXT(c, all);
		load->due += load->plan.interval;
		if (err)
			load_failed(load, "a request could not be made");
		settle(load, c, !err && client_flush(c));
	}
}

static bool finished(const struct load *load)
{
	if (load->failed)
		return true;
	if (!load->end || load->now < load->end)
		return false;
	switch (load->plan.kind) {
	case LOAD_CONNECTIONS:
		return !load->live;
	case LOAD_REQUESTS:
		return load->due >= load->end && !load->waiting;
	default:
		return true;
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int wait_for(struct load *load, uint64_t patience, struct epoll_event *events)
{
	struct timer *timer = timer_first(&load->timers);
	uint64_t until = patience, left;
	struct timespec ts;

	if (timer)
		until = earlier(until, timer->at);
	if (load->end > load->now)
		until = earlier(until, load->end);
	if (load->plan.kind == LOAD_REQUESTS && load->begin && load->due < load->end)
		until = earlier(until, load->due);
	left = until > load->now ? until - load->now : 0;
	ts.tv_sec = (time_t)(left / NGTCP2_SECONDS);
	ts.tv_nsec = (long)(left % NGTCP2_SECONDS);
	return epoll_pwait2(load->epoll, events, MAX_EVENTS, &ts, NULL);
}

static void run_timers(struct load *load)
{
	struct timer *timer;

	while ((timer = timer_first(&load->timers)) && timer->at <= load->now)
		settle(load, timer->owner, client_timeout(timer->owner));
}

static int loop(struct load *load)
{
	uint64_t patience = now_ns() + load->plan.warmup + load->plan.duration + PATIENCE;

	load->now = now_ns();
	if (load->plan.kind == LOAD_CONNECTIONS)
		set_window(load, load->now);
	for (;;) {
		struct epoll_event events[MAX_EVENTS];
		int n;

		start(load);
		send_due(load);
		if (finished(load))
			return 0;
		n = wait_for(load, patience, events);
		if (n < 0 && errno != EINTR)
			return -errno;
		load->now = now_ns();
		for (int i = 0; i < n; i++)
			settle(load, events[i].data.ptr, client_receive(events[i].data.ptr));
		run_timers(load);
		if (load->now > patience)
			load_failed(load, "no answer in time");
	}
}

int load_run(struct load *load)
{
	struct client *c;
	int err;

	LIST_INIT(&load->clients);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = load->epoll < 0 ? -errno : loop(load);
	if (err)
		fprintf(stderr, "quic-load: waiting for packets: %s\n", strerror(-err));
	while ((c = LIST_FIRST(&load->clients))) {
		client_close(c);
		client_free(c);
	}
	timer_heap_free(&load->timers);
	if (load->epoll >= 0)
		close(load->epoll);
	return err;
}
