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

/* The oldest protocol that the settings allow, as OpenSSL has it. */
int tls_min_version(const struct tls_settings *);

/* What OpenSSL says of the call that failed just now; clears its queue. Borrowed until the next call. */
const char *tls_openssl_error(void);

#endif
