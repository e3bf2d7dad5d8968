/* unit-worker-sending.c - one message cut into several transactions: asks in turn, settles each once, is finished once
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <sys/mman.h>

#include "common/base/memory.h"
#include "common/base/pool.h"
#include "t/lib/loop.h"
#include "worker/sending.h"

#define RECIPIENTS 12
#define ROUNDS 3000

static struct event_base *base;
static struct pool *pool;
static struct sendings sendings;

/* ---- a delivery: what it is told, and how it answers */

static struct {
	unsigned settled[RECIPIENTS], finished, examined;
	unsigned codes[RECIPIENTS];
	relay_resume_fn *resume;	/* the question that is not answered */
	void *resume_arg;
	unsigned questions, taken_back;
	char answer;			/* 'g'o, 's'top, 'w'ait */
	int in_line;			/* -1: was not told */
} seen;
static struct outcomes done;
static struct sending *examined;

static void on_settled(void *arg, size_t index, const struct relay_result *result)
{
	(void)arg;
	seen.settled[index]++;
	seen.codes[index] = result->reply->code;
}

static void on_finished(void *arg)
{
	(void)arg;
	seen.finished++;
}

static enum relay_go on_commit(void *arg, relay_resume_fn *resume, void *resume_arg)
{
	(void)arg;
	if (!resume) {
		if (!seen.resume)
			BUG("no question is to be taken back");
		seen.taken_back++;
		seen.resume = NULL;
		return RELAY_STOP;
	}
	if (seen.resume)
		BUG("two questions at once");
	seen.questions++;
	if (seen.answer != 'w')
		return seen.answer == 'g' ? RELAY_GO : RELAY_STOP;
	seen.resume = resume;
	seen.resume_arg = resume_arg;
	return RELAY_WAIT;
}

static void on_in_line(void *arg, bool waits)
{
	(void)arg;
	seen.in_line = waits;
}

static void answer(enum relay_go go)
{
	relay_resume_fn *resume = seen.resume;

	seen.resume = NULL;
	resume(seen.resume_arg, go);
}

