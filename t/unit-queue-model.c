/* unit-queue-model.c - random calls on every driver, each compared with a small model of what a storage is
 * SPDX-License-Identifier: MIT
 * S1, S8, P4: what was recorded is there at every later look, nothing comes twice, nothing is lost. A failure names
 * the seed; SLIMTA_SEED repeats it. */
#include "t/lib/contract.h"

#define HOUR_MS 3600000
#define SLOTS 24
#define PENDING_MAX 16
#define STEPS 1500
#define RECIPIENTS 2		/* of message() */

/* What a storage has to know of one message. */
struct model {
	struct envelope *envelope;	/* NULL: the slot is free */
	bool there;			/* else finished */
	bool touched;			/* not new any more */
	bool due;
	struct lease *lease;
	struct message_state state, claimed;	/* recorded; as the lease knows it */
	struct { enum mark mark; const char *reason; } pending[PENDING_MAX];
	unsigned pending_count;
};

static struct place worker, operator;
static struct model models[SLOTS];
static unsigned seed, step, wrong;
static const char *doing;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

static void expect(bool good, const char *what, const struct model *model)
{
	if (good)
		return;
	wrong++;
	diag("step %u, %s: %s (%s)", step, doing, what, model && model->envelope ? model->envelope->id : "-");
}

/* ---- the model */

static void model_free(struct model *model)
{
	envelope_free(model->envelope);
	message_state_release(&model->state);
	message_state_release(&model->claimed);
	memset(model, 0, sizeof(*model));
}

static void model_gone(struct model *model)
{
	model->there = false;
	model->lease = NULL;
	model->pending_count = 0;
	message_state_release(&model->state);
	message_state_release(&model->claimed);
}

static void model_mark(struct model *model, enum mark mark, const char *reason)
{
	if (mark == MARK_DISCARD) {
		model_gone(model);
		return;
	}
	model->touched = true;
	model->due = message_state_mark(&model->state, mark, reason, 0) || model->due;
}

static void model_obey(struct model *model, bool with_result)
{
	unsigned count = model->pending_count;

	model->pending_count = 0;
	for (unsigned i = 0; i < count && model->there; i++) {
		enum mark mark = model->pending[i].mark;

		if (!with_result || (mark != MARK_STRIKE && mark != MARK_SUSPECT))
			model_mark(model, mark, model->pending[i].reason);
	}
}

static bool is_ready(const struct model *model)
{
	return model->there && !model->lease && model->due && !model->state.held;
}

static void model_claim(struct model *model, struct lease *lease)
{
	model->lease = lease;
	message_state_release(&model->claimed);
	message_state_copy(&model->claimed, &model->state);
}

static struct model *pick(bool there, bool leased)
{
	for (unsigned i = 0, at = draw(SLOTS); i < SLOTS; i++) {
		struct model *model = &models[(at + i) % SLOTS];

		if (model->envelope && model->there == there && (!leased || model->lease))
			return model;
	}
	return NULL;
}

static struct model *by_id(const char *id)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (models[i].envelope && strcmp(models[i].envelope->id, id) == 0)
			return &models[i];
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_outcomes(const struct outcomes *a, const struct outcomes *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct outcome *one = &a->items[i], *two = outcomes_find(b, one->index);

		if (!two || one->kind != two->kind || one->time_ms != two->time_ms || !same_text(one->host, two->host) ||
				one->reply.code != two->reply.code || !same_text(one->reply.text, two->reply.text))
			return false;
	}
	return a->count == b->count;
}

static bool same_state(const struct message_state *a, const struct message_state *b)
{
	return a->attempts == b->attempts && a->strikes == b->strikes && a->suspect == b->suspect &&
		same_text(a->held, b->held) && same_text(a->bounce, b->bounce) && same_text(a->waits, b->waits) &&
		a->last_count == b->last_count &&
		(!a->last_count || a->last[a->last_count - 1].time_ms == b->last[b->last_count - 1].time_ms) &&
		same_outcomes(&a->done, &b->done);
}

