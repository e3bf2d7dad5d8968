/* session.h - the server's side of an SMTP connection, without the connection
 * SPDX-License-Identifier: MIT
 * Octets go in by session_input, replies come out in a buffer of the owner. Nothing here knows
 * sockets nor TLS, so tests and fuzzers can drive it. RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 6152, 6531, 8689,
 * 9422. */
#ifndef SLIMTA_SMTP_SESSION_H
#define SLIMTA_SMTP_SESSION_H

#include "common/base/counters.h"
#include "common/message/envelope.h"
#include "common/message/reply.h"
#include "common/smtp/sasl_server.h"
#include "common/smtp/spool.h"

enum extension {
	EXTENSION_SIZE = 1,
	EXTENSION_8BITMIME = 2,
	EXTENSION_PIPELINING = 4,
	EXTENSION_ENHANCEDSTATUSCODES = 8,
	EXTENSION_SMTPUTF8 = 16,
	EXTENSION_DSN = 32,
	EXTENSION_CHUNKING = 64,
	EXTENSION_LIMITS = 128,
	EXTENSION_REQUIRETLS = 256,	/* within TLS alone */
	EXTENSION_STARTTLS = 512,	/* in clear alone, where tls_available */
	EXTENSION_AUTH = 1024,
};
#define EXTENSIONS_ALL 2047u
/* The bit of an EHLO keyword in any case; 0 if we know none of that name. */
unsigned extension_find(const char *keyword);

/* What all sessions of an edge share; lent for their life. */
struct session_settings {
	const char *edge;		/* what the log calls it; NULL = nothing */
	const char *hostname;		/* our name in the EHLO reply; the receiver */
	const char *banner;		/* text after 220 */
	uint64_t max_size_bytes;	/* 0 = none */
	unsigned max_recipients, max_errors, max_hops;
	bool normalize_newlines;
	int64_t command_timeout_ms;	/* for a command, from its first octet or the last reply on */
	/* For the next octets of mail data. Less than SESSION_LEAST_RATE within it ends the session too. */
	int64_t data_timeout_ms;
	unsigned extensions;		/* EXTENSION_ bits to offer */
	bool tls_available;		/* the owner can do what SESSION_WANTS_TLS asks for */
	bool tls_immediately;		/* SESSION_WANTS_TLS at the start, before session_greet */
	bool require_tls;		/* 530 5.7.0 in clear to what has to do with mail */
	const struct session_auth {
		bool scram;		/* SCRAM-SHA-256 is offered, too */
		bool without_tls;	/* in clear, too */
	} *auth;			/* NULL: no AUTH; else the owner can `authenticate` */
	struct spool_settings spool;
	struct counters *counters;	/* messages refused by the session itself; NULL = none */
};

#define SESSION_LEAST_RATE 10		/* octets of mail data a second */
/* Commands that bring no message on, since the last message: each one more counts as an error. */
#define SESSION_IDLE_COMMANDS 100
/* Refused recipients since then, or max_recipients if that is more: the same. Many clients send all that they have,
 * whatever LIMITS says, and then DATA for those that were accepted. */
#define SESSION_REFUSED_RECIPIENTS 1000
/* Octets of what was refused are read on up to this many times max_size_bytes (where there is none, of 10 MB). */
#define SESSION_REFUSED_FACTOR 16

struct session;

/* What a session asks of its owner. The first three get one session_answer each, now or later. */
struct session_owner {
	void (*sender)(void *arg, struct session *, const struct envelope *);
	void (*recipient)(void *arg, struct session *, const struct envelope *,
		const struct recipient *);
	/* The message is complete: the envelope is the owner's from here on. */
	void (*message)(void *arg, struct session *, struct envelope **taken);
	/* One session_authenticated(), now or later. The question is lent until then. That of SASL_NOBODY is refused anyway. */
	void (*authenticate)(void *arg, struct session *, const struct sasl_question *);
	/* There are octets to send, or session_state() is another. Called within any call. */
	void (*changed)(void *arg);
};

/* `out` gets what the client is to be sent. `client_ip` is copied; "unknown" is none to the envelope. */
struct session *session_new(const struct session_settings *, const struct session_owner *,
	void *arg, struct buffer *out, const char *client_ip);
/* At any time, also while an answer is due (it must not come afterwards). A message given to the
 * owner is not affected. */
void session_free(struct session *);
const char *session_id(const struct session *);
const char *session_client(const struct session *);	/* its IP address, as given */

/* Sends the banner. To octets that come before it the session answers 554, and ends. */
void session_greet(struct session *);

enum session_state {
	SESSION_READING,	/* wants octets, within session_timeout_ms() */
	SESSION_WAITING,	/* wants none until `changed` */
	SESSION_CLOSING,	/* send what is in `out`, then close */
	SESSION_LINGERING,	/* the same, but the client may be sending: read on for a while */
	/* Send what is in `out`, then begin the handshake, as the server: session_tls_started or session_lost comes of it.
	 * No octet that came in clear may reach what is said within TLS. */
	SESSION_WANTS_TLS,
};
enum session_state session_state(const struct session *);
int64_t session_timeout_ms(const struct session *);
/* The connection speaks TLS from here on: all that was said before is forgotten (RFC 3207 4.2), but for the count of errors.
 * `version` and `cipher` as OpenSSL names them. */
void session_tls_started(struct session *, const char *version, const char *cipher);
bool session_is_secure(const struct session *);

/* Mail data is expected: large reads pay. */
bool session_is_receiving(const struct session *);

/* Returns the octets taken. Those that were not are to be offered again, with what comes behind
 * them, when more has come and the state is SESSION_READING; they are never more than a command
 * line. */
size_t session_input(struct session *, const char *data, size_t size);
/* The client closed its side; what it sent before was taken. */
void session_input_ended(struct session *);
void session_lost(struct session *);		/* nothing more can be sent or received */
void session_timed_out(struct session *);	/* 421 4.4.2 */
/* 421 4.3.2 at once where no transaction is open, else when it ends; `now`: within it too, but an
 * answer that the owner owes is given first. */
void session_drain(struct session *, bool now);

/* Yes, with `answer` where the question has one; or `why`, the reply that ends the exchange. */
void session_authenticated(struct session *, const struct reply *why, const struct sasl_answer *answer);
/* Who the client has shown to be on this connection, since TLS began on it; NULL = nobody. Borrowed until the next input. */
const char *session_auth(const struct session *);
/* Whether there were secrets in what was taken since the last call: whoever holds it, wipes it. */
bool session_forget_secret(struct session *);
/* To the question last asked: `why` NULL or none accepts, else it is the reply to the client. */
void session_answer(struct session *, const struct reply *why);
/* The same, and for the log which key of the configuration refused it, and why; borrowed until it returns. */
struct session_cause {
	const char *rule, *reason;
};
void session_answer_for(struct session *, const struct reply *why, const struct session_cause *);
const struct envelope *session_envelope(const struct session *);	/* of the transaction under way; NULL = none */
/* The verified name of the client, NULL for none, in the envelope of the transaction under way. */
void session_set_client_host(struct session *, const char *host);

#endif
