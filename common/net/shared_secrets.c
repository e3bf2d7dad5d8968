/* shared_secrets.c - random octets that all processes of a machine have of their master
 * SPDX-License-Identifier: MIT
 * EPOCH:TICKETS:LASTING, the latter two in hexadecimal digits. */
#include "common/net/shared_secrets.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

void shared_secrets_make(struct shared_secrets *secrets)
{
	tls_secret_make(&secrets->tickets);
	if (RAND_priv_bytes(secrets->lasting, sizeof(secrets->lasting)) != 1)
		BUG("no random octets");
}

static void put(const unsigned char octets[TLS_SECRET_SIZE], struct buffer *out)
{
	for (size_t i = 0; i < TLS_SECRET_SIZE; i++)
		buffer_appendf(out, "%02x", octets[i]);
}

void shared_secrets_format(const struct shared_secrets *secrets, struct buffer *out)
{
	buffer_appendf(out, "%" PRId64 ":", secrets->tickets.epoch);
	put(secrets->tickets.octets, out);
	buffer_append_char(out, ':');
	put(secrets->lasting, out);
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

static bool take(const char *text, unsigned char octets[TLS_SECRET_SIZE])
{
	for (size_t i = 0; i < TLS_SECRET_SIZE; i++) {
		int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		octets[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

bool shared_secrets_parse(const char *text, struct shared_secrets *secrets)
{
	char *end;

	errno = 0;
	secrets->tickets.epoch = strtoll(text, &end, 10);
	return errno == 0 && end > text && *end == ':' && secrets->tickets.epoch <= tls_epoch_now() &&
		take(end + 1, secrets->tickets.octets) && end[1 + 2 * TLS_SECRET_SIZE] == ':' &&
		take(end + 2 + 2 * TLS_SECRET_SIZE, secrets->lasting) && !end[2 + 4 * TLS_SECRET_SIZE];
}
