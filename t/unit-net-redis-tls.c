/* unit-net-redis-tls.c - redis behind TLS: whom we trust, who trusts us, and what the settings say
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_script.h"

#include "t/lib/certificates.h"

static char folder[] = "/tmp/slimta-tls-XXXXXX";
static unsigned tls_port;


/* The settings of `yaml`, the value of `tls`, with @ for the folder. */
static void load_tls(struct tls_settings *settings, const char *yaml, struct config_errors *errors)
{
	static const struct option rows[] = { TLS_ROW(redis_settings, tls, tls_client_rows, "TLS"), { 0 } };
	struct redis_settings all = { 0 };
	struct buffer text = { 0 };
	struct config *config;

	for (buffer_append_str(&text, "tls: "); *yaml; yaml++) {
		if (*yaml == '@')
			buffer_append_str(&text, folder);
		else
			buffer_append_char(&text, *yaml);
	}
	config = config_parse("test.conf", text.data, text.size, errors);
	options_load("queue.redis", config_root(config), &(struct option_set){ rows, &all }, 1, NULL, errors);
	if (!errors->error_count)
		tls_client_check(&all.tls, config_get(config_root(config), "tls"), errors);
	*settings = all.tls;
	config_free(config);
	buffer_release(&text);
}

static void release_tls(struct tls_settings *settings)
{
	options_release(tls_client_rows, settings);
}

/* --- connections --- */

static void open_tls(struct link *l, const char *host, unsigned port, const char *yaml)
{
	struct config_errors errors = { 0 };

	*l = (struct link){ .settings = { .host = (char *)host, .port = port, .timeout_ms = 3000 } };
	load_tls(&l->settings.tls, yaml, &errors);
	is_int(errors.error_count, 0, yaml);
	config_errors_release(&errors);
	start_link(l);
}

static void close_tls(struct link *l)
{
	close_link(l);
	release_tls(&l->settings.tls);
}

static void refused_for(const char *host, unsigned port, const char *yaml, const char *wanted, const char *what)
{
	struct link l;

	open_tls(&l, host, port, yaml);
	wait_down(&l, 1);
	ok(strstr(l.why.text, wanted), "%s: %s", what, l.why.text);
	is_int(l.ups, 0, "it is not up");
	like_lines(ask(&l, "SET", "a", "1"), "4.3.0", "nothing is sent");
	close_tls(&l);
}

static void taken_for(const char *host, const char *yaml, const char *what)
{
	struct link l;

	open_tls(&l, host, tls_port, yaml);
	wait_up(&l, 1);
	is_str(ask(&l, "ECHO", "x", NULL), "x", what);
	is_int(l.downs, 0, "at the first attempt");
	close_tls(&l);
}

static void test_trust(void)
{
	taken_for("127.0.0.1", "{ca_certs: @/ca.crt}", "a server that is vouched for, by address");
	taken_for("127.0.0.1", "{ca_certs: @/hashed}", "authorities in a directory");
	taken_for("127.0.0.1", "{cert_reqs: CERT_NONE}", "who wants no proof gets none");
	taken_for("127.0.0.1", "{ca_certs: @/ca.crt, min_version: TLSv1.3}", "TLS 1.3");
	refused_for("127.0.0.1", tls_port, "{ca_certs: @/other.crt}", "its certificate for 127.0.0.1 is not trusted: ",
		"another authority");
	refused_for("127.0.0.1", tls_port, "{}", "is not trusted: ", "the system's authorities do not know it");
	refused_for("127.0.0.1", tls_port, "{cert_reqs: optional}", "is not trusted: ", "optional is no less");
	refused_for("127.0.0.1", server.port, "{ca_certs: @/ca.crt}", "; is this a port for TLS?", "a port without TLS");
}

