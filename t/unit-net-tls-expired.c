/* unit-net-tls-expired.c - a client's certificate that expires is not good for long because sessions go on
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

static struct tls_context *context_of(bool is_server, const char *yaml)
{
	struct tls_fixture fixture;
	struct tls_error error = { 0 };
	struct tls_context *context;

	tls_fixture_load(&fixture, folder, is_server ? tls_server_rows : tls_client_rows, yaml, is_server);
	context = is_server ? tls_server_context_new(&fixture.tls, NULL, &error) : tls_client_context_new(&fixture.tls, &error);
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
	struct tls_context *to = context_of(true, "{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/ca.crt, "
		"cert_reqs: required}");
	struct tls_context *from = context_of(false, "{cert_reqs: none, certfile: @/client.crt, keyfile: @/client.key}");
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
	is_str(server.problem, "TLS handshake: the client's certificate is not trusted: certificate has expired", "for that reason");
	part();
	ahead_s = 0;
	tls_session_free(session);
	tls_context_free(from);
	tls_context_free(to);
}

int main(void)
{
	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	test_expired();
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
