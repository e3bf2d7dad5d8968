/* password_form.h - what the files of the password forms share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_LOOKUP_PASSWORD_FORM_H
#define SLIMTA_LOOKUP_PASSWORD_FORM_H

#include <openssl/evp.h>

#include "common/lookup/password.h"

/* A row per scheme. `value` is what stands behind the braces. */
struct password_form {
	const char *name;
	const char *(*problem)(const struct password_form *, const char *value);
	bool (*check)(const struct password_form *, const char *value, const char *password, size_t size);
	const EVP_MD *(*digest)(void);
	bool salted;
};

const char *password_digest_problem(const struct password_form *, const char *value);
bool password_digest_check(const struct password_form *, const char *value, const char *password, size_t size);
const char *password_pbkdf2_problem(const struct password_form *, const char *value);
bool password_pbkdf2_check(const struct password_form *, const char *value, const char *password, size_t size);
const char *password_scram_problem(const struct password_form *, const char *value);
bool password_scram_check_plain(const struct password_form *, const char *value, const char *password, size_t size);
bool password_scram_parse(const char *value, struct password_salt *, struct scram_keys *);
/* Each by a library that may be missing. */
const char *password_crypt_problem(const struct password_form *, const char *value);
bool password_crypt_check(const struct password_form *, const char *value, const char *password, size_t size);
const char *password_argon2_problem(const struct password_form *, const char *value);
bool password_argon2_check(const struct password_form *, const char *value, const char *password, size_t size);

/* Base64 with or without its padding, "." for "+" too (the alphabet of passlib): octets, at most `room`; -1: it is none. */
long password_decode(unsigned char *out, size_t room, const char *text, size_t size);

#endif
