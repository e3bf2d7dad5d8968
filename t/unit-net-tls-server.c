/* unit-net-tls-server.c - TLS on a stream as a server: names, clients' certificates, tickets, what cuts a handshake short
 * SPDX-License-Identifier: MIT
 * Lesson S7. */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/shared_secrets.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"
#include "t/lib/certificates.h"
#include "t/lib/loop.h"
#include "t/lib/tls_settings.h"

#define BOUND_MS 60000

static struct event_base *base;
static char folder[] = "/tmp/slimta-tls-XXXXXX";

/* Our end, and the client's. */
struct end {
	struct stream stream;
	struct buffer got;
	unsigned ups;
	bool closed, ended, timed_out;
	int error;
	char *problem, *peer;
};

static struct end server, client;

static size_t on_input(void *arg, const char *data, size_t size)
{
	buffer_append(&((struct end *)arg)->got, data, size);
	return size;
}

static void on_ended(void *arg)
{
	struct end *end = arg;

	end->ended = true;
	stream_finish(&end->stream, false);
}

static void on_timed_out(void *arg)
{
	((struct end *)arg)->timed_out = true;
}

static void on_closed(void *arg, int error)
{
	struct end *end = arg;

	end->closed = true;
	end->error = error;
	end->problem = xstrdup(tls_problem(&end->stream) ? tls_problem(&end->stream) : "");
	stream_release(&end->stream);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void on_up(void *arg)
{
	struct end *end = arg;

	end->ups++;
	end->peer = tls_peer_name(&end->stream);
	is_int(end->got.size, 0, "nothing was heard before the end of the handshake");
	buffer_append_str(&end->stream.out, "220 hello\r\n");
}

static struct tls_context *context_of(bool is_server, struct tls_tickets *tickets, const char *yaml)
{
	struct tls_fixture fixture;
	struct tls_error error = { 0 };
	struct tls_context *context;

	tls_fixture_load(&fixture, folder, is_server ? tls_server_rows : tls_client_rows, yaml, is_server);
	ok(fixture.errors.error_count == 0, "settings: %s", yaml);
	context = is_server ? tls_server_context_new(&fixture.tls, tickets, &error)
		: tls_client_context_new(&fixture.tls, &error);
	if (!context)
		BUG("%s: %s", error.key, error.text);
	tls_fixture_release(&fixture);
	return context;
}

static struct tls_context *server_of(const char *yaml)
{
	return context_of(true, NULL, yaml);
}

static struct tls_context *client_of(const char *yaml)
{
	return context_of(false, NULL, yaml);
}

static void open_server(const struct tls_context *context, int64_t timeout_ms, int *peer)
{
	int fds[2];

	server = (struct end){ 0 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	*peer = fds[1];
	stream_open(&server.stream, base, fds[0], BOUND_MS, &handler, &server);
	tls_start_server(&server.stream, context, timeout_ms, on_up, &server);
}

static void open_both(const struct tls_context *to, const struct tls_context *from, const char *host,
	struct tls_session *session)
{
	int fd;

	open_server(to, BOUND_MS, &fd);
	client = (struct end){ 0 };
	stream_open(&client.stream, base, fd, BOUND_MS, &handler, &client);
	tls_start_client(&client.stream, from, host);
	if (session)
		tls_use_session(&client.stream, session);
	buffer_append_str(&client.stream.out, "EHLO me\r\n");
	stream_touch(&client.stream);
}

static void release(struct end *end)
{
	stream_release(&end->stream);
	buffer_release(&end->got);
	free(end->problem);
	free(end->peer);
	*end = (struct end){ 0 };
	ERR_clear_error();
}

static bool talk(const struct tls_context *to, const struct tls_context *from, const char *host, struct tls_session *session)
{
	open_both(to, from, host, session);
	return LOOP_UNTIL(base, (client.got.size == 11 && server.got.size == 9) || (client.closed && server.closed), BOUND_MS)
		&& !client.closed && !server.closed;
}

static void hang_up(void)
{
	stream_finish(&client.stream, false);
	LOOP_UNTIL(base, client.closed && server.closed, BOUND_MS);
	ok(server.ended && server.error == 0, "the client's end is an end");
	release(&server);
	release(&client);
}

/* --- what goes well --- */

static void test_versions(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key}"), *from;
	static const char *const versions[] = { "TLSv1.2", "TLSv1.3" };

	for (unsigned i = 0; i < 2; i++) {
		from = client_of(i ? "{ca_certs: @/ca.crt}" : "{ca_certs: @/ca.crt, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384'}");
		open_both(to, from, "localhost", NULL);
		ok(tls_is_shaking_hands(&server.stream) && !tls_version(&server.stream), "there is no protocol yet");
		ok(LOOP_UNTIL(base, client.got.size == 11 && server.got.size == 9, BOUND_MS), "both were heard");
		is_int(server.ups, 1, "once it was up");
		is_str(tls_version(&server.stream), versions[1], "the protocol");
		is_str(tls_cipher(&server.stream), tls_cipher(&client.stream), "the cipher");
		ok(!tls_is_shaking_hands(&server.stream) && !tls_is_resumed(&server.stream), "a handshake of its own");
		ok(!server.peer, "no client's certificate");
		hang_up();
		tls_context_free(from);
	}
	tls_context_free(to);
}

static void test_clear(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key}");
	struct tls_context *from = client_of("{ca_certs: @/ca.crt}");
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	server = client = (struct end){ 0 };
	stream_open(&server.stream, base, fds[0], BOUND_MS, &handler, &server);
	buffer_append_str(&server.stream.in, "RSET\r\n");
	stream_pause(&server.stream, true);
	is_int(tls_start_server(&server.stream, to, BOUND_MS, on_up, &server), 6, "what was read in clear is thrown away");
	stream_open(&client.stream, base, fds[1], BOUND_MS, &handler, &client);
	tls_start_client(&client.stream, from, "localhost");
	buffer_append_str(&client.stream.out, "EHLO me\r\n");
	stream_touch(&client.stream);
	ok(LOOP_UNTIL(base, client.got.size == 11 && server.got.size == 9, BOUND_MS), "both were heard");
	is_str(buffer_str(&server.got), "EHLO me\r\n", "and only what came within TLS");
	hang_up();
	tls_context_free(from);
	tls_context_free(to);
}

