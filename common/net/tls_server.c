/* tls_server.c - what the connections of a server share: certificates by name, demands on clients, tickets
 * SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/net/tls_private.h"

/* What costs a server least comes first, and no finite field at all, whatever a client likes best. P-521 is for clients'
 * certificates, whose curves TLS 1.2 takes from here (RFC 8422 5.1.1). The first of these that this OpenSSL knows. */
#define CURVES "P-256:P-384:P-521"
static const char *const groups[] = { "X25519MLKEM768:X25519:" CURVES, "X25519:" CURVES, CURVES };

#define SESSION_S 7200		/* for so long a ticket is good */
#define CHAIN_DEPTH 10		/* of a client's certificate */
#define CHAIN_SIZE 65536
#define NAMES_SIZE 16384	/* of authorities, as they are told to each client */

static void set_groups(SSL_CTX *ssl)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(groups) && SSL_CTX_set1_groups_list(ssl, groups[i]) != 1)
		i++;
	ERR_clear_error();
}

/* A client that has several certificates chooses by these. A longer list would cost each handshake more than it is worth;
 * none is any. */
static void tell_authorities(SSL_CTX *ssl)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	size_t size = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
		X509_NAME *name = certificate ? X509_NAME_dup(X509_get_subject_name(certificate)) : NULL;
		int octets = name ? i2d_X509_NAME(name, NULL) : 0;

		size += octets > 0 ? (size_t)octets : 0;
		if (name && !sk_X509_NAME_push(names, name))
			BUG("no memory for TLS");
	}
	if (size <= NAMES_SIZE) {
		SSL_CTX_set_client_CA_list(ssl, names);
		return;
	}
	sk_X509_NAME_pop_free(names, X509_NAME_free);
}

/* As Python has it: who has no chain in certfile may have it in ca_certs. */
static void complete_chain(SSL_CTX *ssl)
{
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_get0_chain_certs(ssl, &chain);
	if (sk_X509_num(chain) <= 0)
		SSL_CTX_build_cert_chain(ssl, SSL_BUILD_CHAIN_FLAG_NO_ROOT | SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR |
			SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
	ERR_clear_error();
}

/* A session goes on, and each one gives a ticket for another: not beyond the time of the certificate that it began with. */
static SSL_TICKET_RETURN on_session(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t size,
	SSL_TICKET_STATUS status, void *arg)
{
	X509 *certificate = session ? SSL_SESSION_get0_peer(session) : NULL;
	bool expired = certificate && X509_cmp_time(X509_get0_notAfter(certificate), NULL) <= 0;

	(void)ssl;
	(void)name;
	(void)size;
	(void)arg;
	if (status == SSL_TICKET_SUCCESS && !expired)
		return SSL_TICKET_RETURN_USE;
	if (status == SSL_TICKET_SUCCESS_RENEW && !expired)
		return SSL_TICKET_RETURN_USE_RENEW;
	return SSL_TICKET_RETURN_IGNORE_RENEW;
}

static int use_authorities(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	enum tls_cert_reqs reqs = tls_cert_reqs(s);

	if (reqs == TLS_CERT_NONE && !s->ca_certs)
		return 0;
	if (tls_load_authorities(ssl, s, error) < 0)
		return -1;
	if (s->ca_certs)
		complete_chain(ssl);
	if (reqs == TLS_CERT_NONE)
		return 0;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (reqs == TLS_CERT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH);
	SSL_CTX_set_max_cert_list(ssl, CHAIN_SIZE);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, on_session, NULL);
	tell_authorities(ssl);
	return 0;
}

static int set_up(SSL_CTX *ssl, const struct tls_settings *s, const struct tls_pair *pair, struct tls_error *error)
{
	if (tls_set_up(ssl, s, error) < 0)
		return -1;
	/* What clients send may be passwords, which outlive nobody's need of them: OpenSSL's copies are wiped, too. */
	SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
	/* The chain is sent as it stands in the file: none is made up of the authorities, at each handshake. */
	SSL_CTX_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl, SESSION_S);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	set_groups(ssl);
	if (tls_load_pair(ssl, pair, error) < 0)
		return -1;
	return use_authorities(ssl, s, error);
}

