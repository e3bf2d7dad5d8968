/* unit-worker-spawner.c - the pipe relay through the spawner with real commands (lessons S2, S3, S15)
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "worker/channel.h"
#include "worker/spawn_protocol.h"
#include "t/lib/spawning.h"	/* names its parameters as the harness its variables */
#include "t/lib/spawner_harness.h"

/* ---- tests */

static void ends_of_commands(void)
{
	one("ok", "250 2.0.0 Delivered");
	one("exit75", "450 4.3.0 try later");
	one("exit65", "550 5.1.1 nobody / here");
	one("exit1", "450 4.0.0 Delivery failed");
	one("signal", "450 4.3.0 Command was ended by signal 9");
	one("missing", "450 4.3.0 Command could not be started: No such file or directory");
	one("missing_cwd", "450 4.3.0 Command could not be started: No such file or directory");
	one("no_shebang", "450 4.3.0 Command could not be started: Exec format error");
	one("exit127", "450 4.3.0 Delivery failed (exit status 127)");
	one("never_reads", "250 2.0.0 Delivered");
}

static void time_out(void)
{
	char *path = scratch("grandchild");
	struct buffer text = { 0 };
	pid_t pid;
	int tries = 0;

	one("slow", "450 4.4.2 Delivery timed out");
	file_read(path, &text, 100);
	pid = atoi(buffer_str(&text));
	ok(pid > 1, "the grandchild wrote its pid");
	/* Nobody of ours reaps it: it goes to init, or to whoever adopts. */
	while (pid > 1 && kill(pid, 0) == 0 && tries++ < 500) {
		char *stat_path = xasprintf("/proc/%d/stat", pid);
		struct buffer status = { 0 };
		bool dead = file_read(stat_path, &status, 4096) < 0 || strstr(buffer_str(&status), ") Z ");

		buffer_release(&status);
		free(stat_path);
		if (dead)
			break;
		usleep(10000);
	}
	ok(tries < 500, "the grandchild was ended too");
	ok(!exists("survived"), "and got no further");
	buffer_release(&text);
	free(path);
}

static void large_output(void)
{
	struct envelope *envelope = message((const char *[]){ "r@example.org", NULL }, "x", 1);
	struct results results;

	deliver("chatty", envelope, &results);
	is_int(results.replies[0].code, 450, "a command that writes 3 MB ends as any other");
	ok(strlen(results.replies[0].text) <= 8192, "its text is bounded");
	results_release(&results);
	envelope_free(envelope);
}

/* S3: each recipient has an outcome of its own. */
static void three_recipients(void)
{
	struct envelope *envelope = message((const char *[]){ "ok@example.org", "later@example.org",
		"never@example.org", NULL }, "A: b\r\n\r\nc\r\n", 12);
	struct results results;

	deliver("by_recipient", envelope, &results);
	reply_is(&results, 0, "250 2.0.0 Delivered", "the first is delivered");
	reply_is(&results, 1, "450 4.3.0 try again", "the second has to wait");
	reply_is(&results, 2, "550 5.1.1 unknown", "the third failed");
	results_release(&results);
	envelope_free(envelope);
	contains("got-ok@example.org", "A: b\r\n\r\nc\r\n", 12, "each got the message");
	contains("got-never@example.org", "A: b\r\n\r\nc\r\n", 12, "from its beginning");
}

