/* storage.h - a storage under test: opened in a scratch folder, its calls made to wait for their answers
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_STORAGE_H
#define SLIMTA_T_STORAGE_H

#include <event2/event.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/storage.h"
#include "t/lib/tap.h"

#define MAYBE __attribute__((unused)) static
#define WAIT_MS 20000

/* One process's view: a loop, a pool, a storage. */
struct place {
	bool beside;			/* of another place, which lends loop and pool */
	struct event_base *base;
	struct pool *pool;
	struct process_options process;
	struct config *config;
	struct storage *storage;
	struct reply opened;		/* none: success */
};

MAYBE char scratch[64];

static int scratch_unlink(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

MAYBE void scratch_remove(void)
{
	if (*scratch)
		nftw(scratch, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

MAYBE void scratch_make(void)
{
	const char *parent = getenv("SLIMTA_SCRATCH");

	snprintf(scratch, sizeof(scratch), "%.40s/slimta-unit-XXXXXX", parent ? parent : "/tmp");
	if (!mkdtemp(scratch))
		abort();
}

struct answer {
	bool done;
	struct reply why;		/* none: success */
	struct lease *leases[64];
	size_t lease_count;
	struct envelope *envelope;
	struct message_state state;
	enum message_place place;
	struct queue_counts counts;
	char cursor[LIST_CURSOR_SIZE];
	struct strings ids, asked;
	unsigned calls;
};

MAYBE void answer_release(struct answer *answer)
{
	reply_release(&answer->why);
	envelope_free(answer->envelope);
	message_state_release(&answer->state);
	strings_release(&answer->ids);
	strings_release(&answer->asked);
	memset(answer, 0, sizeof(*answer));
}

MAYBE void on_done(void *arg, const struct reply *why)
{
	struct answer *answer = arg;

	answer->done = true;
	answer->calls++;
	if (why)
		reply_copy(&answer->why, why);
}

MAYBE void on_claimed(void *arg, struct lease *const leases[], size_t count)
{
	struct answer *answer = arg;

	answer->done = true;
	answer->calls++;
	for (size_t i = 0; i < count && answer->lease_count < 64; i++)
		answer->leases[answer->lease_count++] = leases[i];
}

MAYBE void on_message(void *arg, const struct reply *why, struct envelope **envelope, struct message_state *state)
{
	struct answer *answer = arg;

	on_done(arg, why);
	if (why)
		return;
	answer->envelope = *envelope;
	*envelope = NULL;
	answer->state = *state;
	memset(state, 0, sizeof(*state));
}

MAYBE void on_peeked(void *arg, const struct reply *why, struct peeked *peeked)
{
	struct answer *answer = arg;

	on_done(arg, why);
	if (!peeked)
		return;
	answer->place = peeked->place;
	answer->envelope = peeked->envelope;
	peeked->envelope = NULL;
	message_state_copy(&answer->state, &peeked->state);
	for (size_t i = 0; i < peeked->asked.count; i++)
		strings_add(&answer->asked, peeked->asked.items[i]);
}

MAYBE void on_listed(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	struct answer *answer = arg;

	on_done(arg, why);
	for (size_t i = 0; i < count; i++)
		strings_add(&answer->ids, entries[i].id);
	snprintf(answer->cursor, sizeof(answer->cursor), "%s", cursor);
}

MAYBE void on_info(void *arg, const struct reply *why, const struct queue_counts *counts)
{
	on_done(arg, why);
	if (!why)
		((struct answer *)arg)->counts = *counts;
}

static void give_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Runs the loop until the answer is there; false after `ms`. */
MAYBE bool wait_for(struct place *place, const struct answer *answer, int ms)
{
	bool late = false;
	struct event *timer = event_new(place->base, -1, 0, give_up, &late);
	struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(timer, &limit);
	while (!answer->done && !late)
		event_base_loop(place->base, EVLOOP_ONCE);
	event_free(timer);
	return answer->done;
}

MAYBE void answered(struct place *place, struct answer *answer)
{
	if (answer->done) {
		printf("Bail out! called back from within the call\n");
		exit(1);
	}
	if (!wait_for(place, answer, WAIT_MS)) {
		printf("Bail out! no answer in %d ms\n", WAIT_MS);
		exit(1);
	}
}

/* `text`: the section in flow style, with @ for the scratch folder; its errors are printed. `beside`: another place
 * of the same process, whose loop and pool this one shares; it is closed after this one. NULL: none. */
MAYBE bool place_load_beside(struct place *place, const struct place *beside, enum storage_role role, const char *text)
{
	struct config_errors errors = { 0 };
	struct buffer whole = { 0 }, printed = { 0 };
	const struct config_node *section;
	const struct storage_driver *driver;
	char *kind;
	bool good = false;

	memset(place, 0, sizeof(*place));
	buffer_append_str(&whole, "queue: {test: {");
	for (const char *at = text; *at; at++)
		*at == '@' ? buffer_append_str(&whole, scratch) : buffer_append_char(&whole, *at);
	buffer_append_str(&whole, "}}\n");
	place->config = config_parse("test.conf", whole.data, whole.size, &errors);
	section = place->config ? config_section(place->config, "queue", "test") : NULL;
	driver = section ? storage_driver_find(config_get(section, "type")->text) : NULL;
	if (driver) {
		place->storage = xcalloc(1, driver->size);
		place->storage->driver = driver;
		kind = xasprintf("queue.%s", driver->type);
		good = options_load(kind, section, &(struct option_set){ driver->options, place->storage }, 1,
			(const char *const[]){ "type", NULL }, &errors) == 0;
		free(kind);
	}
	config_errors_print(&errors, &printed);
	if (printed.size)
		diag("%s", buffer_str(&printed));
	config_errors_release(&errors);
	buffer_release(&printed);
	buffer_release(&whole);
	if (!good)
		return false;
	place->beside = beside != NULL;
	place->base = beside ? beside->base : event_base_new();
	place->pool = beside ? beside->pool : pool_new(place->base, "disk", 4);
	place->process.runtime_dir = xasprintf("%s/run", scratch);
	mkdir(place->process.runtime_dir, 0700);
	place->storage->context = (struct storage_context){ .base = place->base, .disk = place->pool,
		.process = &place->process, .queue = "test", .role = role };
	return true;
}

MAYBE bool place_load(struct place *place, enum storage_role role, const char *text)
{
	return place_load_beside(place, NULL, role, text);
}

MAYBE bool place_open_beside(struct place *place, const struct place *beside, enum storage_role role, const char *text)
{
	struct answer answer = { 0 };

	if (!place_load_beside(place, beside, role, text))
		return false;
	place->storage->driver->open(place->storage, on_done, &answer);
	answered(place, &answer);
	reply_move(&place->opened, &answer.why);
	return reply_is_none(&place->opened);
}

MAYBE bool place_open(struct place *place, enum storage_role role, const char *text)
{
	return place_open_beside(place, NULL, role, text);
}

MAYBE void place_close(struct place *place)
{
	const struct storage_driver *driver = place->storage ? place->storage->driver : NULL;

	if (driver && place->base)
		driver->close(place->storage);
	if (place->pool && !place->beside)
		pool_free(place->pool);
	if (place->base && !place->beside)
		event_base_free(place->base);
	if (driver)
		options_release(driver->options, place->storage);
	free(place->storage);
	config_free(place->config);
	free(place->process.runtime_dir);
	reply_release(&place->opened);
	memset(place, 0, sizeof(*place));
}

MAYBE struct envelope *message(const char *sender, const char *octets)
{
	struct envelope *envelope = envelope_new();

	envelope->sender = xstrdup(sender);
	envelope_add_recipient(envelope, "one@example.com");
	envelope_add_recipient(envelope, "two@example.com");
	envelope->timestamp_ms = clock_wall_ms();
	buffer_append_str(&envelope->content.memory, octets);
	content_finish(&envelope->content);
	return envelope;
}

/* 260,000 octets in a file. */
MAYBE struct envelope *spooled(const char *sender)
{
	struct envelope *envelope = message(sender, "Subject: large\r\n\r\n");
	FILE *spool = tmpfile();

	for (unsigned i = 0; spool && i < 10000; i++)
		fputs("a line of the spool file\r\n", spool);
	if (!spool || fflush(spool))
		_exit(2);
	envelope->content.fd = dup(fileno(spool));
	envelope->content.fd_size = (uint64_t)ftell(spool);
	fclose(spool);
	return envelope;
}

/* The calls, made to wait. The code of the answer; 0 is success. */
MAYBE unsigned do_write(struct place *place, struct envelope *const items[], size_t count, int64_t delay_ms)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->write(place->storage, items, count, delay_ms, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

/* The number of messages claimed within `ms`; 0: the claim still waits, with `answer`. */
MAYBE size_t do_claim(struct place *place, size_t max, struct answer *answer, int ms)
{
	memset(answer, 0, sizeof(*answer));
	place->storage->driver->claim(place->storage, max, 1 << 20, 60000, on_claimed, answer);
	wait_for(place, answer, ms);
	return answer->lease_count;
}

MAYBE void do_get(struct place *place, struct lease *lease, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	place->storage->driver->get(place->storage, lease, on_message, answer);
	answered(place, answer);
}

MAYBE void do_peek(struct place *place, const char *id, bool content, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	place->storage->driver->peek(place->storage, id, content, on_peeked, answer);
	answered(place, answer);
}

/* Whole, with its octets. */
MAYBE bool has_message(struct place *place, const char *id)
{
	struct answer got;
	bool there;

	do_peek(place, id, true, &got);
	there = got.why.code == 0;
	answer_release(&got);
	return there;
}

/* `suspect` NULL: not asked. */
MAYBE unsigned strikes_of(struct place *place, const char *id, bool *suspect)
{
	struct answer seen;
	unsigned strikes;

	do_peek(place, id, false, &seen);
	strikes = seen.state.strikes;
	if (suspect)
		*suspect = seen.state.suspect;
	answer_release(&seen);
	return strikes;
}

MAYBE unsigned do_remove(struct place *place, struct lease *lease)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->remove(place->storage, &lease, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_defer(struct place *place, struct lease *lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done, const struct attempt *attempt)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->defer(place->storage, &lease, delay_ms, attempted, done, attempt, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_renew(struct place *place, struct lease *lease, const struct outcomes *done)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->renew(place->storage, lease, done, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_discard(struct place *place, const char *id)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->discard(place->storage, &id, 1, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_mark(struct place *place, const char *id, enum mark mark, const char *reason)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->mark(place->storage, id, mark, reason, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_take(struct place *place, const char *id)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->take(place->storage, id, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

MAYBE unsigned do_set(struct place *place, const char *key, const char *value, int64_t expiry_ms)
{
	struct answer answer = { 0 };
	unsigned code;

	place->storage->driver->set(place->storage, key, value, expiry_ms, on_done, &answer);
	answered(place, &answer);
	code = answer.why.code;
	answer_release(&answer);
	return code;
}

/* The lease, or NULL and the refusal in *code. */
MAYBE struct lease *do_claim_id(struct place *place, const char *id, unsigned *code)
{
	struct answer answer = { 0 };
	struct lease *lease;

	place->storage->driver->claim_id(place->storage, id, 60000, on_claimed, on_done, &answer);
	answered(place, &answer);
	*code = answer.why.code;
	lease = answer.lease_count ? answer.leases[0] : NULL;
	answer_release(&answer);
	return lease;
}

MAYBE struct queue_counts do_info(struct place *place)
{
	struct answer answer = { 0 };

	place->storage->driver->info(place->storage, on_info, &answer);
	answered(place, &answer);
	reply_release(&answer.why);
	return answer.counts;
}

MAYBE void do_list(struct place *place, const struct list_filter *filter, const char *cursor, size_t max,
	struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	place->storage->driver->list(place->storage, filter, cursor, max, on_listed, answer);
	answered(place, answer);
}

#endif