static void test_large(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key}");
	struct tls_context *from = client_of("{ca_certs: @/ca.crt}");

	ok(talk(to, from, "localhost", NULL), "up");
	client.stream.hear_out = true;
	for (unsigned i = 0; i < 300000; i++) {
		buffer_append_char(&client.stream.out, (char)i);
		buffer_append_char(&server.stream.out, (char)i);
	}
	stream_touch(&client.stream);
	stream_touch(&server.stream);
	ok(LOOP_UNTIL(base, client.got.size == 300011 && server.got.size == 300009, BOUND_MS), "much, both ways");
	hang_up();
	tls_context_free(from);
	tls_context_free(to);
}

/* --- names --- */

/* Of the other end's certificate, whether it was verified or not. */
static char *subject_of(const struct stream *stream)
{
	X509 *certificate = SSL_get0_peer_certificate(((struct tls *)stream->io_data)->ssl);
	char text[64];

	X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof(text));
	return xstrdup(text);
}

static void shown(const struct tls_context *to, const char *host, const char *name)
{
	struct tls_context *from = client_of("{cert_reqs: none}");
	char *text = NULL;

	ok(talk(to, from, host, NULL), "%s is served", host);
	text = subject_of(&client.stream);
	is_str(text, name, "with the certificate for it");
	free(text);
	hang_up();
	tls_context_free(from);
}

