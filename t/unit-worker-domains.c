/* unit-worker-domains.c - a message for several domains through an mx relay whose hosts, and whose lease, do what they like
 * SPDX-License-Identifier: MIT
 * Attempt after attempt until nobody is open: none is lost, none has it twice but where a host took it and did not say so. */
#include "t/lib/tap.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "t/lib/loop.h"
#include "worker/relay.h"

#define HOSTS 4
#define EACH 3				/* recipients of a domain */
#define RECIPIENTS (HOSTS * EACH + 1)	/* the last one has no domain */
#define MESSAGES 60
#define ATTEMPTS_MAX 500

static char dir[] = "/tmp/slimta-unit-XXXXXX";
static struct event_base *base;
static struct pool *pool;
static struct config *config;
static struct process_options process;
static struct relay *relay;

/* ---- what is known of the message of the moment */

static struct {
	unsigned taken, doubtful;	/* by a host that said so; that did not */
	bool open, failed;
} known[RECIPIENTS];
static struct outcomes done;
static struct {
	unsigned settled[RECIPIENTS], finished;
	relay_resume_fn *resume;
	void *resume_arg;
	struct event *timer;
} attempt;
static unsigned allowed, dots, wrong, waited, stopped;
static bool calm, hangs;		/* hosts and lease do what is best; questions are never answered */

static bool chance(unsigned in)
{
	return !calm && (unsigned)rand() % in == 0;
}

/* ---- hosts */

struct session {
	int fd;
	struct event *reading;
	struct buffer heard;
	bool in_data, closes;
	bool to[RECIPIENTS];
};
static struct {
	struct event *accepting;
	int fd;
	unsigned port;
} hosts[HOSTS];

static void say(const struct session *session, const char *line)
{
	if (send(session->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		wrong += errno != EPIPE && errno != ECONNRESET;
}

static void end_session(struct session *session)
{
	event_free(session->reading);
	close(session->fd);
	buffer_release(&session->heard);
	free(session);
}

static void take_recipient(struct session *session, const char *line)
{
	unsigned recipient;

	if (sscanf(line, "RCPT TO:<r%u@", &recipient) != 1 || recipient >= RECIPIENTS) {
		wrong++;
		return;
	}
	if (chance(6)) {
		say(session, "450 4.2.1 later\r\n");
	} else if (chance(12)) {
		say(session, "550 5.1.1 no\r\n");
	} else {
		session->to[recipient] = true;
		say(session, "250 2.1.5 ok\r\n");
	}
}

static void end_data(struct session *session)
{
	bool keeps_still = chance(12), later = !keeps_still && chance(8);

	session->in_data = false;
	dots++;
	for (unsigned i = 0; i < RECIPIENTS && !later; i++) {
		known[i].taken += session->to[i] && !keeps_still;
		known[i].doubtful += session->to[i] && keeps_still;
	}
	session->closes = keeps_still;
	if (!keeps_still)
		say(session, later ? "451 4.3.0 later\r\n" : "250 2.6.0 taken\r\n");
}

static void answer(struct session *session, const char *line)
{
	if (session->in_data) {
		if (strcmp(line, ".") == 0)
			end_data(session);
	} else if (text_has_prefix(line, "RCPT")) {
		take_recipient(session, line);
	} else if (text_has_prefix(line, "DATA")) {
		session->closes = chance(10);
		session->in_data = true;
		say(session, "354 go\r\n");
	} else {
		if (text_has_prefix(line, "MAIL"))
			memset(session->to, 0, sizeof(session->to));
		session->closes = text_has_prefix(line, "QUIT") || (text_has_prefix(line, "MAIL") && chance(15));
		say(session, session->closes ? "421 4.3.2 bye\r\n" : "250 ok\r\n");
	}
}

static void on_octets(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	char octets[4096], *end;
	ssize_t got = recv(fd, octets, sizeof(octets), 0);

	(void)what;
	if (got > 0)
		buffer_append(&session->heard, octets, (size_t)got);
	while (got > 0 && !session->closes && session->heard.size && (end = strstr(buffer_str(&session->heard), "\r\n"))) {
		char *line = xstrndup(session->heard.data, (size_t)(end - session->heard.data));

		buffer_consume(&session->heard, (size_t)(end - session->heard.data) + 2);
		answer(session, line);
		free(line);
	}
	if (got <= 0 || session->closes)
		end_session(session);
}

static void on_session(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = xcalloc(1, sizeof(*session));

	(void)what;
	(void)arg;
	session->fd = accept(fd, NULL, NULL);
	session->reading = event_new(base, session->fd, EV_READ | EV_PERSIST, on_octets, session);
	event_add(session->reading, NULL);
	say(session, "220 mx\r\n");
}

static void open_hosts(void)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t size = sizeof(address);

		hosts[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(hosts[i].fd, (struct sockaddr *)&address, size) < 0 || listen(hosts[i].fd, 20) < 0 ||
				getsockname(hosts[i].fd, (struct sockaddr *)&address, &size) < 0)
			BUG("no server");
		hosts[i].port = ntohs(address.sin_port);
		hosts[i].accepting = event_new(base, hosts[i].fd, EV_READ | EV_PERSIST, on_session, NULL);
		event_add(hosts[i].accepting, NULL);
	}
}

