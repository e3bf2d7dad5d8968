/* disk.h - the disk driver's own parts
 * SPDX-License-Identifier: MIT
 * Only storage.c, for the driver itself, and the files of this folder include it. Functions that say "thread" block
 * and run on the disk pool; all others run on the loop. */
#ifndef SLIMTA_QUEUE_DISK_DISK_H
#define SLIMTA_QUEUE_DISK_DISK_H

#include <pthread.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/queue/disk/due.h"
#include "common/queue/disk/finished.h"
#include "common/queue/disk/recycle.h"
#include "common/queue/now.h"
#include "common/queue/storage.h"

extern const struct storage_driver disk_driver;

/* A file whose time of change is here or later is held, not due: 2038-01-01. */
#define DISK_HELD_SECONDS 2145916800LL
#define DISK_MEMORY_MAX 65536		/* a message up to this size is read and checked as it is claimed */
#define DISK_WRITE_JOBS 4
#define DISK_SHARE_MAX 64		/* messages that one job commits */
#define DISK_NAME_SIZE (ID_SIZE + 24)

struct disk;
struct disk_op;
TAILQ_HEAD(disk_ops, disk_op);

/* One request on its way through a batch. */
struct disk_op {
	TAILQ_ENTRY(disk_op) next;
	void (*finish)(struct disk *, struct disk_op *);	/* on the loop; frees it */
	int error;			/* an errno, 0 = done */
};

/* Requests of one kind: what waits is shared among at most `jobs_max` jobs, each of which commits its part. */
struct disk_batcher {
	struct disk *disk;
	struct disk_ops waiting;
	unsigned count, running, jobs_max;
	void (*work)(struct disk *, struct disk_ops *);		/* thread */
	struct event *kick;
};

struct disk_job;
LIST_HEAD(disk_jobs, disk_job);

struct disk_lease {
	struct lease lease;
	LIST_ENTRY(disk_lease) next;
	int fd;				/* of ID.env, locked; which file that is, and its octets: */
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct envelope *envelope;	/* read with the claim; NULL: large, or taken */
	struct message_state state;
	int64_t due_ms;			/* as recorded */
	uint64_t marks;			/* up to which number they were obeyed */
	bool finished;			/* it was delivered, and is only to be taken away */
	json_t *meta;			/* as read, for members we do not know; NULL: there is none yet */
};
LIST_HEAD(disk_leases, disk_lease);

struct disk_share;
struct disk_scan;

/* What accepts() looks at: written by one job, read on the loop after it. */
struct disk_room {
	bool known, running;
	int64_t looked_boot_ms, took_ms;
	uint64_t free_bytes, free_inodes, messages;
	int error;
};

struct disk {
	struct storage storage;
	char *envelope_dir, *meta_dir, *tmp_dir;
	int64_t scan_interval_ms;
	bool allow_volatile, allow_network;

	bool is_open, stopping, closing;
	int envelope_fd, meta_fd;
	char *spool_dir;
	struct event *reopen;
	storage_done_fn *opened;
	void *opened_arg;
	struct recycler envelopes, metas;
	struct finished *finished;

	struct disk_jobs jobs;
	pthread_mutex_t lock;		/* with `ended`: a job has run, for close() */
	pthread_cond_t ended;
	struct disk_batcher writes, settles;
	struct disk_ops soon;		/* finished without work; called back from the loop */
	struct event *soon_event;

	struct due_table due;		/* the scanner's */
	struct disk_share *share;
	struct disk_scan *scan;
	struct disk_claim *claim;	/* the one that waits */
	struct disk_leases leases;
	struct disk_room room;
	struct disk_window *window;	/* list()'s last reading of the directory */
	struct disk_settings_seen *settings;	/* settings()' last reading */
	unsigned recalls;		/* how many there were: what is still being put aside then is due */
};

