/* sink.c - an SMTP server that takes mail and forgets it: one thread, epoll, pipelining, delays, refusals
 * SPDX-License-Identifier: MIT
 * It reads the X-Bench field that load writes: so it knows how long a message was on its way, and which came twice. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "t/bench/sink_hosts.h"
#include "t/bench/tool.h"

#define HEAD_MAX     4096	/* octets of a message in which the X-Bench field is looked for */
#define LINE_SIZE    4096
#define SEQUENCE_MAX 100000000
#define FIELD        "X-Bench: "

static const char usage[] =
	"usage: sink [OPTION]... [ADDRESS:PORT]\n"
	"Takes all mail by SMTP and forgets it; prints how much it was, as one line of JSON, when it gets SIGTERM or SIGINT.\n"
	"The address is 127.0.0.1:2526 where none is given; port 0 is any free one. The first line tells which.\n"
	"\n"
	"  -m, --messages N      print the figures also when N different messages have come (to hosts that are fast)\n"
	"  -k, --skip N          measure rate and delay without the first N\n"
	"  -d, --delay MS        time from the end of a message to its reply\n"
	"  -r, --refuse STEP:CODE[:N]  answer with CODE, where N is given only each Nth time; STEP is connect, MAIL, RCPT, DATA\n"
	"                        or end (of the message); may be given once for each\n"
	"  -F, --fast N          listen on N addresses, the one given and those behind it (1)\n"
	"  -S, --slow N          and on N more, that greet after --greet-after\n"
	"  -Z, --silent N        and on N more, that answer no SYN\n"
	"  -g, --greet-after MS  (5000)\n"
	"  -h, --help            print this\n";

enum step { CONNECT, MAIL, RCPT, DATA, END, STEPS };
static const char *const step_names[STEPS] = { "connect", "MAIL", "RCPT", "DATA", "end" };

/* Those that wait for as long, first come first served. */
TAILQ_HEAD(session_list, session);
struct delay {
	uint64_t us;
	struct session_list list;
};

struct session {
	int fd;
	struct host *host;
	struct buffer in, out;
	bool in_data, ending, has_sender;
	unsigned recipients;
	uint64_t octets;
	size_t head_size;
	char head[HEAD_MAX];
	struct delay *delay;	/* of the reply that is awaited */
	int64_t reply_us;
	TAILQ_ENTRY(session) link, delayed_link;
};
static struct session_list all = TAILQ_HEAD_INITIALIZER(all);
static struct delay greeting = { 5000000, TAILQ_HEAD_INITIALIZER(greeting.list) };
static struct delay answer = { 0, TAILQ_HEAD_INITIALIZER(answer.list) };

static struct {
	unsigned code;
	uint64_t each, asked;
} refusals[STEPS];

static uint64_t wanted, skipped;
static uint64_t messages, twice, unmarked, octets, refused, connections, sessions, most_sessions;
static int64_t first_us, last_us;
static uint8_t *seen;
static size_t seen_size;
static struct samples delays;
static int poller;

static void print_figures(void)
{
	double seconds = (double)(last_us - first_us) / 1e6;
	uint64_t before = skipped ? skipped : 1, counted = messages > before ? messages - before : 0;

	printf("{\"messages\": %llu, \"twice\": %llu, \"unmarked\": %llu, \"octets\": %llu, \"refused\": %llu, "
		"\"connections\": %llu, \"most_at_a_time\": %llu, \"seconds\": %.6f, \"rate\": %.1f, ",
		(unsigned long long)messages, (unsigned long long)twice, (unsigned long long)unmarked,
		(unsigned long long)octets, (unsigned long long)refused, (unsigned long long)connections,
		(unsigned long long)most_sessions, seconds, seconds > 0 ? (double)counted / seconds : 0);
	hosts_print();
	samples_print(stdout, "delay_ms", &delays);
	puts("}");
	fflush(stdout);
}