static void on_examined(void *arg, struct sending *sending)
{
	(void)arg;
	seen.examined++;
	examined = sending;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static struct envelope *new_message(const char *octets)
{
	struct envelope *envelope = envelope_new();

	id_new(envelope->id);
	envelope->sender = xstrdup("s@example.org");
	for (unsigned i = 0; i < RECIPIENTS; i++)
		envelope_add_recipient(envelope, "r@example.net");
	buffer_append_str(&envelope->content.memory, octets);
	content_finish(&envelope->content);
	memset(&seen, 0, sizeof(seen));
	seen.answer = 'g';
	seen.in_line = -1;
	outcomes_release(&done);
	examined = NULL;
	return envelope;
}

static void send_message(const struct envelope *envelope)
{
	struct relay_delivery delivery = { envelope, &done, on_settled, on_finished, on_commit, NULL, NULL, on_in_line };

	sending_new(&sendings, &delivery);
	if (seen.examined || seen.finished)
		BUG("called back from within");
	LOOP_UNTIL(base, examined || seen.finished, 20000);
}

/* ---- what is asked of the one who sends */

static unsigned resumed[RECIPIENTS];
static enum relay_go last_go;

static void on_resumed(void *arg, enum relay_go go)
{
	resumed[(size_t)arg]++;
	last_go = go;
}

static enum relay_go commit(struct outgoing *outgoing, size_t which)
{
	return outgoing_commit(outgoing, on_resumed, (void *)which);
}

static void finish(struct outgoing *outgoing, unsigned code)
{
	struct reply reply = { .code = code, .text = (char *)"as it went" };

	outgoing_finish(outgoing, RELAY_RESULT(&reply, "mx[192.0.2.1]"));
}

/* One outgoing for each of the first recipients; the last has the others. */
static void cut(struct outgoing *parts[], size_t count)
{
	memset(resumed, 0, sizeof(resumed));
	for (size_t i = 0; i + 1 < count; i++)
		parts[i] = sending_add(examined, &i, 1, NULL, NULL);
	parts[count - 1] = sending_add_all(examined, NULL, NULL);
}

static bool each_settled_once(void)
{
	bool good = true;

	for (unsigned i = 0; i < RECIPIENTS; i++)
		good = good && seen.settled[i] == (outcome_is_open(outcomes_find(&done, i)) ? 1 : 0);
	return good;
}

/* ---- tests */

static void test_contents(void)
{
	static const struct {
		const char *octets;
		bool eight_bit, utf8_header;
	} rows[] = {
		{ "Subject: x\r\n\r\nbody\r\n", false, false },
		{ "Subject: x\r\n\r\nb\xc3\xb6" "dy\r\n", true, false },
		{ "Subject: \xc3\xb6\r\n\r\nbody\r\n", true, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct envelope *envelope = new_message(rows[i].octets);
		struct outgoing *outgoing;

		outcomes_add(&done, &(struct outcome){ .index = 3, .kind = OUTCOME_DELIVERED });
		outcomes_add(&done, &(struct outcome){ .index = 4, .kind = OUTCOME_WARNED });
		send_message(envelope);
		ok(!sending_is_to_come(examined, 3) && sending_is_to_come(examined, 4), "who has it is left out");
		outgoing = sending_add_all(examined, NULL, NULL);
		is_int(outgoing->count, RECIPIENTS - 1, "all others are in it");
		ok(outgoing->eight_bit == rows[i].eight_bit && outgoing->utf8_header == rows[i].utf8_header,
			"it is known what is in it");
		is_int(outgoing->size, strlen(rows[i].octets), "and its size");
		finish(outgoing, 250);
		ok(seen.finished == 1 && each_settled_once(), "finished once");
		envelope_free(envelope);
	}
}

static void test_unreadable(void)
{
	struct envelope *envelope = new_message("Subject: x\r\n\r\n");

	envelope->content.fd = memfd_create("short", MFD_CLOEXEC);
	envelope->content.fd_size = 100;
	send_message(envelope);
	ok(!seen.examined && seen.finished == 1 && each_settled_once(), "one that cannot be read is finished");
	is_int(seen.codes[0], 451, "and tried again");
	envelope_free(envelope);
}

static void test_questions(void)
{
	struct envelope *envelope = new_message("Subject: x\r\n\r\n");
	struct outgoing *parts[4];

	send_message(envelope);
	cut(parts, 4);
	seen.answer = 'w';
	for (size_t i = 0; i < 4; i++)
		is_int(commit(parts[i], i), RELAY_WAIT, "each waits");
	is_int(seen.questions, 1, "the first alone is asked for");
	turn();
	is_int(seen.questions, 1, "until it is answered");
	outgoing_commit(parts[2], NULL, NULL);
	ok(!seen.taken_back, "a question that was not asked yet is dropped");
	answer(RELAY_GO);
	is_int(resumed[0], 1, "the first goes on");
	is_int(seen.questions, 1, "and nobody is asked for from within");
	turn();
	is_int(seen.questions, 2, "the second is asked for");
	outgoing_commit(parts[1], NULL, NULL);
	is_int(seen.taken_back, 1, "its question is taken back");
	is_int(commit(parts[1], 1), RELAY_WAIT, "who asks again is behind the others");
	seen.answer = 's';
	turn();
	turn();
	ok(resumed[3] == 1 && resumed[1] == 1 && !resumed[2] && last_go == RELAY_STOP, "those that wait are told each");
	is_int(commit(parts[2], 2), RELAY_STOP, "one that asks alone has its answer");
	finish(parts[0], 250);
	finish(parts[1], 0);
	finish(parts[2], 0);
	ok(!seen.finished, "three of four are over");
	finish(parts[3], 550);
	ok(seen.finished == 1 && each_settled_once(), "it is finished with the last");
	envelope_free(envelope);
}

static void test_lines(void)
{
	struct envelope *envelope = new_message("Subject: x\r\n\r\n");
	struct outgoing *parts[3];

	send_message(envelope);
	cut(parts, 3);
	outgoing_say_in_line(parts[0], true);
	outgoing_say_in_line(parts[0], true);
	outgoing_say_in_line(parts[1], true);
	ok(seen.in_line != true, "one does not wait");
	outgoing_say_in_line(parts[2], true);
	is_int(seen.in_line, true, "all wait");
	outgoing_say_in_line(parts[1], false);
	is_int(seen.in_line, false, "one does no more");
	finish(parts[1], 450);
	is_int(seen.in_line, true, "those that are left wait");
	finish(parts[0], 450);
	finish(parts[2], 450);
	is_int(seen.finished, 1, "finished");
	envelope_free(envelope);
}

static unsigned refused;

static void on_refused(void *arg, struct outgoing *outgoing, const struct relay_result *why)
{
	(void)arg;
	refused += why->reply->code == 451;
	outgoing->route_at++;
}

static void test_refused(void)
{
	static const struct outgoing_owner owner = { on_refused };
	struct envelope *envelope = new_message("Subject: x\r\n\r\n");
	struct reply reply = { .code = 451, .text = (char *)"not here" };
	struct outgoing *outgoing;

	send_message(envelope);
	outgoing = sending_add_all(examined, &owner, NULL);
	outgoing_refuse(outgoing, RELAY_RESULT(&reply, "mx"));
	ok(refused == 1 && outgoing->route_at == 1 && !seen.finished, "its owner has it again");
	outgoing->owner = NULL;
	outgoing_refuse(outgoing, RELAY_RESULT(&reply, "mx"));
	ok(refused == 1 && seen.finished == 1 && seen.codes[5] == 451, "without one it is finished");
	envelope_free(envelope);
}

static void test_released(void)
{
	struct envelope *envelope = new_message("Subject: x\r\n\r\n"), *other;
	struct outgoing *parts[3];

	send_message(envelope);
	cut(parts, 3);
	seen.answer = 'w';
	commit(parts[0], 0);
	commit(parts[1], 1);
	outgoing_free(parts[2]);
	sendings_release(&sendings);
	ok(seen.taken_back == 1 && !seen.finished && !seen.settled[0], "at its end a relay tells nobody, and asks for nothing");
	other = new_message("Subject: y\r\n\r\n");
	sending_new(&sendings, &(struct relay_delivery){ other, &done, on_settled, on_finished, on_commit });
	sendings_release(&sendings);
	turn();
	ok(!seen.examined && !seen.finished, "also where it was not examined yet");
	envelope_free(envelope);
	envelope_free(other);
}

/* ---- whatever happens: each recipient once, one question at a time, finished once */

static struct outgoing *parts[RECIPIENTS];
static bool asks[RECIPIENTS];

static void on_go(void *arg, enum relay_go go)
{
	size_t which = (size_t)arg;

	if (!asks[which] || !parts[which])
		BUG("told what was not asked");
	asks[which] = false;
	if (go == RELAY_STOP || rand() % 2) {
		finish(parts[which], go == RELAY_STOP ? 0 : 250);
		parts[which] = NULL;
	}
}

static void do_something(size_t which)
{
	struct reply reply = { .code = 550, .text = (char *)"no" };
	struct outgoing *part = parts[which];

	switch (rand() % 6) {
	case 0:
		if (part->count > 1)
			outgoing_settle(part, part->open[(size_t)rand() % part->count], RELAY_RESULT(&reply, "mx"));
		break;
	case 1:
		finish(part, 450);
		parts[which] = NULL;
		asks[which] = false;
		break;
	case 2:
		outgoing_commit(part, NULL, NULL);
		asks[which] = false;
		break;
	case 3:
		outgoing_say_in_line(part, rand() % 2);
		break;
	default:
		if (!asks[which])
			asks[which] = outgoing_commit(part, on_go, (void *)which) == RELAY_WAIT;
	}
}

static bool live_through(void)
{
	size_t count = 0;

	for (size_t i = 0; i < RECIPIENTS; ) {
		size_t some[RECIPIENTS], taken = 0, wanted = 1 + (size_t)rand() % 3;

		for (; taken < wanted && i < RECIPIENTS; i++)
			some[taken++] = i;
		asks[count] = false;
		parts[count++] = sending_add(examined, some, taken, NULL, NULL);
	}
	for (unsigned step = 0; step < 100000 && !seen.finished; step++) {
		size_t which = (size_t)rand() % count;

		seen.answer = "gsww"[rand() % 4];
		if (parts[which])
			do_something(which);
		if (seen.resume && rand() % 3 == 0)
			answer(rand() % 2 ? RELAY_GO : RELAY_STOP);
		turn();
	}
	return seen.finished == 1 && each_settled_once() && !seen.resume;
}

static void test_anything(void)
{
	unsigned good = 0;

	srand(20);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct envelope *envelope = new_message("Subject: x\r\n\r\n");

		send_message(envelope);
		good += live_through();
		envelope_free(envelope);
	}
	is_int(good, ROUNDS, "each recipient is settled once, and the message finished once");
}

int main(void)
{
	base = event_base_new();
	pool = pool_new(base, "disk", 1);
	sendings_init(&sendings, base, pool, on_examined, NULL);
	test_contents();
	test_unreadable();
	test_questions();
	test_lines();
	test_refused();
	test_released();
	test_anything();
	outcomes_release(&done);
	pool_free(pool);
	event_base_free(base);
	return done_testing();
}