/* ---- disk_batch.c: jobs and batches */
void disk_run(struct disk *, void (*work)(struct disk *, void *), void (*done)(struct disk *, void *), void *arg);
void disk_batcher_init(struct disk_batcher *, struct disk *, unsigned jobs_max,
	void (*work)(struct disk *, struct disk_ops *));
void disk_submit(struct disk_batcher *, struct disk_op *);
void disk_soon(struct disk *, struct disk_op *);
void disk_fail_soon(struct disk *, storage_done_fn *, void *arg);	/* 451: not open */
void disk_succeed_soon(struct disk *, storage_done_fn *, void *arg);
void disk_batch_open(struct disk *);
void disk_batch_close(struct disk *);		/* waits for the jobs and calls everything back */

/* ---- disk_volume.c: directories, file systems, room */
void disk_check(const struct storage *, const struct config_node *section, struct config_errors *);
int disk_volume_open(struct disk *, struct reply *why);			/* thread */
void disk_volume_close(struct disk *);
int disk_accepts(struct storage *, uint64_t size, struct reply *why);
const char *disk_spool_dir(struct storage *);
/* 452 4.3.1 for a full disk, else 451 4.3.0; the error's text is for the log alone. */
void disk_error_reply(int error, struct reply *);
bool disk_only_looks(const struct disk *);	/* for an operator */
/* The same for who only looks: an operator is told the error itself, and of which file or directory. */
void disk_look_reply(const struct disk *, const char *path, int error, struct reply *);
/* An error line: what failed, on which file. */
void disk_log_error(struct disk *, const char *what, const char *id, int error);

/* ---- disk_write.c: staging (thread) */
/* Writes `.ID.new` in its stored form and syncs it. 0 or -1 with errno; nothing is left of a failure. */
int disk_stage(struct disk *, const struct envelope *);
int disk_unstage(struct disk *, const char *id);
/* 1: the staged message and the one that is there are the same; 0: they differ; -1 with errno. */
int disk_staged_is_same(struct disk *, const char *id);
int disk_sync_directory(int fd);
/* ID of "ID.env" or another suffix; false if the name is something else. */
bool disk_name_id(const char *name, const char *suffix, char id[ID_SIZE]);

/* ---- disk_commit.c, disk_several.c: write() */
void disk_write(struct storage *, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *, void *arg);
void disk_commit_work(struct disk *, struct disk_ops *);
struct disk_write_op {
	struct disk_op op;
	struct envelope *const *items;
	size_t count;
	int64_t delay_ms, due_ms;
	char *meta;
	bool staged;
	bool published, unsynced;	/* by a rename of ours; waits for the directory sync */
	bool unfinished;		/* committed, but a scan has to make it visible */
	storage_done_fn *done;
	void *arg;
};
/* Publishes the staged copies of one write together, by a batch file. */
int disk_publish_several(struct disk *, struct disk_write_op *);
/* Finishes a batch file that its writer left (thread); the next reading of the directory finds what became visible.
 * False: there was nothing to do. */
bool disk_complete_batch(struct disk *, const char *name);
/* `.ID.new` to `ID.env`. 0; 1 = done before, and the same; -1 with errno (EEXIST: another one is there). */
int disk_publish(struct disk *, const char *id);

/* ---- disk_meta.c: ID.meta and ID.mark (thread) */
enum disk_meta_result { META_NONE, META_READ, META_DAMAGED, META_FAILED };
/* Into state, due_ms and meta of the lease. */
enum disk_meta_result disk_meta_read(struct disk *, struct disk_lease *, const char **why);
/* It was written at a time that is still to come: the clock was set back, and its message is due now. */
bool disk_clock_was_ahead(const struct stat *meta);
/* What stands in it; owned. On the loop or in a thread, by whoever owns the lease then. */
char *disk_meta_text(const struct disk_lease *);
int64_t disk_meta_time(const struct disk_lease *);	/* for disk_meta_write */
/* Syncs and places it; the directory is not synced. `due_ms` INT64_MAX: held. 0; 1: an older one made way for it, to be
 * tidied away once the directory is synced; -1 with errno. */
