/* envelope.h - a message on its way: who sent what to whom, from where
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_ENVELOPE_H
#define SLIMTA_MESSAGE_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/message/content.h"

struct recipient {
	char *address;
	unsigned notify;	/* RFC 3461; 0 = not given */
	char *orcpt;		/* decoded "type;address", NULL = not given */
	json_t *other;		/* members we do not know, kept when rewritten; NULL = none */
};
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* Whom we got it from. All owned, NULL when not known. */
struct client {
	char *ip;		/* "192.0.2.1", "2001:db8::1", "unix" */
	char *host;		/* its verified name (PTR) */
	char *name;		/* what EHLO said */
	char *protocol;		/* RFC 3848: SMTP ESMTP ESMTPS ESMTPA ESMTPSA, UTF8SMTP... */
	char *auth;		/* authcid */
	char *tls;		/* its version, a space, and the cipher; NULL: it came in clear, too */
	json_t *other;		/* members we do not know, kept when rewritten; NULL = none */
};

enum body_type { BODY_UNKNOWN, BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

struct envelope {
	char id[ID_SIZE];
	char origin[ID_SIZE];	/* of a copy made by a split: the first id; "" otherwise */
	char *sender;		/* "" = null reverse-path; never NULL once MAIL was taken */
	struct recipient *recipients;
	size_t recipient_count;
	struct client client;
	char *receiver;		/* our name */
	int64_t timestamp_ms;	/* wall clock when it was accepted */
	/* mail parameters */
	enum body_type body;
	bool smtputf8, requiretls;
	uint64_t size;		/* declared; 0 = not */
	char ret;		/* 'F', 'H', 0 = not given */
	char *envid;
	json_t *other;		/* members we do not know, kept; NULL = none */
	struct content content;
};

struct envelope *envelope_new(void);		/* with a new id, accepted now */
void envelope_free(struct envelope *);		/* NULL is fine */
/* Valid until the next one is added. */
struct recipient *envelope_add_recipient(struct envelope *, const char *address);
void envelope_clear_recipients(struct envelope *);
/* An independent copy with a new id and `origin` set, for splits; its content too. NULL with errno. */
struct envelope *envelope_copy(const struct envelope *);
/* Rather not sent than without REQUIRETLS. A notification asks for it where it is offered, and goes all the same where it is
 * not (RFC 8689 5). */
bool envelope_needs_requiretls(const struct envelope *);
void client_copy(struct client *to, const struct client *from);
void client_release(struct client *);

/* The JSON of the stored form (without content): members with no value are left out. New reference.
 *     version 1; needs: features a reader has to know, none so far; id, origin, sender, receiver, envid: text;
 *     recipients: [{address, notify: [NEVER SUCCESS FAILURE DELAY], orcpt}]; client: {ip, host, name, protocol,
 *     auth, tls}; timestamp: milliseconds since 1970; body: 7BIT, 8BITMIME or BINARYMIME; smtputf8, requiretls: true;
 *     size: octets; ret: FULL or HDRS.
 * Text that is not UTF-8 is written as escaped() has it. */
#define ENVELOPE_VERSION 1
json_t *envelope_to_json(const struct envelope *);
/* NULL with *why (a constant text) if a member has a wrong type or an id is not valid. `version` and `needs`
 * are the caller's to judge. */
struct envelope *envelope_from_json(const json_t *, const char **why);

#endif
