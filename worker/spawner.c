/* spawner.c - runs the commands of relays for workers that asked, by its own configuration
 * SPDX-License-Identifier: MIT */
#include "worker/spawner.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/channel.h"
#include "worker/run.h"
#include "worker/spawn_protocol.h"

#define PEER_JOBS_MAX 4096		/* of one worker; it asks for no more at once than its relay has room for */
#define ACCEPT_PAUSE_S 1

struct peer;

/* A relay with its command, and those who wait for room. */
struct served {
	TAILQ_ENTRY(served) link;
	struct relay *relay;
	const struct command *command;
	unsigned running_count;
	TAILQ_HEAD(jobs, job) running, waiting;
};

struct job {
	TAILQ_ENTRY(job) of_peer, of_served;
	struct peer *peer;		/* NULL: it is gone, nobody waits for the result */
	struct served *served;
	struct spawner *spawner;
	uint32_t number;
	char **args;
	struct feed_source source;
	struct run *run;		/* NULL: it waits */
	char *id;
};

struct peer {
	TAILQ_ENTRY(peer) link;
	struct spawner *spawner;
	struct channel *channel;
	pid_t pid;
	TAILQ_HEAD(, job) jobs;
	unsigned job_count;
};

struct spawner {
	struct spawner_context context;
	struct run_context run;
	struct event *listening, *paused;
	TAILQ_HEAD(, served) served;
	TAILQ_HEAD(, peer) peers;
	unsigned running;
	uint64_t started;
	spawner_ended_fn *ended;
	void *arg;
};

/* ---- answers */

static void send_plain(struct peer *peer, enum spawn_type type, uint32_t number)
{
	struct buffer packet = { 0 };

	spawn_encode_plain(&packet, type, number);
	channel_send(peer->channel, packet.data, packet.size, NULL, 0);
	buffer_release(&packet);
}

static void send_output(struct peer *peer, uint32_t number, enum spawn_stream stream, const char *octets, size_t size)
{
	struct buffer packet = { 0 };

	for (size_t at = 0; at < size; at += SPAWN_CHUNK_MAX) {
		size_t chunk = size - at < SPAWN_CHUNK_MAX ? size - at : SPAWN_CHUNK_MAX;

		buffer_reset(&packet);
		spawn_encode_output(&packet, number, stream, octets + at, chunk);
		channel_send(peer->channel, packet.data, packet.size, NULL, 0);
	}
	buffer_release(&packet);
}

static void send_end(struct peer *peer, uint32_t number, enum spawn_end end, uint32_t detail)
{
	struct buffer packet = { 0 };

	spawn_encode_end(&packet, number, end, detail);
	channel_send(peer->channel, packet.data, packet.size, NULL, 0);
	buffer_release(&packet);
}

/* ---- jobs */

static void job_free(struct job *job)
{
	if (job->peer) {
		TAILQ_REMOVE(&job->peer->jobs, job, of_peer);
		job->peer->job_count--;
	}
	command_free_args(job->args);
	feed_source_release(&job->source);
	free(job->id);
	free(job);
}

static void look_whether_ended(struct spawner *spawner)
{
	spawner_ended_fn *ended = spawner->ended;

	if (!ended || spawner->running || !TAILQ_EMPTY(&spawner->peers))
		return;
	spawner->ended = NULL;
	ended(spawner->arg);
}

static void start_waiting(struct spawner *spawner, struct served *served);

static void on_run_done(void *arg, struct run_result *result)
{
	struct job *job = arg;
	struct spawner *spawner = job->spawner;
	struct served *served = job->served;

	for (unsigned i = 0; job->peer && i < SPAWN_STREAMS; i++)
		send_output(job->peer, job->number, i, result->output[i].data, result->output[i].size);
	if (job->peer)
		send_end(job->peer, job->number, result->end, result->detail);
	log_debug("spawner", "ended a command", LOG_TEXT("id", job->id), LOG_TEXT("relay", served->relay->name),
		LOG_INT("end", result->end), LOG_INT("detail", result->detail));
	TAILQ_REMOVE(&served->running, job, of_served);
	served->running_count--;
	spawner->running--;
	job_free(job);
	start_waiting(spawner, served);
	look_whether_ended(spawner);
}

