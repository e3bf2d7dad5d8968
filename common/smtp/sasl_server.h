/* sasl_server.h - how a server finds out who a client is: SCRAM-SHA-256, PLAIN, LOGIN
 * SPDX-License-Identifier: MIT
 * RFC 4422, 4616, 5802, 7677. Knows neither connection nor passwords: what a client says goes in, decoded from base64, what to
 * say comes out, and questions that somebody else answers. No channel binding. */
#ifndef SLIMTA_SMTP_SASL_SERVER_H
#define SLIMTA_SMTP_SASL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/smtp/scram.h"

#define SASL_NAME_MAX 255		/* octets (RFC 4616 section 2) */
#define SASL_PASSWORD_MAX 1024
#define SASL_SALT_MAX 96

/* What it takes to know. Text is UTF-8 without control characters, a password may be of any octets but NUL; all is lent until
 * the answer. */
struct sasl_question {
	enum sasl_question_kind {
		SASL_PASSWORD,		/* is `password` the user's? */
		SASL_SALT,		/* with which salt was the user's password made to keys? For unknown users too */
		SASL_PROOF,		/* of the same user: is `proof` right for `message`? */
		SASL_NOBODY,		/* behind SASL_REFUSED, for who counts: the answer is no */
	} kind;
	const char *mechanism;
	const char *authcid;		/* who it is; "" to SASL_NOBODY alone: it is no name */
	const char *authzid;		/* whom it wants to act for; "" = itself */
	const char *password;		/* NUL-terminated; NULL but for SASL_PASSWORD */
	size_t password_size;
	const char *message;		/* of SASL_PROOF */
	size_t message_size;
	const unsigned char *proof;	/* SCRAM_KEY_SIZE octets */
};

/* Of a right password, nothing. */
struct sasl_answer {
	unsigned char salt[SASL_SALT_MAX];		/* to SASL_SALT, at least one octet */
	size_t salt_size;
	unsigned iterations;
	unsigned char signature[SCRAM_KEY_SIZE];	/* to SASL_PROOF */
};

enum sasl_result {
	SASL_CHALLENGE,		/* what was appended, maybe nothing, is for the client, whose response comes next */
	SASL_ASKS,		/* sasl_server_question() */
	SASL_ACCEPTED,		/* sasl_server_user() */
	SASL_REFUSED,		/* names or a password that nobody has: sasl_server_question() tells what was heard of them */
	SASL_MALFORMED,		/* not what the mechanism says */
};

/* Separated by spaces, the best first. */
#define SASL_MECHANISMS "SCRAM-SHA-256 PLAIN LOGIN"
#define SASL_MECHANISMS_PLAIN "PLAIN LOGIN"

/* One exchange; `mechanism` in any case; NULL: it is not known. Without `scram` that is SCRAM-SHA-256, too. */
struct sasl_server;
struct sasl_server *sasl_server_new(const char *mechanism, size_t size, bool scram);
void sasl_server_free(struct sasl_server *);		/* secrets are wiped; NULL is fine */
const char *sasl_server_mechanism(const struct sasl_server *);
/* What came, first the initial response, NULL if there is none. Not while it asks, nor behind an end. */
enum sasl_result sasl_server_input(struct sasl_server *, const char *octets, size_t size, struct buffer *challenge);
const struct sasl_question *sasl_server_question(const struct sasl_server *);
/* The answer to it: yes. (No ends the exchange without a word to it.) */
enum sasl_result sasl_server_answer(struct sasl_server *, const struct sasl_answer *, struct buffer *challenge);
const char *sasl_server_user(const struct sasl_server *);	/* the authcid, NULL: not said yet */

/* For tests: what is random otherwise. */
void sasl_server_set_nonce(struct sasl_server *, const char *nonce);

#endif
