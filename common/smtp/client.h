/* client.h - the client's side of an SMTP or LMTP connection, without the connection
 * SPDX-License-Identifier: MIT
 * Octets of the server go in by smtp_client_input, commands come out in a buffer of the owner. RFC 5321, 1870, 2033,
 * 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 8689, 9422. The code of a reply decides, never its text. */
#ifndef SLIMTA_SMTP_CLIENT_H
#define SLIMTA_SMTP_CLIENT_H

#include "common/message/envelope.h"
#include "common/message/reply.h"

struct sasl_credentials;
struct smtp_client;

/* Lent for the client's life. */
struct smtp_client_settings {
	const char *ehlo_as;
	int64_t command_timeout_ms, data_timeout_ms;
	bool lmtp;			/* LHLO, and behind the data a reply for each recipient */
	/* To be given before anything else; NULL: none. What can not be given, or is refused, ends the connection with a
	 * transient reply. */
	const struct sasl_credentials *credentials;
	bool auth_without_tls;		/* these may go in clear */
};

/* Of one connection. */
enum smtp_client_tls {
	SMTP_TLS_NEVER,		/* not asked for */
	SMTP_TLS_OFFERED,	/* STARTTLS where it is offered and not refused */
	SMTP_TLS_REQUIRED,	/* the same, else the connection ends: 451 4.7.5 */
	SMTP_TLS_STARTED,	/* it is TLS already */
};

enum transaction_end {
	TRANSACTION_DONE,		/* every recipient is settled */
	/* Some are settled. The others are to go in another transaction, over this connection as soon as it is READY (or
	 * over another, if it has ended): the server takes so many at once. */
	TRANSACTION_REST,
	TRANSACTION_LOST,		/* the server went away, or said 421: it may go again over another connection */
	TRANSACTION_BROKEN,		/* silence or nonsense: no use to try again at once */
	TRANSACTION_IN_DOUBT,		/* the same, with the final dot sent: it may have been taken */
	TRANSACTION_BROKEN_OFF,		/* by ourselves, before the final dot */
};

/* A message to some of its recipients. The envelope and `recipients` are borrowed until `finished`. */
struct smtp_transaction {
	const struct envelope *envelope;
	const size_t *recipients;	/* indexes into the envelope's */
	size_t count;
	uint64_t size;			/* octets of the mail data */
	bool eight_bit;			/* there are octets beyond ASCII in it ... */
	bool utf8_header;		/* ... in its header */
	/* The server's reply for recipients[i], which is the index in the envelope. Once each. */
	void (*settled)(void *arg, size_t recipient, const struct reply *);
	/* Once, the last. `why`, unless it is done: what is to be said of those that were not settled; none where
	 * it was broken off. */
	void (*finished)(void *arg, enum transaction_end, const struct reply *why);
	void *arg;
};

/* `out` gets what the server is to be sent. */
struct smtp_client *smtp_client_new(const struct smtp_client_settings *, enum smtp_client_tls, struct buffer *out);
void smtp_client_free(struct smtp_client *);	/* calls nothing; NULL is fine */

enum smtp_client_state {
	SMTP_CLIENT_WAITING,	/* for the server, at most smtp_client_timeout_ms() */
	SMTP_CLIENT_WANTS_TLS,	/* the server waits for a handshake, then for smtp_client_tls_started() */
	SMTP_CLIENT_WORKING,	/* calculates what AUTH needs: wants smtp_client_work(), as often as the loop turns */
	SMTP_CLIENT_READY,	/* greeted, and without a transaction */
	SMTP_CLIENT_SENDING,	/* wants mail data; more as the connection takes it */
	SMTP_CLIENT_ENDED,	/* send what is in `out`, then close; smtp_client_why() */
};
enum smtp_client_state smtp_client_state(const struct smtp_client *);
int64_t smtp_client_timeout_ms(const struct smtp_client *);
bool smtp_client_in_data(const struct smtp_client *);	/* from the go-ahead until the outcome */
bool smtp_client_dot_sent(const struct smtp_client *);	/* the outcome of a message is awaited; the last of BDAT was */
/* The server offers DSN: what becomes of the recipients it takes is its to tell, as they asked (RFC 3461 5.2.1). */
bool smtp_client_passes_dsn(const struct smtp_client *);
/* Of one that has ended without a transaction: what is to be said of messages that were to go this way; none after
 * smtp_client_quit. */
const struct reply *smtp_client_why(const struct smtp_client *);

/* These may call `settled` and `finished`, in which none of these may be called.
 * Returns the octets taken; the rest, less than a line, is to be offered again with what comes behind it. What a call
 * puts into `out` is not sent before it returns: a reply to it in the same octets is none. */
size_t smtp_client_input(struct smtp_client *, const char *data, size_t size);
void smtp_client_lost(struct smtp_client *, const char *why);	/* the server closed, or the connection failed */
void smtp_client_timed_out(struct smtp_client *);

unsigned smtp_client_replies(const struct smtp_client *);	/* whole ones that came so far: each has its time in all */

/* WANTS_TLS. The handshake is over: what was said before it counts no more, EHLO is said again. What the server sent in
 * clear behind its 220 is nothing but octets to be thrown away (smtp_client_input does), and to be logged: so many. */
void smtp_client_tls_started(struct smtp_client *);
size_t smtp_client_discarded(const struct smtp_client *);

/* WORKING. Some milliseconds of it. The time of a command runs meanwhile. */
void smtp_client_work(struct smtp_client *);

/* READY. 0: `finished` will come. -1: this message cannot go to this server, nothing was sent and nothing will come;
 * `why` is for all recipients that were not settled by now, none if all were (each for its address). `another_may`:
 * it is for something that this server does not offer; the connection stays READY. */
int smtp_client_begin(struct smtp_client *, const struct smtp_transaction *, struct reply *why, bool *another_may);
/* SENDING. The data in pieces, then its end; as BDAT where CHUNKING is offered. Each piece is taken whole, but may end
 * the state until the server has answered. */
void smtp_client_data(struct smtp_client *, const char *data, size_t size);
/* All chunks before the last are answered: a server that refused one of them gets no end of the message. */
bool smtp_client_may_end_data(const struct smtp_client *);
void smtp_client_data_end(struct smtp_client *);
/* Ends a transaction whose final dot was not sent; `why` NULL: broken off, else it is broken. The connection ends:
 * with RSET and QUIT where these can be heard. */
void smtp_client_break_off(struct smtp_client *, const struct reply *why);
void smtp_client_quit(struct smtp_client *);	/* without a transaction */

#endif