static void start_job(struct spawner *spawner, struct job *job)
{
	struct served *served = job->served;
	char **args = job->args;

	TAILQ_REMOVE(&served->waiting, job, of_served);
	TAILQ_INSERT_TAIL(&served->running, job, of_served);
	served->running_count++;
	spawner->running++;
	spawner->started++;
	job->args = NULL;
	job->run = run_start(&spawner->run, served->command, args, &job->source, on_run_done, job);
}

/* Who cannot be told yet that its command begins has to wait: after our death it has to know. */
static struct job *next_job(struct served *served)
{
	struct job *job;

	TAILQ_FOREACH(job, &served->waiting, of_served) {
		if (!channel_is_waiting(job->peer->channel))
			return job;
	}
	return NULL;
}

static void start_waiting(struct spawner *spawner, struct served *served)
{
	struct job *job;

	while (served->running_count < served->command->options.concurrent && (job = next_job(served))) {
		send_plain(job->peer, SPAWN_STARTED, job->number);
		if (!channel_is_waiting(job->peer->channel))
			start_job(spawner, job);
	}
}

/* ---- requests */

static struct served *find_served(struct spawner *spawner, const char *name)
{
	struct served *served;

	TAILQ_FOREACH(served, &spawner->served, link)
		if (strcmp(served->relay->name, name) == 0)
			return served;
	return NULL;
}

static char **expand(const struct served *served, const struct spawn_packet *packet, char **why)
{
	struct macros macros;

	for (unsigned i = 0; i < MACRO_COUNT; i++)
		macros.values[i] = packet->values[i];
	return command_expand(served->command, &macros, why);
}

static void add_job(struct peer *peer, struct served *served, const struct spawn_packet *packet, char **args, int *fds,
	unsigned fd_count)
{
	struct job *job = xcalloc(1, sizeof(*job));

	*job = (struct job){ .peer = peer, .served = served, .spawner = peer->spawner, .number = packet->number,
		.args = args, .id = xstrdup(packet->values[MACRO_MESSAGE_ID]) };
	for (unsigned i = 0; i < SPAWN_FDS; i++) {
		job->source.fds[i] = i < fd_count ? fds[i] : -1;
		if (i < fd_count)
			fds[i] = -1;
	}
	memcpy(job->source.pieces, packet->pieces, sizeof(packet->pieces));
	job->source.piece_count = packet->piece_count;
	TAILQ_INSERT_TAIL(&peer->jobs, job, of_peer);
	peer->job_count++;
	TAILQ_INSERT_TAIL(&served->waiting, job, of_served);
	start_waiting(peer->spawner, served);
}

/* Some of them may not have found room here. */
static bool has_descriptors(const struct spawn_packet *packet, const int *fds)
{
	for (unsigned i = 0; i < packet->piece_count; i++)
		if (fds[packet->pieces[i].fd] < 0)
			return false;
	return true;
}

static void take_request(struct peer *peer, const struct spawn_packet *packet, int *fds, unsigned fd_count)
{
	struct served *served = find_served(peer->spawner, packet->relay);
	char *why = NULL;
	char **args;

	if (!served) {
		send_end(peer, packet->number, SPAWN_UNKNOWN, 0);
		return;
	}
	if (!has_descriptors(packet, fds)) {
		log_error("spawner", "could not take a message", LOG_TEXT("id", packet->values[MACRO_MESSAGE_ID]),
			LOG_TEXT("relay", packet->relay), LOG_TEXT("error", strerror(EMFILE)));
		send_end(peer, packet->number, SPAWN_UNSTARTED, EMFILE);
		return;
	}
	args = expand(served, packet, &why);
	if (!args) {
		send_output(peer, packet->number, SPAWN_STDERR, why, strlen(why));
		send_end(peer, packet->number, SPAWN_REFUSED, 0);
		free(why);
		return;
	}
	add_job(peer, served, packet, args, fds, fd_count);
}

