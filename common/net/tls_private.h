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
struct tls_handshake;
struct stream_io;

struct tls {
	SSL *ssl;
	SSL_CTX *context;	/* that it began with; lent by `ssl` */
	struct stream *stream;
	struct tls_session *session;	/* lent; NULL: none is kept */
	char *host;		/* a server's; NULL: we are the server */
	struct tls_handshake *handshake;	/* of ours as a server, while it lasts */
	char *problem;		/* NULL: none */
	size_t quota;		/* octets that may be read until others have their turn */
	unsigned late;		/* messages of the handshake after its end */
	int error;		/* errno of the descriptor, of the last call */
	bool ended;		/* the peer closed its side of the descriptor */
	bool failed;
	int failure;		/* then its errno */
	bool held_back;		/* more may be there to read: the quota was used up */
	bool up;		/* the handshake was over */
};

/* Between a stream and its descriptor; SSL_get_app_data() is what it returns. */
struct tls *tls_new(struct stream *, SSL_CTX *);
extern const struct stream_io tls_io;
void tls_begin_call(struct tls *);	/* before each of OpenSSL */
/* What it came to, as read(2) and write(2) have it. */
ssize_t tls_result(struct tls *, int result, bool reading);
void tls_say(struct tls *, const char *what);	/* the first is kept, for tls_problem() */
void tls_handshake_free(struct tls *);	/* where there is one */
void tls_watch(struct tls *);		/* for what a client may do to a connection that is up */

/* -1 with the error. */
int tls_wrong(struct tls_error *, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
int tls_load_pair(SSL_CTX *, const struct tls_pair *, struct tls_error *);
int tls_load_authorities(SSL_CTX *, const struct tls_settings *, struct tls_error *);
/* What clients and servers have in common. */
int tls_set_up(SSL_CTX *, const struct tls_settings *, struct tls_error *);

/* Which of several certificates is for the name that a client asks for. */
struct tls_names;
/* Takes contexts[0..count], of which the first is for all names that no other has; the first goes on to hold the rest. */
void tls_names_use(SSL_CTX *const *contexts, size_t count);
SSL_CTX *tls_names_context(SSL_CTX *first, size_t index);	/* lent; NULL behind the last */

bool tls_names_chooses(SSL_CTX *first, size_t index);		/* there is a name for which it is taken */

/* A warning where a certificate of the pair, or of its chain, is not valid now. */
void tls_warn_of_dates(SSL_CTX *, const struct tls_pair *, const struct config_node *map, struct config_errors *);

/* Tickets of the context are made with these. */
void tls_tickets_use(struct tls_tickets *, SSL_CTX *);

/* Sessions of this context's connections, which are `struct tls` by SSL_get_app_data(), go to where these want them. */
void tls_session_keep(SSL_CTX *);

/* The oldest protocol that the settings allow, as OpenSSL has it. */
int tls_min_version(const struct tls_settings *);

/* What OpenSSL says of the call that failed just now; clears its queue. Borrowed until the next call. */
const char *tls_openssl_error(void);

#endif
