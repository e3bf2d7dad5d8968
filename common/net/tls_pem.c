/* tls_pem.c - certificates, keys and authorities in PEM, from files or as the configuration has them already
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/content.h"
#include "common/net/tls_private.h"

static void forget(struct buffer *text)
{
	OPENSSL_cleanse(text->data, text->size);
	buffer_release(text);
}

static BIO *open_text(const char *text, size_t size)
{
	BIO *bio = BIO_new_mem_buf(text, (int)size);

	if (!bio)
		BUG("no memory for TLS");
	return bio;
}

/* What `path` holds, or `text` where that is known: to be released by forget(). */
static int read_pem(const char *key, const char *path, const char *text, struct buffer *out, struct tls_error *error)
{
	if (text) {
		buffer_append_str(out, text);
		return 0;
	}
	if (config_read_content(path, out, NULL) == 0)
		return 0;
	return tls_wrong(error, key, "cannot read %s: %s", path, strerror(errno));
}

static const char *why_none(void)
{
	return ERR_peek_error() ? tls_openssl_error() : "there is none";
}

/* Nobody is there to be asked; OpenSSL would, on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return 0;
}

/* 1 = there was one more, 0 = there is none, -1 = there is one that is wrong. */
static int next_certificate(BIO *bio, X509 **certificate)
{
	bool asked = false;
	unsigned long code;

	*certificate = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, &asked);
	if (*certificate)
		return 1;
	code = ERR_peek_last_error();
	if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return 0;
}

static bool use_chain(SSL_CTX *ssl, BIO *bio)
{
	X509 *certificate;
	int more = next_certificate(bio, &certificate);

	if (more != 1 || SSL_CTX_use_certificate(ssl, certificate) != 1) {
		X509_free(certificate);
		return false;
	}
	X509_free(certificate);
	while ((more = next_certificate(bio, &certificate)) == 1) {
		if (SSL_CTX_add0_chain_cert(ssl, certificate) != 1) {
			X509_free(certificate);
			return false;
		}
	}
	return more == 0;
}

static int use_key(SSL_CTX *ssl, const char *name, const char *path, BIO *bio, struct tls_error *error)
{
	bool asked = false, good;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	bool had_key = key;
	X509 *certificate = SSL_CTX_get0_certificate(ssl);

	if (asked) {
		EVP_PKEY_free(key);
		return tls_wrong(error, name, "expected a key without a passphrase in %s", path);
	}
	good = key && X509_check_private_key(certificate, key) == 1 && SSL_CTX_use_PrivateKey(ssl, key) == 1;
	EVP_PKEY_free(key);
	if (!good)
		return tls_wrong(error, name, "expected the private key of certfile in %s%s: %s", path,
			*name == 'c' ? ", or a keyfile beside it" : "", had_key ? tls_openssl_error() : "there is no key in PEM");
	return 0;
}

static int load_certificate(SSL_CTX *ssl, const struct tls_pair *pair, struct tls_error *error)
{
	struct buffer text = { 0 };
	bool good;
	BIO *bio;

	if (read_pem("certfile", pair->certfile, pair->cert_pem, &text, error) < 0)
		return -1;
	bio = open_text(text.data, text.size);
	good = use_chain(ssl, bio);
	BIO_free(bio);
	forget(&text);
	if (!good)
		return tls_wrong(error, "certfile", "expected a certificate in PEM in %s: %s", pair->certfile, why_none());
	return 0;
}

int tls_load_pair(SSL_CTX *ssl, const struct tls_pair *pair, struct tls_error *error)
{
	const char *name = pair->keyfile ? "keyfile" : "certfile", *path = pair->keyfile ? pair->keyfile : pair->certfile;
	struct buffer text = { 0 };
	BIO *bio;
	int result;

	if (!pair->certfile)
		return pair->keyfile ? tls_wrong(error, "keyfile", "expected certfile with it")
			: tls_wrong(error, "certfile", "expected certfile: the certificate that clients are shown");
	if (load_certificate(ssl, pair, error) < 0 ||
			read_pem(name, path, pair->keyfile ? pair->key_pem : pair->cert_pem, &text, error) < 0)
		return -1;
	bio = open_text(text.data, text.size);
	result = use_key(ssl, name, path, bio, error);
	BIO_free(bio);
	forget(&text);
	return result;
}

static bool add_authorities(SSL_CTX *ssl, BIO *bio)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	unsigned count = 0;
	X509 *certificate;
	int more;

	while ((more = next_certificate(bio, &certificate)) == 1) {
		more = X509_STORE_add_cert(store, certificate) == 1 ? 1 : -1;
		X509_free(certificate);
		if (more < 0)
			return false;
		count++;
	}
	return more == 0 && count;
}

static int load_authority_file(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	struct buffer text = { 0 };
	bool good;
	BIO *bio;

	if (read_pem("ca_certs", s->ca_certs, s->ca_pem, &text, error) < 0)
		return -1;
	bio = open_text(text.data, text.size);
	good = add_authorities(ssl, bio);
	BIO_free(bio);
	buffer_release(&text);
	if (!good)
		return tls_wrong(error, "ca_certs", "expected certificates in PEM in %s: %s", s->ca_certs, why_none());
	return 0;
}

int tls_load_authorities(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	struct stat status = { 0 };

	if (!s->ca_certs) {
		if (SSL_CTX_set_default_verify_paths(ssl) != 1)
			return tls_wrong(error, "ca_certs", "the system's authorities cannot be read: %s", tls_openssl_error());
		return 0;
	}
	if (s->ca_pem || stat(s->ca_certs, &status) < 0 || !S_ISDIR(status.st_mode))
		return load_authority_file(ssl, s, error);
	if (SSL_CTX_load_verify_dir(ssl, s->ca_certs) != 1)
		return tls_wrong(error, "ca_certs", "cannot use %s: %s", s->ca_certs, tls_openssl_error());
	return 0;
}

/* --- dates --- */

static void warn_of(const char *what, const char *path, const ASN1_TIME *date, const struct config_node *node,
	struct config_errors *errors)
{
	struct tm tm = { 0 };
	char text[32] = "";

	if (ASN1_TIME_to_tm(date, &tm) == 1)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	config_warning_at(errors, node, "a certificate in %s %s %s: clients that verify it will refuse it", path, what, text);
}

static void warn_of_date(const X509 *certificate, const char *path, const struct config_node *node,
	struct config_errors *errors)
{
	const ASN1_TIME *from = X509_get0_notBefore(certificate), *until = X509_get0_notAfter(certificate);

	if (X509_cmp_time(until, NULL) < 0)
		warn_of("expired on", path, until, node, errors);
	else if (X509_cmp_time(from, NULL) > 0)
		warn_of("is not valid before", path, from, node, errors);
}

void tls_warn_of_dates(SSL_CTX *ssl, const struct tls_pair *pair, const struct config_node *map,
	struct config_errors *errors)
{
	const struct config_node *node = config_get(map, "certfile");
	STACK_OF(X509) *chain = NULL;

	warn_of_date(SSL_CTX_get0_certificate(ssl), pair->certfile, node ? node : map, errors);
	SSL_CTX_get0_chain_certs(ssl, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++)
		warn_of_date(sk_X509_value(chain, i), pair->certfile, node ? node : map, errors);
}