/* --- which sessions are good here --- */

static void add_text(EVP_MD_CTX *digest, const char *text)
{
	EVP_DigestUpdate(digest, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_certificate(EVP_MD_CTX *digest, const X509 *certificate)
{
	unsigned char print[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (certificate && X509_digest(certificate, EVP_sha256(), print, &size) == 1)
		EVP_DigestUpdate(digest, print, size);
}

/* Of a directory no authority is read before it is needed: a change is that one came or went. */
static void add_directory(EVP_MD_CTX *digest, const char *path)
{
	struct stat status;

	if (path && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		EVP_DigestUpdate(digest, &status.st_mtim, sizeof(status.st_mtim));
}

/* A session goes on where the same certificates stand for us, and clients are asked for the same: what it was given for once
 * would hold there. */
static void set_session_context(SSL_CTX *const *contexts, size_t count, const struct tls_settings *s)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned size = 0, reqs = tls_cert_reqs(s);
	STACK_OF(X509_OBJECT) *authorities = X509_STORE_get0_objects(SSL_CTX_get_cert_store(contexts[0]));

	if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		BUG("no memory for TLS");
	for (size_t i = 0; i < count; i++)
		add_certificate(digest, SSL_CTX_get0_certificate(contexts[i]));
	for (int i = 0; i < sk_X509_OBJECT_num(authorities); i++)
		add_certificate(digest, X509_OBJECT_get0_X509(sk_X509_OBJECT_value(authorities, i)));
	EVP_DigestUpdate(digest, &reqs, sizeof(reqs));
	EVP_DigestUpdate(digest, &s->min_version, sizeof(s->min_version));
	add_text(digest, s->ca_certs);
	add_directory(digest, s->ca_certs);
	add_text(digest, s->ciphers);
	EVP_DigestFinal_ex(digest, id, &size);
	EVP_MD_CTX_free(digest);
	for (size_t i = 0; i < count; i++)
		SSL_CTX_set_session_id_context(contexts[i], id, size < SSL_MAX_SID_CTX_LENGTH ? size : SSL_MAX_SID_CTX_LENGTH);
}

/* --- the context --- */

static SSL_CTX *make(const struct tls_settings *s, const struct tls_pair *pair, struct tls_error *error)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	if (!ssl)
		BUG("no TLS: %s", tls_openssl_error());
	if (set_up(ssl, s, pair, error) == 0)
		return ssl;
	SSL_CTX_free(ssl);
	return NULL;
}

/* All, or none. */
static int make_all(SSL_CTX **contexts, const struct tls_settings *s, struct tls_error *error)
{
	const struct tls_pair *pairs = s->certs.items;
	size_t count = s->certs.count;

	contexts[0] = make(s, &s->own, error);
	for (size_t i = 0; i < count && contexts[i]; i++) {
		contexts[i + 1] = make(s, &pairs[i], error);
		error->pair = contexts[i + 1] ? 0 : (unsigned)i + 1;
	}
	if (contexts[count])
		return 0;
	for (size_t i = 0; i < count; i++)
		SSL_CTX_free(contexts[i]);
	return -1;
}

struct tls_context *tls_server_context_new(const struct tls_settings *s, struct tls_tickets *tickets,
	struct tls_error *error)
{
	size_t count = s->certs.count + 1;
	SSL_CTX **contexts = xcalloc(count, sizeof(SSL_CTX *));
	struct tls_context *context = NULL;

	ERR_clear_error();
	if (make_all(contexts, s, error) == 0) {
		context = xcalloc(1, sizeof(*context));
		context->ssl = contexts[0];
		context->verify = tls_cert_reqs(s) != TLS_CERT_NONE;
		set_session_context(contexts, count, s);
		for (size_t i = 0; i < count && tickets; i++)
			tls_tickets_use(tickets, contexts[i]);
		tls_names_use(contexts, count);
	}
	ERR_clear_error();
	free(contexts);
	return context;
}
