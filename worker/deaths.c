/* deaths.c - what a queue's dead workers of this machine held
 * SPDX-License-Identifier: MIT */
#include "worker/deaths.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/now.h"

#define AGAIN_FIRST_MS 1000
#define AGAIN_LAST_MS 60000

/* One message to be marked. */
struct death {
	struct deaths *deaths;
	const char *id;			/* in its file's content */
	enum mark mark;
	bool marked;
};

struct deaths {
	struct deaths_context context;
	struct now_dead *files;
	size_t file_count;
	struct death *all;
	size_t count, asked, left;	/* left: not marked */
	struct event *again;
	int64_t again_ms;
	bool stopped, without_marks;
	void (*seen)(void *arg);
	void *arg;
};

/* ---- what is said */

static void log_in_doubt(const struct deaths *deaths, const struct now_dead *file, const struct now_held *held)
{
	char since[CLOCK_ISO8601_SIZE];

	log_warn("worker", "in doubt", LOG_TEXT("id", held->id), LOG_TEXT("queue", queue_name(deaths->context.queue)),
		LOG_TEXT("relay", deaths->context.relay), LOG_TEXT("since", clock_iso8601(since, held->phase_ms)),
		LOG_TEXT("owner", file->content.owner), LOG_TEXT("reason", "its worker died past the last step"));
}

static void log_file(const struct deaths *deaths, const struct now_dead *file)
{
	log_warn("worker", "found what a dead worker held", LOG_TEXT("queue", queue_name(deaths->context.queue)),
		LOG_TEXT("owner", file->content.owner), LOG_INT("held", file->content.count),
		LOG_INT("begun", file->begun));
	for (size_t i = 0; i < file->content.count; i++)
		if (file->content.held[i].phase == LEASE_PAST_THE_DOT)
			log_in_doubt(deaths, file, &file->content.held[i]);
}

/* ---- marks */

static void try_again_later(struct deaths *deaths)
{
	deaths->again_ms = deaths->again_ms ? deaths->again_ms * 2 : AGAIN_FIRST_MS;
	if (deaths->again_ms > AGAIN_LAST_MS)
		deaths->again_ms = AGAIN_LAST_MS;
	event_add(deaths->again, &(struct timeval){ deaths->again_ms / 1000, deaths->again_ms % 1000 * 1000 });
}

/* All that were asked have answered. */
static void look_at_answers(struct deaths *deaths)
{
	void (*seen)(void *arg) = deaths->seen;

	if (deaths->left && !deaths->stopped) {
		try_again_later(deaths);
	} else if (!deaths->left) {
		for (size_t i = 0; i < deaths->file_count; i++)
			now_dead_settle(&deaths->files[i]);
		deaths->file_count = 0;
	}
	deaths->seen = NULL;
	if (seen && !deaths->stopped)
		seen(deaths->arg);
}

static void note_failure(struct death *death, const struct reply *why)
{
	struct deaths *deaths = death->deaths;
	struct buffer text = { 0 };
	bool first = !deaths->again_ms;

	death->marked = reply_is_permanent(why);
	if (why->code == 502) {
		first = !deaths->without_marks;
		deaths->without_marks = true;
	}
	/* 550: it was delivered, or removed, since. */
	if (why->code == 550 || !first)
		return;
	reply_append(why, &text);
	log_warn("worker", "could not mark what a worker died in", LOG_TEXT("id", death->id),
		LOG_TEXT("queue", queue_name(deaths->context.queue)), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

static void on_marked(void *arg, const struct reply *why)
{
	struct death *death = arg;
	struct deaths *deaths = death->deaths;

	death->marked = true;
	if (why)
		note_failure(death, why);
	else
		log_warn("worker", death->mark == MARK_STRIKE ? "gave a strike" : "made suspect", LOG_TEXT("id", death->id),
			LOG_TEXT("queue", queue_name(deaths->context.queue)),
			LOG_TEXT("because", "a worker died in its delivery"));
	if (death->marked)
		deaths->left--;
	if (!--deaths->asked)
		look_at_answers(deaths);
}

static void ask(struct deaths *deaths)
{
	/* Counted before, so that no answer is taken for the last one. */
	deaths->asked = deaths->left;
	for (size_t i = 0; i < deaths->count; i++)
		if (!deaths->all[i].marked)
			queue_mark(deaths->context.queue, deaths->all[i].id, deaths->all[i].mark, NULL, on_marked,
				&deaths->all[i]);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct deaths *deaths = arg;

	(void)fd;
	(void)what;
	if (deaths->left)
		ask(deaths);
	else
		look_at_answers(deaths);
}

/* ---- what was left */

static void add_file(struct deaths *deaths, const struct now_dead *file)
{
	log_file(deaths, file);
	/* A machine that was started anew took all of them down, whatever they did. */
	if (!file->content.this_boot)
		return;
	for (size_t i = 0; i < file->content.count; i++) {
		if (file->content.held[i].phase < LEASE_BEGUN)
			continue;
		deaths->all = xgrow(deaths->all, deaths->count, sizeof(*deaths->all));
		deaths->all[deaths->count++] = (struct death){ deaths, file->content.held[i].id,
			file->begun == 1 ? MARK_STRIKE : MARK_SUSPECT, false };
	}
}

struct deaths *deaths_new(const struct deaths_context *context, void (*seen)(void *arg), void *arg)
{
	struct deaths *deaths = xcalloc(1, sizeof(*deaths));

	*deaths = (struct deaths){ .context = *context, .seen = seen, .arg = arg };
	deaths->again = event_new(context->base, -1, 0, on_again, deaths);
	if (!deaths->again)
		BUG("no event for a timer");
	if (now_take_dead(context->runtime_dir, queue_name(context->queue), &deaths->files, &deaths->file_count) < 0)
		log_warn("worker", "could not look for what dead workers held", LOG_TEXT("runtime_dir", context->runtime_dir),
			LOG_TEXT("error", strerror(errno)));
	for (size_t i = 0; i < deaths->file_count; i++)
		add_file(deaths, &deaths->files[i]);
	deaths->left = deaths->count;
	event_active(deaths->again, EV_TIMEOUT, 0);
	return deaths;
}

void deaths_stop(struct deaths *deaths)
{
	if (!deaths)
		return;
	deaths->stopped = true;
	event_del(deaths->again);
}

void deaths_free(struct deaths *deaths)
{
	if (!deaths)
		return;
	for (size_t i = 0; i < deaths->file_count; i++)
		now_dead_leave(&deaths->files[i]);
	event_free(deaths->again);
	free(deaths->files);
	free(deaths->all);
	free(deaths);
}
