/* unit-net-redis-script.c - answers cut at every octet, late, hostile; sentinels that are behind
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_script.h"

static const char *reply = "";

static const char *plain_answer(struct script *script, const char *word)
{
	(void)script;
	return strcmp(word, "PING") == 0 ? "+PONG\r\n" : reply;
}

static const struct {
	const char *octets, *text;
} replies[] = {
	{ "+OK\r\n", "OK" },
	{ "-ERR no\r\n", "-ERR no" },
	{ ":-12\r\n", "-12" },
	{ "$-1\r\n", "(nil)" },
	{ "*-1\r\n", "(nil)" },
	{ "$0\r\n\r\n", "" },
	{ "$7\r\na\r\n$3b\n\r\n", "a\r\n$3b\n" },
	{ "*0\r\n", "[]" },
	{ "*4\r\n$2\r\nab\r\n:7\r\n*2\r\n$-1\r\n$0\r\n\r\n-ERR x\r\n", "[ab 7 [(nil) ] -ERR x]" },
};

/* Whatever of an answer came: it is unknown unless all did. */
static void test_cuts(void)
{
	struct script script = { .answer = plain_answer };
	struct link l;

	script_start(&script);
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		size_t size = strlen(replies[i].octets), bad = 0;

		reply = replies[i].octets;
		script.piece = 1;
		script.cut = 0;
		open_link_to(&l, loopback, script.port);
		wait_up(&l, 1);
		say(&l, 0, "TEST", NULL);
		is_str(answers(&l, 1), replies[i].text, "an answer that comes octet by octet");
		close_link(&l);
		script.piece = 0;
		for (script.cut = 1; script.cut < size; script.cut++) {
			open_link_to(&l, loopback, script.port);
			wait_up(&l, 1);
			say(&l, 0, "TEST", NULL);
			bad += strncmp(answers(&l, 1), "!451 4.4.2 ", 11) != 0;
			wait_down(&l, 1);
			bad += strstr(l.why.text, ": it closed the connection") == NULL;
			close_link(&l);
		}
		is_int(bad, 0, "cut anywhere, its outcome is not known, and the connection is down");
	}
	script_stop(&script);
}

/* What `down` says once this was answered to a command, and how the command ended. */
static void hostile(const char *octets, const char *wanted, const char *what)
{
	struct script script = { .answer = plain_answer };
	struct link l;

	reply = octets;
	script_start(&script);
	open_link_to(&l, loopback, script.port);
	wait_up(&l, 1);
	say(&l, 0, "TEST", NULL);
	wait_down(&l, 1);
	is_str(l.why.text, xasprintf_once("redis at 127.0.0.1:%u: %s", script.port, wanted), what);
	ok(l.answered == 1, "the command was answered: %s", buffer_str(&l.answers));
	close_link(&l);
	script_stop(&script);
}

static void test_hostile(void)
{
	hostile("%1\r\n+a\r\n+b\r\n", "Protocol error, got \"%\" as reply type byte", "RESP3 is not spoken");
	hostile("$x\r\n", "Bad bulk string length", "a length that is none");
	hostile("*2000000\r\n", "a reply of too many elements", "more elements than there is room for");
	hostile("*600000\r\n*600000\r\n", "a reply of too many elements", "also in parts");
	hostile("+OK\r\n+OK\r\n", "a reply that nobody asked for", "two answers to one command");
}

/* --- before it is up --- */

static const char *const *steps;	/* answers to PING, one a connection; the last one stays */

static const char *stepwise_answer(struct script *script, const char *word)
{
	const char *step = *steps;

	if (strcmp(word, "PING") != 0)
		return reply;
	steps += steps[1] != NULL;
	(void)script;
	return step;
}

