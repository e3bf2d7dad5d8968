/* spawner_harness.h - a spawner and relays that use it, in one process
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_SPAWNER_HARNESS_H
#define SLIMTA_T_SPAWNER_HARNESS_H

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "worker/relay.h"
#include "worker/spawner.h"
#include "t/lib/commits.h"
#include "t/lib/loop.h"
#include "t/lib/tap.h"

#define RECIPIENTS_MAX 8

static char dir[] = "/tmp/unit-worker-spawner-XXXXXX";
static struct event_base *base;
static struct pool *pool;
static struct config *config;
static struct process_options process;
static struct relay_setting setting;
static char *socket_path;
static int listening_fd;
static struct spawner *spawner;

static void listen_at(const char *name)
{
	socket_path = xasprintf("%s/%s", dir, name);
	listening_fd = unix_socket_listen(socket_path, SOCK_SEQPACKET, 8,
		&(struct identity){ .uid = geteuid(), .gid = getegid() });
	if (listening_fd < 0)
		BUG("%s: %s", socket_path, strerror(errno));
}

static void print_errors(struct config_errors *errors)
{
	struct buffer text = { 0 };

	config_errors_print(errors, &text);
	if (text.size)
		diag("%s", buffer_str(&text));
	buffer_release(&text);
	config_errors_release(errors);
}

static void start_spawner(uid_t peer)
{
	struct spawner_context context = { base, pool, listening_fd, peer };
	struct config_errors errors = { 0 };

	spawner = spawner_new(&context, &setting, &errors);
	print_errors(&errors);
	if (!spawner)
		BUG("no spawner");
}

static struct relay *open_relay(const char *name)
{
	struct relay_context context = { base, &process, socket_path };
	struct config_errors errors = { 0 };
	struct relay *relay = relay_load(&setting, name, &errors);

	print_errors(&errors);
	if (!relay || relay_open(relay, &context) < 0)
		BUG("no relay %s", name);
	return relay;
}

static struct envelope *message(const char *const *recipients, const void *octets, size_t size)
{
	struct envelope *envelope = envelope_new();

	envelope->sender = xstrdup("s@example.org");
	for (; *recipients; recipients++)
		envelope_add_recipient(envelope, *recipients);
	buffer_append(&envelope->content.memory, octets, size);
	content_finish(&envelope->content);
	return envelope;
}

struct results {
	struct reply replies[RECIPIENTS_MAX];
	unsigned settled[RECIPIENTS_MAX], finished;
};

static void on_settled(void *arg, size_t index, const struct relay_result *result)
{
	struct results *results = arg;

	results->settled[index]++;
	reply_copy(&results->replies[index], result->reply);
}

static void on_finished(void *arg)
{
	((struct results *)arg)->finished++;
}

/* Runs the loop until the message is finished, at most 20 s. */
static void run_until(const unsigned *finished)
{
	if (!LOOP_UNTIL(base, *finished, 20000))
		diag("not finished within 20 s");
}

static char *shown(const struct reply *reply)
{
	struct buffer text = { 0 };

	reply_append(reply, &text);
	return buffer_detach(&text);
}

static void reply_is(const struct results *results, size_t index, const char *wanted, const char *what)
{
	char *got = shown(&results->replies[index]);

	is_int(results->settled[index], 1, "settled once");
	is_str(got, wanted, what);
	free(got);
}

static void results_release(struct results *results)
{
	for (size_t i = 0; i < RECIPIENTS_MAX; i++)
		reply_release(&results->replies[i]);
}

static void deliver(const char *relay_name, struct envelope *envelope, struct results *results)
{
	struct relay *relay = open_relay(relay_name);
	struct outcomes done = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, results };

	*results = (struct results){ 0 };
	relay_deliver(relay, &delivery);
	is_int(results->finished, 0, "nothing is called back from within deliver");
	run_until(&results->finished);
	is_int(results->finished, 1, "finished once");
	relay_free(relay);
}

static void one(const char *relay_name, const char *wanted)
{
	struct envelope *envelope = message((const char *[]){ "r@example.org", NULL }, "A: b\r\n\r\nc\r\n", 12);
	struct results results;

	deliver(relay_name, envelope, &results);
	reply_is(&results, 0, wanted, relay_name);
	results_release(&results);
	envelope_free(envelope);
}

static char *scratch(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static bool exists(const char *name)
{
	char *path = scratch(name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void contains(const char *name, const void *wanted, size_t size, const char *what)
{
	char *path = scratch(name);
	struct buffer got = { 0 };

	if (file_read(path, &got, 64 << 20) < 0)
		diag("%s: %s", path, strerror(errno));
	is_mem(got.data, got.size, wanted, size, what);
	buffer_release(&got);
	free(path);
}

#endif
