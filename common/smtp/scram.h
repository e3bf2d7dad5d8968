/* scram.h - what SCRAM-SHA-256 calculates (RFC 5802 section 3, RFC 7677)
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_SMTP_SCRAM_H
#define SLIMTA_SMTP_SCRAM_H

#include <stdbool.h>
#include <stddef.h>

#define SCRAM_KEY_SIZE 32
#define SCRAM_SLICE 16384	/* iterations that take some milliseconds */

/* The salted password, which is made in as many steps as the server likes: a slice at a time. */
struct scram_salting;
struct scram_salting *scram_salting_new(const char *password, size_t password_size, const void *salt, size_t salt_size,
	unsigned iterations);
void scram_salting_free(struct scram_salting *);		/* wiped; NULL is fine */
bool scram_salting_run(struct scram_salting *, unsigned iterations);	/* at most so many; true: it is done */
const unsigned char *scram_salting_key(const struct scram_salting *);	/* once it is done: SCRAM_KEY_SIZE octets */

struct scram_proof {
	unsigned char client[SCRAM_KEY_SIZE];		/* ClientProof */
	unsigned char server[SCRAM_KEY_SIZE];		/* ServerSignature */
};
void scram_prove(struct scram_proof *, const unsigned char key[SCRAM_KEY_SIZE], const char *auth_message, size_t size);

/* What a server keeps of a password. To be wiped like one. */
struct scram_keys {
	unsigned char stored[SCRAM_KEY_SIZE];		/* StoredKey */
	unsigned char server[SCRAM_KEY_SIZE];		/* ServerKey */
};
/* Of a prepared password, all at once: blocks. */
void scram_make_keys(struct scram_keys *, const char *password, size_t password_size, const void *salt, size_t salt_size,
	unsigned iterations);
bool scram_keys_equal(const struct scram_keys *, const struct scram_keys *);	/* in constant time */
/* The client knows the password, then `signature` is what tells it that we do. */
bool scram_verify(const struct scram_keys *, const char *auth_message, size_t size,
	const unsigned char client_proof[SCRAM_KEY_SIZE], unsigned char signature[SCRAM_KEY_SIZE]);

/* ---- what messages are made of */

char *scram_nonce_new(void);		/* a random one, owned */
bool scram_is_nonce(const char *, size_t size);		/* printable ASCII but "," */
/* The value of attribute `name` at the beginning of text[0..size), which goes on behind it; NULL if it is another. */
const char *scram_attribute(const char **text, size_t *size, char name, size_t *value_size);

#endif
