/* unit-net-redis.c - the connection to redis, against redis-server
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_harness.h"

#include "common/net/resolver.h"

static void test_ways(void)
{
	struct process_options process = { 0 };
	struct config_errors errors = { 0 };
	struct config *config = config_parse("test", "{}", 2, &errors);
	struct link l;

	open_link(&l, &server);
	ok(!redis_is_up(l.redis), "it is not up at once");
	wait_up(&l, 1);
	ok(redis_is_up(l.redis), "but is later");
	is_str(ask(&l, "SET", "a", "b"), "OK", "a command over TCP");
	close_link(&l);
	l = (struct link){ .settings = { .socket = server.socket, .timeout_ms = 10000 } };
	start_link(&l);
	wait_up(&l, 1);
	is_str(ask(&l, "GET", "a", NULL), "b", "over a unix socket");
	close_link(&l);
	process_load(config, "edge", &process, &errors);
	resolver = resolver_new(base, &process.resolver);
	open_link_to(&l, "localhost", server.port);
	wait_up(&l, 1);
	is_str(ask(&l, "GET", "a", NULL), "b", "by a name, of which one address does not answer");
	is_int(l.downs, 0, "and that is no outage");
	close_link(&l);
	resolver_free(resolver);
	resolver = NULL;
	process_release(&process);
	config_free(config);
	config_errors_release(&errors);
}

/* What `down` says with these settings. */
static void refused_for(const char *user, const char *password, unsigned db, const char *wanted, const char *what)
{
	struct link l = { .settings = { .host = loopback, .port = server.port, .timeout_ms = 10000, .db = db } };

	l.settings.username = (char *)user;
	l.settings.password = (char *)password;
	start_link(&l);
	wait_down(&l, 1);
	is_int(l.why.code, 451, what);
	ok(strstr(l.why.text, wanted) && strncmp(l.why.text, "redis at 127.0.0.1:", 19) == 0, "it says so: %s", l.why.text);
	ok(!redis_is_up(l.redis) && l.ups == 0, "and is not up");
	is_str(ask(&l, "GET", "a", NULL), xasprintf_once("!451 4.3.0 %s", l.why.text), "nor is a command done");
	close_link(&l);
}

static void test_users(void)
{
	struct link admin, l;
	char secret[] = "s3cret", queue[] = "queue", other[] = "other";

	open_link(&admin, &server);
	wait_up(&admin, 1);
	refused_for(NULL, "x", 0, "AUTH <password> called without any password", "a password where none is wanted");
	refused_for(NULL, NULL, 99, "DB index is out of range", "a database that is not there");
	say(&admin, 0, "ACL", "SETUSER", "queue", "on", ">other", "~slimta:*", "&*", "+@all", "-@dangerous", NULL);
	say(&admin, 0, "ACL", "SETUSER", "mute", "on", ">other", "~*", "+get", "+set", NULL);
	say(&admin, 0, "CONFIG", "SET", "requirepass", "s3cret", NULL);
	is_str(answers(&admin, 3), "OK\nOK\nOK", "users are made");
	refused_for(NULL, NULL, 0, "redis wants a password (NOAUTH ", "no password where one is wanted");
	refused_for(NULL, "wrong", 0, "wrong username or password (WRONGPASS ", "a wrong password");
	refused_for("nobody", "s3cret", 3, "wrong username or password (WRONGPASS ", "a user that is not there");
	l = (struct link){ .settings = { .host = loopback, .port = server.port, .timeout_ms = 10000, .db = 3 } };
	l.settings.password = secret;
	start_link(&l);
	wait_up(&l, 1);
	is_str(ask(&l, "SET", "slimta:x", "1"), "OK", "the password is taken");
	is_int(l.downs, 0, "at once");
	l.settings.password = other;
	l.settings.username = queue;
	redis_reconnect(l.redis);
	wait_up(&l, 2);
	is_str(ask(&l, "GET", "slimta:x", NULL), "1", "a user of the ACL, in the same database");
	is_int(strncmp(ask(&l, "GET", "elsewhere", NULL), "-NOPERM", 7), 0, "may not do all");
	close_link(&l);
	l.settings.username = (char *)"mute";
	start_link(&l);
	wait_down(&l, 1);
	ok(strstr(l.why.text, "NOPERM"), "who may not SELECT is told: %s", l.why.text);
	close_link(&l);
	l = (struct link){ .settings = { .host = loopback, .port = server.port, .timeout_ms = 10000, .password = other } };
	l.settings.username = (char *)"mute";
	start_link(&l);
	wait_up(&l, 1);
	is_str(ask(&l, "SET", "y", "1"), "OK", "who may not PING may still work");
	close_link(&l);
	is_str(ask(&admin, "SELECT", "0", NULL), "OK", "who was in before stays");
	say(&admin, 0, "CONFIG", "SET", "requirepass", "", NULL);
	answers(&admin, 1);
	close_link(&admin);
}

