/* verbs.h - what the files of the SMTP session share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_SMTP_VERBS_H
#define SLIMTA_SMTP_VERBS_H

#include "common/smtp/newline.h"
#include "common/smtp/reader.h"
#include "common/smtp/sasl_server.h"
#include "common/smtp/session.h"

enum phase {
	PHASE_CONNECT,		/* the banner is not out */
	PHASE_START,		/* no EHLO yet */
	PHASE_READY,
	PHASE_AUTH,		/* a challenge was sent */
	PHASE_MAIL,		/* there is a sender */
	PHASE_RCPT,		/* there is a recipient */
	PHASE_BDAT,		/* there is a chunk, and not the last */
	PHASE_CHUNK,		/* the octets of a chunk are coming */
	PHASE_DATA,		/* mail data is coming, up to its dot */
	PHASE_TLS,		/* nothing is said until the handshake is over */
	PHASE_CLOSED,
	PHASE_FRESH,		/* in a row: READY after EHLO, else START; no transaction */
	PHASE_SAME,		/* in a row: as it was */
};

/* One row per verb: where it is allowed, and where a reply below 400 leads. */
struct verb {
	const char *name;
	unsigned phases;	/* bits, by IN() */
	enum phase next;
	/* Ends, now or from a callback, in exactly one session_reply. `text` is what follows the
	 * verb and a space, without white space at its end; not NUL-terminated. */
	void (*run)(struct session *, const char *text, size_t size);
	size_t more;		/* octets that extensions add to READER_LINE_MAX */
	bool plain;		/* a positive reply has no enhanced status */
	bool useful;		/* a positive reply brings a message on */
	bool guarded;		/* see settings->require_tls; BDAT looks after itself */
};
#define IN(phase) (1u << PHASE_##phase)

struct session {
	const struct session_settings *settings;
	const struct session_owner *owner;
	void *arg;
	struct buffer *out;
	const struct verb *verb;			/* has no reply yet; NULL = none */
	void (*answered)(struct session *, const struct reply *why);	/* takes an answer */
	struct reader reader;
	unsigned char phase;
	bool heard;			/* the client said something */
	bool extended;			/* EHLO, not HELO */
	bool lingering;			/* closed while the client may be sending */
	bool draining, ending;		/* see session_drain */
	bool refused_chunk;		/* with chunk_refusal, and since then only more chunks came */
	bool refused_before;		/* MAIL or a RCPT was, and since then only RCPT, DATA and BDAT came */
	bool asking;			/* session_authenticated() is due */
	bool had_secret;		/* see session_forget_secret */
	bool tried_auth;		/* what nobody knows may be a secret */
	struct reply chunk_refusal;
	unsigned errors;		/* see settings->max_errors */
	unsigned idle, refused;		/* see SESSION_IDLE_COMMANDS */
	int64_t partial_since_ms;	/* when a part of a command was first seen; 0 = none */
	char *name;			/* what EHLO said */
	char *tls;			/* its version and cipher; NULL: in clear */
	char *auth;			/* who the client is; NULL: not known */
	struct sasl_server *sasl;	/* while AUTH is under way */
	const char *given;		/* the line of the command while it runs, for the log; NULL = none */
	size_t given_size;
	const char *recipient;		/* that a reply is about, for the log; NULL = none */
	const struct session_cause *cause;	/* of the answer at hand; NULL = none is known */
	struct envelope *envelope;	/* from MAIL on */
	struct incoming *incoming;	/* in PHASE_BDAT, PHASE_CHUNK, PHASE_DATA */
	char id[ID_SIZE];
	char message_id[ID_SIZE];	/* of the message that the owner has */
	char client_ip[];
};

/* Never NULL: one row is for unknown ones. */
const struct verb *verb_find(const char *line, size_t size);
/* Pseudo-verbs, which replies to mail data answer. */
extern const struct verb end_of_data;		/* the end of all of it, or of what was refused */
extern const struct verb end_of_chunk;		/* of one that others follow */
extern const struct verb end_of_empty_chunk;
extern const struct verb end_of_discarded;	/* of a chunk where none is allowed */

void run_ehlo(struct session *, const char *text, size_t size);
void run_helo(struct session *, const char *text, size_t size);
void run_mail(struct session *, const char *text, size_t size);
void run_rcpt(struct session *, const char *text, size_t size);
void run_data(struct session *, const char *text, size_t size);
void run_bdat(struct session *, const char *text, size_t size);
void run_rset(struct session *, const char *text, size_t size);
void run_starttls(struct session *, const char *text, size_t size);
void run_auth(struct session *, const char *text, size_t size);

/* Whether EHLO names it in this session, now. */
bool session_offers(const struct session *, unsigned extension);
/* 530 is due to what needs TLS. */
bool session_lacks_tls(const struct session *);
#define TEXT_LACKS_TLS "Must issue a STARTTLS command first"	/* RFC 3207 4 */
/* AUTH is there, and the client may use it as it is connected now. */
bool session_allows_auth(const struct session *);
/* PHASE_AUTH: lines of at most AUTH_LINE_MAX octets, with CR LF; the same goes for the command (RFC 4954 4). */
#define AUTH_LINE_MAX (12288 + 2)
#define TEXT_AUTH_TOO_LONG "Authentication exchange line is too long"
void auth_line(struct session *, const char *line, size_t size);
void auth_line_too_long(struct session *);
void auth_end(struct session *);	/* of the exchange */
/* Octets that came in clear behind STARTTLS are gone. */
void session_discarded(const struct session *, size_t octets);

/* The one reply to the verb under way. */
void session_reply(struct session *, unsigned code, const char *status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void session_reply_with(struct session *, const struct reply *);
/* The same, where the key `rule` of the configuration wants it so: for the log. */
void session_refuse(struct session *, const char *rule, unsigned code, const char *status, const char *text);
void session_reply_arguments(struct session *);		/* 501 5.5.4 */
/* A reply to no verb, then the end. Before a handshake nothing more is said, as it would be taken for a part of that. */
void session_end(struct session *, unsigned code, const char *status, const char *text);
void session_begin(struct session *, const struct verb *);	/* a reply to this one is due now */
void session_enter(struct session *, enum phase);		/* the only writer of `phase` */
/* BDAT has no reply of its own: its octets come, then a pseudo-verb. `phase`: the one to be in, PHASE_CHUNK or, behind
 * octets that were discarded, the one before. */
void session_receive(struct session *, enum phase);
/* The transaction is over; `reason` is logged, NULL = the client was told the outcome. */
void session_reset(struct session *, const char *reason);

/* MAIL and RCPT parameters, into the envelope or its last recipient; 0, or -1 after the session has
 * replied. */
enum parameter_of { PARAMETER_OF_MAIL, PARAMETER_OF_RCPT };
int parameters_read(struct session *, enum parameter_of, const char *text, size_t size);

/* Mail data (incoming.c): s->incoming is there from the first on, and goes with the transaction. */
void incoming_begin(struct session *);				/* as DATA sends it: up to its dot */
void incoming_chunk(struct session *, uint64_t size, bool last);	/* a chunk, where one is allowed */
/* A chunk where none is: its octets are dropped, then comes the reply `code` `status` `text`, constants. */
void incoming_discard(struct session *, uint64_t size, unsigned code, const char *status, const char *text);
size_t incoming_take(struct session *, const char *data, size_t size);
bool incoming_is_full(const struct session *);
void incoming_free(struct incoming *);

#endif
