/* redis_places.h - redis queues under test: a server of the test's own, openings on it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_REDIS_PLACES_H
#define SLIMTA_T_REDIS_PLACES_H

#include "t/lib/redis_server.h"
#include "t/lib/storage.h"

MAYBE struct redis_server server;

/* A scratch folder, and a server; `conf`: further lines, or NULL. */
MAYBE void serve_redis(const char *conf)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	redis_server_start(&server, conf);
}

MAYBE void end_redis(void)
{
	redis_server_stop(&server);
	scratch_remove();
}

/* The section of a queue on that server, `more` with a comma in front; owned. */
MAYBE char *redis_section(const struct redis_server *on, const char *more)
{
	return xasprintf("type: redis, socket: %s, socket_timeout: 1%s", on->socket, more);
}

/* The code of the failure; 0: open. */
MAYBE unsigned try_redis(struct place *place, enum storage_role role, const char *more)
{
	char *section = redis_section(&server, more);

	place_open(place, role, section);
	free(section);
	return place->opened.code;
}

MAYBE void open_redis(struct place *place, enum storage_role role, const char *more)
{
	if (!try_redis(place, role, more))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

/* A command to the server, without our code; what it answers is good until the next. */
__attribute__((format(printf, 1, 2))) MAYBE const char *ask(const char *format, ...)
{
	va_list args;
	char *command;
	const char *answer;

	va_start(args, format);
	command = xvasprintf(format, args);
	va_end(args);
	answer = redis_server_ask(&server, command);
	free(command);
	if (*answer == '-')
		diag("%s", answer);
	return answer;
}

/* 0, or the code of the refusal. */
MAYBE unsigned accepts(struct place *place, uint64_t size)
{
	struct reply why = { 0 };
	unsigned code = place->storage->driver->accepts(place->storage, size, &why) < 0 ? why.code : 0;

	reply_release(&why);
	return code;
}

/* The loop runs until accepts() says this; false after so many ms. */
MAYBE bool await_code_for(struct place *place, unsigned code, int ms)
{
	const struct answer never = { 0 };

	for (int64_t end_ms = clock_boot_ms() + ms; clock_boot_ms() < end_ms; wait_for(place, &never, 20))
		if (accepts(place, 100) == code)
			return true;
	return false;
}

MAYBE bool await_code(struct place *place, unsigned code)
{
	return await_code_for(place, code, WAIT_MS);
}

MAYBE void await_accepts(struct place *place)
{
	ok(await_code(place, 0), "messages are accepted (again)");
}

#endif
