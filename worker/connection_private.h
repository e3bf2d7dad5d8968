/* connection_private.h - what the files of a connection share
 * SPDX-License-Identifier: MIT
 * What the client tells within a call is kept until that call is over; connection_step() then acts on it. */
#ifndef SLIMTA_WORKER_CONNECTION_PRIVATE_H
#define SLIMTA_WORKER_CONNECTION_PRIVATE_H

#include "common/net/connector.h"
#include "common/net/stream.h"
#include "worker/connection.h"

enum connection_tls_state {
	TLS_NONE,			/* on this stream */
	TLS_BEGUN,			/* nothing has come through it yet */
	TLS_WORKS,
};

struct connection {
	const struct connection_settings *settings;
	const struct connection_owner *owner;
	void *arg;
	struct resolver_query *query;
	struct connector *connector;
	struct host_address addresses[CONNECTION_ADDRESSES];
	size_t count, next;		/* of addresses; those before `next` were tried */
	char *host;
	enum connection_tls_state tls;
	bool in_clear;			/* without TLS this time: it failed here just now, or is known to */
	bool tls_failed;		/* just now */
	struct reply tls_why;		/* how TLS failed on the stream that is closed; none: it did not */
	struct stream stream;
	bool streaming;			/* until `closed` */
	struct smtp_client *client;
	struct event *timer, *wake;
	int last;			/* the client's state that the timer was set for; -1: to be set anew */
	bool was_ready;
	unsigned deliveries;
	int64_t since_ms, ready_since_ms;
	struct reply failure;		/* the one to tell, of the addresses that failed */

	struct outgoing *outgoing;
	size_t *recipients;		/* of its transaction */
	bool asks;			/* whether it may send the final dot */
	bool rest;			/* what is left of the message waits for the client to be ready */
	bool finished;			/* the transaction is, and how: */
	enum transaction_end end;
	struct reply why;
};

/* ---- connection_address.c: to a stream with a client on it */

/* The next address of the host, or the end, the owner's `closed`. Not while there is a stream. */
void connection_try_next(struct connection *);
void connection_look_up(struct connection *);		/* then the first of them */
void connection_stop_trying(struct connection *);	/* no address is left */

/* ---- connection_tls.c: with TLS or without */

/* For the stream to come; `failed_just_now`: TLS, on its address. */
void connection_choose_tls(struct connection *, bool failed_just_now);
enum smtp_client_tls connection_client_tls(const struct connection *);	/* what the client is to do of it */
void connection_start_tls(struct connection *);		/* on the stream, with its first octet */
void connection_answer_starttls(struct connection *);	/* the client wants it now */
/* Something came through it. */
void connection_note_tls(struct connection *);
/* The stream is closed: sets tls_why where that is the fault of TLS. */
void connection_note_tls_failure(struct connection *, int error);
/* Whether the address whose TLS failed is to be tried once more, in clear. */
bool connection_goes_on_in_clear(const struct connection *);
/* It is ready. */
void connection_remember_tls(struct connection *);

/* ---- connection_stream.c: what the next hop says and takes, and how long it may take for it */

/* Takes the descriptor; the client awaits the greeting. */
void connection_open_stream(struct connection *, int fd);
/* Acts on what the client is now: to be called when anything has changed. */
void connection_step(struct connection *);
void connection_arm(struct connection *);	/* the timer, for the client's state */
void connection_on_timer(evutil_socket_t fd, short what, void *arg);

/* ---- connection_mail.c: a transaction */

void connection_feed(struct connection *);	/* mail data, as the stream takes it */
void connection_end_transaction(struct connection *);	/* one that the client has finished */
/* What a transaction left of its message goes on, as soon as it may; where it cannot, it is the owner's. */
void connection_take_up_rest(struct connection *);
/* Unasks whether the final dot may be sent, so that no answer comes. */
void connection_take_question_back(struct connection *);

#endif
