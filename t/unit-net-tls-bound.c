/* unit-net-tls-bound.c - what a server's sessions are bound to, and what else its clients may not have
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/shared_secrets.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"
#define CLOCK_AHEAD CLOCK_BOOTTIME
#include "t/lib/certificates.h"
#include "t/lib/clock_ahead.h"
#include "t/lib/loop.h"
#include "t/lib/tls_settings.h"

#define BOUND_MS 60000
#define PAIR "certfile: @/server.crt, keyfile: @/server.key"
#define ASKING PAIR ", ca_certs: @/ca.crt, cert_reqs: optional"

static struct event_base *base;
static char folder[] = "/tmp/slimta-tls-XXXXXX";
static struct tls_tickets *tickets;

/* Our end, and a client of OpenSSL. */
static struct stream server;
static bool up, closed;
static char *peer;
static SSL *client;
static int client_fd;
static size_t heard;

static size_t on_input(void *arg, const char *data, size_t size)
{
	(void)arg;
	(void)data;
	return size;
}

static void on_ended(void *arg)
{
	(void)arg;
	stream_finish(&server, false);
}

static void on_timed_out(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, int error)
{
	(void)arg;
	(void)error;
	closed = true;
	stream_release(&server);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void on_up(void *arg)
{
	(void)arg;
	up = true;
	peer = tls_peer_name(&server);
	buffer_append_str(&server.out, "220 hello\r\n");
}

static struct tls_context *server_of(const char *yaml)
{
	struct tls_fixture fixture;
	struct tls_error error = { 0 };
	struct tls_context *context;

	tls_fixture_load(&fixture, folder, tls_server_rows, yaml, true);
	context = tls_server_context_new(&fixture.tls, tickets, &error);
	if (fixture.errors.error_count || !context)
		BUG("%s: %s: %s", yaml, error.key, error.text);
	tls_fixture_release(&fixture);
	return context;
}

/* `who`: its certificate, NULL for none. */
static SSL_CTX *client_of(int version, const char *who)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char *path;

	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	if (!who)
		return context;
	path = xasprintf("%s/%s.crt", folder, who);
	if (SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM) != 1)
		BUG("no certificate %s", path);
	memcpy(path + strlen(path) - 3, "key", 3);
	if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		BUG("no key %s", path);
	free(path);
	return context;
}

/* The client has heard all that there is, or hears no more. */
static bool is_through(void)
{
	char octets[64];
	int got;

	ERR_clear_error();
	while ((got = SSL_read(client, octets, sizeof(octets))) > 0)
		heard += (size_t)got;
	return heard == 11 || closed || (SSL_get_error(client, got) != SSL_ERROR_WANT_READ);
}

/* `*session`: what to go on with, then what may be gone on with; NULL: neither. True if the server spoke within TLS. */
static bool begin(const struct tls_context *to, SSL_CTX *from, const char *name, SSL_SESSION **session)
{
	int fds[2];

	up = closed = false;
	heard = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	stream_open(&server, base, fds[0], BOUND_MS, &handler, NULL);
	tls_start_server(&server, to, BOUND_MS, on_up, NULL);
	client_fd = fds[1];
	client = SSL_new(from);
	SSL_set_fd(client, client_fd);
	SSL_set_connect_state(client);
	SSL_set_tlsext_host_name(client, name);
	if (session && *session)
		SSL_set_session(client, *session);
	if (!LOOP_UNTIL(base, is_through(), BOUND_MS))
		ok(false, "something comes of it");
	if (session && heard == 11) {
		SSL_SESSION_free(*session);
		*session = SSL_get1_session(client);
	}
	return up && heard == 11;
}

