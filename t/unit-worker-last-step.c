/* unit-worker-last-step.c - the static and the blackhole relay ask before the step that cannot be taken back
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "t/lib/commits.h"
#include "t/lib/loop.h"

static char dir[] = "/tmp/slimta-unit-XXXXXX";
static struct event_base *base;
static struct pool *pool;
static struct config *config;
static struct process_options process;

/* ---- a next hop, one session at a time: good replies to all, and what it heard */

static struct {
	int listening, session;
	struct event *accepting, *reading;
	struct buffer heard;		/* of the session */
	bool in_data, closes;		/* closes: when data came, once */
	unsigned sessions, dots, resets;
} hop;

static void say(const char *line)
{
	if (send(hop.session, line, strlen(line), MSG_NOSIGNAL) < 0)
		diag("not sent: %s", line);
}

static void end_session(void)
{
	if (hop.reading)
		event_free(hop.reading);
	hop.reading = NULL;
	fd_close(&hop.session);
	buffer_release(&hop.heard);
	hop.in_data = false;
}

static void answer(const char *line)
{
	if (hop.in_data) {
		hop.in_data = strcmp(line, ".") != 0;
		hop.dots += !hop.in_data;
		if (!hop.in_data)
			say("250 2.0.0 taken\r\n");
		return;
	}
	hop.in_data = text_has_prefix(line, "DATA");
	hop.resets += text_has_prefix(line, "RSET");
	say(hop.in_data ? "354 go\r\n" : text_has_prefix(line, "QUIT") ? "221 bye\r\n" : "250 ok\r\n");
}

static void on_octets(evutil_socket_t fd, short what, void *arg)
{
	char octets[4096], *end;
	ssize_t got = recv(fd, octets, sizeof(octets), 0);

	(void)what;
	(void)arg;
	if (got <= 0 || (hop.in_data && hop.closes)) {
		hop.closes = hop.closes && got <= 0;
		end_session();
		return;
	}
	buffer_append(&hop.heard, octets, (size_t)got);
	while (hop.heard.size && (end = strstr(buffer_str(&hop.heard), "\r\n"))) {
		char *line = xstrndup(hop.heard.data, (size_t)(end - hop.heard.data));

		buffer_consume(&hop.heard, (size_t)(end - hop.heard.data) + 2);
		answer(line);
		free(line);
	}
}

static void on_session(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	end_session();
	hop.session = accept(fd, NULL, NULL);
	hop.sessions++;
	hop.reading = event_new(base, hop.session, EV_READ | EV_PERSIST, on_octets, NULL);
	event_add(hop.reading, NULL);
	say("220 mx\r\n");
}

static unsigned hop_open(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	hop.session = -1;
	hop.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(hop.listening, (struct sockaddr *)&address, size) < 0 || listen(hop.listening, 5) < 0 ||
			getsockname(hop.listening, (struct sockaddr *)&address, &size) < 0)
		BUG("no server");
	hop.accepting = event_new(base, hop.listening, EV_READ | EV_PERSIST, on_session, NULL);
	event_add(hop.accepting, NULL);
	return ntohs(address.sin_port);
}

/* ---- a delivery */

struct result {
	struct reply reply;
	unsigned settled, finished;
};

static void on_settled(void *arg, size_t index, const struct relay_result *settled)
{
	struct result *result = arg;

	(void)index;
	result->settled++;
	reply_copy(&result->reply, settled->reply);
}

static void on_finished(void *arg)
{
	((struct result *)arg)->finished++;
}

static struct relay *open_relay(const char *name)
{
	struct relay_context context = { .base = base, .process = &process, .disk = pool };
	struct relay_setting setting = { config, &process, true };
	struct config_errors errors = { 0 };
	struct relay *relay = relay_load(&setting, name, &errors);

	config_errors_release(&errors);
	if (!relay || relay_open(relay, &context) < 0)
		BUG("no relay %s", name);
	return relay;
}