/* A certificate without its chain, which stands where authorities do. */
static void test_chain(void)
{
	struct tls_context *to = server_of("{certfile: @/leaf.crt, keyfile: @/leaf.key, ca_certs: @/middle.crt}");
	struct tls_context *from = client_of("{ca_certs: @/ca.crt}");

	ok(talk(to, from, "localhost", NULL), "a chain from ca_certs is shown");
	hang_up();
	tls_context_free(to);
	to = server_of("{certfile: @/leaf.crt, keyfile: @/leaf.key}");
	ok(!talk(to, from, "localhost", NULL), "and missed where it is nowhere");
	is_str(server.problem, "TLS handshake: alert of the client: unknown ca", "which the client says");
	release(&server);
	release(&client);
	tls_context_free(to);
	tls_context_free(from);
}

static void test_names(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key, certs: ["
		"{certfile: @/star.crt, keyfile: @/star.key}, {certfile: @/wrong.pem}]}");

	shown(to, "localhost", "/CN=server");
	shown(to, "wrong.example", "/CN=wrong");
	shown(to, "WRONG.Example", "/CN=wrong");
	shown(to, "wrong.example.", "/CN=wrong");
	shown(to, "a.example", "/CN=star");
	shown(to, "a.b.example", "/CN=server");
	shown(to, "example", "/CN=server");
	shown(to, ".example", "/CN=server");
	shown(to, "*.example", "/CN=server");
	shown(to, "wrong.example\\", "/CN=server");
	shown(to, "127.0.0.1", "/CN=server");
	shown(to, "star", "/CN=server");
	tls_context_free(to);
}

/* --- clients' certificates --- */

static void client_is(const char *demand, const char *certificate, bool good, const char *name)
{
	char *wanted = xasprintf("{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/ca.crt, cert_reqs: %s}", demand);
	char *given = xasprintf("{ca_certs: @/ca.crt%s%s%s%s%s}", certificate ? ", certfile: @/" : "",
		certificate ? certificate : "", certificate ? ".crt, keyfile: @/" : "", certificate ? certificate : "",
		certificate ? ".key" : "");
	struct tls_context *to = server_of(wanted), *from = client_of(given);
	bool went = talk(to, from, "localhost", NULL);

	ok(went == good, "%s: a client with %s", demand, certificate ? certificate : "none");
	is_str(server.peer, name, "is called so");
	if (went) {
		hang_up();
	} else {
		is_int(server.error, EPROTO, "is an error of the protocol");
		ok(server.problem && *server.problem, "%s", server.problem);
		is_int(server.ups, 0, "and was never up");
		release(&server);
		release(&client);
	}
	tls_context_free(from);
	tls_context_free(to);
	free(wanted);
	free(given);
}

static void test_clients(void)
{
	client_is("none", "client", true, NULL);
	client_is("optional", NULL, true, NULL);
	client_is("optional", "client", true, "CN=client");
	client_is("optional", "other", false, NULL);
	client_is("required", NULL, false, NULL);
	client_is("required", "client", true, "CN=client");
	client_is("CERT_REQUIRED", "expired", false, NULL);
}

/* --- sessions --- */

static void went_on(const struct tls_context *to, const struct tls_context *from, struct tls_session *session, bool resumed,
	const char *what)
{
	ok(talk(to, from, "localhost", session), "served");
	is_int(tls_is_resumed(&server.stream), resumed, what);
	hang_up();
}

/* Who the client was stands in the ticket. */
static void test_known_client(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/ca.crt, "
		"cert_reqs: required}");
	struct tls_context *from = client_of("{ca_certs: @/ca.crt, certfile: @/client.crt, keyfile: @/client.key}");
	struct tls_session *session = tls_session_new();

	for (unsigned i = 0; i < 2; i++) {
		ok(talk(to, from, "localhost", session), "served");
		is_int(tls_is_resumed(&server.stream), i, i ? "the session goes on" : "a session begins");
		is_str(server.peer, "CN=client", "with whom it began");
		hang_up();
	}
	tls_session_free(session);
	tls_context_free(from);
	tls_context_free(to);
}