int disk_meta_write(struct disk *, const char *id, const char *text, int64_t due_ms);
void disk_meta_tidy(struct disk *, const char *id);
void disk_meta_revert(struct disk *, const char *id, bool replaced);	/* as the directory could not be synced */
/* Writes what is known of a message, durably. 0, or -1 with errno: nothing has changed. */
int disk_meta_keep(struct disk *, struct disk_lease *);
int disk_hold(struct disk *, struct disk_lease *, const char *reason);	/* the same, for a reason */
/* Before the envelope of a derived id goes: its meta says that it is finished, for a day. 0 or -1 with errno. */
int disk_finish(struct disk *, struct disk_lease *);
bool disk_is_finished(struct disk *, const char *id);
int disk_hold_damaged_meta(struct disk *, const char *id);
int disk_meta_remove(struct disk *, const char *id);	/* an absent one is success */
/* Up to which number its marks were obeyed, as far as that can be read. 0 or -1 with errno. */
int disk_meta_marks(struct disk *, const char *id, uint64_t *marks);

/* ---- disk_mark.c: ID.mark (thread) */
/* Adds one; the directory is not synced. 0, or -1 with errno: ENOENT, EBUSY, EFBIG, ... */
int disk_mark_add(struct disk *, const char *id, enum mark, const char *reason);
bool disk_mark_stands(const struct disk *, const char *id);
/* One mark, to the state and due time of a lease; nothing is written. False: it is to be discarded. */
bool disk_mark_apply(struct disk *, struct disk_lease *, enum mark, const char *reason);
enum disk_obeyed { OBEYED_NOTHING, OBEYED, OBEYED_DISCARD, OBEYED_FAILED };
/* The same for all that stand there and were not obeyed yet. `with_result`: an attempt is being recorded. Once
 * that is durable they are tidied away. */
enum disk_obeyed disk_marks_obey(struct disk *, struct disk_lease *, bool with_result);
void disk_marks_tidy(struct disk *, const struct disk_lease *);
void disk_mark_remove(struct disk *, const char *id);
/* Those that wait, as people read them. */
void disk_marks_show(struct disk *, const struct disk_lease *seen, struct strings *out);

/* ---- disk_lock.c: taking one message (thread) */
enum disk_take { TAKE_OURS, TAKE_BUSY, TAKE_GONE, TAKE_HELD, TAKE_LATER, TAKE_FAILED };
/* `forced`: whatever its due time, and held ones too. On TAKE_OURS *lease; TAKE_LATER: *due_ms; TAKE_FAILED:
 * logged, *due_ms says when to look again. */
enum disk_take disk_take(struct disk *, const char *id, bool forced, struct disk_lease **lease, int64_t *due_ms);
/* Opens and locks ID.env and makes sure that it still has its name: fd, or -1 with EBUSY or ENOENT or another.
 * *opened is the file as it was under the lock. `briefly`: to mark it, which others see and come again soon (EAGAIN):
 * it is not being delivered. */
int disk_lock_env(struct disk *, const char *id, bool briefly, struct stat *opened);
/* Whether the name is still the file's that we locked; else it vanished under its lease, or another took its place. */
bool disk_has_name(struct disk *, const struct disk_lease *);
struct disk_lease *disk_lease_new(const char *id, int fd, const struct stat *opened);
void disk_lease_free(struct disk_lease *);		/* any thread; closes, so unlocks; not in the list any more */
/* A large file that was taken away gives its blocks back, before another message fills it. Only when that is durable:
 * until then it may still be needed under its name. */
void disk_lease_cut(struct disk *, const struct disk_lease *);

/* ---- disk_claim.c: claim, claim_id, get */
void disk_claim_start(struct storage *, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *,
	void *arg);
void disk_claim_id(struct storage *, const char *id, int64_t lease_ms, storage_claimed_fn *, storage_done_fn *refused,
	void *arg);