/* ---- the calls */

static void write_new(void)
{
	unsigned count = 1 + draw(3), got = 0;
	struct envelope *items[3];
	int64_t delay_ms = draw(3) ? 0 : HOUR_MS;

	for (unsigned i = 0; i < SLOTS && got < count; i++) {
		struct model *model = &models[i];

		if (model->envelope && model->there)
			continue;
		model_free(model);
		model->envelope = items[got++] = message("model@example.org", "Subject: model\r\n\r\n");
		model->there = true;
		model->due = delay_ms == 0;
		model->touched = delay_ms > 0;
	}
	if (got)
		expect(do_write(&worker, items, got, delay_ms) == 0, "written", NULL);
}

static void write_again(void)
{
	struct model *model = pick(draw(2), false);

	if (model)
		expect(do_write(draw(2) ? &worker : &operator, &model->envelope, 1, draw(2) ? 0 : HOUR_MS) == 0,
			"the same again", model);
}

static void write_other(void)
{
	struct model *model = pick(true, false);
	struct envelope *other;

	if (!model)
		return;
	other = message("model@example.org", "Subject: other\r\n\r\n");
	memcpy(other->id, model->envelope->id, ID_SIZE);
	expect(do_write(&worker, &other, 1, 0) >= 400, "other content is refused", model);
	envelope_free(other);
}

static void claim(void)
{
	struct answer answer;
	unsigned ready = 0, max = 1 + draw(4);

	for (unsigned i = 0; i < SLOTS; i++)
		ready += is_ready(&models[i]);
	if (!ready)
		return;
	do_claim(&worker, max, &answer, WAIT_MS);
	expect(answer.lease_count >= 1 && answer.lease_count <= max, "something is due", NULL);
	if (!answer.done) {
		printf("Bail out! a claim does not end (step %u)\n", step);
		exit(1);
	}
	for (size_t i = 0; i < answer.lease_count; i++) {
		struct model *model = by_id(answer.leases[i]->id);

		expect(model && is_ready(model), "claimed what is due, held by nobody", model);
		if (!model)
			continue;
		expect(answer.leases[i]->suspect == model->state.suspect, "suspect", model);
		model_claim(model, answer.leases[i]);
	}
}

static void claim_id(void)
{
	struct model *model = pick(draw(4) != 0, false);
	struct lease *lease;
	unsigned code;

	if (!model)
		return;
	lease = do_claim_id(&worker, model->envelope->id, &code);
	if (!model->there)
		expect(code == 550, "gone", model);
	else if (model->lease)
		expect(code == 450, "somebody has it", model);
	else
		expect(lease != NULL, "claimed by its id", model);
	if (lease && model->there && !model->lease)
		model_claim(model, lease);
}

static void get(void)
{
	struct model *model = pick(true, true);
	struct answer got;

	if (!model)
		return;
	do_get(&worker, model->lease, &got);
	expect(!got.why.code && got.envelope && strcmp(got.envelope->id, model->envelope->id) == 0, "fetched", model);
	expect(same_state(&got.state, &model->claimed), "as it is known under the lease", model);
	answer_release(&got);
}

static void draw_outcomes(struct outcomes *done)
{
	struct reply reply = { 0 };

	for (size_t i = 0; i < RECIPIENTS; i++) {
		if (draw(2))
			continue;
		reply_set(&reply, 250 + draw(300), NULL, "text %u", draw(100));
		outcomes_add(done, &(struct outcome){ i, OUTCOME_DELAYED + draw(6), reply, (char *)(draw(2) ? "mx" : ""),
			1 + draw(1000) });
	}
	reply_release(&reply);
}

static void renew(void)
{
	struct model *model = pick(true, true);
	struct outcomes done = { 0 };

	if (!model)
		return;
	draw_outcomes(&done);
	outcomes_merge(&model->claimed.done, &done);
	outcomes_merge(&model->state.done, &done);
	model->touched = model->touched || done.count;
	expect(do_renew(&worker, model->lease, draw(2) || done.count ? &done : NULL) == 0, "renewed", model);
	outcomes_release(&done);
}