/* Answers, questions, dots that were sent, and the code that is reported (0: not attempted). */
static void deliver(const char *name, const char *answers, unsigned asked, unsigned dots, unsigned code, const char *what)
{
	struct relay *relay = open_relay(name);
	struct envelope *envelope = envelope_new();
	struct outcomes done = { 0 };
	struct result result = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, &result };

	envelope->sender = xstrdup("s@example.org");
	envelope_add_recipient(envelope, "r@example.net");
	buffer_append(&envelope->content.memory, "A: b\r\n\r\nc\r\n", 11);
	content_finish(&envelope->content);
	commits.answers = answers;
	commits.asked = hop.dots = hop.resets = hop.sessions = 0;
	relay_deliver(relay, &delivery);
	LOOP_UNTIL(base, result.finished, 15000);
	ok(result.finished == 1 && result.settled == 1, "settled and finished once");
	is_int(result.reply.code, code, what);
	is_int(commits.asked, asked, "asked as often as it had to be");
	relay_free(relay);
	is_int(hop.dots, dots, "as many final dots were sent");
	reply_release(&result.reply);
	envelope_free(envelope);
}

static void over_smtp(void)
{
	deliver("next", "g", 1, 1, 250, "it may: delivered");
	deliver("next", "wg", 1, 1, 250, "it may after a while: delivered");
	deliver("next", "s", 1, 0, 0, "it may not: not attempted");
	deliver("next", "ws", 1, 0, 0, "it may not after a while: not attempted");
	hop.closes = true;
	deliver("next", "nwg", 3, 1, 250, "the next hop goes away meanwhile: the question is taken back, and asked again");
	is_int(hop.sessions, 2, "over another connection");
	deliver("hasty", "n", 2, 0, 0, "no answer within data_timeout: taken back, not attempted");
}

static void to_nowhere(void)
{
	deliver("nowhere", "g", 1, 0, 250, "blackhole: it may");
	deliver("nowhere", "wg", 1, 0, 250, "it may after a while");
	deliver("nowhere", "s", 1, 0, 0, "it may not");
	deliver("nowhere", "ws", 1, 0, 0, "it may not after a while");
}

/* A worker that ends while the answer is awaited: nobody calls back into what is gone. */
static void ended(const char *name)
{
	struct relay *relay = open_relay(name);
	struct envelope *envelope = envelope_new();
	struct outcomes done = { 0 };
	struct result result = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, &result };

	envelope->sender = xstrdup("");
	envelope_add_recipient(envelope, "r@example.net");
	content_finish(&envelope->content);
	commits.answers = "n";
	commits.asked = 0;
	relay_deliver(relay, &delivery);
	LOOP_UNTIL(base, commits.asked, 15000);
	relay_free(relay);
	is_int(commits.asked, 2, "the question is taken back");
	ok(!commits.resume && !result.settled, "and nobody is told");
	envelope_free(envelope);
}

int main(void)
{
	struct config_errors errors = { 0 };
	char *text, *sweep;
	unsigned port;

	if (!mkdtemp(dir))
		return 1;
	commits.base = base = event_base_new();
	pool = pool_new(base, "disk", 1);
	port = hop_open();
	text = xasprintf("process: {slimta: {runtime_dir: %s}}\nrelay:\n"
		"  next: {type: static, host: 127.0.0.1, port: %u, idle_timeout: 0}\n"
		"  hasty: {type: static, host: 127.0.0.1, port: %u, data_timeout: 0.2}\n"
		"  nowhere: {type: blackhole}\n", dir, port, port);
	config = config_parse("slimta.conf", text, strlen(text), &errors);
	if (!config || process_load(config, "worker", &process, &errors) < 0)
		BUG("no configuration");
	config_errors_release(&errors);
	free(text);
	sweep = xasprintf("rm -r %s", dir);
	over_smtp();
	to_nowhere();
	ended("next");
	ended("nowhere");
	end_session();
	event_free(hop.accepting);
	fd_close(&hop.listening);
	pool_free(pool);
	process_release(&process);
	config_free(config);
	event_base_free(base);
	is_int(system(sweep), 0, "swept");
	free(sweep);
	return done_testing();
}