static void test_names(void)
{
	struct redis_server wrong;
	char *conf = xasprintf("tls-port %u\ntls-cert-file %s/wrong.crt\ntls-key-file %s/wrong.key\ntls-ca-cert-file %s/ca.crt\n"
		"tls-auth-clients no\n", redis_server_free_port(), folder, folder, folder);
	unsigned port = (unsigned)strtoul(conf + 9, NULL, 10), kept = tls_port;

	redis_server_start(&wrong, conf);
	refused_for("127.0.0.1", port, "{ca_certs: @/ca.crt}", "is not trusted: IP address mismatch", "another's certificate");
	tls_port = port;
	taken_for("127.0.0.1", "{ca_certs: @/ca.crt, check_hostname: false}", "unless names do not matter");
	tls_port = kept;
	redis_server_stop(&wrong);
	free(conf);
}

static void test_clients(void)
{
	struct link admin;

	open_link(&admin, &server);
	say(&admin, 0, "PING", NULL);
	wait_up(&admin, 1);
	say(&admin, 0, "CONFIG", "SET", "tls-auth-clients", "yes", NULL);
	like_lines(answers(&admin, 2), "4.3.0 OK", "clients are asked who they are");
	refused_for("127.0.0.1", tls_port, "{ca_certs: @/ca.crt}", "certificate required", "a client without a certificate");
	taken_for("127.0.0.1", "{ca_certs: @/ca.crt, certfile: @/client.crt, keyfile: @/client.key}", "one with a certificate");
	taken_for("127.0.0.1", "{ca_certs: @/ca.crt, certfile: @/both.pem}", "which may have its key in it");
	say(&admin, 0, "CONFIG", "SET", "tls-auth-clients", "no", NULL);
	answers(&admin, 1);
	close_link(&admin);
}

/* Records of 16 KB, full sockets, and both ways at once. */
static void test_large(void)
{
	static const size_t size = 20000000;
	char *large = xmalloc(size);
	struct redis_part echo[] = { REDIS_PART("ECHO"), { large, size } };
	struct link l;

	for (size_t i = 0; i < size; i++)
		large[i] = (char)(i * 7 >> 3);
	open_tls(&l, "127.0.0.1", tls_port, "{ca_certs: @/ca.crt}");
	wait_up(&l, 1);
	redis_send(l.redis, echo, 2, 0, on_answer, &l);
	redis_send(l.redis, echo, 2, 0, on_answer, &l);
	while (l.answered < 2)
		turn();
	ok(l.answers.size == 2 * size + 1 && memcmp(l.answers.data, large, size) == 0 &&
		memcmp(l.answers.data + size + 1, large, size) == 0, "20 MB and 20 MB come back as they went");
	buffer_reset(&l.answers);
	l.answered = 0;
	for (int i = 0; i < 1000; i++)
		say(&l, 0, "ECHO", "x", NULL);
	is_int(strlen(answers(&l, 1000)), 2 * 1000 - 1, "and many small ones");
	free(large);
	close_tls(&l);
}

static void test_killed(void)
{
	struct link l;

	open_tls(&l, "127.0.0.1", tls_port, "{ca_certs: @/ca.crt}");
	wait_up(&l, 1);
	redis_server_signal(&server, SIGSTOP);
	say(&l, 0, "SET", "a", "1", NULL);
	turn_for(20);
	redis_server_signal(&server, SIGKILL);
	wait_down(&l, 1);
	like_lines(answers(&l, 1), "4.4.2", "a server that died: nobody knows");
	redis_server_run(&server);
	wait_up(&l, 2);
	redis_server_signal(&server, SIGKILL);
	wait_down(&l, 2);
	ok(strstr(l.why.text, "TLS: the connection was cut"), "an end without close_notify is none in order: %s", l.why.text);
	redis_server_run(&server);
	wait_up(&l, 3);
	is_str(ask(&l, "PING", NULL, NULL), "PONG", "it is found again");
	close_tls(&l);
}

/* The kernel connects, nobody speaks; and one that speaks something else. */
static const char *no_answer(struct script *script, const char *word)
{
	(void)script;
	(void)word;
	return NULL;
}

