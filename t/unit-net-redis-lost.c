/* unit-net-redis-lost.c - redis that dies, stops, comes back: what was done, what not, and what nobody knows
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_harness.h"

static void test_down_at_start(void)
{
	unsigned port = redis_server_free_port();
	struct link l;

	open_link_to(&l, loopback, port);
	is_str(ask(&l, "PING", NULL, NULL), "!451 4.3.0 redis: not connected yet", "before the first attempt nothing is done");
	wait_down(&l, 1);
	is_str(l.why.text, xasprintf_once("redis at 127.0.0.1:%u: Connection refused", port), "nobody listens there");
	for (int i = 0; i < 3; i++) {
		say(&l, 0, "PING", NULL);
		is_int(l.answered, 0, "a command is not answered within the call");
		is_str(answers(&l, 1), xasprintf_once("!451 4.3.0 redis at 127.0.0.1:%u: Connection refused", port),
			"but from the loop, and why");
	}
	server.port = port;
	redis_server_write_conf(&server);
	redis_server_run(&server);
	wait_up(&l, 1);
	is_str(ask(&l, "PING", NULL, NULL), "PONG", "it is found when it is there");
	is_int(l.downs, 1, "one outage is told once");
	close_link(&l);
	redis_server_signal(&server, SIGKILL);
	l = (struct link){ .settings = { .socket = server.socket, .timeout_ms = 10000 } };
	start_link(&l);
	wait_down(&l, 1);
	is_str(l.why.text, xasprintf_once("redis at %s: Connection refused", server.socket), "a unix socket nobody listens on");
	close_link(&l);
	l.settings.socket = (char *)"/nowhere/redis.sock";
	start_link(&l);
	wait_down(&l, 1);
	is_str(l.why.text, "redis at /nowhere/redis.sock: No such file or directory", "and one that is not there");
	close_link(&l);
	open_link_to(&l, "redis.example", 6379);
	wait_down(&l, 1);
	is_str(l.why.text, "redis at redis.example:6379: no address, and names are not looked up here", "no resolver");
	close_link(&l);
}

/* It reads nothing: of a large command the end does not go out. */
static void test_killed(void)
{
	static const size_t size = 60000000;
	char *large = xcalloc(1, size);
	struct redis_part set[] = { REDIS_PART("SET"), REDIS_PART("large"), { large, size } };
	struct link l;

	redis_server_run(&server);
	open_link(&l, &server);
	wait_up(&l, 1);
	is_str(ask(&l, "SET", "kept", "1"), "OK", "one that is there");
	redis_server_signal(&server, SIGSTOP);
	say(&l, 0, "SET", "a", "1", NULL);
	say(&l, 0, "SET", "b", "1", NULL);
	turn_for(20);
	redis_send(l.redis, set, 3, 0, on_answer, &l);
	say(&l, 0, "SET", "c", "1", NULL);
	for (int i = 0; i < 3; i++)
		turn_for(20);
	is_int(l.answered, 0, "one that stopped answers nothing");
	redis_server_signal(&server, SIGKILL);
	wait_down(&l, 1);
	is_int(l.answered, 4, "all are answered before the outage is told");
	l.answered = 4;
	ok(strstr(buffer_str(&l.answers), "; the outcome is not known\n!451 4.4.2"), "of two that were sent nobody knows");
	like_lines(answers(&l, 4), "4.4.2 4.4.2 4.3.0 4.3.0", "the one cut in its middle and the one behind it were not done");
	say(&l, 0, "PING", NULL);
	like_lines(answers(&l, 1), "4.3.0", "nor is what comes later");
	redis_server_run(&server);
	wait_up(&l, 2);
	is_str(ask(&l, "EXISTS", "c", NULL), "0", "which is so");
	is_int(l.downs, 1, "and the outage was told once");
	free(large);
	close_link(&l);
}