/* Whether this number was there before. */
static bool came_before(uint64_t sequence)
{
	size_t place = (size_t)(sequence / 8);
	uint8_t bit = (uint8_t)(1 << sequence % 8);

	if (place >= seen_size) {
		size_t size = (place + 1) * 2;

		seen = xrealloc(seen, size, 1);
		memset(seen + seen_size, 0, size - seen_size);
		seen_size = size;
	}
	if (seen[place] & bit)
		return true;
	seen[place] |= bit;
	return false;
}

static void count_message(const struct session *session)
{
	const char *field = memmem(session->head, session->head_size, "\r\n" FIELD, strlen("\r\n" FIELD));
	unsigned long long sequence;
	long long stamp_us;

	octets += session->octets;
	if (!field || sscanf(field + strlen("\r\n" FIELD), "%llu %lld", &sequence, &stamp_us) != 2 ||
		sequence > SEQUENCE_MAX) {
		unmarked++;
		stamp_us = 0;
	} else if (came_before(sequence)) {
		twice++;
		return;
	}
	messages++;
	last_us = clock_us();
	host_took(session->host, last_us);
	if (messages <= skipped || !first_us)
		first_us = last_us;
	if (messages > skipped && stamp_us)
		samples_add(&delays, last_us - stamp_us);
	if (session->host->kind == HOST_FAST && host_figures[HOST_FAST].messages == wanted)
		print_figures();
}

/* The code to refuse with, 0 for none. */
static unsigned refuse(enum step step)
{
	if (!refusals[step].code || ++refusals[step].asked % refusals[step].each)
		return 0;
	refused++;
	return refusals[step].code;
}

static void session_free(struct session *session)
{
	if (session->delay)
		TAILQ_REMOVE(&session->delay->list, session, delayed_link);
	TAILQ_REMOVE(&all, session, link);
	host_disconnected(session->host);
	close(session->fd);
	sessions--;
	buffer_release(&session->in);
	buffer_release(&session->out);
	free(session);
}

static void reply(struct session *session, unsigned code, const char *good)
{
	if (code)
		buffer_appendf(&session->out, "%u refused\r\n", code);
	else
		buffer_append_str(&session->out, good);
	if (code == 421)
		session->ending = true;
}

static void answer_message(struct session *session)
{
	unsigned code = refuse(END);

	if (!code)
		count_message(session);
	reply(session, code, "250 2.0.0 forgotten\r\n");
}

static void greet(struct session *session)
{
	reply(session, refuse(CONNECT), "220 sink ESMTP\r\n");
}

static void reply_later(struct session *session, struct delay *delay)
{
	session->delay = delay;
	session->reply_us = clock_us() + (int64_t)delay->us;
	TAILQ_INSERT_TAIL(&delay->list, session, delayed_link);
}

static void keep_head(struct session *session, const char *data, size_t size)
{
	size_t room = HEAD_MAX - session->head_size;

	memcpy(session->head + session->head_size, data, size < room ? size : room);
	session->head_size += size < room ? size : room;
	session->octets += size;
}

/* False: more has to come first. */
static bool take_data(struct session *session)
{
	struct buffer *in = &session->in;
	const char *end = in->size ? memmem(in->data, in->size, "\r\n.\r\n", 5) : NULL;
	size_t size = end ? (size_t)(end - in->data) + 2 : in->size > 4 ? in->size - 4 : 0;

	keep_head(session, in->data, size);
	buffer_consume(in, end ? size + 3 : size);
	if (!end)
		return false;
	session->in_data = false;
	session->octets -= 2;
	if (!answer.us) {
		answer_message(session);
		return true;
	}
	reply_later(session, &answer);
	return false;
}

