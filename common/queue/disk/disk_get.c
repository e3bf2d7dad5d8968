/* disk_get.c - reading a message, under its lease or just looking
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/disk/disk.h"

struct get_op {
	struct disk_op op;
	struct disk_lease *lease;
	struct envelope *envelope;
	enum stored_result result;
	const char *damage;
	storage_message_fn *done;
	void *arg;
};

static void get_reply(const struct get_op *get, struct reply *why)
{
	if (get->result == STORED_DAMAGED)
		reply_set(why, 554, "5.6.0", "Message is damaged");
	else if (get->result == STORED_FOREIGN)
		reply_set(why, 451, "4.3.0", "Message is of another version");
	else
		disk_error_reply(get->op.error, why);
}

static void finish_get(struct disk *disk, struct disk_op *op)
{
	struct get_op *get = (struct get_op *)op;
	struct message_state state;
	struct reply why = { 0 };

	(void)disk;
	if (get->result == STORED_OK) {
		message_state_copy(&state, &get->lease->state);
		state.due_in_ms = get->lease->due_ms - clock_wall_ms();
		get->done(get->arg, NULL, &get->envelope, &state);
		message_state_release(&state);
	} else {
		get_reply(get, &why);
		get->done(get->arg, &why, NULL, NULL);
		reply_release(&why);
	}
	envelope_free(get->envelope);
	free(get);
}

static void get_work(struct disk *disk, void *arg)
{
	struct get_op *get = arg;
	const char *id = get->lease->lease.id;

	int result = FAULT("disk.read",
		(int)stored_read(get->lease->fd, DISK_MEMORY_MAX, true, &get->envelope, &get->damage));

	get->op.error = errno;
	get->result = result < 0 ? STORED_FAILED : (enum stored_result)result;
	if (get->result == STORED_FAILED)
		disk_log_error(disk, "read", id, get->op.error);
	if (get->result != STORED_DAMAGED)
		return;
	log_error("queue", "damaged message held", LOG_TEXT("id", id),
		LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("why", get->damage));
	if (disk_hold(disk, get->lease, "damaged") < 0)
		disk_log_error(disk, "hold", id, errno);
}

static void get_done(struct disk *disk, void *arg)
{
	struct get_op *get = arg;

	finish_get(disk, &get->op);
}

void disk_get(struct storage *storage, struct lease *lease, storage_message_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct get_op *get = xcalloc(1, sizeof(*get));

	*get = (struct get_op){ .op.finish = finish_get, .lease = (struct disk_lease *)lease, .done = done, .arg = arg };
	get->envelope = get->lease->envelope;
	get->lease->envelope = NULL;
	if (get->envelope)
		disk_soon(disk, &get->op);
	else
		disk_run(disk, get_work, get_done, get);
}

struct peek_op {
	char id[ID_SIZE];
	bool content, there;
	struct disk_lease seen;		/* a place for what is read; its fd is no lock */
	struct peeked peeked;
	struct reply why;
	storage_peeked_fn *done;
	void *arg;
};

static void find_owner(struct disk *disk, struct peek_op *op)
{
	struct now_view *owners = disk_owners(disk);

	disk_owner_of_peeked(owners, op->id, &op->peeked);
	now_view_free(owners);
}

static void peek_meta(struct disk *disk, struct peek_op *op)
{
	const char *damage;
	enum disk_meta_result result = disk_meta_read(disk, &op->seen, &damage);

	if (result == META_DAMAGED)
		xstrset(&op->seen.state.held, "damaged");
	op->peeked.state = op->seen.state;
	op->peeked.state.due_in_ms = op->seen.due_ms - clock_wall_ms();
	op->peeked.leased_for_ms = -1;
	disk_marks_show(disk, &op->seen, &op->peeked.asked);
	if (op->peeked.state.held)
		op->peeked.place = PLACE_HELD;
	else if (ofd_is_locked(op->seen.fd, 0, 1) == 1)
		op->peeked.place = PLACE_LEASED;
	else
		op->peeked.place = result == META_READ ? PLACE_DEFERRED : PLACE_NEW;
	if (op->peeked.place == PLACE_LEASED)
		find_owner(disk, op);
}

/* As list() shows it, whether a worker has found it already or not. */
static void peek_damaged(struct peek_op *op, const char *damage)
{
	reply_set(&op->why, 554, "5.6.0", "Message is damaged: %s", damage);
	op->peeked.place = PLACE_HELD;
	if (!op->peeked.state.held)
		op->peeked.state.held = xstrdup("damaged");
}

static void peek_work(struct disk *disk, void *arg)
{
	struct peek_op *op = arg;
	char name[DISK_NAME_SIZE];
	const char *damage;
	enum stored_result result;
	char *path;
	int error;

	snprintf(name, sizeof(name), "%s.env", op->id);
	op->seen.fd = FAULT("disk.open",
		openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (op->seen.fd < 0 && errno == ENOENT) {
		reply_set(&op->why, 550, "5.1.1", "No such message");
		return;
	}
	if (op->seen.fd < 0) {
		error = errno;
		path = xasprintf("%s/%s", disk->envelope_dir, name);
		disk_look_reply(disk, path, error, &op->why);
		free(path);
		return;
	}
	op->there = true;
	peek_meta(disk, op);
	result = stored_read(op->seen.fd, op->content ? DISK_MEMORY_MAX : 0, op->content, &op->peeked.envelope, &damage);
	if (result == STORED_DAMAGED)
		peek_damaged(op, damage);
	else if (result != STORED_OK)
		disk_error_reply(EIO, &op->why);
	fd_close(&op->seen.fd);
}

static void peek_nothing(struct disk *disk, void *arg)
{
	(void)disk;
	(void)arg;
}

static void peek_done(struct disk *disk, void *arg)
{
	struct peek_op *op = arg;

	(void)disk;
	op->done(op->arg, reply_is_none(&op->why) ? NULL : &op->why, op->there ? &op->peeked : NULL);
	envelope_free(op->peeked.envelope);
	strings_release(&op->peeked.asked);
	message_state_release(&op->peeked.state);
	free(op->peeked.owner);
	json_decref(op->seen.meta);
	reply_release(&op->why);
	free(op);
}

void disk_peek(struct storage *storage, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct peek_op *op = xcalloc(1, sizeof(*op));

	op->content = content;
	op->done = done;
	op->arg = arg;
	op->seen.fd = -1;
	if (id_is_valid(id))
		memcpy(op->id, id, ID_SIZE);
	memcpy(op->seen.lease.id, op->id, ID_SIZE);
	if (disk->is_open) {
		disk_run(disk, peek_work, peek_done, op);
		return;
	}
	disk_error_reply(EIO, &op->why);
	/* A job without work keeps the promise of not calling back from within. */
	disk_run(disk, peek_nothing, peek_done, op);
}
