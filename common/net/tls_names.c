/* tls_names.c - which certificate is for the name that a client asks for
 * SPDX-License-Identifier: MIT
 * RFC 6066 3, RFC 9525 6.3. */
#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/tls_private.h"

#define MAX_NAME 255

struct tls_names {
	SSL_CTX **contexts;	/* ours, but for the first, which holds this */
	size_t context_count;
	struct name {
		char *text;	/* in small letters */
		SSL_CTX *ssl;
	} *names;
	size_t count;
};

static void small_letters(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static void add_name(struct tls_names *all, SSL_CTX *ssl, const ASN1_STRING *name)
{
	const char *data = (const char *)ASN1_STRING_get0_data(name);
	int size = ASN1_STRING_length(name);

	if (size <= 0 || size > MAX_NAME || memchr(data, '\0', (size_t)size))
		return;
	all->names = xgrow(all->names, all->count, sizeof(*all->names));
	all->names[all->count] = (struct name){ xstrndup(data, (size_t)size), ssl };
	small_letters(all->names[all->count++].text);
}

static void add_common_name(struct tls_names *all, SSL_CTX *ssl, X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at >= 0)
		add_name(all, ssl, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* The subject has a name of a host only where the certificate says no other (RFC 6125 6.4.4). */
static void add_names_of(struct tls_names *all, SSL_CTX *ssl)
{
	X509 *certificate = SSL_CTX_get0_certificate(ssl);
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t before = all->count;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			add_name(all, ssl, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	if (all->count == before)
		add_common_name(all, ssl, certificate);
}

static SSL_CTX *find(const struct tls_names *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		if (strcmp(all->names[i].text, name) == 0)
			return all->names[i].ssl;
	}
	return NULL;
}

/* The certificate's own name goes before one with `*.`, which stands for one label. */
static SSL_CTX *choose(const struct tls_names *all, const char *asked)
{
	char name[MAX_NAME + 1], *dot;
	size_t size = strlen(asked);
	SSL_CTX *found;

	if (size > 1 && asked[size - 1] == '.')
		size--;
	if (!size || size > MAX_NAME || strchr(asked, '*') || strchr(asked, '\\'))
		return NULL;
	memcpy(name, asked, size);
	name[size] = '\0';
	small_letters(name);
	found = find(all, name);
	dot = strchr(name, '.');
	if (found || !dot || dot == name)
		return found;
	dot[-1] = '*';
	return find(all, dot - 1);
}

static int ex_data_index(void);

static int on_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls *tls = SSL_get_app_data(ssl);
	const struct tls_names *all = SSL_CTX_get_ex_data(tls->context, ex_data_index());
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *chosen = all && asked ? choose(all, asked) : NULL;

	(void)alert;
	(void)arg;
	if (chosen && chosen != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, chosen);
	/* A name that is not ours is no error, and is not acknowledged. */
	return chosen ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static void names_free(void *parent, void *data, CRYPTO_EX_DATA *ex, int index, long number, void *arg)
{
	struct tls_names *all = data;

	(void)parent;
	(void)ex;
	(void)index;
	(void)number;
	(void)arg;
	if (!all)
		return;
	for (size_t i = 1; i < all->context_count; i++)
		SSL_CTX_free(all->contexts[i]);
	for (size_t i = 0; i < all->count; i++)
		free(all->names[i].text);
	free(all->contexts);
	free(all->names);
	free(all);
}

static int ex_data_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, names_free);
	if (index < 0)
		BUG("no memory for TLS");
	return index;
}

bool tls_names_chooses(SSL_CTX *first, size_t index)
{
	const struct tls_names *all = SSL_CTX_get_ex_data(first, ex_data_index());

	for (size_t i = 0; i < all->count; i++) {
		if (all->names[i].ssl == all->contexts[index] && find(all, all->names[i].text) == all->contexts[index])
			return true;
	}
	return false;
}

SSL_CTX *tls_names_context(SSL_CTX *first, size_t index)
{
	const struct tls_names *all = SSL_CTX_get_ex_data(first, ex_data_index());

	return all && index < all->context_count ? all->contexts[index] : NULL;
}

void tls_names_use(SSL_CTX *const *contexts, size_t count)
{
	struct tls_names *all = xcalloc(1, sizeof(*all));

	all->contexts = xcalloc(count, sizeof(SSL_CTX *));
	memcpy(all->contexts, contexts, count * sizeof(SSL_CTX *));
	all->context_count = count;
	for (size_t i = 0; i < count; i++)
		add_names_of(all, contexts[i]);
	if (SSL_CTX_set_ex_data(contexts[0], ex_data_index(), all) != 1)
		BUG("no memory for TLS");
	SSL_CTX_set_tlsext_servername_callback(contexts[0], on_name);
}
