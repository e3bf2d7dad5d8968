/* unit-net-tls.c - TLS on a stream: handshakes, sessions that go on, what is said of its end
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "t/lib/certificates.h"
#include "t/lib/loop.h"

#define BOUND_MS 60000

static struct event_base *base;
static char folder[] = "/tmp/slimta-tls-XXXXXX";

/* Our end, and a server at the other. */
struct pair {
	struct stream stream;
	struct buffer got;
	bool closed, ended;
	int error;
	char *problem;
	int fd;
	SSL_CTX *server_context;	/* lent */
	SSL *server;
	bool accepted;
};

static size_t on_input(void *arg, const char *data, size_t size)
{
	buffer_append(&((struct pair *)arg)->got, data, size);
	return size;
}

static void on_ended(void *arg)
{
	struct pair *pair = arg;

	pair->ended = true;
	stream_finish(&pair->stream, false);
}

static void on_timed_out(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, int error)
{
	struct pair *pair = arg;

	pair->closed = true;
	pair->error = error;
	pair->problem = xstrdup(tls_problem(&pair->stream) ? tls_problem(&pair->stream) : "");
	stream_release(&pair->stream);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static SSL_CTX *server_context(const char *who, int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *certificate = xasprintf("%s/%s.crt", folder, who), *key = xasprintf("%s/%s.key", folder, who);

	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
			SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		BUG("no certificate %s", certificate);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"t", 1);
	free(certificate);
	free(key);
	return context;
}

static struct tls_context *client_context(bool verify, const char *authority)
{
	struct tls_settings settings = { .given = true, .check_hostname = true,
		.cert_reqs = verify ? TLS_CERT_REQUIRED : TLS_CERT_NONE };
	struct tls_error error = { 0 };
	struct tls_context *context;

	settings.ca_certs = verify ? xasprintf("%s/%s.crt", folder, authority) : NULL;
	context = tls_client_context_new(&settings, &error);
	if (!context)
		BUG("%s: %s", error.key, error.text);
	is_int(tls_context_verifies(context), verify, "it verifies, or does not");
	free(settings.ca_certs);
	return context;
}

static void open_pair(struct pair *pair, SSL_CTX *server, const struct tls_context *client, const char *host,
	struct tls_session *session)
{
	int fds[2];