/* ---- a delivery */

static void on_settled(void *arg, size_t index, const struct relay_result *result)
{
	bool success = reply_is_success(result->reply);

	(void)arg;
	attempt.settled[index]++;
	if (!success && !reply_is_permanent(result->reply))
		return;
	known[index].open = false;
	known[index].failed = !success;
	outcomes_add(&done, &(struct outcome){ .index = index, .kind = success ? OUTCOME_DELIVERED : OUTCOME_FAILED });
	/* Who is told of success has it from a host that said so, just now. */
	wrong += success && known[index].taken != 1;
}

static void on_finished(void *arg)
{
	(void)arg;
	attempt.finished++;
	wrong += attempt.resume != NULL;
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	relay_resume_fn *resume = attempt.resume;
	enum relay_go go = chance(3) ? RELAY_STOP : RELAY_GO;

	(void)fd;
	(void)what;
	(void)arg;
	attempt.resume = NULL;
	if (!resume)
		return;
	allowed += go == RELAY_GO;
	resume(attempt.resume_arg, go);
}

static enum relay_go on_commit(void *arg, relay_resume_fn *resume, void *resume_arg)
{
	(void)arg;
	wrong += resume && attempt.resume;	/* one question at a time */
	attempt.resume = NULL;
	if (!resume)
		return RELAY_STOP;
	if (hangs || chance(2)) {
		waited++;
		attempt.resume = resume;
		attempt.resume_arg = resume_arg;
		if (!hangs)
			event_add(attempt.timer, &(struct timeval){ 0, rand() % 3000 });
		return RELAY_WAIT;
	}
	if (chance(10)) {
		stopped++;
		return RELAY_STOP;
	}
	allowed++;
	return RELAY_GO;
}

static struct envelope *new_message(void)
{
	struct envelope *envelope = envelope_new();

	id_new(envelope->id);
	envelope->sender = xstrdup("s@example.org");
	for (unsigned i = 0; i < RECIPIENTS; i++) {
		char *address = i + 1 < RECIPIENTS ? xasprintf("r%u@d%u.example", i, i % HOSTS) : xstrdup("postmaster");

		envelope_add_recipient(envelope, address);
		free(address);
		known[i].taken = known[i].doubtful = 0;
		known[i].open = true;
		known[i].failed = false;
	}
	buffer_append_str(&envelope->content.memory, "Subject: x\r\n\r\nbody\r\n");
	content_finish(&envelope->content);
	outcomes_release(&done);
	return envelope;
}

static unsigned count_open(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < RECIPIENTS; i++)
		count += known[i].open;
	return count;
}

static bool try_once(const struct envelope *envelope)
{
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, NULL };
	bool was_open[RECIPIENTS], good = true;

	for (unsigned i = 0; i < RECIPIENTS; i++)
		was_open[i] = known[i].open;
	memset(attempt.settled, 0, sizeof(attempt.settled));
	attempt.finished = 0;
	relay_deliver(relay, &delivery);
	good = LOOP_UNTIL(base, attempt.finished, 60000);
	for (unsigned i = 0; i < RECIPIENTS; i++)
		good = good && attempt.settled[i] == was_open[i];
	return good && attempt.finished == 1;
}