/* CR LF, octets above 127, a long line; from memory, with additions, and from a file. */
static void octet_for_octet(void)
{
	size_t size = 3 << 20, header = strlen("Subject: x\r\n");
	char *octets = xmalloc(size);
	struct envelope *envelope;
	struct results results;
	char *path = scratch("spool");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (size_t i = 0; i < size; i++)
		octets[i] = (char)(i * 7 % 251 + 1);
	memcpy(octets, "Subject: x\r\n\r\n", header + 2);
	envelope = message((const char *[]){ "r@example.org", NULL }, octets, size);
	deliver("save", envelope, &results);
	reply_is(&results, 0, "250 2.0.0 Delivered", "3 MB from memory");
	contains("saved", octets, size, "octet for octet");
	results_release(&results);

	if (fd < 0 || fd_write_all(fd, "skipped", 7) < 0 || fd_write_all(fd, octets + 100, size - 100) < 0)
		BUG("%s: %s", path, strerror(errno));
	envelope->content.memory.size = 100;
	envelope->content.fd = fd;
	envelope->content.fd_offset = 7;
	envelope->content.fd_size = size - 100;
	buffer_append_str(&envelope->content.prepended, "Received: y\r\n");
	deliver("save", envelope, &results);
	reply_is(&results, 0, "250 2.0.0 Delivered", "3 MB from a file behind additions");
	octets = xrealloc(octets, size + 13, 1);
	memmove(octets + 13, octets, size);
	memcpy(octets, "Received: y\r\n", 13);
	contains("saved", octets, size + 13, "octet for octet");
	results_release(&results);

	if (ftruncate(fd, 1 << 20) < 0)
		BUG("ftruncate: %s", strerror(errno));
	deliver("save_at_end", envelope, &results);
	reply_is(&results, 0, "450 4.3.0 Message could not be read: Input/output error", "a file that was cut");
	ok(!exists("saved_at_end"), "the command is ended before it sees an end");
	results_release(&results);
	envelope_free(envelope);
	free(octets);
	free(path);
}

static void surroundings(void)
{
	struct passwd *nobody = getpwnam("nobody");
	char *wanted;

	one("surroundings", "250 2.0.0 Delivered");
	wanted = xasprintf("umask 0077\npwd %s\nvariable set here\nleader\ncatches 0000000000000000\nrecipient r@example.org\n",
		dir);
	contains("surroundings", wanted, strlen(wanted), "umask, directory, environment, group, signals");
	free(wanted);
	one("descriptors", "250 2.0.0 Delivered");
	contains("descriptors", "0\n1\n2\n3\n", 8, "nothing open but 0, 1, 2 (3 is what ls reads)");
	if (geteuid() != 0 || !nobody) {
		skip(1, "not root");
		return;
	}
	one("as_nobody", "250 2.0.0 Delivered");
	wanted = xasprintf("%u %u %u\n", nobody->pw_uid, nobody->pw_gid, nobody->pw_gid);
	contains("as_nobody", wanted, strlen(wanted), "user, group and no further groups");
	free(wanted);
}

static int hostile_peer(void)
{
	int fd = unix_socket_connect(socket_path, SOCK_SEQPACKET, 0);

	if (fd < 0)
		BUG("%s: %s", socket_path, strerror(errno));
	return fd;
}

/* Sends a packet with descriptors, and waits until the other side has closed. */
static void is_broken_off(const void *data, size_t size, unsigned fd_count, const char *what)
{
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)data, size };
	struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = hostile_peer(), fds[16] = { 0 };
	char answer[64];
	ssize_t got = -1;

	if (fd_count) {
		packet.msg_control = &control;
		packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		CMSG_FIRSTHDR(&packet)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&packet)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&packet)->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&packet)), fds, fd_count * sizeof(int));
	}
	if (sendmsg(fd, &packet, MSG_NOSIGNAL) < 0)
		BUG("sendmsg: %s", strerror(errno));
	for (int i = 0; i < 400 && got != 0; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
		if (got < 0)
			usleep(5000);
	}
	is_int(got, 0, what);
	close(fd);
}

static void hostile_peers(void)
{
	static char large[CHANNEL_PACKET_MAX + 1];
	struct buffer packet = { 0 };

	is_broken_off("Sp\1\1", 4, 0, "a cut request is broken off");
	is_broken_off("GET / HTTP/1.0\r\n\r\n", 18, 0, "so is another protocol");
	is_broken_off(large, sizeof(large), 0, "a packet that is too large");
	is_broken_off("x", 1, 16, "descriptors that nobody asked for");
	spawn_encode_end(&packet, 1, SPAWN_EXITED, 0);
	is_broken_off(packet.data, packet.size, 0, "and what only a spawner says");
	buffer_release(&packet);
	one("ok", "250 2.0.0 Delivered");
}