void disk_get(struct storage *, struct lease *, storage_message_fn *, void *arg);
/* The waiting claim tries these; what cannot be claimed is reported. */
void disk_claim_ids(struct disk *, const struct due_item *items, size_t count);
bool disk_claim_waits(const struct disk *, size_t *max);
void disk_claim_stop(struct disk *);

/* ---- disk_peek.c */
void disk_peek(struct storage *, const char *id, bool content, storage_peeked_fn *, void *arg);

/* ---- disk_settle.c: what ends or changes a lease; disk_steer.c: mark and discard */
void disk_renew(struct storage *, struct lease *, const struct outcomes *, storage_done_fn *, void *arg);
void disk_defer(struct storage *, struct lease **, int64_t delay_ms, bool attempted, const struct outcomes *,
	const struct attempt *, storage_done_fn *, void *arg);
void disk_put_aside(struct storage *, struct lease **, int64_t delay_ms, unsigned group, const struct outcomes *,
	storage_done_fn *, void *arg);
void disk_remove(struct storage *, struct lease **, storage_done_fn *, void *arg);
void disk_settle_work(struct disk *, struct disk_ops *);
void disk_discard(struct storage *, const char *const ids[], size_t count, storage_done_fn *, void *arg);
void disk_mark(struct storage *, const char *id, enum mark, const char *reason, storage_done_fn *, void *arg);

/* ---- disk_share.c: the scanner and its siblings */
enum disk_event {
	DISK_DUE = 'D',		/* is (or becomes) due at due_ms */
	DISK_NEW = 'N',		/* the same, never tried yet */
	DISK_GONE = 'G',
	DISK_PARKED = 'P',	/* somebody else has it, or it is held: look again at the next scan */
	DISK_MINE = 'M',	/* is under a lease of the sender */
	DISK_WANT = 'W',	/* the sender waits for due_ms of them; no id */
	DISK_TAKE = 'T',	/* the scanner's answer */
	DISK_MISSED = 'L',	/* the sender could not tell all it had to: scan; no id */
	DISK_ASIDE = 'A',	/* due, but put aside for a group until due_ms */
	DISK_RECALL = 'R',	/* a group is due; no id */
};
void disk_share_open(struct disk *);
void disk_share_stop(struct disk *);		/* hands the scanner's part to a sibling */
void disk_share_close(struct disk *);
void disk_report(struct disk *, enum disk_event, const struct due_item *, size_t count);
void disk_share_missed(struct disk *);		/* there is something that only a scan finds */
void disk_share_want(struct disk *);		/* a claim waits: be given what is due */
void disk_share_dispatch(struct disk *);	/* the table has changed */
void disk_recall(struct storage *, unsigned group);
bool disk_is_scanner(const struct disk *);

/* ---- disk_scan.c: readings of the directories, by the scanner */
void disk_scan_start(struct disk *);		/* now; again every scan_interval until disk_scan_stop */
void disk_scan_again(struct disk *);		/* soon */
void disk_scan_stop(struct disk *);
uint32_t disk_scan_number(const struct disk *);	/* of the one that runs, or ran last */
void disk_scan_free(struct disk *);

/* ---- disk_owner.c: a lock names nobody, the `.now` files of this host's workers do (thread) */
struct now_view *disk_owners(struct disk *);
void disk_owner_of_entry(const struct now_view *, struct list_entry *);
void disk_owner_of_peeked(const struct now_view *, const char *id, struct peeked *);

/* ---- disk_settings.c */
void disk_settings_forget(struct disk *);
void disk_set(struct storage *, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *, void *arg);
void disk_settings(struct storage *, storage_settings_fn *, void *arg);

/* ---- disk_list.c */
void disk_list(struct storage *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *,
	void *arg);
void disk_info(struct storage *, storage_info_fn *, void *arg);
void disk_window_free(struct disk *);

#endif