/* Whether each has it once, or was refused for good. */
static bool is_right(void)
{
	bool good = true;

	for (unsigned i = 0; i < RECIPIENTS; i++) {
		bool once = known[i].failed ? known[i].taken == 0 : known[i].taken == 1;

		if (!once)
			diag("recipient %u: taken %u times, failed %d, in doubt %u times", i, known[i].taken, known[i].failed,
				known[i].doubtful);
		good = good && once;
	}
	return good && known[RECIPIENTS - 1].failed;
}

static void deliver_all(void)
{
	unsigned good = 0, attempts = 0;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct envelope *envelope = new_message();
		bool each = true;

		for (unsigned tries = 0; count_open() && tries < ATTEMPTS_MAX && each; tries++, attempts++) {
			calm = tries > 40;
			each = try_once(envelope);
		}
		good += each && !count_open() && is_right();
		envelope_free(envelope);
	}
	calm = false;
	diag("%u attempts, %u final dots, %u questions waited, %u were refused at once", attempts, dots, waited, stopped);
	is_int(good, MESSAGES, "each recipient has it once, or was refused once");
	is_int(wrong, 0, "one question at a time, success only where it was said");
	ok(dots <= allowed && waited > 10 && stopped > 10, "no final dot that was not allowed");
}

/* ---- the worker ends in between */

static void end_in_between(void)
{
	struct envelope *envelope = new_message();
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, NULL };

	memset(attempt.settled, 0, sizeof(attempt.settled));
	attempt.finished = 0;
	waited = 0;
	hangs = calm = true;
	relay_deliver(relay, &delivery);
	LOOP_UNTIL(base, waited, 20000);
	relay_free(relay);
	ok(!attempt.resume, "the question is taken back");
	is_int(attempt.finished, 0, "and nobody is told");
	envelope_free(envelope);
}

static struct relay *open_relay(void)
{
	struct relay_context context = { .base = base, .process = &process, .disk = pool };
	struct relay_setting setting = { config, &process, true };
	struct config_errors errors = { 0 };
	struct relay *opened = relay_load(&setting, "r", &errors);

	config_errors_release(&errors);
	if (!opened || relay_open(opened, &context) < 0)
		BUG("no relay");
	return opened;
}

int main(void)
{
	struct config_errors errors = { 0 };
	struct buffer text = { 0 };
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)getpid();
	char *sweep;

	if (!mkdtemp(dir))
		return 1;
	diag("SEED=%u", seed);
	srand(seed);
	base = event_base_new();
	pool = pool_new(base, "disk", 1);
	attempt.timer = event_new(base, -1, 0, on_answer, NULL);
	open_hosts();
	buffer_appendf(&text, "process: {slimta: {runtime_dir: %s}}\nrelay: {r: {type: mx, force_mx: {", dir);
	for (unsigned i = 0; i < HOSTS; i++)
		buffer_appendf(&text, "%sd%u.example: \"127.0.0.1:%u\"", i ? ", " : "", i, hosts[i].port);
	buffer_append_str(&text, "}}}\n");
	config = config_parse("slimta.conf", buffer_str(&text), text.size, &errors);
	if (!config || process_load(config, "worker", &process, &errors) < 0)
		BUG("no configuration");
	config_errors_release(&errors);
	buffer_release(&text);
	relay = open_relay();
	deliver_all();
	end_in_between();
	LOOP_UNTIL(base, false, 50);
	for (unsigned i = 0; i < HOSTS; i++) {
		event_free(hosts[i].accepting);
		close(hosts[i].fd);
	}
	event_free(attempt.timer);
	outcomes_release(&done);
	pool_free(pool);
	process_release(&process);
	config_free(config);
	event_base_free(base);
	sweep = xasprintf("rm -r %s", dir);
	is_int(system(sweep), 0, "swept");
	free(sweep);
	return done_testing();
}
