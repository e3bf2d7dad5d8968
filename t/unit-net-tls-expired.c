/* unit-net-tls-expired.c - a client's certificate that is good no more does not live on in sessions
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "t/lib/certificates.h"
#include "t/lib/loop.h"
#include "t/lib/tls_settings.h"

#define BOUND_MS 60000
#define HOUR_S 3600
#define CLIENT "{cert_reqs: none, certfile: @/client.crt, keyfile: @/client.key}"
#define VALID_HOURS 48		/* see certificates.h */

static struct event_base *base;
static char folder[] = "/tmp/slimta-tls-XXXXXX";
static long ahead_s;

/* As libcrypto and libssl ask for it. */
time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += ahead_s;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

struct end {
	struct stream stream;
	size_t got;
	bool closed;
	char *problem;
};
static struct end server, client;

static size_t on_input(void *arg, const char *data, size_t size)
{
	(void)data;
	((struct end *)arg)->got += size;
	return size;
}

static void on_ended(void *arg)
{
	stream_finish(&((struct end *)arg)->stream, false);
}

static void on_timed_out(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, int error)
{
	struct end *end = arg;

	(void)error;
	end->closed = true;
	end->problem = tls_problem(&end->stream) ? xstrdup(tls_problem(&end->stream)) : NULL;
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void on_up(void *arg)
{
	buffer_append_str(&((struct end *)arg)->stream.out, "220 hello\r\n");
}

static struct tls_context *context_of(bool is_server, struct tls_tickets *tickets, const char *yaml)
{
	struct tls_fixture fixture;
	struct tls_error error = { 0 };
	struct tls_context *context;

	tls_fixture_load(&fixture, folder, is_server ? tls_server_rows : tls_client_rows, yaml, is_server);
	context = is_server ? tls_server_context_new(&fixture.tls, tickets, &error)
		: tls_client_context_new(&fixture.tls, &error);
	if (!context)
		BUG("%s: %s", error.key, error.text);
	tls_fixture_release(&fixture);
	return context;
}

static void release(struct end *end)
{
	stream_release(&end->stream);
	free(end->problem);
	*end = (struct end){ 0 };
	ERR_clear_error();
}

static bool talk(const struct tls_context *to, const struct tls_context *from, struct tls_session *session)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	stream_open(&server.stream, base, fds[0], BOUND_MS, &handler, &server);
	tls_start_server(&server.stream, to, BOUND_MS, on_up, &server);
	stream_open(&client.stream, base, fds[1], BOUND_MS, &handler, &client);
	tls_start_client(&client.stream, from, "localhost");
	tls_use_session(&client.stream, session);
	buffer_append_str(&client.stream.out, "EHLO me\r\n");
	stream_touch(&client.stream);
	return LOOP_UNTIL(base, (client.got && server.got) || (client.closed && server.closed), BOUND_MS) && !server.closed;
}

static void part(void)
{
	release(&client);
	release(&server);
}

/* Each hour another connection, which goes on with the session of the one before. */
static void test_expired(void)
{
	struct tls_context *to = context_of(true, NULL, "{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/ca.crt, "
		"cert_reqs: required}");
	struct tls_context *from = context_of(false, NULL, CLIENT);
	struct tls_session *session = tls_session_new();
	unsigned resumed = 0;

	for (unsigned hour = 0; hour < VALID_HOURS; hour++) {
		ahead_s = hour * HOUR_S;
		if (!talk(to, from, session))
			break;
		resumed += tls_is_resumed(&server.stream);
		part();
	}
	is_int(resumed, VALID_HOURS - 1, "while it is valid, sessions go on");
	ahead_s = VALID_HOURS * HOUR_S + HOUR_S / 2;
	ok(!talk(to, from, session), "once it has expired, none does");
	is_str(server.problem, "TLS handshake: the client's certificate is not trusted: certificate has expired", "for this");
	part();
	ahead_s = 0;
	tls_session_free(session);
	tls_context_free(from);
	tls_context_free(to);
}

/* Whose authority goes from the directory, that one does not go on either with what it has of the configuration before. */
static void test_directory(void)
{
	static const char *const yaml = "{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/trusted, "
		"cert_reqs: required}";
	struct tls_secret secret;
	struct tls_tickets *tickets;
	struct tls_context *from, *to;
	struct tls_session *session = tls_session_new();

	tls_secret_make(&secret);
	tickets = tls_tickets_new(&secret);
	certificates_run("cd %s && openssl x509 -req -in client.csr -CA other.crt -CAkey other.key -CAcreateserial -days 2 "
		"-out foreign.crt 2>>log", folder);
	from = context_of(false, NULL, "{cert_reqs: none, certfile: @/foreign.crt, keyfile: @/client.key}");
	certificates_run("mkdir %s/trusted && cp %s/ca.crt %s/other.crt %s/trusted && openssl rehash %s/trusted && "
		"touch -d '1 hour ago' %s/trusted", folder, folder, folder, folder, folder, folder);
	for (unsigned i = 0; i < 2; i++) {
		to = context_of(true, tickets, yaml);
		ok(talk(to, from, session), "a certificate by one of a directory's authorities is good");
		is_int(tls_is_resumed(&server.stream), i, i ? "and its session is, in the next generation" : "a session begins");
		part();
		tls_context_free(to);
	}
	certificates_run("rm %s/trusted/other.crt && openssl rehash %s/trusted", folder, folder);
	to = context_of(true, tickets, yaml);
	ok(!talk(to, from, session) && server.problem, "neither is without it");
	part();
	tls_context_free(to);
	tls_session_free(session);
	tls_context_free(from);
	tls_tickets_free(tickets);
}

int main(void)
{
	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	test_expired();
	test_directory();
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
