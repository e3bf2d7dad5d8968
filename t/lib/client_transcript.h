/* client_transcript.h - what an SMTP server says turn by turn, and what the client makes of it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_CLIENT_TRANSCRIPT_H
#define SLIMTA_T_CLIENT_TRANSCRIPT_H

#include "t/lib/client_harness.h"
#include "t/lib/tap.h"

struct transcript {
	const char *name;
	const char *said;		/* "|" stands between its turns, in each of which all comes at once */
	const char *sent;
	const char *results;
	enum smtp_client_state state;	/* at the end */
	unsigned code;			/* of smtp_client_why() */
	bool at_once;			/* it is so only where a turn comes in one piece */
};

/* What all transcripts of a test have in common. */
struct transcript_kind {
	struct smtp_client_settings settings;
	enum smtp_client_tls tls;
	size_t recipients;
	const char *data;		/* of the message, which is sent once */
	void (*prepare)(struct client_harness *);	/* NULL: nothing */
};

struct transcript_run {
	struct client_harness h;
	const struct transcript_kind *kind;
	struct buffer sent;
	bool begun;
};

static inline void transcript_open(struct transcript_run *run, const struct transcript_kind *kind)
{
	*run = (struct transcript_run){ .kind = kind };
	client_harness_init(&run->h, kind->recipients);
	run->h.settings = kind->settings;
	if (kind->prepare)
		kind->prepare(&run->h);
	client_harness_renew(&run->h, kind->tls);
}

static inline void transcript_close(struct transcript_run *run)
{
	client_harness_release(&run->h);
	buffer_release(&run->sent);
}

static inline void transcript_take(struct transcript_run *run)
{
	buffer_append(&run->sent, run->h.out.data, run->h.out.size);
	buffer_reset(&run->h.out);
}

/* What the owner of a client does as soon as it can. */
static inline void transcript_drive(struct transcript_run *run)
{
	struct client_harness *h = &run->h;

	transcript_take(run);
	if (smtp_client_state(h->client) == SMTP_CLIENT_WANTS_TLS) {
		buffer_append_str(&run->sent, "(TLS)\n");
		smtp_client_tls_started(h->client);
	}
	if (smtp_client_state(h->client) == SMTP_CLIENT_READY && !run->begun && run->kind->data) {
		run->begun = true;
		client_harness_begin(h);
	}
	if (smtp_client_state(h->client) == SMTP_CLIENT_READY && h->rest)
		client_harness_begin_rest(h);
	if (smtp_client_state(h->client) == SMTP_CLIENT_SENDING)
		client_harness_data(h, run->kind->data);
	transcript_take(run);
}

/* `step` octets at a time; after `cut` of them the server is gone. */
static inline void transcript_play(struct transcript_run *run, const char *said, size_t step, size_t cut)
{
	bool lost = cut < SIZE_MAX;

	while (*said) {
		size_t size = strcspn(said, "|"), now = size < cut ? size : cut;

		client_harness_feed(&run->h, said, now, step);
		cut -= now;
		if (now < size)
			break;
		transcript_drive(run);
		said += size + (said[size] == '|');
	}
	if (lost)
		smtp_client_lost(run->h.client, "gone");
	transcript_take(run);
}

/* Whatever it is cut: each message has one end, and nobody is told of a success that is not one of the whole. */
static inline void transcript_check_cuts(const struct transcript_kind *kind, const struct transcript *row)
{
	struct transcript_run run;
	bool good = true;

	for (size_t cut = 0; cut < strlen(row->said); cut++) {
		transcript_open(&run, kind);
		transcript_play(&run, row->said, SIZE_MAX, cut);
		good = good && !run.h.open && smtp_client_state(run.h.client) == SMTP_CLIENT_ENDED;
		for (const char *line = buffer_str(&run.h.results); (line = strstr(line, ": 2")); line++) {
			char *whole = xstrndup(line - 1, 1 + strcspn(line, "\n"));

			good = good && strstr(row->results, whole);
			free(whole);
		}
		if (!good) {
			diag("cut at %zu: %s", cut, buffer_str(&run.h.results));
			cut = strlen(row->said);
		}
		transcript_close(&run);
	}
	ok(good, "%s: cut at each octet", row->name);
}

static inline void transcript_check(const struct transcript_kind *kind, const struct transcript *row)
{
	static const size_t steps[] = { SIZE_MAX, 1, 7 };
	struct transcript_run run;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (row->at_once && i)
			break;
		transcript_open(&run, kind);
		transcript_play(&run, row->said, steps[i], SIZE_MAX);
		is_str(buffer_str(&run.sent), row->sent, row->name);
		is_str(buffer_str(&run.h.results), row->results, row->name);
		is_int(smtp_client_state(run.h.client), row->state, row->name);
		is_int(smtp_client_why(run.h.client)->code, row->code, row->name);
		transcript_close(&run);
	}
	transcript_check_cuts(kind, row);
}

#endif
