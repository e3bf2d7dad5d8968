/* generation.c - what a generation is made of: configuration, programs, places for children
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

int generation_open_programs(struct generation *generation)
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
			fprintf(stderr,
				"slimta-master: slimta-%s is neither in %.*s nor in %s: %s\n",
				program_sections[i], (int)folder_size, self, SBINDIR,
				strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* ---- slots */

static void add_slot(
	struct master *master, enum child_kind kind, const char *queue, unsigned instance)
{
	struct generation *generation = &master->generation;
	struct slot *slot;

	generation->slots =
		xrealloc(generation->slots, generation->slot_count + 1, sizeof *generation->slots);
	slot = &generation->slots[generation->slot_count];
	*slot = (struct slot){ .master = master, .kind = kind, .queue = queue, .instance = instance,
		.row = (unsigned)generation->slot_count };
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

static void make_slots(struct master *master)
{
	struct generation *generation = &master->generation;
	const struct config_node *queues = config_get(config_root(generation->config), "queue");
	unsigned workers = 0, edges = edge_instances(generation);

	for (size_t i = 0; queues && i < queues->count; i++)
		workers += workers_of(generation, queues->items[i]);
	if (workers)
		add_slot(master, CHILD_SPAWNER, NULL, 0);
	for (size_t i = 0; queues && i < queues->count; i++)
		for (unsigned j = 0; j < workers_of(generation, queues->items[i]); j++)
			add_slot(master, CHILD_WORKER, queues->items[i]->key, j);
	for (unsigned i = 0; i < edges; i++)
		add_slot(master, CHILD_EDGE, NULL, i);
}

/* ---- sockets */

static int open_spawner_socket(struct generation *generation)
{
	const struct program_plan *worker = &generation->plans[PROGRAM_WORKER];

	if (!generation->slot_count || generation->slots[0].kind != CHILD_SPAWNER)
		return 0;
	generation->spawner_path =
		xasprintf("%s/spawner-%u", worker->process.runtime_dir, generation->number);
	generation->spawner_socket = unix_socket_listen(generation->spawner_path, SOCK_SEQPACKET, SOMAXCONN,
		&worker->identity);
	if (generation->spawner_socket >= 0)
		return 0;
	fprintf(stderr, "slimta-master: cannot listen on %s: %s\n", generation->spawner_path,
		strerror(errno));
	return -1;
}

/* Each edge process inherits all of them, and is told of them in one message. */
static int check_socket_count(const struct sockets *sockets)
{
	size_t count = 0;

	for (size_t i = 0; i < sockets->count; i++)
		count += sockets->items[i].fd_count;
	if (count <= SOCKETS_MAX)
		return 0;
	fprintf(stderr,
		"slimta-master: %zu listening sockets are more than %d: use fewer instances of "
		"the edge, or fewer listeners\n",
		count, SOCKETS_MAX);
	return -1;
}

static int open_sockets(struct generation *generation)
{
	struct given_sockets given;
	unsigned edges = edge_instances(generation);
	char *why = NULL;
	int result = 0;

	given_sockets_open(&given);
	if (edges)
		result = sockets_open(&generation->sockets, generation->config, edges,
			&generation->plans[PROGRAM_EDGE].identity, &given, &why);
	if (result < 0)
		fprintf(stderr, "slimta-master: %s\n", why);
	free(why);
	given_sockets_release(&given);
	return result < 0 ? result : check_socket_count(&generation->sockets);
}

static int make_memory(struct master *master)
{
	struct generation *generation = &master->generation;

	master->counters = counters_create((unsigned)generation->slot_count, &master->counters_fd);
	if (master->counters)
		return 0;
	fprintf(stderr, "slimta-master: cannot make the counters: %s\n", strerror(errno));
	return -1;
}

int generation_prepare(struct master *master)
{
	struct generation *generation = &master->generation;

	make_slots(master);
	if (!generation->slot_count) {
		fprintf(stderr, "slimta-master: nothing to do: no edge, and no queue with a relay, "
				"has instances\n");
		return -1;
	}
	if (open_sockets(generation) < 0 || open_spawner_socket(generation) < 0)
		return -1;
	return make_memory(master);
}

void generation_release(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++)
		json_decref(generation->slots[i].stats);
	free(generation->slots);
	sockets_release(&generation->sockets);
	fd_close(&generation->spawner_socket);
	if (generation->spawner_path)
		unlink(generation->spawner_path);
	free(generation->spawner_path);
	for (int i = 0; i < PROGRAM_COUNT; i++) {
		struct program_plan *plan = &generation->plans[i];

		fd_close(&plan->exec_fd);
		fd_close(&plan->stdout_fd);
		fd_close(&plan->stderr_fd);
		process_release(&plan->process);
		identity_release(&plan->identity);
	}
	fd_close(&generation->config_fd);
	config_free(generation->config);
}
