/* client_private.h - what the parts of the SMTP client share
 * SPDX-License-Identifier: MIT
 * Commands that await a reply stand in a line; the row of a reply's command says what it means. */
#ifndef SLIMTA_SMTP_CLIENT_PRIVATE_H
#define SLIMTA_SMTP_CLIENT_PRIVATE_H

#include "common/smtp/client.h"
#include "common/smtp/client_offer.h"
#include "common/smtp/client_reply.h"
#include "common/smtp/dots.h"

#define CLIENT_WINDOW 64	/* replies awaited at once: both sides' send buffers have to hold what waits */

enum client_verb {
	VERB_GREETING, VERB_EHLO, VERB_HELO, VERB_STARTTLS, VERB_AUTH,
	VERB_MAIL, VERB_RCPT, VERB_DATA, VERB_CHUNK, VERB_MESSAGE, VERB_EMPTY_MESSAGE, VERB_RSET,
	VERBS
};

struct awaited {
	enum client_verb verb;
	size_t recipient;		/* of RCPT: which of the transaction's */
	size_t more;			/* replies that it has behind its next */
};

enum fate {
	FATE_OPEN,
	FATE_ELSEWHERE,		/* not to be sent to this server */
	FATE_ACCEPTED,
	FATE_SETTLED,
};

struct smtp_client {
	const struct smtp_client_settings *settings;
	struct buffer *out;
	enum smtp_client_state state;
	enum smtp_client_tls tls;
	struct client_reply reader;
	struct awaited awaited[CLIENT_WINDOW + 2];
	unsigned first, waiting;	/* of `awaited`, as a ring */
	unsigned sent;			/* of these: before the octets came that are being looked at */
	struct client_offer offer;
	struct reply why;
	unsigned replies;
	size_t discarded;
	struct sasl_client *sasl;	/* while AUTH is under way */
	bool cancelled;			/* AUTH, by us */
	bool was_ready;			/* since it was greeted */

	struct smtp_transaction transaction;
	uint64_t mails;			/* transactions so far */
	bool in_transaction, data_asked, in_data, dot_sent, needs_reset;
	bool utf8;			/* its commands have characters beyond ASCII */
	bool full;			/* the server wants no more recipients in it */
	unsigned char *fates;		/* one a recipient of the transaction */
	size_t open;			/* those that are not settled */
	size_t next, named, accepted;
	size_t *domains, domain_count;	/* recipients whose domains are those of all that were named */
	struct reply rest;		/* why some are to go in another */
	size_t answered;		/* LMTP: those before this one have the reply for the message */
	struct reply mail_refused;
	struct dots dots;		/* of DATA */
	bool in_chunks;			/* BDAT: */
	struct newline newline;
	struct buffer chunk;		/* what is kept for the next */
};

typedef void client_reply_fn(struct smtp_client *, const struct awaited *, const struct reply *);

/* ---- client.c: the line of commands, and the end */
void client_await(struct smtp_client *, struct awaited);
/* "%s\r\n", and awaits its reply. */
void client_send(struct smtp_client *, enum client_verb, const char *line);
/* The connection is of no more use. */
void client_end(struct smtp_client *, enum transaction_end, const struct reply *why);
void client_end_with(struct smtp_client *, enum transaction_end, unsigned code, const char *status, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void client_broken(struct smtp_client *, enum client_verb);	/* by a reply that is none to this */

/* ---- client_hello.c: until it is ready */
client_reply_fn client_on_greeting, client_on_ehlo, client_on_helo, client_on_starttls;
void client_be_ready(struct smtp_client *);
/* With QUIT; `said`: the server's reply, NULL: none. */
void client_give_up(struct smtp_client *, unsigned code, const char *status, const char *what, const struct reply *said);

/* ---- client_auth.c: the last step before that */
void client_authenticate(struct smtp_client *);
client_reply_fn client_on_auth;

/* ---- client_transaction.c */
void client_settle(struct smtp_client *, size_t at, const struct reply *);
void client_settle_all(struct smtp_client *, const struct reply *);
void client_settle_accepted(struct smtp_client *, const struct reply *);
void client_settle_rest(struct smtp_client *);	/* those that the message did not go to */
/* The server has answered all of it. */
void client_complete(struct smtp_client *);
/* What follows may not look at the transaction any more. Done, but with open recipients: there is a rest. */
void client_finish(struct smtp_client *, enum transaction_end, const struct reply *why);
void client_forget_recipients(struct smtp_client *);
client_reply_fn client_on_mail, client_on_rcpt, client_on_rset;

/* ---- client_data.c: the mail data and its outcome */
void client_begin_chunks(struct smtp_client *);
client_reply_fn client_on_data, client_on_chunk, client_on_message, client_on_empty_message;
void client_settle_next(struct smtp_client *, const struct reply *);	/* LMTP: of those that were accepted */

#endif