static void test_not_yet(void)
{
	static const char *const loading[] = { "-LOADING Redis is loading the dataset in memory\r\n", "-BUSY a script\r\n",
		"-MASTERDOWN Link with MASTER is down\r\n", "+PONG\r\n", NULL };
	static const char *const full[] = { "-MISCONF Errors writing to the AOF file\r\n", NULL };
	struct script script = { .answer = stepwise_answer };
	struct link l;

	steps = loading;
	script_start(&script);
	open_link_to(&l, loopback, script.port);
	wait_up(&l, 1);
	is_int(script.connections, 4, "it is not up while it says that it is not");
	is_int(l.downs, 1, "which is told once");
	ok(strstr(l.why.text, "redis is reading its data from disk (LOADING "), "with the first reason: %s", l.why.text);
	close_link(&l);
	steps = full;
	open_link_to(&l, loopback, script.port);
	wait_up(&l, 1);
	is_int(l.downs, 0, "one that cannot write is up: it can be read");
	close_link(&l);
	script_stop(&script);
	script = (struct script){ .answer = plain_answer, .greeting = "-ERR max number of clients reached\r\n" };
	script_start(&script);
	open_link_to(&l, loopback, script.port);
	wait_down(&l, 1);
	ok(strstr(l.why.text, "ERR max number of clients reached"), "who is not wanted is told why: %s", l.why.text);
	close_link(&l);
	script_stop(&script);
}

/* --- sentinels --- */

static struct script master, replica;
static const char *points_to[3];	/* answers of the sentinels */
static struct script sentinels[3];

static const char *role_answer(struct script *script, const char *word)
{
	if (strcmp(word, "ROLE") == 0)
		return script == &master ? "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" :
			"*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";
	if (strcmp(word, "TEST") == 0)
		return script == &master ? "+master\r\n" : "+replica\r\n";
	return "+PONG\r\n";
}

static const char *sentinel_answer(struct script *script, const char *word)
{
	return strcmp(word, "SENTINEL") == 0 ? points_to[script - sentinels] : "-ERR unknown command\r\n";
}