static void test_tickets(void)
{
	static const char *const same = "{certfile: @/server.crt, keyfile: @/server.key}";
	struct tls_secret secret, later;
	struct tls_tickets *one, *two, *behind, *far;
	struct tls_context *first, *second, *third, *fourth, *other, *from = client_of("{ca_certs: @/ca.crt}");
	struct tls_session *session = tls_session_new();

	tls_secret_make(&secret);
	secret.epoch -= 2;	/* as a process has it that starts two epochs later */
	one = tls_tickets_new(&secret);
	tls_secret_advance(&secret, tls_epoch_now());
	two = tls_tickets_new(&secret);
	later = secret;
	tls_secret_advance(&later, tls_epoch_now() + 1);
	behind = tls_tickets_new(&later);
	tls_secret_make(&later);
	far = tls_tickets_new(&later);
	first = context_of(true, one, same);
	second = context_of(true, two, same);
	third = context_of(true, behind, same);
	fourth = context_of(true, far, same);
	other = context_of(true, two,
		"{certfile: @/server.crt, keyfile: @/server.key, cert_reqs: optional, ca_certs: @/ca.crt}");
	went_on(first, from, session, false, "a session begins");
	went_on(first, from, session, true, "goes on");
	went_on(second, from, session, true, "with another process, too");
	went_on(other, from, session, false, "but not where clients are asked for more");
	went_on(second, from, session, false, "that one's ticket is not good here either");
	went_on(third, from, session, false, "nor is one of an epoch that this process is beyond, and has not seen");
	went_on(fourth, from, session, false, "nor that of another machine");
	went_on(fourth, from, session, true, "which has its own");
	tls_session_free(session);
	tls_context_free(first);
	tls_context_free(second);
	tls_context_free(third);
	tls_context_free(fourth);
	tls_context_free(other);
	tls_context_free(from);
	tls_tickets_free(one);
	tls_tickets_free(two);
	tls_tickets_free(behind);
	tls_tickets_free(far);
	tls_tickets_free(NULL);
}

/* --- settings --- */

static void said(const char *yaml, const char *wanted, const char *what)
{
	struct tls_fixture fixture;
	struct buffer got = { 0 };

	tls_fixture_load(&fixture, folder, tls_server_rows, yaml, true);
	if (!fixture.errors.error_count)
		tls_server_check(&fixture.tls, tls_fixture_map(&fixture), &fixture.errors);
	config_errors_print(&fixture.errors, &got);
	ok(*wanted ? strstr(buffer_str(&got), wanted) != NULL : got.size == 0, "%s: %s", what, buffer_str(&got));
	buffer_release(&got);
	tls_fixture_release(&fixture);
}