static void begin_data(struct session *session)
{
	unsigned code = refuse(DATA);

	reply(session, session->recipients ? code : 554, "354 go on\r\n");
	if (!session->recipients || code)
		return;
	session->in_data = true;
	session->has_sender = false;
	session->head_size = session->octets = session->recipients = 0;
	/* The line end before the first line, so that a dot there is found like any other. */
	buffer_insert(&session->in, 0, "\r\n", 2);
}

static void run_command(struct session *session, const char *line)
{
	if (strncasecmp(line, "MAIL ", 5) == 0) {
		unsigned code = refuse(MAIL);

		session->recipients = 0;
		session->has_sender = !code;
		reply(session, code, "250 2.1.0 ok\r\n");
	} else if (strncasecmp(line, "RCPT ", 5) == 0) {
		unsigned code = session->has_sender ? refuse(RCPT) : 503;

		session->recipients += !code;
		reply(session, code, "250 2.1.5 ok\r\n");
	} else if (strcasecmp(line, "DATA") == 0) {
		begin_data(session);
	} else if (strncasecmp(line, "EHLO ", 5) == 0 || strncasecmp(line, "LHLO ", 5) == 0) {
		reply(session, 0, "250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		reply(session, 0, "221 2.0.0 bye\r\n");
		session->ending = true;
	} else if (strncasecmp(line, "HELO ", 5) == 0 || strcasecmp(line, "RSET") == 0 || strncasecmp(line, "NOOP", 4) == 0) {
		session->recipients = 0;
		session->has_sender = false;
		reply(session, 0, "250 2.0.0 ok\r\n");
	} else {
		reply(session, 500, NULL);
	}
}

static bool take_line(struct session *session)
{
	char line[LINE_SIZE];
	const char *end = session->in.size ? memmem(session->in.data, session->in.size, "\r\n", 2) : NULL;
	size_t size = end ? (size_t)(end - session->in.data) : 0;

	if (!end || size >= sizeof(line)) {
		session->ending = session->ending || session->in.size >= sizeof(line);
		return false;
	}
	memcpy(line, session->in.data, size);
	line[size] = '\0';
	buffer_consume(&session->in, size + 2);
	run_command(session, line);
	return true;
}

/* False: the session is over. */
static bool flush(struct session *session)
{
	while (session->out.size) {
		ssize_t sent = send(session->fd, session->out.data, session->out.size, MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN;
		buffer_consume(&session->out, (size_t)sent);
	}
	return !session->ending;
}

static bool session_work(struct session *session)
{
	while (!session->ending && !session->delay && (session->in_data ? take_data(session) : take_line(session)))
		;
	return flush(session);
}

static void session_event(struct session *session)
{
	static char chunk[256 * 1024];
	bool over = false;

	for (;;) {
		ssize_t size = recv(session->fd, chunk, sizeof(chunk), 0);

		if (size <= 0) {
			over = size == 0 || errno != EAGAIN;
			break;
		}
		buffer_append(&session->in, chunk, (size_t)size);
		if (!session_work(session)) {
			over = true;
			break;
		}
	}
	if (over || !flush(session))
		session_free(session);
}

static void answer_delayed(struct delay *delay)
{
	struct session *session;
	int64_t now = clock_us();

	while ((session = TAILQ_FIRST(&delay->list)) && session->reply_us <= now) {
		TAILQ_REMOVE(&delay->list, session, delayed_link);
		session->delay = NULL;
		if (delay == &greeting)
			greet(session);
		else
			answer_message(session);
		if (!session_work(session))
			session_free(session);
	}
}

static void session_new(struct host *host, int fd)
{
	struct session *session = xcalloc(1, sizeof(*session));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = session };

	session->fd = fd;
	session->host = host;
	host_connected(host);
	TAILQ_INSERT_TAIL(&all, session, link);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	connections++;
	if (++sessions > most_sessions)
		most_sessions = sessions;
	if (host->kind == HOST_SLOW)
		reply_later(session, &greeting);
	else
		greet(session);
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0 || !flush(session))
		session_free(session);
}

