/* unit-queue-owner.c - the disk driver names who has a message, from the `.now` files of this host's workers
 * SPDX-License-Identifier: MIT */
#include "common/queue/disk/disk.h"
#include "t/lib/storage.h"

#define SECTION "type: disk, envelope_dir: @/env, meta_dir: @/meta, allow_volatile: true"

struct shown {
	struct answer answer;
	char *owner;
	enum lease_phase phase;
	int64_t leased_for_ms, in_phase_ms;
};

static void on_shown(void *arg, const struct reply *why, struct peeked *peeked)
{
	struct shown *shown = arg;

	on_done(&shown->answer, why);
	if (!peeked)
		return;
	xstrset(&shown->owner, peeked->owner);
	shown->phase = peeked->phase;
	shown->leased_for_ms = peeked->leased_for_ms;
	shown->in_phase_ms = peeked->in_phase_ms;
}

static void on_entries(void *arg, const struct reply *why, const struct list_entry *entries, size_t count, const char *cursor)
{
	struct shown *shown = arg;

	(void)cursor;
	on_done(&shown->answer, why);
	if (!count)
		return;
	xstrset(&shown->owner, entries[0].owner);
	shown->phase = entries[0].phase;
	shown->leased_for_ms = entries[0].leased_for_ms;
	shown->in_phase_ms = entries[0].in_phase_ms;
}

static void owner_is(struct place *place, const char *id, const char *owner, enum lease_phase phase, const char *what)
{
	struct shown peeked = { 0 }, listed = { 0 };

	place->storage->driver->peek(place->storage, id, false, on_shown, &peeked);
	answered(place, &peeked.answer);
	place->storage->driver->list(place->storage, NULL, "", 10, on_entries, &listed);
	answered(place, &listed.answer);
	is_str(peeked.owner, owner, what);
	is_str(listed.owner, owner, "listed too");
	ok(peeked.phase == phase && listed.phase == phase, "how far it is");
	ok(!owner || (peeked.leased_for_ms >= peeked.in_phase_ms && peeked.in_phase_ms >= 0 && listed.leased_for_ms >= 0),
		"and since when");
	free(peeked.owner);
	free(listed.owner);
}

int main(void)
{
	struct place place;
	struct envelope *envelope = message("a@example.org", "Subject: n\r\n\r\n");
	struct answer claimed, refused = { 0 };
	struct now *now;
	char *owner = xasprintf("mx.example.net/slimta-worker[%d]", (int)getpid()), *wanted;
	uint32_t row;

	scratch_make();
	if (!place_open(&place, STORAGE_FOR_WORKER, SECTION))
		return 1;
	mkdir(place.process.runtime_dir, 0700);
	do_write(&place, &envelope, 1, 0);
	now = now_open(place.process.runtime_dir, "test", &(struct now_keeper){ "slimta-worker", "mx.example.net" }, 4);
	row = now_hold(now, envelope->id);
	owner_is(&place, envelope->id, NULL, LEASE_PHASE_UNKNOWN, "what is not locked is nobody's");
	is_int(do_claim(&place, 1, &claimed, 5000), 1, "claimed");
	owner_is(&place, envelope->id, owner, LEASE_CLAIMED, "who claimed it");
	now_reach(now, row, LEASE_PAST_THE_DOT);
	owner_is(&place, envelope->id, owner, LEASE_PAST_THE_DOT, "who delivers it");
	place.storage->driver->claim_id(place.storage, envelope->id, 1000, on_claimed, on_done, &refused);
	answered(&place, &refused);
	wanted = xasprintf("Message is under a lease of %s", owner);
	ok(refused.why.code == 450 && refused.why.subject == 2, "another claim is refused");
	is_str(refused.why.text, wanted, "and told who has it");
	now_release(now, row);
	owner_is(&place, envelope->id, NULL, LEASE_PHASE_UNKNOWN, "one that no worker names");
	now_close(now);
	do_remove(&place, claimed.leases[0]);
	answer_release(&refused);
	place_close(&place);
	envelope_free(envelope);
	free(owner);
	free(wanted);
	scratch_remove();
	return done_testing();
}
