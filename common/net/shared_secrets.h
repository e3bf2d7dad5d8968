/* shared_secrets.h - random octets that all processes of a machine have of their master
 * SPDX-License-Identifier: MIT
 * They go to edges with the configuration, as its secret; nobody else gets them, and nothing prints them. */
#ifndef SLIMTA_NET_SHARED_SECRETS_H
#define SLIMTA_NET_SHARED_SECRETS_H

#include "common/net/tls.h"

struct buffer;

struct shared_secrets {
	struct tls_secret tickets;
	/* The same while the master lives: for what must not differ between its processes and generations. */
	unsigned char lasting[TLS_SECRET_SIZE];
};

void shared_secrets_make(struct shared_secrets *);
/* As one word of ASCII, and back: false where it is none. */
void shared_secrets_format(const struct shared_secrets *, struct buffer *out);
bool shared_secrets_parse(const char *text, struct shared_secrets *);

#endif
