/* password.h - the forms in which passwords are stored, and whether one is right
 * SPDX-License-Identifier: MIT
 * {SCHEME}VALUE, of any case: SHA SHA256 SHA512 (the digest in base64), SSHA SSHA256 SSHA512 (digest and salt), CRYPT (a
 * string of crypt(3)), PBKDF2-SHA256 and -SHA512 (ROUNDS$SALT$HASH), ARGON2 ($argon2id$...), SCRAM-SHA-256
 * (ITERATIONS,SALT,STOREDKEY,SERVERKEY), PLAIN. Without a scheme: $5$ $6$ $2b$ $y$, $pbkdf2-sha256$ROUNDS$SALT$HASH,
 * $argon2id$, else plain text. */
#ifndef SLIMTA_LOOKUP_PASSWORD_H
#define SLIMTA_LOOKUP_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/smtp/scram.h"

/* NULL: `stored` is of a form that we know. Else what is wrong, in words that hold nothing of it; borrowed, constant. */
const char *password_problem(const char *stored);
/* It is taken for plain text because it looks like nothing else. */
bool password_is_bare(const char *stored);

/* Takes as long as the form wants it to: for a thread. The password has no NUL in it. One that has a problem matches none.
 * What is compared is compared in constant time, and copies are wiped. */
bool password_check(const char *stored, const char *password, size_t size);

/* ---- SCRAM-SHA-256, which needs plain text or keys that were made for it */

bool password_allows_scram(const char *stored);

#define PASSWORD_SALT_MAX 96
#define PASSWORD_ITERATIONS 4096		/* where the form leaves them to us (RFC 7677 section 4) */

struct password_salt {
	unsigned char octets[PASSWORD_SALT_MAX];
	size_t size;
	unsigned iterations;
};
/* That of the form. False: it has none of its own (plain text), or does not allow SCRAM. */
bool password_scram_salt(const char *stored, struct password_salt *);
/* Is the proof right? Then `signature` is for the client. For plain text, keys are made with this salt: for a thread. */
bool password_scram_check(const char *stored, const struct password_salt *, const char *auth_message, size_t size,
	const unsigned char proof[SCRAM_KEY_SIZE], unsigned char signature[SCRAM_KEY_SIZE]);

#endif