static void end(void)
{
	/* OpenSSL spoils the session of a connection that is cut. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	fd_close(&client_fd);
	if (!closed)
		stream_release(&server);
	free(peer);
	peer = NULL;
	ERR_clear_error();
}

/* --- sessions --- */

static void goes(const struct tls_context *to, SSL_CTX *from, const char *name, SSL_SESSION **session, bool on, const char *what)
{
	ok(begin(to, from, name, session) && SSL_session_reused(client) == on, "%s: %s", what, on ? "goes on" : "begins anew");
	end();
}

/* A session of the one settings does not go on where the other are. */
static void is_bound(int version, const char *one, const char *other, const char *who, const char *what)
{
	struct tls_context *first = server_of(one), *again = server_of(one), *second = server_of(other);
	SSL_CTX *from = client_of(version, who);
	SSL_SESSION *session = NULL;

	goes(first, from, "localhost", &session, false, what);
	goes(again, from, "localhost", &session, true, "the same settings");
	goes(second, from, "localhost", &session, false, what);
	SSL_SESSION_free(session);
	SSL_CTX_free(from);
	tls_context_free(first);
	tls_context_free(again);
	tls_context_free(second);
}

static void test_bound(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		is_bound(versions[i], "{" PAIR "}", "{certfile: @/wrong.crt, keyfile: @/wrong.key}", NULL, "another certificate");
		is_bound(versions[i], "{" PAIR "}", "{" PAIR ", certs: [{certfile: @/wrong.crt, keyfile: @/wrong.key}]}", NULL,
			"one more certificate");
		is_bound(versions[i], "{" ASKING "}", "{" PAIR ", ca_certs: @/ca.crt, cert_reqs: required}", "client",
			"certificates are required");
		is_bound(versions[i], "{" ASKING "}", "{" PAIR ", ca_certs: @/copy.crt, cert_reqs: optional}", "client",
			"another file of authorities");
		is_bound(versions[i], "{" PAIR "}", "{" PAIR ", ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256'}", NULL,
			"other ciphers");
	}
	is_bound(TLS1_3_VERSION, "{" PAIR "}", "{" PAIR ", min_version: TLSv1.3}", NULL, "another version");
}

/* The file is called the same after a SIGHUP. */
static void test_authorities_changed(void)
{
	static const char yaml[] = "{" PAIR ", ca_certs: @/copy.crt, cert_reqs: optional}";
	struct tls_context *first = server_of(yaml), *second;
	SSL_CTX *from = client_of(TLS1_3_VERSION, "client");
	SSL_SESSION *session = NULL;

	certificates_run("cd %s && cat ca.crt other.crt >copy.crt", folder);
	second = server_of(yaml);
	goes(first, from, "localhost", &session, false, "authorities");
	goes(first, from, "localhost", &session, true, "the same authorities");
	goes(second, from, "localhost", &session, false, "others in a file of that name");
	SSL_SESSION_free(session);
	SSL_CTX_free(from);
	tls_context_free(first);
	tls_context_free(second);
	certificates_run("cd %s && cp ca.crt copy.crt", folder);
}

/* Also by the name of a further certificate. */
static void test_by_name(void)
{
	struct tls_context *to = server_of("{" ASKING ", certs: [{certfile: @/wrong.crt, keyfile: @/wrong.key}]}");

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *from = client_of(version, "client");
		SSL_SESSION *session = NULL;

		goes(to, from, "wrong.example", &session, false, "another name");
		goes(to, from, "wrong.example", &session, true, "the same name");
		SSL_SESSION_free(session);
		SSL_CTX_free(from);
	}
	tls_context_free(to);
}

/* What a client keeps costs a server nothing. */
static void test_without_tickets(void)
{
	struct tls_context *to = server_of("{" PAIR "}");
	SSL_CTX *from = client_of(TLS1_2_VERSION, NULL);
	SSL_SESSION *session = NULL;

	SSL_CTX_set_options(from, SSL_OP_NO_TICKET);
	goes(to, from, "localhost", &session, false, "without tickets");
	goes(to, from, "localhost", &session, false, "without tickets");
	is_int(SSL_CTX_sess_number(to->ssl), 0, "no session is kept here");
	SSL_SESSION_free(session);
	SSL_CTX_free(from);
	tls_context_free(to);
}

/* Keys are those of the epoch, a ticket of the one before is renewed, and none is good for longer. */
static void test_epochs(void)
{
	struct tls_context *busy = server_of("{" PAIR "}"), *idle;
	struct tls_tickets *first = tickets;
	struct tls_secret secret;
	SSL_CTX *from = client_of(TLS1_2_VERSION, NULL);
	SSL_SESSION *session = NULL;

	goes(busy, from, "localhost", &session, false, "an epoch");
	for (unsigned i = 0; i < 3; i++) {
		ahead_s += TLS_EPOCH_S;
		goes(busy, from, "localhost", &session, true, "the next one");
	}
	ahead_s += 2 * TLS_EPOCH_S;
	goes(busy, from, "localhost", &session, false, "the one after that");
	tls_context_free(busy);

	tls_secret_make(&secret);
	tickets = tls_tickets_new(&secret);
	idle = server_of("{" PAIR "}");
	tls_tickets_free(first);
	first = tickets;
	tickets = tls_tickets_new(&secret);
	busy = server_of("{" PAIR "}");
	ahead_s += 2 * TLS_EPOCH_S;
	goes(busy, from, "localhost", &session, false, "a process that has work");
	ahead_s += TLS_EPOCH_S;
	goes(idle, from, "localhost", &session, true, "one that had none for three epochs");
	tls_context_free(busy);
	tls_context_free(idle);
	tls_tickets_free(first);
	SSL_SESSION_free(session);
	SSL_CTX_free(from);
}