/* One message is refused, and the worker's other commands go on. */
static void no_descriptors(void)
{
	struct envelope *first = message((const char *[]){ "first@example.org", NULL }, "x", 1);
	struct envelope *second = message((const char *[]){ "second@example.org", NULL }, "x", 1);
	struct relay *relay = open_relay("waits");
	struct outcomes done = { 0 };
	struct results results[2] = { 0 };
	struct relay_delivery deliveries[] = {
		{ first, &done, on_settled, on_finished, on_commit, &results[0] },
		{ second, &done, on_settled, on_finished, on_commit, &results[1] },
	};
	struct rlimit limit, none;
	char *go = scratch("go");
	int lowest;

	relay_deliver(relay, &deliveries[0]);
	for (int i = 0; i < 2000 && !exists("waiting"); i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	ok(exists("waiting"), "a command is under way");
	relay_deliver(relay, &deliveries[1]);
	getrlimit(RLIMIT_NOFILE, &limit);
	lowest = dup(0);
	close(lowest);
	/* The message takes the last one, so that the spawner, which is the same process here, has none for it. */
	none = (struct rlimit){ (rlim_t)lowest + 1, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	run_until(&results[1].finished);
	setrlimit(RLIMIT_NOFILE, &limit);
	reply_is(&results[1], 0, "450 4.3.0 Command could not be started: Too many open files", "no room for a message");
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	run_until(&results[0].finished);
	reply_is(&results[0], 0, "250 2.0.0 Delivered", "the other command went on");
	relay_free(relay);
	for (size_t i = 0; i < ARRAY_SIZE(results); i++)
		results_release(&results[i]);
	envelope_free(first);
	envelope_free(second);
	free(go);
}

static void refused_values(void)
{
	struct envelope *envelope = message((const char *[]){ "-x@example.org", "a\nb@example.org", NULL }, "x", 1);
	struct results results;

	deliver("plain", envelope, &results);
	reply_is(&results, 0, "554 5.3.0 Argument 1 of the command would begin with \"-\"", "an option by a recipient");
	reply_is(&results, 1, "554 5.3.0 The value of {recipient} cannot be passed to a command", "a line break");
	results_release(&results);
	envelope_free(envelope);
}

/* A command is started where the lease allows it, and not otherwise. */
static void asked_first(void)
{
	static const struct { const char *answers; unsigned asked, delivered; } cases[] = {
		{ "g", 3, 3 }, { "s", 1, 0 }, { "ws", 1, 0 }, { "wg", 3, 3 }, { "gs", 2, 1 }, { "wgwgws", 3, 2 },
	};
	struct envelope *envelope = message((const char *[]){ "a@example.org", "b@example.org", "c@example.org", NULL }, "x", 1);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct results results;
		unsigned delivered = 0, untried = 0;

		commits.answers = cases[i].answers;
		commits.asked = 0;
		deliver("ok", envelope, &results);
		for (size_t j = 0; j < 3; j++) {
			delivered += results.replies[j].code == 250;
			untried += reply_is_none(&results.replies[j]) && results.settled[j] == 1;
		}
		is_int(commits.asked, cases[i].asked, "asked before each command");
		ok(delivered == cases[i].delivered && delivered + untried == 3, "%s: %u were started", cases[i].answers,
			delivered);
		results_release(&results);
	}
	commits.answers = "g";
	envelope_free(envelope);
}

/* The worker goes away: its commands end. */
static void worker_gone(void)
{
	struct envelope *envelope = message((const char *[]){ "r@example.org", NULL }, "x", 1);
	struct relay *relay = open_relay("lingers");
	struct outcomes done = { 0 };
	struct results results = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, &results };
	unsigned ended = 0;

	relay_deliver(relay, &delivery);
	for (int i = 0; i < 2000 && !exists("lingering"); i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	ok(exists("lingering"), "a command is under way");
	relay_free(relay);
	spawner_drain(spawner, on_finished, &results);
	run_until(&results.finished);
	is_int(results.finished, 1, "the command of a worker that is gone was ended");
	ok(!exists("lingered"), "in the middle");
	ended = results.settled[0];
	is_int(ended, 0, "nobody is told");
	spawner_free(spawner);
	results_release(&results);
	envelope_free(envelope);
}

/* The spawner goes away with a command under way, and comes back. */
static void spawner_gone(void)
{
	struct envelope *envelope = message((const char *[]){ "r@example.org", NULL }, "x", 1);
	struct relay *relay;
	struct outcomes done = { 0 };
	struct results results = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, &results };

	start_spawner(geteuid());
	relay = open_relay("lingers2");
	relay_deliver(relay, &delivery);
	for (int i = 0; i < 2000 && !exists("lingering2"); i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	spawner_free(spawner);
	run_until(&results.finished);
	reply_is(&results, 0, "450 4.3.0 Spawner ended while the command ran", "the command's end is in doubt");
	results_release(&results);

	results = (struct results){ 0 };
	relay_deliver(relay, &delivery);
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	is_int(results.finished, 0, "without a spawner a message waits");
	relay_drain(relay, 1000);
	run_until(&results.finished);
	is_int(results.replies[0].code, 0, "and is given back untried when the worker drains");
	relay_free(relay);

	start_spawner(geteuid());
	one("ok", "250 2.0.0 Delivered");
	spawner_free(spawner);
	results_release(&results);
	envelope_free(envelope);
}

static void other_user(void)
{
	struct envelope *envelope = message((const char *[]){ "r@example.org", NULL }, "x", 1);
	struct relay *relay;
	struct outcomes done = { 0 };
	struct results results = { 0 };
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, &results };

	start_spawner(geteuid() + 1);
	relay = open_relay("forbidden");
	relay_deliver(relay, &delivery);
	for (int i = 0; i < 50; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	ok(!exists("forbidden"), "nobody else may have commands run");
	relay_free(relay);
	spawner_free(spawner);
	envelope_free(envelope);
}

static void prepare(void)
{
	struct config_errors errors = { 0 };
	char *text, *script;
	int fd;

	if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
		BUG("%s: %s", dir, strerror(errno));
	text = spawning_relays(dir);
	config = config_parse("slimta.conf", text, strlen(text), &errors);
	if (config)
		process_load(config, "worker", &process, &errors);
	print_errors(&errors);
	setting = (struct relay_setting){ config, &process, true };
	script = scratch("no_shebang");
	fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (fd < 0 || fd_write_all(fd, "touch was_a_shell\n", 18) < 0)
		BUG("%s: %s", script, strerror(errno));
	close(fd);
	free(script);
	free(text);
	signal(SIGPIPE, SIG_IGN);
	commits.base = base = event_base_new();
	pool = pool_new(base, "disk", 2);
	listen_at("spawner");
}

int main(void)
{
	char *remove = NULL;

	prepare();
	start_spawner(geteuid());
	ends_of_commands();
	time_out();
	large_output();
	three_recipients();
	octet_for_octet();
	surroundings();
	refused_values();
	hostile_peers();
	no_descriptors();
	asked_first();
	worker_gone();
	spawner_gone();
	other_user();
	close(listening_fd);
	pool_free(pool);
	process_release(&process);
	config_free(config);
	event_base_free(base);
	free(socket_path);
	remove = xasprintf("rm -rf %s", dir);
	if (system(remove) != 0)
		diag("%s stays", dir);
	free(remove);
	return done_testing();
}
