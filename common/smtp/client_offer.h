/* client_offer.h - what a server offered in its reply to EHLO, and what it can be given therefore
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_SMTP_CLIENT_OFFER_H
#define SLIMTA_SMTP_CLIENT_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/message/reply.h"

struct smtp_transaction;

enum client_extension {
	OFFER_SIZE = 1,
	OFFER_8BITMIME = 2,
	OFFER_PIPELINING = 4,
	OFFER_SMTPUTF8 = 8,
	OFFER_STARTTLS = 16,
	OFFER_DSN = 32,
	OFFER_LIMITS = 64,
	OFFER_REQUIRETLS = 128,
	OFFER_AUTH = 256,
	OFFER_CHUNKING = 512,
};

/* RFC 9422; 0: none. */
struct client_limits {
	uint64_t mails;			/* a connection */
	uint64_t recipients, domains;	/* a transaction */
};

/* All-zero: nothing. */
struct client_offer {
	unsigned extensions;
	uint64_t max_size_bytes;	/* 0: not known */
	struct client_limits limits;
	char *auth;			/* its mechanisms, NULL: none */
	bool tls, lmtp;			/* that was said in TLS; by LMTP, which has no REQUIRETLS */
};

/* The text of the reply, its lines separated by \n. */
void client_offer_read(struct client_offer *, const char *text);
void client_offer_release(struct client_offer *);	/* to nothing */
bool client_offer_has_requiretls(const struct client_offer *);	/* RFC 8689: in TLS alone, and never by LMTP */
/* 0, or -1 with why the message, or one address, cannot go there; `another_may`: for something that is not offered. */
int client_offer_check(const struct client_offer *, const struct smtp_transaction *, struct reply *why, bool *another_may);
int client_offer_check_recipient(const struct client_offer *, const char *address, struct reply *why,
	bool *another_may);

#endif