/* Keys of an epoch that has not begun would not change until it is over. */
static void test_ahead(void)
{
	struct shared_secrets one, other;
	struct buffer text = { 0 };

	shared_secrets_make(&one);
	one.tickets.epoch++;
	shared_secrets_format(&one, &text);
	ok(!shared_secrets_parse(buffer_str(&text), &other), "secrets of an epoch to come are none");
	buffer_release(&text);
}

/* --- what else is asked for --- */

static void test_versions(void)
{
	struct tls_context *to = server_of("{" PAIR ", min_version: TLSv1.3}");
	SSL_CTX *from = client_of(TLS1_2_VERSION, NULL), *newer = client_of(TLS1_3_VERSION, NULL);

	ok(!begin(to, from, "localhost", NULL) && !up, "a version before min_version");
	end();
	ok(begin(to, newer, "localhost", NULL), "min_version");
	end();
	SSL_CTX_free(from);
	SSL_CTX_free(newer);
	tls_context_free(to);
}

/* Names that fill a ClientHello or a log are cut, or not told. */
static void test_long_names(void)
{
	struct tls_context *to = server_of("{" PAIR ", ca_certs: @/long.crt, cert_reqs: required}"), *few;
	SSL_CTX *from = client_of(TLS1_3_VERSION, "long");

	ok(begin(to, from, "localhost", NULL), "a client with a long name");
	is_int(peer ? strlen(peer) : 0, 255, "of which this much is told");
	is_int(sk_X509_NAME_num(SSL_get0_peer_CA_list(client)), -1, "too long a list of authorities is not sent");
	end();
	few = server_of("{" ASKING "}");
	ok(!begin(few, from, "localhost", NULL), "one whom it does not know");
	is_int(sk_X509_NAME_num(SSL_get0_peer_CA_list(client)), 1, "is told of a short list");
	end();
	SSL_CTX_free(from);
	tls_context_free(few);
	tls_context_free(to);
}

/* A certificate that is valid from tomorrow on. */
static void make_early(void)
{
	char *path = xasprintf("%s/server.crt", folder), *key_path = xasprintf("%s/server.key", folder);
	BIO *in = BIO_new_file(path, "r"), *key_in = BIO_new_file(key_path, "r"), *out;
	X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_in, NULL, NULL, NULL);

	free(path);
	path = xasprintf("%s/early.crt", folder);
	out = BIO_new_file(path, "w");
	if (!X509_gmtime_adj(X509_getm_notBefore(certificate), 86400) || !X509_sign(certificate, key, EVP_sha256()) ||
			PEM_write_bio_X509(out, certificate) != 1)
		BUG("no certificate");
	BIO_free(in);
	BIO_free(key_in);
	BIO_free(out);
	X509_free(certificate);
	EVP_PKEY_free(key);
	free(path);
	free(key_path);
}

static void test_early(void)
{
	struct tls_fixture fixture;
	struct buffer said = { 0 };

	make_early();
	tls_fixture_load(&fixture, folder, tls_server_rows, "{certfile: @/early.crt, keyfile: @/server.key}", true);
	tls_server_check(&fixture.tls, tls_fixture_map(&fixture), &fixture.errors);
	config_errors_print(&fixture.errors, &said);
	ok(!fixture.errors.error_count && strstr(buffer_str(&said), "/early.crt is not valid before 20"), "%s",
		buffer_str(&said));
	buffer_release(&said);
	tls_fixture_release(&fixture);
}

static void make_long(void)
{
	certificates_run("cd %s && { printf '[req]\\ndistinguished_name=dn\\nprompt=no\\n[dn]\\nCN=long\\n'; "
		"for i in $(seq 290); do printf '%%d.OU=%%060d\\n' $i $i; done; } >long.cnf", folder);
	certificates_run("cd %s && openssl req -x509 -config long.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
		"-nodes -days 2 -keyout long.key -out long.crt 2>>log", folder);
}

int main(void)
{
	struct tls_secret secret;

	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	certificates_run("cd %s && cp ca.crt copy.crt", folder);
	make_long();
	tls_secret_make(&secret);
	tickets = tls_tickets_new(&secret);
	test_bound();
	test_authorities_changed();
	test_by_name();
	test_without_tickets();
	test_epochs();
	test_ahead();
	test_versions();
	test_long_names();
	test_early();
	tls_tickets_free(tickets);
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