static void take_cancel(struct peer *peer, uint32_t number)
{
	struct job *job;

	TAILQ_FOREACH(job, &peer->jobs, of_peer) {
		if (job->number == number && !job->run) {
			send_end(peer, number, SPAWN_CANCELLED, 0);
			TAILQ_REMOVE(&job->served->waiting, job, of_served);
			job_free(job);
			return;
		}
	}
}

/* ---- peers */

static void peer_free(struct peer *peer)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&peer->jobs))) {
		if (!job->run) {
			TAILQ_REMOVE(&job->served->waiting, job, of_served);
			job_free(job);
			continue;
		}
		log_warn("spawner", "ended the command of a worker that is gone", LOG_TEXT("id", job->id),
			LOG_TEXT("relay", job->served->relay->name));
		TAILQ_REMOVE(&peer->jobs, job, of_peer);
		job->peer = NULL;
		run_orphan(job->run);
	}
	TAILQ_REMOVE(&peer->spawner->peers, peer, link);
	channel_free(peer->channel);
	free(peer);
}

static void on_closed(void *arg)
{
	struct peer *peer = arg;
	struct spawner *spawner = peer->spawner;

	log_debug("spawner", "lost a worker", LOG_INT("worker", peer->pid));
	peer_free(peer);
	look_whether_ended(spawner);
}

static void on_flushed(void *arg)
{
	struct peer *peer = arg;
	struct served *served;

	TAILQ_FOREACH(served, &peer->spawner->served, link)
		start_waiting(peer->spawner, served);
}

static void on_packet(void *arg, const void *data, size_t size, int *fds, unsigned fd_count)
{
	struct peer *peer = arg;
	struct spawn_packet packet;

	if (spawn_decode(data, size, fd_count, &packet) < 0
		|| (packet.type != SPAWN_REQUEST && packet.type != SPAWN_CANCEL)
		|| (packet.type == SPAWN_REQUEST && peer->job_count >= PEER_JOBS_MAX)) {
		log_error("spawner", "broke off: not a request", LOG_INT("worker", peer->pid), LOG_INT("size", size));
		on_closed(peer);
		return;
	}
	if (packet.type == SPAWN_REQUEST)
		take_request(peer, &packet, fds, fd_count);
	else
		take_cancel(peer, packet.number);
	spawn_packet_release(&packet);
}

static void add_peer(struct spawner *spawner, int fd, pid_t pid)
{
	struct peer *peer = xcalloc(1, sizeof(*peer));
	struct channel_events events = { on_packet, on_closed, on_flushed, peer };

	peer->spawner = spawner;
	peer->pid = pid;
	TAILQ_INIT(&peer->jobs);
	peer->channel = channel_new(spawner->context.base, fd, &events);
	TAILQ_INSERT_TAIL(&spawner->peers, peer, link);
	send_plain(peer, SPAWN_HELLO, 0);
	log_debug("spawner", "accepted a worker", LOG_INT("worker", pid));
}

static void on_connection(evutil_socket_t listening, short what, void *arg)
{
	struct spawner *spawner = arg;
	struct timeval pause = { .tv_sec = ACCEPT_PAUSE_S };
	struct ucred who;
	socklen_t size = sizeof(who);
	int fd = FAULT("spawner.accept", accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));

	(void)what;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		log_error("spawner", "could not accept a worker", LOG_TEXT("error", strerror(errno)));
		event_del(spawner->listening);
		event_add(spawner->paused, &pause);
	}
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != spawner->context.peer_uid) {
		log_error("spawner", "refused a connection of another user", LOG_INT("uid", who.uid),
			LOG_INT("pid", who.pid));
		close(fd);
		return;
	}
	add_peer(spawner, fd, who.pid);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct spawner *spawner = arg;

	(void)fd;
	(void)what;
	event_add(spawner->listening, NULL);
}

