/* generation.c - what a generation is made of: configuration, programs, places for children
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "config.h"
#include "master/master.h"

#define SOCKETS_MAX 1000
#define ROWS_LEAST 1024	/* of the counters: a later generation may have more processes, beside the one that drains */

const char *const program_sections[PROGRAM_COUNT] = { "master", "edge", "worker" };

enum program child_program(enum child_kind kind)
{
	return kind == CHILD_EDGE ? PROGRAM_EDGE : PROGRAM_WORKER;
}

/* ---- programs */

static int open_program(const char *folder, size_t folder_size, const char *section)
{
	char *path = xasprintf("%.*s/slimta-%s", (int)folder_size, folder, section);
	int fd = open(path, O_PATH | O_CLOEXEC);

	free(path);
	return fd;
}

int generation_open_programs(struct generation *generation, char **why)
{
	char self[4096];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t folder_size;

	self[size > 0 ? size : 0] = '\0';
	folder_size = strrchr(self, '/') ? (size_t)(strrchr(self, '/') - self) : 0;
	generation->plans[PROGRAM_MASTER].exec_fd = -1;
	for (int i = PROGRAM_MASTER + 1; i < PROGRAM_COUNT; i++) {
		int fd = open_program(self, folder_size, program_sections[i]);

		if (fd < 0)
			fd = open_program(SBINDIR, strlen(SBINDIR), program_sections[i]);
		generation->plans[i].exec_fd = fd;
		if (fd < 0) {
			*why = xasprintf("slimta-%s is neither in %.*s nor in %s: %s", program_sections[i],
				(int)folder_size, self, SBINDIR, strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* ---- slots */

static void add_slot(struct generation *generation, enum child_kind kind, const char *queue, unsigned instance)
{
	struct slot *slot;

	generation->slots =
		xrealloc(generation->slots, generation->slot_count + 1, sizeof *generation->slots);
	slot = &generation->slots[generation->slot_count];
	*slot = (struct slot){ .generation = generation, .kind = kind, .queue = queue, .instance = instance,
		.row = ROW_NONE };
	generation->slot_count++;
}

static unsigned workers_of(const struct generation *generation, const struct config_node *queue)
{
	static const char *const single[] = { "memory", "proxy", "custom" };
	const struct config_node *type = config_get(queue, "type");
	unsigned count = process_instances(&generation->plans[PROGRAM_WORKER].process, queue->key);

	if (!config_get(queue, "relay"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(single); i++)
		if (type && type->text && strcmp(type->text, single[i]) == 0)
			return 1;
	return count;
}

static unsigned edge_instances(const struct generation *generation)
{
	const struct config_node *edges = config_get(config_root(generation->config), "edge");

	return edges && edges->count
		       ? process_instances(&generation->plans[PROGRAM_EDGE].process, NULL)
		       : 0;
}

static void make_slots(struct generation *generation)
{
	const struct config_node *queues = config_get(config_root(generation->config), "queue");
	unsigned workers = 0;

	for (size_t i = 0; queues && i < queues->count; i++)
		workers += workers_of(generation, queues->items[i]);
	if (workers)
		add_slot(generation, CHILD_SPAWNER, NULL, 0);
	for (size_t i = 0; queues && i < queues->count; i++)
		for (unsigned j = 0; j < workers_of(generation, queues->items[i]); j++)
			add_slot(generation, CHILD_WORKER, queues->items[i]->key, j);
	generation->edge_count = edge_instances(generation);
	for (unsigned i = 0; i < generation->edge_count; i++)
		add_slot(generation, CHILD_EDGE, NULL, i);
}

/* ---- sockets */

static int open_spawner_socket(struct generation *generation, char **why)
{
	const struct program_plan *worker = &generation->plans[PROGRAM_WORKER];

	if (!generation->slot_count || generation->slots[0].kind != CHILD_SPAWNER)
		return 0;
	generation->spawner_path =
		xasprintf("%s/spawner-%u", worker->process.runtime_dir, generation->number);
	generation->spawner_socket = unix_socket_listen(
		generation->spawner_path, SOCK_SEQPACKET, SOMAXCONN, &worker->identity);
	if (generation->spawner_socket >= 0)
		return 0;
	*why = xasprintf("cannot listen on %s: %s", generation->spawner_path, strerror(errno));
	return -1;
}

/* Each edge process inherits all of them, and is told of them in one message. */
static int check_socket_count(const struct sockets *sockets, char **why)
{
	size_t count = sockets_count(sockets);

	if (count <= SOCKETS_MAX)
		return 0;
	*why = xasprintf("%zu listening sockets are more than %d: use fewer instances of the edge, or fewer listeners",
		count, SOCKETS_MAX);
	return -1;
}

static int open_sockets(struct generation *generation, const struct generation *before, char **why)
{
	struct given_sockets given;
	int result = 0;

	given_sockets_open(&given);
	if (generation->edge_count)
		result = sockets_open(&generation->sockets, generation->config, generation->edge_count,
			&generation->plans[PROGRAM_EDGE].identity, &given, before ? &before->sockets : NULL, why);
	given_sockets_release(&given);
	if (result < 0 || check_socket_count(&generation->sockets, why) < 0)
		return -1;
	return before ? 0 : sockets_listen(&generation->sockets, why);
}

/* ---- rows of counters and limits */

static int make_counters(struct master *master, size_t slots, char **why)
{
	master->row_count = slots > ROWS_LEAST / 4 ? (unsigned)slots * 4 : ROWS_LEAST;
	master->counters = counters_create(master->row_count, &master->counters_fd);
	if (master->counters)
		master->limits = limits_create(master->row_count, &master->limits_fd);
	if (!master->limits) {
		*why = xasprintf("cannot make the counters: %s", strerror(errno));
		return -1;
	}
	master->rows_taken = xcalloc(master->row_count, sizeof *master->rows_taken);
	return 0;
}

static unsigned take_row(struct master *master)
{
	for (unsigned row = 0; row < master->row_count; row++) {
		if (!master->rows_taken[row]) {
			master->rows_taken[row] = true;
			return row;
		}
	}
	return ROW_NONE;
}

static int take_rows(struct generation *generation, char **why)
{
	struct master *master = generation->master;

	if (!master->counters && make_counters(master, generation->slot_count, why) < 0)
		return -1;
	for (size_t i = 0; i < generation->slot_count; i++) {
		generation->slots[i].row = take_row(master);
		if (generation->slots[i].row != ROW_NONE)
			continue;
		*why = xasprintf("%zu processes are too many beside those that run: a restart makes room for them",
			generation->slot_count);
		return -1;
	}
	return 0;
}

/* ---- a generation */

struct generation *generation_new(struct master *master)
{
	struct generation *generation = xcalloc(1, sizeof *generation);

	generation->master = master;
	generation->spawner_socket = -1;
	for (int i = 0; i < PROGRAM_COUNT; i++)
		generation->plans[i].exec_fd = generation->plans[i].config_fd = generation->plans[i].stdout_fd =
			generation->plans[i].stderr_fd = -1;
	return generation;
}

static int seal_for(struct program_plan *plan, const struct config *config, const char *program, const char *secret)
{
	struct buffer data = { 0 };

	config_serialize_for(config, program, secret, &data);
	plan->config_fd = memfd_sealed("slimta-config", data.data, data.size);
	explicit_bzero(data.data, data.size);
	buffer_release(&data);
	return plan->config_fd < 0 ? -1 : 0;
}

int generation_seal(struct generation *generation)
{
	struct program_plan *plans = generation->plans;
	struct buffer secret = { 0 };
	int result;

	if (generation->master) {
		/* The epoch before this one is what its tickets are still good from. */
		tls_secret_advance(&generation->master->secrets.tickets, tls_epoch_now() - 1);
		shared_secrets_format(&generation->master->secrets, &secret);
	}
	result = seal_for(&plans[PROGRAM_EDGE], generation->config, "edge", secret.size ? buffer_str(&secret) : NULL);
	buffer_release(&secret);
	return result < 0 ? -1 : seal_for(&plans[PROGRAM_WORKER], generation->config, "worker", NULL);
}

int generation_prepare(struct generation *generation, const struct generation *before, char **why)
{
	make_slots(generation);
	if (!generation->slot_count) {
		*why = xstrdup("nothing to do: no edge, and no queue with a relay, has instances");
		return -1;
	}
	if (open_sockets(generation, before, why) < 0 || open_spawner_socket(generation, why) < 0)
		return -1;
	return take_rows(generation, why);
}

size_t generation_count(const struct generation *generation, enum child_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < generation->slot_count; i++)
		count += generation->slots[i].state == state;
	return count;
}

static void release_slot(struct slot *slot)
{
	control_free(slot->control);
	if (slot->timer)
		event_free(slot->timer);
	if (slot->row != ROW_NONE)
		slot->generation->master->rows_taken[slot->row] = false;
	json_decref(slot->stats);
	free(slot->accepts);
}

static void release_plan(struct program_plan *plan)
{
	fd_close(&plan->exec_fd);
	fd_close(&plan->config_fd);
	fd_close(&plan->stdout_fd);
	fd_close(&plan->stderr_fd);
	process_release(&plan->process);
	identity_release(&plan->identity);
}

void generation_free(struct generation *generation, const struct generation *heir)
{
	if (!generation)
		return;
	for (size_t i = 0; i < generation->slot_count; i++)
		release_slot(&generation->slots[i]);
	free(generation->slots);
	sockets_release(&generation->sockets, heir ? &heir->sockets : NULL);
	json_decref(generation->closing);
	free(generation->failure);
	if (generation->bound)
		event_free(generation->bound);
	fd_close(&generation->spawner_socket);
	if (generation->spawner_path)
		unlink(generation->spawner_path);
	free(generation->spawner_path);
	for (int i = 0; i < PROGRAM_COUNT; i++)
		release_plan(&generation->plans[i]);
	config_free(generation->config);
	free(generation);
}