static void take_refusal(char *text)
{
	char *step = strsep(&text, ":"), *code = strsep(&text, ":"), *each = strsep(&text, ":");

	for (size_t i = 0; i < STEPS; i++) {
		if (strcasecmp(step, step_names[i]) != 0 || !code)
			continue;
		refusals[i].code = (unsigned)option_number("--refuse", code, 400, 599);
		refusals[i].each = each ? option_number("--refuse", each, 1, 1000000) : 1;
		return;
	}
	die("--refuse takes connect, MAIL, RCPT, DATA or end, a colon and a code");
}

static struct sockaddr_in take_options(int argc, char **argv)
{
	static const struct option options[] = { { "messages", 1, NULL, 'm' }, { "skip", 1, NULL, 'k' },
		{ "delay", 1, NULL, 'd' }, { "refuse", 1, NULL, 'r' }, { "fast", 1, NULL, 'F' }, { "slow", 1, NULL, 'S' },
		{ "silent", 1, NULL, 'Z' }, { "greet-after", 1, NULL, 'g' }, { "help", 0, NULL, 'h' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "m:k:d:r:F:S:Z:g:h", options, NULL)) != -1) {
		switch (option) {
		case 'm': wanted = option_number("--messages", optarg, 1, SEQUENCE_MAX); break;
		case 'k': skipped = option_number("--skip", optarg, 0, SEQUENCE_MAX); break;
		case 'd': answer.us = 1000 * option_number("--delay", optarg, 0, 3600000); break;
		case 'r': take_refusal(optarg); break;
		case 'F': hosts_wanted[HOST_FAST] = option_number("--fast", optarg, 0, 10000); break;
		case 'S': hosts_wanted[HOST_SLOW] = option_number("--slow", optarg, 0, 10000); break;
		case 'Z': hosts_wanted[HOST_SILENT] = option_number("--silent", optarg, 0, 10000); break;
		case 'g': greeting.us = 1000 * option_number("--greet-after", optarg, 0, 3600000); break;
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs("Try: sink --help\n", stderr); exit(2);
		}
	}
	if (argc - optind > 1)
		die("takes one address");
	return option_address(optind < argc ? argv[optind] : "127.0.0.1:2526");
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int wait_ms(void)
{
	struct session *next[] = { TAILQ_FIRST(&greeting.list), TAILQ_FIRST(&answer.list) };
	int64_t now = clock_us(), least = -1;

	for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
		int64_t left = !next[i] ? -1 : next[i]->reply_us > now ? (next[i]->reply_us - now) / 1000 + 1 : 0;

		if (left >= 0 && (least < 0 || left < least))
			least = left;
	}
	return (int)least;
}

static void accept_all(struct host *host)
{
	int fd;

	while ((fd = accept4(host->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		session_new(host, fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = take_options(argc, argv);
	int signals = open_signals();
	/* Known by the address of where its number stands. */
	struct epoll_event of_signals = { .events = EPOLLIN, .data.ptr = &signals };
	bool ended = false;

	raise_descriptors();
	poller = epoll_create1(EPOLL_CLOEXEC);
	hosts_open(address, poller);
	epoll_ctl(poller, EPOLL_CTL_ADD, signals, &of_signals);
	while (!ended) {
		struct epoll_event events[64];
		int count = epoll_wait(poller, events, ARRAY_SIZE(events), wait_ms());

		for (int i = 0; i < count; i++) {
			if (hosts_have(events[i].data.ptr))
				accept_all(events[i].data.ptr);
			else if (events[i].data.ptr == &signals)
				ended = true;
			else
				session_event(events[i].data.ptr);
		}
		answer_delayed(&greeting);
		answer_delayed(&answer);
	}
	print_figures();
	while (!TAILQ_EMPTY(&all))
		session_free(TAILQ_FIRST(&all));
	hosts_close();
	samples_release(&delays);
	free(seen);
	return 0;
}
