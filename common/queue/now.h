/* now.h - what each worker of a queue holds just now: runtime_dir/QUEUE-N.now
 * SPDX-License-Identifier: MIT
 * A worker keeps one mapped file, with a row for each id it holds, under a lock that lasts as long as the worker: a
 * file that can be locked is of a dead one. Rows are written by their worker alone, without locks. All of these
 * block (but for the three that change a row): at start, or in a thread. */
#ifndef SLIMTA_QUEUE_NOW_H
#define SLIMTA_QUEUE_NOW_H

#include "common/queue/storage.h"

#define NOW_ROWS_MAX 65536
#define NOW_OWNER_SIZE 320

struct now;

/* Who keeps a file. */
struct now_keeper {
	const char *program, *host;
};

/* In the first file that is free, with room for `rows` ids, all of it allocated. NULL with errno. */
struct now *now_open(const char *runtime_dir, const char *queue, const struct now_keeper *, unsigned rows);
void now_close(struct now *);		/* takes the file away; NULL is fine */
unsigned now_number(const struct now *);	/* its N */

/* A row, claimed; NOW_NO_ROW, with which the others do nothing, when all are taken or `now` is NULL. */
#define NOW_NO_ROW UINT32_MAX
uint32_t now_hold(struct now *, const char *id);
void now_reach(struct now *, uint32_t row, enum lease_phase);
void now_release(struct now *, uint32_t row);

/* ---- reading: nothing of what stands in a file is trusted */

struct now_held {
	char id[ID_SIZE];
	enum lease_phase phase;
	int64_t claimed_ms, phase_ms;	/* wall clock */
};

struct now_content {
	char owner[NOW_OWNER_SIZE];	/* "host/slimta-worker[812]" */
	bool this_boot;			/* else the machine was started since */
	struct now_held *held;
	size_t count;
};
enum now_result { NOW_READ, NOW_EMPTY, NOW_FOREIGN, NOW_DAMAGED };
/* What stands in the octets of a file. NOW_EMPTY: nobody wrote anything; NOW_FOREIGN: of another version. The
 * content is all-zero unless it was read. */
enum now_result now_parse(const void *data, size_t size, struct now_content *);
void now_content_release(struct now_content *);

/* The file of a dead worker; its lock is ours. */
struct now_dead {
	struct now_content content;
	size_t begun;			/* of those held, how many deliveries had begun */
	char *path;
	int fd;
};
/* All dead ones of the queue that held something, owned, `*dead` too; files that say nothing are taken away, those
 * of other versions are left. -1 with errno: runtime_dir cannot be read. */
int now_take_dead(const char *runtime_dir, const char *queue, struct now_dead **dead, size_t *count);
void now_dead_settle(struct now_dead *);	/* all is done that was to be: takes the file away */
void now_dead_leave(struct now_dead *);		/* to whoever comes next */

/* What all living workers of a queue hold, in one look; never NULL. */
struct now_view;
struct now_seen {
	struct now_held held;
	const char *owner;
};
struct now_view *now_look(const char *runtime_dir, const char *queue);
const struct now_seen *now_find(const struct now_view *, const char *id);	/* NULL: nobody */
size_t now_count(const struct now_view *, size_t *in_line);	/* how many are held, and how many of these are in line */
int64_t now_since(int64_t wall_ms);		/* how many ms ago; 0 for what is still to come by our clock */
/* How many ms its phase lasts: never longer than it is leased, though that was found out earlier, or by another clock. -1: it is
 * not known for how long it is leased. */
int64_t now_in_phase(const struct now_held *, int64_t leased_for_ms);
void now_view_free(struct now_view *);

#endif
