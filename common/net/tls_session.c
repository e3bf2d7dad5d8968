/* tls_session.c - sessions of TLS that later connections go on with
 * SPDX-License-Identifier: MIT
 * RFC 5246 7.3, RFC 5077, RFC 8446 2.2. */
#include <openssl/err.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"

struct tls_session {
	SSL_SESSION *ssl;		/* the last that was given; NULL: none */
};

struct tls_session *tls_session_new(void)
{
	return xcalloc(1, sizeof(struct tls_session));
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	SSL_SESSION_free(session->ssl);
	free(session);
}

/* A copy of it is kept and one is used: OpenSSL spoils that of a connection which is cut. */
static int on_session(SSL *ssl, SSL_SESSION *given)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct tls_session *session = tls->session;

	if (!session || !SSL_SESSION_is_resumable(given))
		return 0;
	SSL_SESSION_free(session->ssl);
	session->ssl = SSL_SESSION_dup(given);
	return 0;
}

void tls_session_keep(SSL_CTX *ssl)
{
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_session);
}

void tls_use_session(struct stream *stream, struct tls_session *session)
{
	struct tls *tls = stream->io_data;
	SSL_SESSION *copy = session->ssl ? SSL_SESSION_dup(session->ssl) : NULL;

	tls->session = session;
	if (copy)
		SSL_set_session(tls->ssl, copy);
	SSL_SESSION_free(copy);
	ERR_clear_error();
}