static void defer(void)
{
	struct model *model = pick(true, true);
	struct attempt attempt = { .time_ms = 1 + draw(100000), .host = (char *)"mx.example.com" };
	struct outcomes done = { 0 };
	bool attempted = draw(2), with_attempt = draw(4);
	int64_t delay_ms = draw(2) ? 0 : HOUR_MS;
	struct lease *lease;

	if (!model)
		return;
	draw_outcomes(&done);
	reply_set(&attempt.reply, 450, "4.2.0", "later");
	lease = model->lease;
	model->lease = NULL;
	model->touched = true;
	model->due = delay_ms == 0;
	outcomes_merge(&model->state.done, &done);
	message_state_defer(&model->state, attempted, with_attempt ? &attempt : NULL);
	model_obey(model, attempted);
	expect(do_defer(&worker, lease, delay_ms, attempted, &done, with_attempt ? &attempt : NULL) == 0, "given back", model);
	outcomes_release(&done);
	reply_release(&attempt.reply);
}

static void take_away(void)
{
	struct model *model = pick(true, true);

	if (!model)
		return;
	expect(do_remove(&worker, model->lease) == 0, "removed", model);
	model_gone(model);
}

static void mark(void)
{
	static const char *const reasons[] = { NULL, "one", "two" };
	struct model *model = pick(draw(8) != 0, draw(2));
	enum mark what = (enum mark)draw(MARK_STRIKE + 1);
	const char *reason = reasons[draw(3)];
	unsigned code;

	if (!model || model->pending_count == PENDING_MAX || (what == MARK_DISCARD && draw(3)))
		return;
	if (what == MARK_DISCARD && draw(2)) {
		code = do_discard(draw(2) ? &operator : &worker, model->envelope->id);
		expect(code == 0, "discarded", model);
	} else {
		code = do_mark(draw(2) ? &operator : &worker, model->envelope->id, what, reason);
		expect(code == (model->there ? 0 : 550), "marked, or not there", model);
	}
	if (!model->there)
		return;
	if (what != MARK_HOLD && what != MARK_BOUNCE)
		reason = NULL;
	if (!model->lease) {
		model_mark(model, what, reason);
	} else {
		model->pending[model->pending_count].mark = what;
		model->pending[model->pending_count++].reason = reason;
	}
}

static void check_one(struct model *model)
{
	struct answer seen;
	enum message_place place = model->lease ? PLACE_LEASED : model->touched ? PLACE_DEFERRED : PLACE_NEW;

	do_peek(draw(2) ? &operator : &worker, model->envelope->id, false, &seen);
	expect(seen.why.code == (model->there ? 0 : 550), "there, or not", model);
	if (model->there && !seen.why.code) {
		if (model->state.held)
			expect(seen.place == PLACE_HELD || model->lease, "held", model);
		else
			expect(seen.place == place, "its place", model);
		expect(same_state(&seen.state, &model->state), "its state", model);
		expect((seen.asked.count > 0) == (model->pending_count > 0), "what was asked of it", model);
	}
	answer_release(&seen);
}

static void look(void)
{
	struct model *model = pick(draw(4) != 0, false);

	if (model)
		check_one(model);
}

static void check_counts(void)
{
	struct queue_counts counts = do_info(&operator);
	uint64_t fresh = 0, deferred = 0, leased = 0, held = 0, both = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		const struct model *model = &models[i];

		if (!model->envelope || !model->there)
			continue;
		both += model->lease && model->state.held;
		leased += model->lease && !model->state.held;
		held += !model->lease && model->state.held;
		fresh += !model->lease && !model->state.held && !model->touched;
		deferred += !model->lease && !model->state.held && model->touched;
	}
	expect(counts.fresh == fresh && counts.deferred == deferred, "counts of new and deferred", NULL);
	expect(counts.leased + counts.held == leased + held + both && counts.leased >= leased && counts.held >= held,
		"counts of leased and held", NULL);
}