static const char *address_of(const struct script *script)
{
	static char text[2][80];
	char port[8];
	char *out = text[script == &master];

	snprintf(port, sizeof(port), "%u", script->port);
	snprintf(out, sizeof(text[0]), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
	return out;
}

static void start_all(void)
{
	master.answer = replica.answer = role_answer;
	script_start(&master);
	script_start(&replica);
	for (int i = 0; i < 3; i++) {
		sentinels[i] = (struct script){ .answer = sentinel_answer };
		script_start(&sentinels[i]);
	}
}

static void test_sentinels(void)
{
	struct link l = { .settings = { .timeout_ms = 1000, .master_name = (char *)"mymaster" } };

	start_all();
	for (int i = 0; i < 3; i++)
		strings_add(&l.settings.sentinels, xasprintf_once("127.0.0.1:%u", sentinels[i].port));
	points_to[0] = "*-1\r\n";
	points_to[1] = "-IDONTKNOW I have not enough information\r\n";
	points_to[2] = address_of(&master);
	start_link(&l);
	wait_up(&l, 1);
	is_str(ask(&l, "TEST", NULL, NULL), "master", "the sentinel that knows is asked at last");
	is_int(l.downs, 0, "which is no outage");
	is_int(sentinels[0].commands + sentinels[1].commands + sentinels[2].commands, 3, "each was asked once");
	for (int i = 0; i < 3; i++)
		points_to[i] = address_of(&replica);
	redis_reconnect(l.redis);
	wait_down(&l, 1);
	is_str(l.why.text, xasprintf_once("redis at 127.0.0.1:%u: given up, to find the master anew", master.port),
		"it may be looked for anew");
	say(&l, 0, "TEST", NULL);
	like_lines(answers(&l, 1), "4.3.0", "until it is found nothing is done");
	while (replica.commands < 4)
		turn();
	is_int(l.ups, 1, "a replica is not taken for it");
	is_int(l.downs, 1, "and that is the same outage");
	points_to[1] = "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n";
	points_to[0] = points_to[2] = address_of(&master);
	wait_up(&l, 2);
	is_str(ask(&l, "TEST", NULL, NULL), "master", "it is found where one says the truth");
	points_to[0] = points_to[1] = "*-1\r\n";
	points_to[2] = "+OK\r\n";
	redis_free(l.redis);
	start_link(&l);
	wait_down(&l, 2);
	is_str(l.why.text, xasprintf_once("sentinel at 127.0.0.1:%u: no address in its answer", sentinels[2].port),
		"none knows it");
	points_to[2] = "*-1\r\n";
	redis_free(l.redis);
	start_link(&l);
	wait_down(&l, 3);
	is_str(l.why.text, xasprintf_once("sentinel at 127.0.0.1:%u: it knows no master \"mymaster\"", sentinels[2].port),
		"or none has heard of it");
	strings_release(&l.settings.sentinels);
	strings_add(&l.settings.sentinels, xasprintf_once("127.0.0.1:%u", redis_server_free_port()));
	redis_free(l.redis);
	start_link(&l);
	wait_down(&l, 4);
	ok(strncmp(l.why.text, "sentinel at 127.0.0.1:", 22) == 0 && strstr(l.why.text, "Connection refused"),
		"or the only one is away: %s", l.why.text);
	close_link(&l);
	strings_release(&l.settings.sentinels);
	for (int i = 0; i < 3; i++)
		script_stop(&sentinels[i]);
	script_stop(&master);
	script_stop(&replica);
}

/* --- nodes of a cluster --- */

static struct script nodes[2];
static char moved[80];

static const char *node_answer(struct script *script, const char *word)
{
	return strcmp(word, "TEST") == 0 ? script == &nodes[0] ? moved : "+here\r\n" : "+PONG\r\n";
}

static struct redis *follower;
static bool followed;

static void follow(void *arg, const struct redisReply *answer, const struct reply *why)
{
	followed = answer && answer->type == REDIS_REPLY_ERROR && redis_follow(follower, answer);
	on_answer(arg, answer, why);
}

/* Whether it follows to the other node on this error. */
static void follows(struct link *l, bool wanted, const char *what)
{
	static const struct redis_part test[] = { REDIS_PART("TEST") };

	follower = l->redis;
	redis_send(l->redis, test, 1, 0, follow, l);
	ok(answers(l, 1)[0] == '-' && followed == wanted, "%s", what);
	if (!wanted)
		return;
	wait_up(l, l->ups + 1);
	is_str(ask(l, "TEST", NULL, NULL), "here", "and there it is");
	is_int(l->downs, 0, "which is no outage");
}

static void test_cluster(void)
{
	struct link l;

	nodes[0].answer = nodes[1].answer = node_answer;
	script_start(&nodes[0]);
	script_start(&nodes[1]);
	open_link_to(&l, loopback, nodes[0].port);
	wait_up(&l, 1);
	for (size_t i = 0; i < 4; i++) {
		static const char *const wrong[] = { "-MOVED\r\n", "-MOVED 1 nowhere\r\n", "-MOVED 1 127.0.0.1:0\r\n",
			"-ASK 1 127.0.0.1:1\r\n" };

		snprintf(moved, sizeof(moved), "%s", wrong[i]);
		follows(&l, false, "it does not follow to nowhere");
	}
	snprintf(moved, sizeof(moved), "-MOVED 3999 127.0.0.1:%u\r\n", nodes[1].port);
	follows(&l, true, "it follows to the node that has the keys");
	redis_reconnect(l.redis);
	wait_up(&l, 3);
	is_str(ask(&l, "TEST", NULL, NULL), "here", "which it takes again");
	is_int(l.downs, 1, "after an outage");
	script_stop(&nodes[1]);
	redis_reconnect(l.redis);
	wait_up(&l, 4);
	is_int(strncmp(ask(&l, "TEST", NULL, NULL), "-MOVED ", 7), 0, "when that is gone it comes back to the first");
	snprintf(moved, sizeof(moved), "-READONLY You can't write against a read only replica.\r\n");
	follower = l.redis;
	redis_send(l.redis, &(struct redis_part)REDIS_PART("TEST"), 1, 0, follow, &l);
	answers(&l, 1);
	ok(followed, "a replica is let go of");
	wait_down(&l, 3);
	ok(strstr(l.why.text, "to find the master anew"), "which is an outage: %s", l.why.text);
	close_link(&l);
	script_stop(&nodes[0]);
}

static void sentinel_is(const char *text, const char *wanted_host, unsigned wanted_port)
{
	unsigned port = 0;
	char *host = redis_sentinel_host(text, &port);

	is_str(host, wanted_host, text);
	is_int(port, wanted_port, "and its port");
	free(host);
}

static void test_names(void)
{
	sentinel_is("a.example", "a.example", 26379);
	sentinel_is("a.example:1", "a.example", 1);
	sentinel_is("192.0.2.1:65535", "192.0.2.1", 65535);
	sentinel_is("2001:db8::1", "2001:db8::1", 26379);
	sentinel_is("[2001:db8::1]:7", "[2001:db8::1]", 7);
	sentinel_is("[2001:db8::1]", "[2001:db8::1]", 26379);
	sentinel_is("", NULL, 0);
	sentinel_is(":1", NULL, 0);
	sentinel_is("a:0", NULL, 0);
	sentinel_is("a:65536", NULL, 0);
	sentinel_is("a:", NULL, 0);
	sentinel_is("a:b:1", NULL, 0);
	sentinel_is("/run/sentinel.sock", NULL, 0);
}

/* What is said of a section with these keys; "": nothing. */
static void said(const char *yaml, const char *wanted)
{
	static const struct option rows[] = { REDIS_ROWS(link, settings), { 0 } };
	struct config_errors errors = { 0 };
	struct config *config = config_parse("test.conf", yaml, strlen(yaml), &errors);
	struct link l = { 0 };
	struct buffer got = { 0 };

	if (options_load("queue.redis", config_root(config), &(struct option_set){ rows, &l }, 1, NULL, &errors) == 0)
		redis_settings_check(&l.settings, config_root(config), &errors);
	config_errors_print(&errors, &got);
	ok(wanted[0] ? strstr(buffer_str(&got), wanted) != NULL : !got.size, "%s: %s", yaml, buffer_str(&got));
	options_release(rows, &l);
	buffer_release(&got);
	config_errors_release(&errors);
	config_free(config);
}

static void test_settings(void)
{
	said("{}", "");
	said("{host: a.example, port: 7000, db: 3, username: u, password: p, socket_timeout: 3}", "");
	said("{socket: /run/redis.sock}", "");
	said("{sentinels: [a.example, '192.0.2.1:1'], master_name: m, tls: {}}", "");
	said("{sentinels: a.example, master_name: m}", "");
	said("{socket: /run/redis.sock, host: a.example}", "test.conf:1:2: socket: given together with host; expected one");
	said("{socket: /run/redis.sock, tls: {}}", "tls: given together with socket");
	said("{sentinels: [a.example], master_name: m, port: 1}", "sentinels: given together with port");
	said("{sentinels: [a.example]}", "sentinels: expected master_name with it");
	said("{sentinels: [], master_name: m}", "sentinels: expected at least one sentinel");
	said("{sentinels: [a.example, 'b:c:1'], master_name: m}", "sentinels[1]: expected HOST or HOST:PORT of a sentinel");
	said("{master_name: m}", "master_name: expected sentinels with it");
	said("{username: u}", "username: expected password with it");
	said("{port: 65536}", "port: expected a number from 1 to 65535");
	said("{socket_timeout: 0.01}", "socket_timeout: expected a time such as");
	said("{tls: {ca_certs: /nowhere}}", "tls.ca_certs: cannot read /nowhere: No such file or directory");
}

static void meaning_is(const char *text, const char *status, const char *words)
{
	struct redisReply error = { .type = REDIS_REPLY_ERROR, .str = (char *)text, .len = strlen(text) };
	struct buffer got = { 0 };
	struct reply why = { 0 };

	redis_error_reply(&error, &why);
	reply_append(&why, &got);
	is_str(buffer_str(&got), xasprintf_once("%s %s", status, words), text);
	buffer_release(&got);
	reply_release(&why);
}

static void test_meanings(void)
{
	meaning_is("OOM command not allowed", "452 4.3.1", "redis is out of memory (OOM command not allowed)");
	meaning_is("READONLY You can't", "451 4.3.0", "redis is a replica, which takes no writes (READONLY You can't)");
	meaning_is("MISCONF x", "451 4.3.0", "redis cannot write to its disk (MISCONF x)");
	meaning_is("NOREPLICAS x", "451 4.3.0", "redis has too few replicas (NOREPLICAS x)");
	meaning_is("CLUSTERDOWN x", "451 4.3.0", "the redis cluster is down (CLUSTERDOWN x)");
	meaning_is("ERR other", "451 4.3.0", "redis: ERR other");
	meaning_is("OOMPH", "451 4.3.0", "redis: OOMPH");
}

int main(void)
{
	base = event_base_new();
	test_cuts();
	test_hostile();
	test_not_yet();
	test_sentinels();
	test_cluster();
	test_names();
	test_settings();
	test_meanings();
	event_base_free(base);
	return done_testing();
}
