/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The service's one loop: signals, netlink and timers turned into calls of upkeep.h, known.h and
 * balancer.h.
 */
#include "run.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "balancer.h"
#include "known.h"
#include "log.h"
#include "memory.h"
#include "nexthop.h"
#include "notify.h"
#include "sweep.h"
#include "upkeep.h"

/* A link that goes down is dozens of messages, one update will do for all. */
#define SETTLE_MS 50
/* Well below the 30 s or so after which the kernel takes a quiet neighbour for stale. */
#define REFRESH_MS 10000

/* For the next hops of all servers, at the start: what answers at all answers within this. */
#define START_MS 2000

struct service {
	const char *path;
	struct upkeep upkeep;
	struct nexthop_watch *watch;
	struct known *known;
	struct balancer *balancer;
	struct sweep *sweep;
	int signals, settle, refresh, tick, epoll;
	bool settling, stop;
};

static int fail(const char *what, struct reason *reason)
{
	return reason_set(reason, REASON_UNKNOWN, "service", errno, "%s", what);
}

static int set_timer(int fd, int first_ms, int interval_ms)
{
	struct itimerspec spec = {
		.it_value = { first_ms / 1000, first_ms % 1000 * 1000000L },
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000000L },
	};

	return timerfd_settime(fd, 0, &spec, NULL);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int watch_fd(const struct service *service, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(service->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void service_close(struct service *service)
{
	int *const fds[] = { &service->epoll, &service->tick, &service->refresh, &service->settle,
			     &service->signals };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	balancer_free(service->balancer);
	service->balancer = NULL;
	known_free(service->known);
	service->known = NULL;
	sweep_free(service->sweep);
	service->sweep = NULL;
	nexthop_watch_close(service->watch);
	service->watch = NULL;
	upkeep_free(&service->upkeep);
}

static int service_open(struct service *service, struct reason *reason)
{
	int error = nexthop_watch_open(&service->watch, reason);

	if (!error)
		error = balancer_open(&service->balancer, reason);
	if (!error)
		error = sweep_open(&service->sweep, reason);
	if (error)
		return error;
	service->signals = open_signals();
	service->settle = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	service->refresh = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	service->tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	service->epoll = epoll_create1(EPOLL_CLOEXEC);
	service->known = known_new();
	if (service->signals < 0 || service->settle < 0 || service->refresh < 0 ||
	    service->tick < 0 || service->epoll < 0 || !service->known)
		return fail("descriptors", reason);
	if (watch_fd(service, service->signals) || watch_fd(service, service->settle) ||
	    watch_fd(service, service->refresh) || watch_fd(service, service->tick) ||
	    watch_fd(service, nexthop_watch_fd(service->watch)) ||
	    watch_fd(service, balancer_fd(service->balancer)) ||
	    watch_fd(service, sweep_fd(service->sweep)))
		return fail("epoll", reason);
	return set_timer(service->refresh, REFRESH_MS, REFRESH_MS) ? fail("timer", reason) : 0;
}

static void tell_ready(const struct service *service)
{
	notify_ready("%u interface%s, %u servers, %u of them without a way", service->upkeep.n,
		     service->upkeep.n == 1 ? "" : "s", service->upkeep.n_servers,
		     upkeep_unresolved(&service->upkeep));
}

/*
 * Followed first, then applied: what changes between the two is seen as a change, while the other
 * way round it would be taken for what was applied.
 */
static void follow(struct service *service)
{
	struct reason reason = {};

	if (nexthop_watch_follow(service->watch, service->upkeep.config, &reason))
		log_error("%s: %s", reason.what, strerror(reason.error));
}

static struct config *load(const char *path)
{
	struct config_findings findings = {};
	struct config *config = NULL;

	config_load(path, &config, &findings);
	for (uint32_t i = 0; i < findings.n; i++) {
		const struct config_finding *finding = &findings.list[i];

		(finding->warning ? log_warn : log_error)("%s: %s%s%s", path, finding->path,
							  finding->path[0] ? ": " : "",
							  finding->text);
	}
	config_findings_free(&findings);
	if (config && !config->n_interfaces) {
		log_error("%s: interfaces: there are none", path);
		config_free(config);
		config = NULL;
	}
	return config;
}

/* Interfaces that have a card's tier and a host's keep the service busy, and so do packets. */
static void look(struct service *service)
{
	int interval;

	known_look(service->known, service->upkeep.config);
	balancer_look(service->balancer, service->upkeep.config);
	sweep_look(service->sweep, service->upkeep.config);
	interval = known_is_busy(service->known) ? KNOWN_TICK_MS : 0;
	if (set_timer(service->tick, interval, interval))
		log_error("timer: %s", strerror(errno));
}

static void update(struct service *service)
{
	follow(service);
	upkeep_update(&service->upkeep);
	look(service);
	memory_release();
}

/* The network has changed, which is no reason to undo what somebody else applied. */
static void catch_up(struct service *service)
{
	upkeep_compare(&service->upkeep, service->path, load);
	update(service);
}

static void reload(struct service *service)
{
	struct config *config;
	struct reason reason = {};

	notify_reloading();
	config = load(service->path);
	if (!config) {
		log_error("%s: not taken over; what runs stays as it is", service->path);
	} else if (upkeep_change(&service->upkeep, config, &reason)) {
		log_error("%s: %s: not taken over; what runs stays as it is; %s", reason.what,
			  reason_text(reason.code), reason_hint(&reason));
	} else {
		log_info("%s: taken over", service->path);
		update(service);
	}
	tell_ready(service);
}

static void on_signal(struct service *service)
{
	struct signalfd_siginfo info;

	while (read(service->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(service);
		else
			service->stop = true;
	}
}

static void on_netlink(struct service *service)
{
	int changed = nexthop_watch_read(service->watch);

	if (changed < 0)
		log_error("netlink: %s", strerror(-changed));
	/* Not pushed on by later messages, or a busy network would put the update off for ever. */
	if (changed && !service->settling)
		service->settling = !set_timer(service->settle, SETTLE_MS, 0);
}

static void clear_timer(int fd)
{
	uint64_t times;

	if (read(fd, &times, sizeof(times)) < 0)
		log_debug("timer: %s", strerror(errno));
}

static void on_event(struct service *service, int fd)
{
	if (fd == service->signals) {
		on_signal(service);
	} else if (fd == service->settle) {
		clear_timer(fd);
		service->settling = false;
		catch_up(service);
		tell_ready(service);
	} else if (fd == service->refresh) {
		clear_timer(fd);
		nexthop_watch_refresh(service->watch);
		if (upkeep_incomplete(&service->upkeep))
			catch_up(service);
		else
			look(service);
	} else if (fd == service->tick) {
		clear_timer(fd);
		if (!known_tick(service->known))
			look(service);
	} else if (fd == balancer_fd(service->balancer)) {
		balancer_work(service->balancer);
	} else if (fd == sweep_fd(service->sweep)) {
		sweep_work(service->sweep);
	} else {
		on_netlink(service);
	}
}

static int loop(struct service *service, struct reason *reason)
{
	struct epoll_event event;

	while (!service->stop) {
		int n = epoll_wait(service->epoll, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return fail("epoll", reason);
		if (n > 0)
			on_event(service, event.data.fd);
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static const char *missing_interface(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_interfaces; i++)
		if (!if_nametoindex(config->interfaces[i].name))
			return config->interfaces[i].name;
	return NULL;
}

/* At boot the service may come before the card. A signal ends the wait; the loop then sees it. */
static void wait_interfaces(struct service *service, int64_t deadline)
{
	const char *missing, *told = NULL;

	while ((missing = missing_interface(service->upkeep.config))) {
		struct pollfd fds[] = { { .fd = nexthop_watch_fd(service->watch),
					  .events = POLLIN },
					{ .fd = service->signals, .events = POLLIN } };
		int64_t left = deadline - now_ms();

		if (left <= 0)
			return;
		if (missing != told)
			log_info("%s: waiting for the interface", missing);
		told = missing;
		if (poll(fds, 2, (int)left) <= 0 || fds[1].revents)
			return;
		nexthop_watch_read(service->watch);
	}
}

static int start(struct service *service, int wait_ms, struct reason *reason)
{
	int error;

	wait_interfaces(service, now_ms() + wait_ms);
	follow(service);
	error = upkeep_attach(&service->upkeep, START_MS, reason);
	if (!error) {
		look(service);
		memory_release();
		tell_ready(service);
	}
	return error;
}

int run_service(const struct run_request *request, struct reason *reason)
{
	struct service service = {
		.path = request->path,
		.signals = -1,
		.settle = -1,
		.refresh = -1,
		.tick = -1,
		.epoll = -1,
	};
	int error = upkeep_init(&service.upkeep, request->config, reason);

	if (!error)
		error = service_open(&service, reason);
	if (!error)
		error = start(&service, request->wait_ms, reason);
	if (!error)
		error = loop(&service, reason);
	if (!error) {
		notify_stopping();
		log_info("stopped; the data path stays in place: loader detach --all takes it off");
	}
	service_close(&service);
	return error;
}
