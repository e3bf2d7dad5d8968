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
};

/* All-zero: nothing. */
struct client_offer {
	unsigned extensions;
	uint64_t max_size_bytes;	/* 0: not known */
};

/* The text of the reply, its lines separated by \n. */
void client_offer_read(struct client_offer *, const char *text);
void client_offer_release(struct client_offer *);	/* to nothing */
/* 0, or -1 with why the message, or one address, cannot go there. */
int client_offer_check(const struct client_offer *, const struct smtp_transaction *, struct reply *why, bool *another_may);
int client_offer_check_recipient(const struct client_offer *, const char *address, struct reply *why);
/* The command without its line end. */
void client_offer_append_mail(const struct client_offer *, const struct smtp_transaction *, struct buffer *out);

#endif
