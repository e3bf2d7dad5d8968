/* load.c - sends mail by SMTP as fast as it is taken, or at a steady rate, and says how fast that was
 * SPDX-License-Identifier: MIT
 * One thread and epoll, so that what is measured is the server and not this. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "t/bench/load.h"

#define AFTER_LOSS_US 10000	/* a server that is away is not asked without end */
#define GREETED_AT_ONCE 50	/* of held sessions, so that no listener's backlog overflows */

static const char usage[] =
	"usage: load [OPTION]... [ADDRESS:PORT]\n"
	"Sends messages by SMTP and prints what became of them, as one line of JSON. The address is 127.0.0.1:2525\n"
	"where none is given.\n"
	"\n"
	"  -s, --sessions N         at a time (1)\n"
	"  -m, --messages N         in all (1, with --duration any number)\n"
	"  -D, --duration SECONDS   begin no message after that\n"
	"  -c, --per-connection N   messages, then a new connection (1; 0: any number)\n"
	"  -n, --recipients N       of each message (1)\n"
	"  -z, --size OCTETS        of each message, with its header (4096)\n"
	"  -p, --pipelining         MAIL, RCPT and DATA at once; else a command at a time\n"
	"  -r, --rate N             messages a second by a fixed timetable; else each session begins one when it is through\n"
	"                           with the last. Latency then counts from when the message should have begun.\n"
	"  -d, --delay MS           pause of a session between two messages\n"
	"  -k, --skip N             measure rate and latency without the first N accepted\n"
	"  -b, --block N            print also how long each N messages took\n"
	"  -i, --first N            number of the first message (0), for sink to know messages by\n"
	"  -S, --starttls           each connection begins with STARTTLS, TLS 1.3 without resumption; no certificate is checked\n"
	"  -e, --empty              send none: a message is a connection that greets and says QUIT\n"
	"  -H, --hold               send none: greet, say when all are, and keep the sessions until the end of stdin\n"
	"  -f, --from ADDRESS       (load@bench.example)\n"
	"  -t, --to ADDRESS         (sink@bench.example; of several recipients rN.ADDRESS)\n"
	"  -N, --domains N          message number K goes to the domain dM.DOMAIN of that, M being the rest of K by N\n"
	"  -T, --timeout SECONDS    without a reply, then the message is lost (60)\n"
	"  -h, --help               print this\n"
	"\n"
	"It prints how many messages were accepted, deferred (4yz), failed (5yz) and lost (no reply), the accepted a second,\n"
	"and the latency of the accepted ones from connecting, or MAIL on a kept connection, to the reply to their end.\n";

struct settings settings = { .sessions = 1, .recipients = 1, .size = 4096, .per_connection = 1, .timeout_us = 60000000,
	.from = "load@bench.example", .to = "sink@bench.example" };
struct figures figures;

/* Sessions that wait for their turn, first come first served. */
static struct {
	struct session **sessions;
	int64_t *ready_us;
	size_t first, count;
} waiting;
static uint64_t busy, held, losses;

int64_t figures_due(void)
{
	int64_t later = settings.rate ? (int64_t)(figures.begun * 1000000 / settings.rate) : 0;

	return figures.start_us + later;
}

bool figures_wants_more(void)
{
	if (settings.duration_us && figures_due() >= figures.start_us + (int64_t)settings.duration_us)
		return false;
	if (settings.duration_us && clock_us() >= figures.start_us + (int64_t)settings.duration_us)
		return false;
	return !settings.messages || figures.begun < settings.messages;
}

uint64_t figures_begin(int64_t *due_us)
{
	*due_us = settings.rate ? figures_due() : clock_us();
	return settings.first + figures.begun++;
}

void figures_end(enum outcome outcome, int64_t due_us)
{
	static int64_t block_us;
	int64_t now = clock_us();
	uint64_t accepted;

	figures.outcomes[outcome]++;
	if (outcome != ACCEPTED)
		return;
	accepted = figures.outcomes[ACCEPTED];
	if (settings.block && accepted % settings.block == 0) {
		samples_add(&figures.blocks, now - (block_us ? block_us : figures.start_us));
		block_us = now;
	}
	figures.last_us = now;
	if (accepted <= settings.skip)
		figures.first_us = now;
	else
		samples_add(&figures.latencies, now - due_us);
}