static void test_binary(void)
{
	static const char key[] = "k\0\r\n$", value[] = "\0\r\n*1\r\n";
	struct redis_part set[] = { REDIS_PART("SET"), { key, 5 }, { value, 8 } }, get[] = { REDIS_PART("GET"), { key, 5 } },
		empty[] = { REDIS_PART("ECHO"), { NULL, 0 } };
	struct link l;

	open_link(&l, &server);
	wait_up(&l, 1);
	redis_send(l.redis, set, 3, 0, on_answer, &l);
	redis_send(l.redis, get, 2, 0, on_answer, &l);
	redis_send(l.redis, empty, 2, 0, on_answer, &l);
	while (l.answered < 3)
		turn();
	is_mem(l.answers.data, l.answers.size, "OK\n\0\r\n*1\r\n\0\n", 12, "keys and values may hold any octets, and none");
	close_link(&l);
}

static void test_pipeline(void)
{
	struct buffer wanted = { 0 };
	char number[16];
	struct link l;

	open_link(&l, &server);
	wait_up(&l, 1);
	say(&l, 0, "CONFIG", "RESETSTAT", NULL);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(number, sizeof(number), "%u", i);
		say(&l, 0, "ECHO", number, NULL);
		buffer_appendf(&wanted, "\n%u", i);
	}
	is_int(l.answered, 0, "nothing is answered within the calls");
	is_str(answers(&l, 1001) + 2, buffer_str(&wanted), "1,000 commands of one turn are answered in order");
	say(&l, 0, "INFO", "stats", NULL);
	ok(strtol(strstr(answers(&l, 1), "total_reads_processed:") + 22, NULL, 10) < 10, "and went out together");
	buffer_release(&wanted);
	close_link(&l);
}

static void test_large(void)
{
	static const size_t size = 40000000;
	char *large = xmalloc(size);
	struct redis_part set[] = { REDIS_PART("SET"), REDIS_PART("large"), { large, size } },
		huge[] = { REDIS_PART("ECHO"), { large, SIZE_MAX } };
	struct link l;

	memset(large, 'x', size);
	open_link(&l, &server);
	wait_up(&l, 1);
	say(&l, 0, "ECHO", "before", NULL);
	redis_send(l.redis, huge, 2, 0, on_answer, &l);
	redis_send(l.redis, set, 3, 0, on_answer, &l);
	is_str(answers(&l, 3), "before\n!552 5.3.4 too large for redis\nOK", "40 MB go out, what redis never takes does not");
	redis_send(l.redis, huge, 2, 0, on_answer, &l);
	is_str(answers(&l, 1), "!552 5.3.4 too large for redis", "also alone");
	say(&l, 0, "GET", "large", NULL);
	while (!l.answered)
		turn();
	is_mem(l.answers.data, l.answers.size, large, size, "and come back");
	free(large);
	close_link(&l);
}

static void test_blocked(void)
{
	struct link blocked, other;
	int64_t since_ms = clock_boot_ms();

	open_link(&other, &server);
	open_link(&blocked, &server);
	blocked.settings.timeout_ms = 100;
	wait_up(&blocked, 1);
	wait_up(&other, 1);
	say(&blocked, REDIS_FOREVER, "BLPOP", "wake", "0", NULL);
	say(&other, 0, "BLPOP", "never", "0.4", NULL);
	is_str(answers(&other, 1), "(nil)", "a command that blocks within the time");
	say(&other, 0, "RPUSH", "wake", "1", NULL);
	is_str(answers(&blocked, 1), "[wake 1]", "one that blocks without a time gets what comes");
	ok(clock_boot_ms() - since_ms >= 400 && blocked.downs == 0, "however long that takes");
	say(&blocked, 0, "BLPOP", "never", "0", NULL);
	is_str(answers(&blocked, 1), xasprintf_once("!451 4.4.2 redis at 127.0.0.1:%u: no answer within 0.1 s; "
		"the outcome is not known", server.port), "with a time it ends");
	wait_up(&blocked, 2);
	is_int(blocked.downs, 1, "and the connection is made anew");
	close_link(&blocked);
	close_link(&other);
}

static void test_errors(void)
{
	struct link l;

	open_link(&l, &server);
	wait_up(&l, 1);
	ask(&l, "SET", "text", "x");
	is_int(strncmp(ask(&l, "LPUSH", "text", "y"), "-WRONGTYPE", 10), 0, "an error of the server is a reply");
	is_int(strncmp(ask(&l, "NOSUCH", NULL, NULL), "-ERR unknown command", 20), 0, "as is one for what it does not know");
	is_str(ask(&l, "GET", "text", NULL), "x", "and what follows goes on");
	close_link(&l);
}

int main(void)
{
	harness_begin("enable-debug-command yes");
	test_ways();
	test_users();
	test_binary();
	test_pipeline();
	test_large();
	test_blocked();
	test_errors();
	harness_end();
	return done_testing();
}