static void test_settings(void)
{
	said("{certfile: @/server.crt, keyfile: @/server.key}", "", "all is well");
	said("{certfile: @/wrong.pem}", "", "a key before its certificate, in one file");
	said("{}", "tls: expected certfile", "nothing");
	said("{keyfile: @/server.key}", "tls.keyfile: expected certfile with it", "a key alone");
	said("{certfile: @/none.crt}", "tls.certfile: cannot read ", "a file that is not there");
	said("{certfile: @}", "tls.certfile: cannot read ", "a folder");
	said("{certfile: @/server.key}", "tls.certfile: expected a certificate in PEM in ", "a file with something else");
	said("{certfile: @/server.crt}", "tls.certfile: expected the private key of certfile in ", "no key");
	said("{certfile: @/server.crt, keyfile: @/star.key}",
		"star.key: key values mismatch", "another's key");
	said("{certfile: @/server.crt, keyfile: @/server.key, certs: [{certfile: @/star.crt, keyfile: @/star.key}, "
		"{certfile: @/wrong.crt, keyfile: @/star.key}]}",
		"edge.main.tls.certs[1].keyfile: expected the private key of certfile in ", "which of several");
	said("{certfile: @/server.crt, keyfile: @/server.key, certs: {keyfile: @/star.key}}",
		"edge.main.tls.certs.keyfile: expected certfile with it", "one that is no list");
	said("{certfile: @/expired.crt, keyfile: @/expired.key}", "warning: a certificate in ", "one that has expired");
	said("{certfile: @/expired.crt, keyfile: @/expired.key}", "/expired.crt expired on 20", "and when");
	said("{certfile: @/server.crt, keyfile: @/server.key, certs: [{certfile: @/expired.crt, keyfile: @/expired.key}]}",
		"edge.main.tls.certs[0].certfile: warning: a certificate in ", "which of several");
	said("{certfile: @/server.crt, keyfile: @/server.key, certs: [{certfile: @/star.crt, keyfile: @/star.key}, "
		"{certfile: @/leaf.crt, keyfile: @/leaf.key}]}", "tls.certs[1].certfile: warning: never used",
		"names that another has");
	said("{certfile: @/server.crt, keyfile: @/open.key}", "warning: ", "a key for all");
	said("{certfile: @/server.crt, keyfile: @/open.key}", "/open.key has a private key, and anybody ", "to read");
	said("{certfile: @/server.crt, keyfile: @/server.key, check_hostname: true}", "warning: means nothing for a server",
		"a client's key");
	said("{certfile: @/server.crt, keyfile: @/server.key, ca_certs: @/ca.crt}", "warning: not used", "nobody is asked");
	said("{certfile: @/server.crt, keyfile: @/server.key, cert_reqs: required}", "warning: without ca_certs whoever ",
		"whoever is trusted");
	said("{certfile: @/server.crt, keyfile: @/server.key, cert_reqs: required, ca_certs: @/ca.key}",
		"tls.ca_certs: expected certificates in PEM in ", "no authorities");
}

/* What was read with the configuration is as good when the files are gone. */
static void test_contents(void)
{
	struct tls_fixture fixture;
	struct buffer data = { 0 }, others = { 0 };
	struct config_errors errors = { 0 };
	struct tls_error error = { 0 };
	struct config *copy;

	certificates_run("cd %s && cp server.key gone.key && cp server.crt gone.crt && cp ca.crt gone.ca", folder);
	tls_fixture_load(&fixture, folder, tls_server_rows,
		"{certfile: @/gone.crt, keyfile: @/gone.key, ca_certs: @/gone.ca, cert_reqs: optional}", true);
	certificates_run("rm %s/gone.*", folder);
	config_serialize_for(fixture.config, "edge", "our secret", &data);
	config_serialize_for(fixture.config, "worker", NULL, &others);
	ok(strstr(buffer_str(&data), "PRIVATE KEY") && !strstr(buffer_str(&others), "PRIVATE KEY"), "a key is for edges alone");
	tls_fixture_release(&fixture);
	copy = config_deserialize(data.data, data.size, &errors);
	is_str(config_secret(copy), "our secret", "as is their secret");
	tls_fixture_use(&fixture, copy, tls_server_rows);
	tls_context_free(tls_server_context_new(&fixture.tls, NULL, &error));
	ok(!error.text, "%s", error.text ? error.text : "the copy is all that is needed");
	tls_fixture_release(&fixture);
	buffer_release(&data);
	buffer_release(&others);
	config_errors_release(&errors);
}

static void test_secrets(void)
{
	struct shared_secrets one, other;
	struct buffer text = { 0 };

	shared_secrets_make(&one);
	shared_secrets_format(&one, &text);
	ok(shared_secrets_parse(buffer_str(&text), &other), "secrets are text");
	ok(one.tickets.epoch == other.tickets.epoch && memcmp(one.lasting, other.lasting, sizeof(one.lasting)) == 0 &&
		memcmp(one.tickets.octets, other.tickets.octets, sizeof(one.tickets.octets)) == 0, "and back");
	for (size_t size = 0; size < text.size; size++) {
		char *part = xstrndup(text.data, size);

		if (shared_secrets_parse(part, &other))
			ok(false, "a part of it is none: %s", part);
		free(part);
	}
	buffer_append_char(&text, '0');
	ok(!shared_secrets_parse(buffer_str(&text), &other), "nor is more");
	buffer_release(&text);
}