void figures_print(void)
{
	uint64_t accepted = figures.outcomes[ACCEPTED];
	double seconds = (double)(figures.last_us - figures.first_us) / 1e6;
	uint64_t counted = accepted > settings.skip ? accepted - settings.skip : 0;

	printf("{\"accepted\": %llu, \"deferred\": %llu, \"failed\": %llu, \"lost\": %llu, \"connections\": %llu, "
		"\"loop\": \"%s\", \"seconds\": %.6f, \"rate\": %.1f, ", (unsigned long long)accepted,
		(unsigned long long)figures.outcomes[DEFERRED], (unsigned long long)figures.outcomes[FAILED],
		(unsigned long long)figures.outcomes[LOST], (unsigned long long)figures.connections,
		settings.rate ? "open" : "closed", seconds, counted && seconds > 0 ? (double)counted / seconds : 0);
	printf("\"blocks_s\": [");
	for (size_t i = 0; i < figures.blocks.count; i++)
		printf("%s%.6f", i ? ", " : "", figures.blocks.us[i] / 1e6);
	printf("], ");
	samples_print(stdout, "latency_ms", &figures.latencies);
	puts("}");
	fflush(stdout);
}

static void wait_for_turn(struct session *session, uint64_t pause_us)
{
	size_t place = (waiting.first + waiting.count++) % settings.sessions;

	waiting.sessions[place] = session;
	waiting.ready_us[place] = clock_us() + (int64_t)pause_us;
}

static void settle(struct session *session, enum progress progress)
{
	if (progress == SESSION_BUSY)
		return;
	busy--;
	if (progress == SESSION_HELD)
		held++;
	else
		wait_for_turn(session, progress == SESSION_LOST ? AFTER_LOSS_US : settings.pause_us);
	if (progress == SESSION_LOST && ++losses > settings.sessions && settings.hold)
		die("the server does not keep so many sessions");
}

static bool any_left(void)
{
	return settings.hold ? held < settings.sessions : figures_wants_more();
}

/* When the next session can begin; INT64_MAX where none can. */
static int64_t next_turn(void)
{
	int64_t ready, due = figures_due();

	if (!waiting.count || !any_left() || (settings.hold && busy >= GREETED_AT_ONCE))
		return INT64_MAX;
	ready = waiting.ready_us[waiting.first];
	return ready > due ? ready : due;
}

static void begin_ready(void)
{
	while (next_turn() <= clock_us()) {
		struct session *session = waiting.sessions[waiting.first];

		waiting.first = (waiting.first + 1) % settings.sessions;
		waiting.count--;
		busy++;
		settle(session, session_begin(session));
	}
}

static int wait_ms(void)
{
	int64_t turn = next_turn(), left = turn == INT64_MAX ? 1000000 : turn - clock_us();

	return left <= 0 ? 0 : left > 1000000 ? 1000 : (int)((left + 999) / 1000);
}

static void check_all(struct session **sessions)
{
	static int64_t checked_us;
	int64_t now = clock_us();

	if (now - checked_us < 1000000)
		return;
	checked_us = now;
	for (uint64_t i = 0; i < settings.sessions; i++)
		settle(sessions[i], session_check(sessions[i], now));
}

static void work(int poller, struct session **sessions)
{
	while (busy || any_left()) {
		struct epoll_event events[256];
		int count;

		begin_ready();
		count = epoll_wait(poller, events, ARRAY_SIZE(events), wait_ms());
		for (int i = 0; i < count; i++)
			settle(events[i].data.ptr, session_event(events[i].data.ptr));
		check_all(sessions);
	}
}

static void hold(struct session **sessions)
{
	uint64_t connected = 0;
	char ignored[64];

	printf("{\"held\": %llu}\n", (unsigned long long)held);
	fflush(stdout);
	while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0)
		;
	for (uint64_t i = 0; i < settings.sessions; i++) {
		session_event(sessions[i]);
		connected += session_is_connected(sessions[i]);
	}
	printf("{\"held\": %llu}\n", (unsigned long long)connected);
}

