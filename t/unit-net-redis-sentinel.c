/* unit-net-redis-sentinel.c - the master changes places, or is killed: sentinels say where it is
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_harness.h"

#define SENTINELS 3

static struct redis_server nodes[2], sentinels[SENTINELS];

/* Until the answer to a command has the text. */
static void wait_for(const struct redis_server *at, const char *command, const char *text)
{
	int64_t until_ms = clock_boot_ms() + 60000;

	while (!strstr(redis_server_ask(at, command), text)) {
		if (clock_boot_ms() > until_ms)
			BUG("%s has no %s", command, text);
	}
}

/* A sentinel asks for replicas every 10 s, so they are there before it. */
static void start_all(void)
{
	char *conf;

	redis_server_start(&nodes[0], "repl-diskless-sync-delay 0");
	conf = xasprintf("replicaof 127.0.0.1 %u", nodes[0].port);
	redis_server_start(&nodes[1], conf);
	free(conf);
	wait_for(&nodes[1], "INFO replication", "master_link_status:up");
	conf = xasprintf("sentinel monitor mail 127.0.0.1 %u 2\nsentinel down-after-milliseconds mail 500\n"
		"sentinel failover-timeout mail 1000", nodes[0].port);
	for (int i = 0; i < SENTINELS; i++)
		redis_server_start_sentinel(&sentinels[i], conf);
	free(conf);
	for (int i = 0; i < SENTINELS; i++) {
		wait_for(&sentinels[i], "SENTINEL MASTER mail", "num-slaves\r\n$1\r\n1\r\n");
		wait_for(&sentinels[i], "SENTINEL MASTER mail", "num-other-sentinels\r\n$1\r\n2\r\n");
	}
}

static void stop_all(void)
{
	for (int i = 0; i < SENTINELS; i++)
		redis_server_stop(&sentinels[i]);
	redis_server_stop(&nodes[0]);
	redis_server_stop(&nodes[1]);
}

static void open_watched(struct link *l)
{
	*l = (struct link){ .settings = { .timeout_ms = 3000, .master_name = (char *)"mail" } };
	for (int i = 0; i < SENTINELS; i++)
		strings_add(&l->settings.sentinels, xasprintf_once("127.0.0.1:%u", sentinels[i].port));
	start_link(l);
	wait_up(l, 1);
}

/* A node is asked over its own socket, so that it is known which one. */
static void is_there(const struct redis_server *node, const char *key, const char *what)
{
	ok(strncmp(redis_server_ask(node, xasprintf_once("GET %s", key)), "$1\r\n1\r\n", 7) == 0, "%s", what);
}

static void test_changed(struct link *l)
{
	is_str(ask(l, "SET", "first", "1"), "OK", "the master is found by the sentinels");
	is_there(&nodes[0], "first", "it is the first one");
	wait_for(&sentinels[1], "SENTINEL FAILOVER mail", "+OK");
	wait_down(l, 1);
	wait_up(l, 2);
	is_str(ask(l, "SET", "second", "1"), "OK", "a change in good order is followed");
	is_int(l->downs, 1, "as one outage");
	is_there(&nodes[1], "second", "to the one that has become the master");
}

static void test_killed(struct link *l)
{
	wait_for(&nodes[0], "INFO replication", "master_link_status:up");
	is_str(ask(l, "WAIT", "1", "5000"), "1", "the other one follows");
	redis_server_signal(&sentinels[0], SIGKILL);
	redis_server_signal(&nodes[1], SIGKILL);
	wait_down(l, 2);
	say(l, 0, "SET", "lost", "1", NULL);
	like_lines(answers(l, 1), "4.3.0", "when the master is killed nothing is done");
	wait_up(l, 3);
	is_int(l->downs, 2, "until the other one has its place, with one sentinel away");
	is_str(ask(l, "SET", "third", "1"), "OK", "which takes writes");
	is_str(ask(l, "GET", "second", NULL), "1", "and has what the first one had");
	is_there(&nodes[0], "third", "it is the first one again");
}

int main(void)
{
	struct link l;

	base = event_base_new();
	start_all();
	open_watched(&l);
	test_changed(&l);
	test_killed(&l);
	strings_release(&l.settings.sentinels);
	close_link(&l);
	stop_all();
	event_base_free(base);
	return done_testing();
}
