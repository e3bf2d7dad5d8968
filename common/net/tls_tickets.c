/* tls_tickets.c - keys of session tickets, the same in all processes that were given one secret
 * SPDX-License-Identifier: MIT
 * RFC 5077, RFC 8446 4.6.1. Keys follow each other by the clock of the machine; from none of them is an earlier one found. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/net/tls_private.h"

#define NAME_SIZE 16
#define KEY_SIZE TLS_SECRET_SIZE

struct ticket_key {
	unsigned char name[NAME_SIZE], cipher[KEY_SIZE], mac[KEY_SIZE];
};

struct tls_tickets {
	struct tls_secret secret;
	struct ticket_key now, before;
};

/* --- keys --- */

static void derive(const unsigned char from[KEY_SIZE], const char *what, unsigned char *out, size_t size)
{
	unsigned char whole[EVP_MAX_MD_SIZE];
	unsigned whole_size = sizeof(whole);

	if (!HMAC(EVP_sha256(), from, KEY_SIZE, (const unsigned char *)what, strlen(what), whole, &whole_size) ||
			whole_size < size)
		BUG("no HMAC: %s", tls_openssl_error());
	memcpy(out, whole, size);
	OPENSSL_cleanse(whole, sizeof(whole));
}

int64_t tls_epoch_now(void)
{
	return clock_boot_ms() / 1000 / TLS_EPOCH_S;
}

void tls_secret_make(struct tls_secret *secret)
{
	secret->epoch = tls_epoch_now();
	if (RAND_priv_bytes(secret->octets, sizeof(secret->octets)) != 1)
		BUG("no random octets: %s", tls_openssl_error());
}

void tls_secret_advance(struct tls_secret *secret, int64_t epoch)
{
	for (; secret->epoch < epoch; secret->epoch++)
		derive(secret->octets, "slimta next", secret->octets, KEY_SIZE);
}

static void make_key(const struct tls_secret *secret, struct ticket_key *key)
{
	derive(secret->octets, "slimta ticket name", key->name, NAME_SIZE);
	derive(secret->octets, "slimta ticket cipher", key->cipher, KEY_SIZE);
	derive(secret->octets, "slimta ticket mac", key->mac, KEY_SIZE);
}

static void go_on(struct tls_tickets *tickets, int64_t epoch)
{
	if (tickets->secret.epoch >= epoch)
		return;
	tls_secret_advance(&tickets->secret, epoch - 1);
	make_key(&tickets->secret, &tickets->before);
	tls_secret_advance(&tickets->secret, epoch);
	make_key(&tickets->secret, &tickets->now);
}

struct tls_tickets *tls_tickets_new(const struct tls_secret *secret)
{
	struct tls_tickets *tickets = xcalloc(1, sizeof(*tickets));

	tickets->secret = *secret;
	make_key(&tickets->secret, &tickets->now);
	tickets->before = tickets->now;
	go_on(tickets, tls_epoch_now());
	return tickets;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (!tickets)
		return;
	OPENSSL_cleanse(tickets, sizeof(*tickets));
	free(tickets);
}

/* --- as OpenSSL asks for them --- */

static int ex_data_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (index < 0)
		BUG("no memory for TLS");
	return index;
}

static int set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int seal(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	memcpy(name, tickets->now.name, NAME_SIZE);
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
			EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, tickets->now.cipher, iv) != 1 ||
			set_mac(mac, &tickets->now) != 1)
		return -1;
	return 1;
}

/* 1 = it is good, 2 = it is, and shall be renewed, 0 = it is none of ours. */
static int open_ticket(struct tls_tickets *tickets, const unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac)
{
	bool is_now = CRYPTO_memcmp(name, tickets->now.name, NAME_SIZE) == 0;
	struct ticket_key *key = is_now ? &tickets->now : &tickets->before;

	if (!is_now && CRYPTO_memcmp(name, tickets->before.name, NAME_SIZE) != 0)
		return 0;
	if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 || set_mac(mac, key) != 1)
		return -1;
	return is_now ? 1 : 2;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int making)
{
	const struct tls *tls = SSL_get_app_data(ssl);
	struct tls_tickets *tickets = SSL_CTX_get_ex_data(tls->context, ex_data_index());

	go_on(tickets, tls_epoch_now());
	return making ? seal(tickets, name, iv, cipher, mac) : open_ticket(tickets, name, iv, cipher, mac);
}

void tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ssl)
{
	if (SSL_CTX_set_ex_data(ssl, ex_data_index(), tickets) != 1 ||
			SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) != 1)
		BUG("no tickets: %s", tls_openssl_error());
}