static void take_options(int argc, char **argv)
{
	static const struct option options[] = { { "sessions", 1, NULL, 's' }, { "messages", 1, NULL, 'm' },
		{ "duration", 1, NULL, 'D' }, { "per-connection", 1, NULL, 'c' }, { "recipients", 1, NULL, 'n' },
		{ "size", 1, NULL, 'z' }, { "starttls", 0, NULL, 'S' }, { "empty", 0, NULL, 'e' },
		{ "pipelining", 0, NULL, 'p' }, { "rate", 1, NULL, 'r' }, { "delay", 1, NULL, 'd' },
		{ "skip", 1, NULL, 'k' }, { "block", 1, NULL, 'b' }, { "first", 1, NULL, 'i' }, { "hold", 0, NULL, 'H' },
		{ "from", 1, NULL, 'f' }, { "to", 1, NULL, 't' }, { "domains", 1, NULL, 'N' },
		{ "timeout", 1, NULL, 'T' }, { "help", 0, NULL, 'h' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "s:m:D:c:n:z:pr:d:k:b:i:SeHf:t:N:T:h", options, NULL)) != -1) {
		switch (option) {
		case 's': settings.sessions = option_number("--sessions", optarg, 1, 60000); break;
		case 'm': settings.messages = option_number("--messages", optarg, 1, 100000000); break;
		case 'D': settings.duration_us = 1000000 * option_number("--duration", optarg, 1, 86400); break;
		case 'c': settings.per_connection = option_number("--per-connection", optarg, 0, 100000000); break;
		case 'n': settings.recipients = option_number("--recipients", optarg, 1, 50000); break;
		case 'z': settings.size = option_number("--size", optarg, 1, 1 << 30); break;
		case 'p': settings.pipelining = true; break;
		case 'r': settings.rate = option_number("--rate", optarg, 1, 1000000); break;
		case 'd': settings.pause_us = 1000 * option_number("--delay", optarg, 0, 3600000); break;
		case 'k': settings.skip = option_number("--skip", optarg, 0, 100000000); break;
		case 'b': settings.block = option_number("--block", optarg, 1, 100000000); break;
		case 'i': settings.first = option_number("--first", optarg, 0, 100000000); break;
		case 'S': settings.starttls = true; break;
		case 'e': settings.empty = true; break;
		case 'H': settings.hold = true; break;
		case 'f': settings.from = optarg; break;
		case 't': settings.to = optarg; break;
		case 'N': settings.domains = option_number("--domains", optarg, 1, 1000000); break;
		case 'T': settings.timeout_us = 1000000 * option_number("--timeout", optarg, 1, 86400); break;
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs("Try: load --help\n", stderr); exit(2);
		}
	}
	if (argc - optind > 1)
		die("takes one address");
	settings.address = option_address(optind < argc ? argv[optind] : "127.0.0.1:2525");
	if (!settings.messages && !settings.duration_us)
		settings.messages = 1;
}

int main(int argc, char **argv)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct session **sessions;

	take_options(argc, argv);
	raise_descriptors();
	if (settings.starttls)
		secure_init();
	sessions = xcalloc(settings.sessions, sizeof(*sessions));
	waiting.sessions = xcalloc(settings.sessions, sizeof(*waiting.sessions));
	waiting.ready_us = xcalloc(settings.sessions, sizeof(*waiting.ready_us));
	figures.start_us = figures.first_us = figures.last_us = clock_us();
	for (uint64_t i = 0; i < settings.sessions; i++) {
		sessions[i] = session_new(poller);
		wait_for_turn(sessions[i], 0);
	}
	work(poller, sessions);
	if (settings.hold)
		hold(sessions);
	else
		figures_print();
	for (uint64_t i = 0; i < settings.sessions; i++) {
		session_quit(sessions[i]);
		session_free(sessions[i]);
	}
	free(sessions);
	free(waiting.sessions);
	free(waiting.ready_us);
	samples_release(&figures.latencies);
	samples_release(&figures.blocks);
	secure_release();
	return 0;
}