	*pair = (struct pair){ 0 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	pair->fd = fds[1];
	pair->server = SSL_new(server);
	SSL_set_fd(pair->server, pair->fd);
	SSL_set_accept_state(pair->server);
	stream_open(&pair->stream, base, fds[0], BOUND_MS, &handler, pair);
	tls_start_client(&pair->stream, client, host);
	if (session)
		tls_use_session(&pair->stream, session);
}

static void close_pair(struct pair *pair)
{
	stream_release(&pair->stream);
	SSL_free(pair->server);
	fd_close(&pair->fd);
	buffer_release(&pair->got);
	free(pair->problem);
	ERR_clear_error();
}

/* Turns both ends; the server says a word when the handshake is over. */
static void serve(struct pair *pair)
{
	char octets[64];

	event_base_loop(base, EVLOOP_NONBLOCK);
	if (pair->fd < 0)
		return;
	if (!pair->accepted && SSL_do_handshake(pair->server) == 1) {
		pair->accepted = true;
		SSL_write(pair->server, "hello", 5);
	} else if (pair->accepted) {
		SSL_read(pair->server, octets, sizeof(octets));
	}
	ERR_clear_error();
}

#define SERVE_UNTIL(pair, condition, what) \
	do { \
		struct loop_bound bound; \
		loop_bound_init(&bound, base, BOUND_MS); \
		while (!(condition) && !bound.over) \
			serve(pair); \
		event_free(bound.timer); \
		ok(condition, "%s", what); \
	} while (0)

static void talk(struct pair *pair)
{
	tls_shake_hands(&pair->stream);
	ok(tls_is_shaking_hands(&pair->stream), "the handshake has begun");
	ok(!tls_version(&pair->stream) && !tls_cipher(&pair->stream), "there is no protocol yet");
	SERVE_UNTIL(pair, pair->got.size == 5, "the server, which speaks first, was heard");
	ok(!tls_is_shaking_hands(&pair->stream), "behind the handshake");
}

static void test_sessions(int version, const char *name)
{
	SSL_CTX *server = server_context("server", version);
	struct tls_context *client = client_context(true, "ca");
	struct tls_session *session = tls_session_new();
	struct pair pair;

	for (unsigned i = 0; i < 4; i++) {
		open_pair(&pair, server, client, i % 2 ? "localhost." : "localhost", i < 3 ? session : NULL);
		talk(&pair);
		is_str(tls_version(&pair.stream), name, "the protocol");
		ok(tls_cipher(&pair.stream) != NULL, "the cipher %s", tls_cipher(&pair.stream));
		is_int(tls_is_resumed(&pair.stream), i == 1 || i == 2, "a session goes on where there was one, and is kept");
		is_int(SSL_session_reused(pair.server), i == 1 || i == 2, "so the server says");
		/* The second is cut: the next goes on nevertheless. */
		if (i == 1) {
			fd_close(&pair.fd);
			SERVE_UNTIL(&pair, pair.closed, "it is cut");
			is_int(pair.error, EPROTO, "which is an error");
			is_str(pair.problem, "TLS: the connection was cut", "and said");
		} else {
			SSL_shutdown(pair.server);
			SERVE_UNTIL(&pair, pair.closed, "it is closed");
			is_int(pair.error, 0, "in order");
		}
		close_pair(&pair);
	}
	tls_session_free(session);
	tls_session_free(NULL);
	tls_context_free(client);
	SSL_CTX_free(server);
}

/* What a server may do with a connection that is up: it goes on, or ends, but does not end us. */
static void test_later(void)
{
	struct tls_context *client = client_context(true, "ca");
	SSL_CTX *server = server_context("server", TLS1_3_VERSION);
	struct pair pair;

	open_pair(&pair, server, client, "localhost", NULL);
	talk(&pair);
	for (unsigned i = 0; i < 50; i++) {
		SSL_key_update(pair.server, SSL_KEY_UPDATE_REQUESTED);
		SSL_write(pair.server, "x", 1);
		buffer_append_str(&pair.stream.out, "y");
		stream_touch(&pair.stream);
	}
	SERVE_UNTIL(&pair, pair.got.size == 55, "new keys, as often as it likes");
	ok(!pair.closed, "the connection is there");
	close_pair(&pair);
	SSL_CTX_free(server);

	server = server_context("server", TLS1_2_VERSION);
	open_pair(&pair, server, client, "localhost", NULL);
	talk(&pair);
	SSL_renegotiate(pair.server);
	SSL_do_handshake(pair.server);
	SERVE_UNTIL(&pair, !SSL_in_init(pair.server) || pair.closed || SSL_get_shutdown(pair.server),
		"a new handshake is refused");
	is_int(pair.got.size, 5, "and nothing is heard of it");
	close_pair(&pair);
	SSL_CTX_free(server);
	tls_context_free(client);
}

static void refused(const char *who, const char *host, const char *authority, const char *why)
{
	SSL_CTX *server = server_context(who, TLS1_3_VERSION);
	struct tls_context *client = client_context(true, authority);
	struct tls_session *session = tls_session_new();
	struct pair pair;

	for (unsigned i = 0; i < 2; i++) {
		open_pair(&pair, server, client, host, session);
		tls_shake_hands(&pair.stream);
		SERVE_UNTIL(&pair, pair.closed, "it is closed");
		is_int(pair.error, EPROTO, "as an error");
		ok(pair.problem && strstr(pair.problem, why), "%s", pair.problem);
		is_int(pair.got.size, 0, "nothing was heard");
		close_pair(&pair);
	}
	tls_session_free(session);
	tls_context_free(client);
	SSL_CTX_free(server);
}

static void test_certificates(void)
{
	refused("wrong", "localhost", "ca", "certificate for localhost is not trusted: hostname mismatch");
	refused("server", "127.0.0.2", "ca", "is not trusted: IP address mismatch");
	refused("server", "localhost", "other", "is not trusted: unable to get local issuer certificate");
	refused("expired", "localhost", "ca", "is not trusted: certificate has expired");
	refused("other", "localhost", "ca", "is not trusted: self-signed certificate");
	refused("server", "a host", "ca", "");
}

/* A server that says this instead of a handshake, then closes if `cut`. */
static void nonsense(const char *text, size_t size, bool cut, const char *why)
{
	SSL_CTX *server = server_context("server", TLS1_3_VERSION);
	struct tls_context *client = client_context(false, NULL);
	struct pair pair;

	open_pair(&pair, server, client, "localhost", NULL);
	pair.stream.hear_out = true;
	tls_shake_hands(&pair.stream);
	if (write(pair.fd, text, size) != (ssize_t)size)
		BUG("write");
	pair.accepted = true;
	if (cut)
		fd_close(&pair.fd);
	ok(LOOP_UNTIL(base, pair.closed, BOUND_MS), "it is over");
	ok(pair.error && strstr(pair.problem, why), "%s", pair.error == EPROTO ? pair.problem : strerror(pair.error));
	close_pair(&pair);
	tls_context_free(client);
	SSL_CTX_free(server);
}

static void test_nonsense(void)
{
	nonsense("220 mx ESMTP\r\n", 14, false, "the answer is not TLS");
	nonsense("\x16\x03\x03\x00", 4, true, "");
	nonsense("", 0, true, "");
	nonsense("\x15\x03\x03\x00\x02\x02\x28", 7, false, "handshake failure");
	nonsense("\x16\x03\x03\xff\xffzzzzzzzzz", 14, false, "TLS handshake: ");
}

int main(void)
{
	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	certificates_run("cd %s && cp server.key expired.key && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key "
		"-CAcreateserial -days -1 -extfile server.ext -out expired.crt 2>>log", folder);
	test_sessions(TLS1_3_VERSION, "TLSv1.3");
	test_sessions(TLS1_2_VERSION, "TLSv1.2");
	test_later();
	test_certificates();
	test_nonsense();
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