/* --- what goes wrong --- */

static void said_instead(const struct tls_context *to, const char *text, size_t size, bool cut, const char *why)
{
	int fd;

	open_server(to, BOUND_MS, &fd);
	if (size && write(fd, text, size) != (ssize_t)size)
		BUG("write");
	if (cut)
		fd_close(&fd);
	ok(LOOP_UNTIL(base, server.closed, BOUND_MS), "it is over");
	ok(server.error && strstr(server.problem, why), "%s", server.problem);
	is_int(server.ups, 0, "it was never up");
	fd_close(&fd);
	release(&server);
}

static void test_nonsense(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key}");
	int fd;

	said_instead(to, "EHLO me\r\n", 9, false, "TLS handshake: what the client sent is not TLS");
	said_instead(to, "GET / HTTP/1.1\r\n\r\n", 18, false, "TLS handshake: what the client sent is not TLS");
	said_instead(to, "", 0, true, "TLS handshake: the client closed the connection");
	said_instead(to, "\x16\x03\x01\x00", 4, true, "TLS handshake: ");
	said_instead(to, "\x15\x03\x01\x00\x02\x02\x28", 7, false, "TLS handshake: ");
	said_instead(to, "\x16\x03\x01\xff\xffzzzzzzzzz", 14, false, "TLS handshake: ");
	open_server(to, 50, &fd);
	ok(LOOP_UNTIL(base, server.closed, BOUND_MS), "silence is not waited for");
	is_int(server.error, ETIMEDOUT, "longer than asked for");
	is_str(server.problem, "TLS handshake: it took too long, and the client said nothing", "which is said");
	ok(!server.timed_out, "once");
	fd_close(&fd);
	release(&server);
	tls_context_free(to);
}

/* What an owner does whose time has come while the handshake lasts. */
static void test_ends(void)
{
	struct tls_context *to = server_of("{certfile: @/server.crt, keyfile: @/server.key}");
	char octets[64];
	int fd;

	open_server(to, BOUND_MS, &fd);
	buffer_append_str(&server.stream.out, "421 4.3.2 Service not available\r\n");
	stream_finish(&server.stream, false);
	ok(LOOP_UNTIL(base, server.closed, BOUND_MS), "it is finished");
	is_int(server.error, 0, "as was asked for");
	is_int(read(fd, octets, sizeof(octets)), 0, "and nothing was said in clear");
	fd_close(&fd);
	release(&server);

	open_server(to, BOUND_MS, &fd);
	release(&server);
	tls_context_free(to);
	ok(true, "it is released at once");
	fd_close(&fd);
}

int main(void)
{
	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	certificates_run("cd %s && cp server.key open.key && chmod 644 open.key && cat wrong.key wrong.crt ca.crt >wrong.pem "
		"&& chmod 600 wrong.pem", folder);
	certificates_run("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout middle.key "
		"-out middle.csr -subj /CN=middle 2>>log && echo basicConstraints=CA:TRUE >middle.ext && openssl x509 -req "
		"-in middle.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile middle.ext -out middle.crt 2>>log && "
		"cp server.key leaf.key && openssl x509 -req -in server.csr -CA middle.crt -CAkey middle.key -CAcreateserial "
		"-days 2 -extfile server.ext -out leaf.crt 2>>log", folder);
	certificates_run("cd %s && cp client.key expired.key && "
		"openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days -1 -extfile client.ext "
		"-out expired.crt 2>>log && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout star.key "
		"-out star.csr -subj /CN=star 2>>log && echo 'subjectAltName=DNS:*.example' >star.ext && openssl x509 -req "
		"-in star.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile star.ext -out star.crt 2>>log", folder);
	test_versions();
	test_clear();
	test_large();
	test_chain();
	test_names();
	test_clients();
	test_known_client();
	test_tickets();
	test_settings();
	test_contents();
	test_secrets();
	test_nonsense();
	test_ends();
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