static void test_strangers(void)
{
	struct script script = { .answer = no_answer, .greeting = "220 mail.example ESMTP ready for you\r\n" };
	struct link l;

	script_start(&script);
	refused_for("127.0.0.1", script.port, "{cert_reqs: none}", "is this a port for TLS?", "who speaks something else");
	script_stop(&script);
	script.greeting = NULL;
	script_start(&script);
	open_tls(&l, "127.0.0.1", script.port, "{}");
	l.settings.timeout_ms = 1000;
	wait_down(&l, 1);
	ok(strstr(l.why.text, ": no answer within 1 s"), "who says nothing: %s", l.why.text);
	close_tls(&l);
	script_stop(&script);
	open_link_to(&l, loopback, tls_port);
	wait_down(&l, 1);
	ok(l.why.text, "a port for TLS spoken to in clear: %s", l.why.text);
	close_link(&l);
}

/* --- settings --- */

static void said(const char *yaml, const char *wanted, const char *what)
{
	struct config_errors errors = { 0 };
	struct tls_settings settings;
	struct buffer got = { 0 };

	load_tls(&settings, yaml, &errors);
	config_errors_print(&errors, &got);
	ok(strstr(buffer_str(&got), wanted), "%s: %s", what, buffer_str(&got));
	buffer_release(&got);
	config_errors_release(&errors);
	release_tls(&settings);
}

static void test_settings(void)
{
	said("{ca_certs: @/none.crt}", "test.conf:1:17: tls.ca_certs: cannot read ", "a file that is not there");
	said("{ca_certs: @/ca.key}", "tls.ca_certs: expected certificates in PEM in ", "one that is something else");
	said("{certfile: @/none.crt}", "test.conf:1:17: tls.certfile: cannot read ", "our own");
	said("{certfile: @/ca.key}", "tls.certfile: expected a certificate in PEM in ", "is something else");
	said("{certfile: @/client.crt}", "tls.certfile: expected the private key of certfile in ", "without its key");
	said("{certfile: @/client.crt, keyfile: @/server.key}", "tls.keyfile: expected the private key of certfile in ",
		"another's key");
	said("{certfile: @/client.crt, keyfile: @/locked.key}", "tls.keyfile: expected a key without a passphrase in ",
		"a key with a passphrase");
	said("{keyfile: @/client.key}", "tls.keyfile: expected certfile with it", "a key alone");
	said("{ciphers: NO-SUCH}", "tls.ciphers: expected ciphers as `openssl ciphers` lists them", "unknown ciphers");
	said("{cert_reqs: maybe}", "tls.cert_reqs: expected one of none, optional, required", "an unknown demand");
	said("{min_version: SSLv3}", "tls.min_version: expected one of TLSv1.2, TLSv1.3", "a protocol that is gone");
	said("{min_version: TLSv1.3, ssl_version: PROTOCOL_TLS}", "given together with min_version", "two names of one key");
	said("{suppress_ragged_eofs: true}", "warning: means nothing here; it is an argument of Python's wrap_socket",
		"Python's own");
	said("{cert_reqs: none, ca_certs: @/ca.crt}", "warning: not used: cert_reqs none", "authorities nobody asks");
	said("", "tls: expected a map; {} is TLS with its defaults", "nothing");
	said("yes", "tls: expected a map", "a word");
}

int main(void)
{
	char *conf;

	if (!mkdtemp(folder))
		BUG("mkdtemp");
	signal(SIGPIPE, SIG_DFL);
	certificates_make(folder);
	certificates_run("cd %s && cat client.crt client.key >both.pem && mkdir hashed && cp ca.crt hashed && "
		"openssl rehash hashed && openssl ec -in client.key -aes128 -passout pass:secret -out locked.key 2>>log", folder);
	tls_port = redis_server_free_port();
	conf = xasprintf("tls-port %u\ntls-cert-file %s/server.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt\n"
		"tls-auth-clients no\n", tls_port, folder, folder, folder);
	harness_begin(conf);
	test_trust();
	test_names();
	test_clients();
	test_large();
	test_killed();
	test_strangers();
	test_settings();
	harness_end();
	nftw(folder, redis_server_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(conf);
	return done_testing();
}