/* ---- start and end */

static void serve(struct spawner *spawner, struct relay *relay)
{
	struct served *served = xcalloc(1, sizeof(*served));

	served->relay = relay;
	served->command = relay_command(relay);
	TAILQ_INIT(&served->running);
	TAILQ_INIT(&served->waiting);
	TAILQ_INSERT_TAIL(&spawner->served, served, link);
}

static int load_relays(struct spawner *spawner, const struct relay_setting *setting, struct config_errors *errors)
{
	const struct config_node *section = config_get(config_root(setting->config), "relay");
	int result = 0;

	for (size_t i = 0; section && i < section->count; i++) {
		struct relay *relay = relay_load(setting, section->items[i]->key, errors);

		if (!relay)
			result = -1;
		else if (relay_command(relay))
			serve(spawner, relay);
		else
			relay_free(relay);
	}
	return result;
}

/* Our own limit grows, as each command takes half a dozen descriptors; the commands get what we had. */
static void raise_limit(struct spawner *spawner)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		BUG("getrlimit: %s", strerror(errno));
	spawner->run.files = limit;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("spawner", "could not raise its limit of descriptors", LOG_TEXT("error", strerror(errno)));
}

static size_t commands_at_once(const struct spawner *spawner)
{
	const struct served *served;
	size_t count = 0;

	TAILQ_FOREACH(served, &spawner->served, link)
		count += served->command->options.concurrent;
	return count;
}

struct spawner *spawner_new(const struct spawner_context *context, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct spawner *spawner = xcalloc(1, sizeof(*spawner));

	spawner->context = *context;
	spawner->run = (struct run_context){ .base = context->base, .pool = context->pool };
	TAILQ_INIT(&spawner->served);
	TAILQ_INIT(&spawner->peers);
	raise_limit(spawner);
	if (load_relays(spawner, setting, errors) < 0) {
		spawner_free(spawner);
		return NULL;
	}
	fd_set_nonblocking(context->listening_fd, true);
	spawner->listening = event_new(context->base, context->listening_fd, EV_READ | EV_PERSIST, on_connection,
		spawner);
	spawner->run.guard = guard_new(context->base, commands_at_once(spawner));
	spawner->paused = event_new(context->base, -1, 0, on_pause_over, spawner);
	if (!spawner->listening || !spawner->paused || event_add(spawner->listening, NULL) < 0)
		BUG("no event for a listening socket");
	return spawner;
}

void spawner_free(struct spawner *spawner)
{
	struct served *served;
	struct job *job;

	if (!spawner)
		return;
	while (!TAILQ_EMPTY(&spawner->peers))
		peer_free(TAILQ_FIRST(&spawner->peers));
	while ((served = TAILQ_FIRST(&spawner->served))) {
		while ((job = TAILQ_FIRST(&served->running))) {
			TAILQ_REMOVE(&served->running, job, of_served);
			run_abandon(job->run);
			job_free(job);
		}
		TAILQ_REMOVE(&spawner->served, served, link);
		relay_free(served->relay);
		free(served);
	}
	guard_free(spawner->run.guard);
	if (spawner->listening)
		event_free(spawner->listening);
	if (spawner->paused)
		event_free(spawner->paused);
	free(spawner);
}

void spawner_drain(struct spawner *spawner, spawner_ended_fn *ended, void *arg)
{
	event_del(spawner->listening);
	event_del(spawner->paused);
	spawner->ended = ended;
	spawner->arg = arg;
	look_whether_ended(spawner);
}

void spawner_stats(const struct spawner *spawner, json_t *into)
{
	json_object_set_new(into, "commands", json_integer(spawner->running));
	json_object_set_new(into, "commands_total", json_integer((json_int_t)spawner->started));
}
