/* line.c - the messages that wait for a connection to one next hop
 * SPDX-License-Identifier: MIT */
#include "worker/line.h"

#define SHORT_MS 100			/* a line that is gone so soon needs no connection */
#define LONG_MS 1000			/* one that stays so long, or stands still, needs one more */
#define WORTH 4				/* messages that a connection is worth, in the time between */
#define LATER_MIN_MS 5000
#define LATER_MAX_MS 300000

void line_init(struct line *line, int64_t now_ms)
{
	*line = (struct line){ .window_ms = now_ms };
	TAILQ_INIT(&line->again);
	TAILQ_INIT(&line->list);
}

static void free_list(struct outgoing_list *list)
{
	struct outgoing *outgoing;

	while ((outgoing = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, outgoing, link);
		outgoing_free(outgoing);
	}
}

void line_release(struct line *line)
{
	free_list(&line->again);
	free_list(&line->list);
}

bool line_is_empty(const struct line *line)
{
	return !line->again_count && !line->count;
}

/* ---- in and out */

void line_add(struct line *line, struct outgoing *outgoing, int64_t now_ms)
{
	if (!line->count)
		line->since_ms = now_ms;
	TAILQ_INSERT_TAIL(&line->list, outgoing, link);
	line->count++;
	line->unsaid++;
}

void line_add_again(struct line *line, struct outgoing *outgoing)
{
	TAILQ_INSERT_HEAD(&line->again, outgoing, link);
	line->again_count++;
	line->promised++;		/* those behind it stand one place further */
}

static struct outgoing *take_again(struct line *line)
{
	struct outgoing *outgoing = TAILQ_FIRST(&line->again);

	if (outgoing) {
		TAILQ_REMOVE(&line->again, outgoing, link);
		line->again_count--;
	}
	return outgoing;
}

static struct outgoing *take_first(struct line *line)
{
	struct outgoing *outgoing = TAILQ_FIRST(&line->list);

	if (outgoing) {
		TAILQ_REMOVE(&line->list, outgoing, link);
		line->count--;
		if (line->unsaid > line->count)
			line->unsaid = line->count;
	}
	return outgoing;
}

static struct outgoing *take_last(struct line *line)
{
	struct outgoing *outgoing = TAILQ_LAST(&line->list, outgoing_list);

	if (outgoing) {
		TAILQ_REMOVE(&line->list, outgoing, link);
		line->count--;
		line->unsaid -= line->unsaid > 0;
	}
	return outgoing;
}

struct outgoing *line_take(struct line *line, bool is_new_connection, int64_t now_ms)
{
	struct outgoing *outgoing = is_new_connection ? take_again(line) : NULL;

	if (!outgoing)
		outgoing = take_first(line);
	if (!outgoing)
		return NULL;
	outgoing_say_in_line(outgoing, false);
	line->moved_ms = now_ms;
	line->window_taken++;
	return outgoing;
}

/* ---- who waits */

static size_t say_list(struct outgoing_list *list, size_t at, size_t promised, size_t end)
{
	struct outgoing *outgoing = TAILQ_FIRST(list);

	for (; outgoing && at < end; at++, outgoing = TAILQ_NEXT(outgoing, link))
		outgoing_say_in_line(outgoing, at >= promised);
	return at;
}

void line_say_who_waits(struct line *line, size_t promised)
{
	size_t end = promised > line->promised ? promised : line->promised;
	size_t said = say_list(&line->list, say_list(&line->again, 0, promised, end), promised, end);
	size_t at = line->again_count + line->count;
	struct outgoing *outgoing = TAILQ_LAST(&line->list, outgoing_list);

	for (; line->unsaid && outgoing && at-- > said; line->unsaid--) {
		outgoing_say_in_line(outgoing, true);
		outgoing = TAILQ_PREV(outgoing, outgoing_list, link);
	}
	line->promised = promised;
	line->unsaid = 0;
}

/* ---- those that are not to go there */

void line_refuse_first(struct line *line, const struct relay_result *why)
{
	struct outgoing *outgoing = take_again(line);

	if (!outgoing)
		outgoing = take_first(line);
	if (outgoing)
		outgoing_refuse(outgoing, why);
}

/* Who is refused may come again at once: only those that are there now. */
void line_refuse_all(struct line *line, const struct relay_result *why)
{
	for (size_t left = line->again_count + line->count; left; left--)
		line_refuse_first(line, why);
}

void line_refuse_behind(struct line *line, size_t count, const struct relay_result *why)
{
	size_t all = line->again_count + line->count, left = all > count ? all - count : 0;

	for (; left && line->count; left--)
		outgoing_refuse(take_last(line), why);
}

void line_finish_all(struct line *line)
{
	struct outgoing *outgoing;

	while ((outgoing = take_again(line)) || (outgoing = take_first(line)))
		outgoing_finish(outgoing, RELAY_RESULT(&(struct reply){ 0 }, ""));
}

/* What is gone sooner than it would come back is not worth to be given back. */
static size_t allowed(struct line *line, size_t limit, int64_t now_ms)
{
	int64_t window_ms = now_ms - line->window_ms;
	size_t soon;

	if (window_ms >= LONG_MS) {
		line->rate = (size_t)((int64_t)line->window_taken * 1000 / window_ms);
		line->window_ms = now_ms;
		line->window_taken = 0;
	}
	soon = line->rate * (LATER_MIN_MS / 1000);
	return soon > limit ? soon : limit;
}

void line_refuse_excess(struct line *line, size_t limit, const char *host, int64_t now_ms)
{
	struct relay_result why = { .reply = &(struct reply){ 0 }, .host = host };

	limit = allowed(line, limit, now_ms);
	if (line->count < limit / 2)
		line->full_since_ms = 0;
	if (line->count <= limit)
		return;
	if (!line->full_since_ms) {
		if (now_ms - line->since_ms < LONG_MS)
			return;
		line->full_since_ms = now_ms;
	}
	why.later_ms = now_ms - line->full_since_ms;
	why.later_ms = why.later_ms < LATER_MIN_MS ? LATER_MIN_MS : why.later_ms > LATER_MAX_MS ? LATER_MAX_MS : why.later_ms;
	for (size_t left = line->count - limit; left; left--)
		outgoing_refuse(take_last(line), &why);
}

/* ---- is another connection of use? */

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

bool line_is_long(const struct line *line, size_t connections, int64_t now_ms)
{
	int64_t stood_ms = now_ms - later_of(line->since_ms, line->moved_ms), stayed_ms = now_ms - line->since_ms;

	if (!line->count)
		return false;
	return stood_ms >= LONG_MS || (stayed_ms >= LONG_MS && line->count >= connections) ||
		(stayed_ms >= SHORT_MS && line->count >= WORTH * connections);
}

int64_t line_look_in_ms(const struct line *line, int64_t now_ms)
{
	int64_t stayed_ms = now_ms - line->since_ms, stood_ms = now_ms - later_of(line->since_ms, line->moved_ms);

	if (stayed_ms < SHORT_MS)
		return SHORT_MS - stayed_ms;
	return stood_ms < LONG_MS ? LONG_MS - stood_ms : LONG_MS;
}