static void test_silent(void)
{
	struct link l;
	int64_t since_ms;

	open_link(&l, &server);
	wait_up(&l, 1);
	redis_server_signal(&server, SIGSTOP);
	since_ms = clock_boot_ms();
	say(&l, 300, "SET", "a", "1", NULL);
	say(&l, 0, "SET", "b", "1", NULL);
	say(&l, REDIS_FOREVER, "BLPOP", "never", "0", NULL);
	like_lines(answers(&l, 3), "4.4.2 4.4.2 4.4.2", "one that is too late takes along what is behind it");
	ok(clock_boot_ms() - since_ms >= 290 && clock_boot_ms() - since_ms < 5000, "after its own time");
	l.settings.timeout_ms = 200;
	wait_down(&l, 1);
	while (clock_boot_ms() - since_ms < 1000)
		turn_for(50);
	is_int(l.ups + l.downs, 2, "the kernel connects, but that is not up");
	redis_server_signal(&server, SIGCONT);
	wait_up(&l, 2);
	is_str(ask(&l, "PING", NULL, NULL), "PONG", "it is up when it answers");
	close_link(&l);
}

static void test_reconnect(void)
{
	struct link l;

	open_link(&l, &server);
	wait_up(&l, 1);
	say(&l, REDIS_FOREVER, "BLPOP", "never", "0", NULL);
	turn();
	redis_reconnect(l.redis);
	is_int(l.answered + l.downs, 0, "nothing is told within the call");
	wait_up(&l, 2);
	like_lines(answers(&l, 1), "4.4.2", "what was under way is told");
	is_int(l.downs, 1, "and that it was down");
	redis_reconnect(l.redis);
	say(&l, 0, "PING", NULL);
	like_lines(answers(&l, 1), "4.3.0", "what is sent on the way down is not done");
	wait_up(&l, 3);
	say(&l, 0, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no", NULL);
	wait_down(&l, 3);
	wait_up(&l, 4);
	is_str(answers(&l, 1), "1", "one that answers and closes has answered");
	close_link(&l);
}

/* --- freed from each callback --- */

static struct redis *victim;
static unsigned freed, late;

static void free_now(void)
{
	freed++;
	redis_free(victim);
	redis_free(NULL);
}

static void free_up(void *arg)
{
	(void)arg;
	free_now();
}

static void free_down(void *arg, const struct reply *why)
{
	(void)arg;
	(void)why;
	free_now();
}

static void free_done(void *arg, const struct redisReply *reply, const struct reply *why)
{
	(void)arg;
	if (freed) {
		late += !reply && why;
		return;
	}
	free_now();
}

static void nothing_up(void *arg)
{
	*(bool *)arg = true;
}

static void nothing_down(void *arg, const struct reply *why)
{
	(void)why;
	*(bool *)arg = true;
}

static void free_from(const struct redis_handler *handler, const struct redis_settings *settings, unsigned sends, bool stop,
	const char *what)
{
	static const struct redis_part ping[] = { REDIS_PART("PING") };
	bool told = false;

	freed = late = 0;
	victim = redis_new(base, NULL, settings, handler, &told);
	while (sends && !told)
		turn();
	for (unsigned i = 0; i < sends; i++)
		redis_send(victim, ping, 1, 0, free_done, NULL);
	if (stop)
		free_now();
	while (!freed)
		turn();
	is_int(late, sends ? sends - !stop : 0, what);
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_free(void)
{
	static const struct redis_handler in_up = { free_up, nothing_down }, in_down = { nothing_up, free_down },
		plain = { nothing_up, nothing_down };
	struct redis_settings here = { .host = loopback, .port = server.port, .timeout_ms = 10000 }, nowhere = here;

	nowhere.port = redis_server_free_port();
	free_from(&in_up, &here, 0, false, "it may be freed when it comes up");
	free_from(&in_down, &nowhere, 0, false, "when it cannot");
	free_from(&plain, &here, 3, false, "by the answer to a command: the others are told");
	free_from(&plain, &nowhere, 3, false, "by one that is refused");
	free_from(&plain, &here, 3, true, "outside of all: those under way are told");
	free_from(&plain, &nowhere, 3, true, "as are those refused");
	free_from(&plain, &here, 0, true, "and before its first turn");
}

int main(void)
{
	harness_begin(NULL);
	redis_server_signal(&server, SIGKILL);
	test_down_at_start();
	test_killed();
	test_silent();
	test_reconnect();
	test_free();
	harness_end();
	return done_testing();
}