static void check_list(void)
{
	struct answer all;
	size_t there = 0;

	do_list(&operator, NULL, "", 100, &all);
	for (unsigned i = 0; i < SLOTS; i++)
		there += models[i].envelope && models[i].there;
	expect(all.ids.count == there, "as many as there are", NULL);
	for (size_t i = 0; i < all.ids.count; i++) {
		struct model *model = by_id(all.ids.items[i]);

		expect(model && model->there, "listed", model);
		expect(!i || strcmp(all.ids.items[i - 1], all.ids.items[i]) < 0, "in order", model);
	}
	answer_release(&all);
}

/* All leases end with their place; what was asked beside them is obeyed by the next who has the message. */
static void open_again(void)
{
	if (!driver->lasts || draw(8))
		return;
	place_close(&operator);
	place_close(&worker);
	contract_open(&worker, NULL, STORAGE_FOR_WORKER);
	contract_open(&operator, &worker, STORAGE_FOR_OPERATOR);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct model *model = &models[i];
		struct lease *lease;
		unsigned code;

		model->lease = NULL;
		if (!model->envelope || !model->there || !model->pending_count)
			continue;
		model_obey(model, false);
		lease = do_claim_id(&worker, model->envelope->id, &code);
		expect((lease != NULL) == model->there && (lease || code == 550), "what was asked is obeyed", model);
		if (!lease)
			continue;
		model->touched = model->due = true;
		message_state_defer(&model->state, false, NULL);
		expect(do_defer(&worker, lease, 0, false, NULL, NULL) == 0, "given back", model);
	}
}

static const struct {
	void (*call)(void);
	const char *name;
	unsigned share;
} calls[] = {
	{ write_new, "write", 3 }, { write_again, "write again", 1 }, { write_other, "write other", 1 },
	{ claim, "claim", 5 }, { claim_id, "claim_id", 2 }, { get, "get", 2 }, { renew, "renew", 3 },
	{ defer, "defer", 5 }, { take_away, "remove", 2 }, { mark, "mark", 8 }, { look, "peek", 3 },
	{ check_counts, "info", 1 }, { check_list, "list", 1 }, { open_again, "open again", 1 },
};

static void one_step(void)
{
	unsigned total = 0, drawn;

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
		total += calls[i].share;
	drawn = draw(total);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		if (drawn < calls[i].share) {
			doing = calls[i].name;
			calls[i].call();
			return;
		}
		drawn -= calls[i].share;
	}
}

/* Whatever is left is looked at, given back, and taken in full. */
static void check_all(void)
{
	doing = "at the end";
	for (unsigned i = 0; i < SLOTS; i++) {
		struct model *model = &models[i];
		struct lease *lease = model->lease;

		if (!model->envelope)
			continue;
		check_one(model);
		if (model->there && lease)
			take_away();
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (models[i].lease)
			take_away();
	check_counts();
	for (unsigned i = 0; i < SLOTS && !wrong; i++)
		if (is_ready(&models[i])) {
			claim();
			i = 0;
		}
	for (unsigned i = 0; i < SLOTS; i++)
		model_free(&models[i]);
}

static void walk(void)
{
	const char *wanted = getenv("SLIMTA_SEED");
	unsigned first = wanted ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)clock_wall_ms();

	seed = first;
	wrong = 0;
	contract_open(&worker, NULL, STORAGE_FOR_WORKER);
	contract_open(&operator, &worker, STORAGE_FOR_OPERATOR);
	for (step = 0; step < STEPS && !wrong; step++)
		one_step();
	check_all();
	if (!ok(!wrong, "%u random calls, each as the model says", STEPS))
		diag("SLIMTA_SEED=%u", first);
	place_close(&operator);
	place_close(&worker);
}

int main(void)
{
	contract_walk(walk);
	return done_testing();
}
