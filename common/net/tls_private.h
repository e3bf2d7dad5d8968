/* tls_private.h - what the files of TLS share
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_TLS_PRIVATE_H
#define SLIMTA_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "common/net/tls.h"

struct tls_context {
	SSL_CTX *ssl;
	bool verify, check_hostname;
};

struct tls {
	SSL *ssl;
	struct stream *stream;
	struct tls_session *session;	/* lent; NULL: none is kept */
	char *host;
	char problem[256];
	int error;		/* errno of the descriptor, of the last call */
	bool ended;		/* the peer closed its side of the descriptor */
	bool failed;
	bool up;		/* the handshake was over */
};

/* Sessions of this context's connections, which are `struct tls` by SSL_get_app_data(), go to where these want them. */
void tls_session_keep(SSL_CTX *);

/* The oldest protocol that the settings allow, as OpenSSL has it. */
int tls_min_version(const struct tls_settings *);

/* What OpenSSL says of the call that failed just now; clears its queue. Borrowed until the next call. */
const char *tls_openssl_error(void);

#endif
