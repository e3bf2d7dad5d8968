/* unit-net-tls-hostile.c - clients that cut, stall, flood or garble a handshake with us: each ends, and is told of
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "t/lib/certificates.h"
#include "t/lib/loop.h"
#include "t/lib/tls_settings.h"

#define BOUND_MS 120000
#define ALL ((size_t)1 << 30)

static struct event_base *base;
static char folder[] = "/tmp/slimta-tls-XXXXXX";
static struct tls_context *context;
static size_t open_servers;

/* Our end, and a client of OpenSSL that speaks through memory. */
struct server {
	struct stream stream;
	struct buffer got;
	bool up, closed;
	int error;
	char *problem;
	int fd;			/* the client's */
	SSL *client;
	size_t passed;		/* octets of the client's that went out */
};

static size_t on_input(void *arg, const char *data, size_t size)
{
	buffer_append(&((struct server *)arg)->got, data, size);
	return size;
}

static void on_ended(void *arg)
{
	stream_finish(&((struct server *)arg)->stream, false);
}

static void on_timed_out(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, int error)
{
	struct server *server = arg;

	server->closed = true;
	server->error = error;
	server->problem = tls_problem(&server->stream) ? xstrdup(tls_problem(&server->stream)) : NULL;
	stream_release(&server->stream);
	open_servers--;
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void on_up(void *arg)
{
	((struct server *)arg)->up = true;
}

static void open_server(struct server *server, int64_t timeout_ms)
{
	int fds[2];

	*server = (struct server){ 0 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	server->fd = fds[1];
	stream_open(&server->stream, base, fds[0], BOUND_MS, &handler, server);
	tls_start_server(&server->stream, context, timeout_ms, on_up, server);
	open_servers++;
}

static void make_client(struct server *server, int version, const char *name)
{
	SSL_CTX *all = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(all, version);
	SSL_CTX_set_max_proto_version(all, version);
	server->client = SSL_new(all);
	SSL_CTX_free(all);
	SSL_set_connect_state(server->client);
	SSL_set_bio(server->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (name)
		SSL_set_tlsext_host_name(server->client, name);
}

static void close_server(struct server *server)
{
	if (!server->closed)
		open_servers--;
	stream_release(&server->stream);
	SSL_free(server->client);
	fd_close(&server->fd);
	buffer_release(&server->got);
	free(server->problem);
	ERR_clear_error();
}

/* What the client has to say goes out, of all of it `most` octets; what came goes in. */
static void pump(struct server *server, size_t most)
{
	char octets[16384];
	ssize_t got;
	int size;

	SSL_do_handshake(server->client);
	while ((size = BIO_read(SSL_get_wbio(server->client), octets, sizeof(octets))) > 0) {
		size_t left = most - server->passed, part = (size_t)size < left ? (size_t)size : left;

		if (part && write(server->fd, octets, part) != (ssize_t)part)
			return;
		server->passed += part;
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	while ((got = read(server->fd, octets, sizeof(octets))) > 0)
		BIO_write(SSL_get_rbio(server->client), octets, (int)got);
	ERR_clear_error();
}

static void drop(struct server *server)
{
	fd_close(&server->fd);
	LOOP_UNTIL(base, server->closed, BOUND_MS);
}

static bool talk(struct server *server, int version, const char *name, size_t most)
{
	open_server(server, BOUND_MS);
	make_client(server, version, name);
	for (unsigned turn = 0; turn < 30 && !server->up && !server->closed; turn++)
		pump(server, most);
	return server->up;
}

/* --- cut and stalled at each octet --- */

static size_t length_of(int version)
{
	struct server server;
	size_t size;

	ok(talk(&server, version, "localhost", ALL), "a whole handshake is one");
	size = server.passed;
	close_server(&server);
	return size;
}

static void test_cuts(int version)
{
	size_t size = length_of(version), wrong = 0;

	for (size_t at = 0; at < size; at++) {
		struct server server;
		bool up = talk(&server, version, "localhost", at);

		drop(&server);
		wrong += up || !server.closed || server.error == 0 || !server.problem;
		close_server(&server);
	}
	ok(wrong == 0, "cut at each of %zu octets it is over, and said why", size);
	is_int(open_servers, 0, "nothing stays");
}

static void test_stalls(int version)
{
	size_t size = length_of(version), wrong = 0;
	struct server *servers = xcalloc(size, sizeof(*servers));

	for (size_t at = 0; at < size; at++) {
		open_server(&servers[at], 300);
		make_client(&servers[at], version, "localhost");
		for (unsigned turn = 0; turn < 4; turn++)
			pump(&servers[at], at);
	}
	ok(LOOP_UNTIL(base, open_servers == 0, BOUND_MS), "none is waited for");
	for (size_t at = 0; at < size; at++) {
		wrong += servers[at].up || servers[at].error != ETIMEDOUT || !servers[at].problem ||
			strcmp(servers[at].problem, at ? "TLS handshake: it took too long" :
				"TLS handshake: it took too long, and the client said nothing") != 0;
		close_server(&servers[at]);
	}
	ok(wrong == 0, "stalled at each of %zu octets it is over, and said why", size);
	free(servers);
}

/* An octet now and then is no way to keep it. */
static void test_drips(void)
{
	struct server server;
	size_t at = 0;

	open_server(&server, 300);
	make_client(&server, TLS1_3_VERSION, "localhost");
	while (!server.closed) {
		pump(&server, at++);
		SSL_clear(server.client);
		event_base_loop(base, EVLOOP_ONCE);
	}
	is_int(server.error, ETIMEDOUT, "a client that drips has no more time");
	close_server(&server);
}

/* --- other than what is right --- */

static void test_garbled(int version)
{
	uint32_t random = 12345;
	unsigned ups = 0;

	for (unsigned round = 0; round < 600; round++) {
		struct server server;
		char octets[4096];
		int size;

		open_server(&server, BOUND_MS);
		make_client(&server, version, "localhost");
		SSL_do_handshake(server.client);
		size = BIO_read(SSL_get_wbio(server.client), octets, sizeof(octets));
		for (unsigned i = 0; i <= round % 4; i++) {
			random = random * 1103515245 + 12345;
			octets[(random >> 8) % (unsigned)size] = (char)(random >> 24);
		}
		if (write(server.fd, octets, (size_t)size) != size)
			BUG("write");
		for (unsigned turn = 0; turn < 4; turn++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		drop(&server);
		ups += server.up || !server.closed;
		close_server(&server);
	}
	ok(ups == 0, "a garbled beginning leads nowhere");
}

static void floods(const char *record, size_t size, const char *what)
{
	struct server server;
	unsigned sent = 0;

	open_server(&server, BOUND_MS);
	for (; !server.closed && sent < 100000; sent++) {
		if (write(server.fd, record, size) < 0 && errno != EAGAIN)
			break;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	ok(LOOP_UNTIL(base, server.closed, BOUND_MS), "%s: over after %u of them", what, sent);
	ok(sent < 100 && server.problem, "soon: %s", server.problem ? server.problem : "");
	close_server(&server);
}

static void test_floods(void)
{
	char large[16384 + 5] = "\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03";

	floods("\x15\x03\x01\x00\x02\x01\x64", 7, "warnings");
	floods("\x15\x03\x01\x00\x02\x01\x00", 7, "closings");
	floods("\x16\x03\x01\x00\x00", 5, "records with nothing in them");
	floods("\x14\x03\x01\x00\x01\x01", 6, "changes of the cipher");
	floods("\x17\x03\x03\x00\x01x", 6, "mail");
	floods(large, sizeof(large), "a hello of 16 MiB");
	floods("\x00\x00\x00\x00\x00\x00\x00", 7, "zeros");
	floods("\xff\xff\xff\xff\xff\xff\xff", 7, "ones");
	floods("\x80\x2e\x01\x00\x02", 5, "SSL 2");
}

static void named(size_t size, char octet, bool good)
{
	char *name = xcalloc(size + 1, 1);
	struct server server;

	memset(name, octet, size);
	ok(talk(&server, TLS1_3_VERSION, name, ALL) == good, "a name of %zu times \\x%02x is %s", size, octet & 0xff,
		good ? "taken" : "refused");
	close_server(&server);
	free(name);
}

static void test_names(void)
{
	named(255, 'a', true);
	named(255, '.', true);
	named(255, '\\', true);
	named(1, '\\', true);
	named(1, '.', true);
	named(1, '*', true);
	named(200, '\xff', true);
}

/* --- later --- */

static void test_key_updates(void)
{
	struct server server;
	unsigned sent = 0;

	ok(talk(&server, TLS1_3_VERSION, "localhost", ALL), "up");
	for (; !server.closed && sent < 5000; sent++) {
		SSL_key_update(server.client, SSL_KEY_UPDATE_REQUESTED);
		pump(&server, ALL);
		if (sent == 50)
			ok(!server.closed, "some new keys are fine");
	}
	ok(server.closed && sent < 200, "but not %u", sent);
	is_str(server.problem, "TLS: too many messages of a handshake after its end", "which is said");
	close_server(&server);
}

static void test_renegotiation(void)
{
	struct server server;
	unsigned sent = 0;

	ok(talk(&server, TLS1_2_VERSION, "localhost", ALL), "up");
	for (; !server.closed && sent < 500; sent++) {
		SSL_renegotiate(server.client);
		pump(&server, ALL);
		if (server.client && SSL_get_shutdown(server.client))
			break;
	}
	SSL_write(server.client, "x", 1);
	pump(&server, ALL);
	ok(sent < 500 || server.closed, "a client that wants another handshake gets none (%u)", sent);
	close_server(&server);
}

/* A client that sends records without anything in them, within TLS, keeps nobody. */
static void test_nothing(void)
{
	struct server server;

	ok(talk(&server, TLS1_3_VERSION, "localhost", ALL), "up");
	for (unsigned i = 0; i < 2000 && !server.closed; i++) {
		size_t written;

		SSL_write_ex(server.client, "y", 1, &written);
		pump(&server, ALL);
	}
	ok(server.got.size == 2000 && !server.closed, "small records are heard");
	close_server(&server);
}

/* --- with something good before it, and no room for what we have to say --- */

static void fill_socket(struct server *server)
{
	static const char zeros[4096];

	while (write(server->stream.fd, zeros, sizeof(zeros)) > 0)
		;
}

/* In one piece what the client said, and this. */
static void send_with(struct server *server, const char *more, size_t more_size)
{
	char octets[16384];
	int size = BIO_read(SSL_get_wbio(server->client), octets, sizeof(octets) - 100);

	if (size < 0)
		size = 0;
	memcpy(octets + size, more, more_size);
	if (write(server->fd, octets, (size_t)size + more_size) != size + (ssize_t)more_size)
		BUG("write");
}

static void turn(unsigned turns)
{
	while (turns--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_garbled_unread(int version)
{
	static const char garbled[] = "\x17\x03\x03\x00\x20" "12345678901234567890123456789012";
	struct server server;

	ok(talk(&server, version, "localhost", ALL), "up");
	fill_socket(&server);
	SSL_write(server.client, "x", 1);
	send_with(&server, garbled, sizeof(garbled) - 1);
	turn(100);
	is_int(server.got.size, 1, "what was good is heard");
	ok(server.closed && server.error == EPROTO, "then it is over, though no alert can be sent");
	ok(server.problem && !strstr(server.problem, "cut"), "for this: %s", server.problem);
	close_server(&server);
}

static void test_closed_behind(int version)
{
	struct server server;

	ok(talk(&server, version, "localhost", ALL), "up");
	SSL_write(server.client, "x", 1);
	SSL_shutdown(server.client);
	send_with(&server, "", 0);
	turn(100);
	is_int(server.got.size, 1, "what was said is heard");
	ok(server.closed && server.error == 0, "and the end right behind it, whatever TCP says");
	close_server(&server);
}

static void test_handshake_unread(void)
{
	struct server server;
	char octets[16384];

	open_server(&server, BOUND_MS);
	make_client(&server, TLS1_3_VERSION, "localhost");
	fill_socket(&server);
	SSL_do_handshake(server.client);
	send_with(&server, "more", 4);
	turn(10);
	ok(!event_pending(&server.stream.read_event, EV_READ, NULL), "a client that does not read is not heard again and again");
	while (read(server.fd, octets, sizeof(octets)) > 0)
		;
	drop(&server);
	ok(server.closed && !server.up && server.error, "its end is heard: %s", strerror(server.error));
	close_server(&server);
}

int main(void)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	struct tls_fixture fixture;
	struct tls_error error = { 0 };

	base = event_base_new();
	if (!mkdtemp(folder))
		BUG("no folder");
	certificates_make(folder);
	tls_fixture_load(&fixture, folder, tls_server_rows, "{certfile: @/server.crt, keyfile: @/server.key}", true);
	context = tls_server_context_new(&fixture.tls, NULL, &error);
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		test_cuts(versions[i]);
		test_stalls(versions[i]);
		test_garbled(versions[i]);
		test_garbled_unread(versions[i]);
		test_closed_behind(versions[i]);
	}
	test_drips();
	test_floods();
	test_names();
	test_key_updates();
	test_renegotiation();
	test_nothing();
	test_handshake_unread();
	tls_context_free(context);
	tls_fixture_release(&fixture);
	certificates_run("rm -r %s", folder);
	event_base_free(base);
	return done_testing();
}
