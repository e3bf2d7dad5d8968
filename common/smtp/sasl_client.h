/* sasl_client.h - how a client says who it is: SCRAM-SHA-256, PLAIN, LOGIN
 * SPDX-License-Identifier: MIT
 * RFC 4422, 4616, 4954, 5802, 7677. Challenges and responses are in base64, as they stand in SMTP. No channel binding, no
 * other identity than that of the credentials. */
#ifndef SLIMTA_SMTP_SASL_CLIENT_H
#define SLIMTA_SMTP_SASL_CLIENT_H

#include <stdbool.h>

#include "common/base/buffer.h"

/* Iterations that a server may ask for. */
#define SASL_ITERATIONS_MAX 1000000

/* What SCRAM has calculated for one pair of credentials, so that it costs once. Wiped when freed. */
struct sasl_memory;
struct sasl_memory *sasl_memory_new(void);
void sasl_memory_free(struct sasl_memory *);	/* NULL is fine */

/* UTF-8, lent. */
struct sasl_credentials {
	const char *username, *password;
	struct sasl_memory *memory;	/* of these and no others; NULL: nothing is remembered */
};

/* The best of the mechanisms in `offered`, the words behind AUTH in an EHLO reply, of any case; NULL: none that is known. */
const char *sasl_client_choose(const char *offered);

/* An exchange. `mechanism` as sasl_client_choose() gave it; the credentials are borrowed until it is freed. */
struct sasl_client;
struct sasl_client *sasl_client_new(const char *mechanism, const struct sasl_credentials *);
void sasl_client_free(struct sasl_client *);	/* secrets are wiped; NULL is fine */

/* Appends what goes behind the name of the mechanism. False: nothing does, as the mechanism has the server begin, or the
 * command would be longer than 512 octets (RFC 5321 4.5.3.1.4); the server's empty challenge then comes to _next. */
bool sasl_client_first(struct sasl_client *, struct buffer *out);
/* The text of a 334. 0: the response, a line without its end and maybe empty, was appended. 1: it takes long to calculate;
 * call sasl_client_work() until that is over. -1: nonsense, or one of us is wrong; say "*". */
int sasl_client_next(struct sasl_client *, const char *challenge, struct buffer *out);
int sasl_client_work(struct sasl_client *, struct buffer *out);	/* goes on for some milliseconds; results as _next */
/* The server may say 235 now: it was told all; by SCRAM it has proved, too, that it knows the password. */
bool sasl_client_is_satisfied(const struct sasl_client *);
/* What was wrong with a challenge, in words that name no secret and may hold octets of the server. Borrowed. */
const char *sasl_client_problem(const struct sasl_client *);

/* For tests: what is random otherwise. */
void sasl_client_set_nonce(struct sasl_client *, const char *nonce);

#endif
