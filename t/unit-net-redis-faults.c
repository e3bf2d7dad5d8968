/* unit-net-redis-faults.c - system calls fail under a connection to redis: one outage, and what was done is known
 * SPDX-License-Identifier: MIT
 * Without FAULTS=1 the same is done and nothing fails. */
#include "t/lib/redis_harness.h"

#include "t/lib/certificates.h"

static char folder[] = "/tmp/slimta-tls-XXXXXX";
static unsigned tls_port;

static const struct {
	const char *setting, *why;	/* NULL: nothing is noticed */
	unsigned downs;
} cases[] = {
	{ "net.socket:1:EMFILE", "Too many open files", 1 },
	{ "net.socket:*:EINTR", "Interrupted system call", 1 },		/* never up: see below */
	{ "net.connect:1:ENETUNREACH", "Network is unreachable", 1 },
	{ "net.connect:1:EAGAIN", "Resource temporarily unavailable", 1 },
	{ "net.read:1:ECONNRESET", "Connection reset by peer", 1 },
	{ "net.read:2:ECONNRESET", "Connection reset by peer", 1 },
	{ "net.read:3:EIO", "Input/output error", 1 },
	{ "net.read:1:EINTR", NULL, 0 },
	{ "net.read:1:EAGAIN", NULL, 0 },
	{ "net.write:1:EPIPE", "Broken pipe", 1 },
	{ "net.write:2:EPIPE", "Broken pipe", 1 },
	{ "net.write:1:EINTR", NULL, 0 },
	{ "net.write:1:EAGAIN", NULL, 0 },
};

/* The number in redis grows by one for each INCR that was done: those known to be done are, those known not to be are not. */
static bool is_counted(struct link *l, const char *key, unsigned rounds)
{
	unsigned done = 0, unknown = 0, sent = 0;
	long counted;

	while (sent < rounds || !redis_is_up(l->redis)) {
		const char *answer;

		if (!redis_is_up(l->redis)) {
			turn();
			continue;
		}
		answer = ask(l, "INCR", key, NULL);
		sent++;
		done += answer[0] != '!';
		unknown += strncmp(answer, "!451 4.4.2", 10) == 0;
		if (answer[0] == '!' && !unknown && strncmp(answer, "!451 4.3.0", 10) != 0)
			return false;
	}
	counted = strtol(ask(l, "GET", key, NULL), NULL, 10);
	return counted >= (long)done && counted <= (long)(done + unknown) && unknown <= l->downs;
}

/* In a process of its own; 0 when all was as it should be, else the number of what was not. */
static int run(size_t number, bool tls)
{
	struct link l = { .settings = { .host = loopback, .port = tls ? tls_port : server.port, .timeout_ms = 5000 } };
	char key[32];
	bool strikes = false;

#ifdef SLIMTA_FAULTS
	strikes = cases[number].why;
#endif
	setenv("SLIMTA_FAULT", cases[number].setting, 1);
	base = event_base_new();
	l.settings.tls = (struct tls_settings){ .given = tls, .cert_reqs = TLS_CERT_REQUIRED, .check_hostname = true,
		.ca_certs = tls ? xasprintf("%s/ca.crt", folder) : NULL };
	start_link(&l);
	snprintf(key, sizeof(key), "%s-%zu", tls ? "tls" : "plain", number);
	if (strikes && strstr(cases[number].setting, ":*:")) {
		for (unsigned i = 0; i < 5; i++)
			turn();
		if (l.ups || l.downs != 1)
			return 1;
	} else if (!is_counted(&l, key, 6)) {
		return 2;
	}
	if (l.downs != (strikes ? cases[number].downs : 0))
		return 3;
	if (strikes && !strstr(l.why.text, cases[number].why))
		return 4;
	free(l.settings.tls.ca_certs);
	close_link(&l);
	event_base_free(base);
	return 0;
}

static void test_case(size_t number, bool tls)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		exit(run(number, tls));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		BUG("no process: %s", strerror(errno));
	is_int(status, 0, xasprintf_once("%s %s", cases[number].setting, tls ? "under TLS" : "in clear"));
}

int main(void)
{
	char *conf;

	if (!mkdtemp(folder))
		BUG("mkdtemp");
	certificates_make(folder);
	tls_port = redis_server_free_port();
	conf = xasprintf("tls-port %u\ntls-cert-file %s/server.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt\n"
		"tls-auth-clients no\n", tls_port, folder, folder, folder);
	redis_server_start(&server, conf);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		test_case(i, false);
		test_case(i, true);
	}
	redis_server_stop(&server);
	nftw(folder, redis_server_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(conf);
	return done_testing();
}
