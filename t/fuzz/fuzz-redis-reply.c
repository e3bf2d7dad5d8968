/* fuzz-redis-reply.c - a connection to a redis that says anything
 * SPDX-License-Identifier: MIT
 * Input: an octet with the number of commands, then pieces: an octet of length and that many octets of the server. A length
 * of 0 sends another command; of 255 lets the server close. */
#include <event2/event.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/redis_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct redis_wire *wire;
	unsigned sent, answered, broken;
};

static size_t walk(const struct redisReply *reply)
{
	size_t total = 1;

	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_ERROR) {
		if (reply->str[reply->len] || strnlen(reply->str, reply->len) > reply->len)
			BUG("a text without an end");
	} else if (reply->type == REDIS_REPLY_ARRAY) {
		for (size_t i = 0; i < reply->elements; i++)
			total += walk(reply->element[i]);
	}
	return total;
}

static void on_done(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct run *run = arg;
	struct reply meaning = { 0 };

	if (!reply == !why || run->broken)
		BUG("a reply and a reason, or neither, or too late");
	if (reply && walk(reply) > REDIS_REPLY_ELEMENTS + 1)
		BUG("a reply that is too large");
	if (reply && reply->type == REDIS_REPLY_ERROR) {
		redis_error_reply(reply, &meaning);
		if (!reply_is_transient(&meaning))
			BUG("an error of code %u", meaning.code);
		reply_release(&meaning);
	}
	if (why && !reply_is_transient(why))
		BUG("a reason of code %u", why->code);
	run->answered++;
}

static void on_broken(void *arg, const struct reply *why)
{
	struct run *run = arg;

	if (run->broken++ || why->code != 451 || run->answered != run->sent)
		BUG("broken twice, or with commands under way");
	run->wire = NULL;
}

static void send_command(struct run *run)
{
	static const struct redis_part ping[] = { REDIS_PART("PING") };

	run->sent++;
	redis_wire_send(run->wire, ping, 1, 0, on_done, run);
}

static void turns(struct event_base *base, const struct run *run)
{
	for (int i = 0; i < 4 && run->wire; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void feed(struct event_base *base, struct run *run, int server, const uint8_t *data, size_t size)
{
	while (size > 1 && run->wire) {
		size_t piece = data[0] < size ? data[0] : size - 1;

		data++;
		size--;
		if (data[-1] == 0)
			send_command(run);
		else if (data[-1] == 255)
			shutdown(server, SHUT_WR);
		else if (write(server, data, piece) < 0)
			break;
		turns(base, run);
		piece = data[-1] == 255 ? 0 : piece;
		data += piece;
		size -= piece;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_base *base = event_base_new();
	struct run run = { 0 };
	int fds[2];

	if (!base || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("no sockets");
	run.wire = redis_wire_new(base, fds[0], "redis at fuzz:1", 10000, on_broken, &run);
	for (unsigned i = 0; size && i < data[0] % 8; i++)
		send_command(&run);
	turns(base, &run);
	if (size)
		feed(base, &run, fds[1], data + 1, size - 1);
	redis_wire_free(run.wire);
	if (run.answered != run.sent)
		BUG("%u of %u were answered", run.answered, run.sent);
	close(fds[1]);
	event_base_free(base);
	return 0;
}
