/* unit-net-redis.c - the connection to redis, against redis-server
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_harness.h"

static void test_ways(void)
{
	struct link by_port, by_socket;

	open_link(&by_port, &server);
	wait_up(&by_port, 1);
	is_str(ask(&by_port, "SET", "a", "b"), "OK", "a command over TCP");
	by_socket = (struct link){ .settings = { .socket = server.socket, .timeout_ms = 10000 } };
	start_link(&by_socket);
	wait_up(&by_socket, 1);
	is_str(ask(&by_socket, "GET", "a", NULL), "b", "and over a unix socket");
	close_link(&by_socket);
	close_link(&by_port);
}

int main(void)
{
	harness_begin(NULL);
	test_ways();
	harness_end();
	return done_testing();
}
