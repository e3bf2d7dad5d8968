/* spawner_run.c - slimta-worker --spawner: the process of the spawner
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/net/child.h"
#include "worker/arguments.h"
#include "worker/spawner.h"

#define READERS 2

static struct spawner *make_spawner(struct child *child, struct pool *pool)
{
	/* Who gave us this configuration has checked it, with its own --allow-root. */
	struct relay_setting setting = { child->config, &child->process, true };
	struct spawner_context context = { child->base, pool, child->spawner_fd, 0 };
	struct config_errors errors = { 0 };
	struct identity worker = { 0 };
	struct buffer text = { 0 };
	struct spawner *spawner = NULL;

	if (process_identity(child->config, &child->process, "worker", &worker, &errors) == 0) {
		context.peer_uid = worker.uid;
		spawner = spawner_new(&context, &setting, &errors);
	}
	config_errors_print(&errors, &text);
	if (!spawner)
		log_error("spawner", "could not read its configuration", LOG_TEXT("error", buffer_str(&text)));
	buffer_release(&text);
	config_errors_release(&errors);
	identity_release(&worker);
	return spawner;
}

static void on_ended(void *arg)
{
	child_finished(arg);
}

struct service {
	struct child *child;
	struct spawner *spawner;
};

static void drain(void *arg, const struct child_drain *how)
{
	struct service *service = arg;

	(void)how;
	spawner_drain(service->spawner, on_ended, service->child);
}

static void stats(void *arg, json_t *into)
{
	spawner_stats(((struct service *)arg)->spawner, into);
}

static int serve(struct child *child)
{
	struct service service = { .child = child };
	struct pool *pool;
	int code = 1;

	if (child->spawner_fd < 0) {
		log_error("spawner", "was given no socket to listen on");
		return 1;
	}
	if (child_begin(child) < 0)
		return 1;
	pool = pool_new(child->base, "read", READERS);
	service.spawner = make_spawner(child, pool);
	if (service.spawner) {
		child->drain = drain;
		child->stats = stats;
		child->arg = &service;
		child_ready(child);
		code = child_run(child);
	}
	spawner_free(service.spawner);
	pool_free(pool);
	return code;
}

int spawner_run(const struct child_arguments *arguments)
{
	struct child *child = child_open("slimta-worker", arguments);
	int code;

	if (!child)
		return 1;
	code = serve(child);
	child_free(child);
	return code;
}
