/* unit-queue-redis-take.c - a message of a redis queue is taken from a worker that has it
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_hosts.h"

static void test_taken(void)
{
	struct outcomes done = { 0 };
	struct lease *late, *current;
	struct answer seen;
	char id[ID_SIZE];

	outcomes_add(&done, &(struct outcome){ 1, OUTCOME_DELIVERED });
	write_one(&one, 0, id);
	is_int(do_take(&two, id), 0, "nobody has it: success");
	is_int(place_now(&two, id, &seen), PLACE_NEW, "it is as it was");
	answer_release(&seen);
	late = claim_one(&one, LONG_MS);
	is_int(do_take(&two, id), 0, "taken");
	is_int(place_now(&two, id, &seen), PLACE_NEW, "new again");
	answer_release(&seen);
	is_int(do_renew(&one, late, &done), 450, "who had it has lost it");
	current = claim_one(&two, LONG_MS);
	ok(current && current->epoch > late->epoch, "another claims it");
	is_int(do_defer(&one, late, 0, true, NULL, NULL), 450, "what the first says does not count");
	do_get(&two, current, &seen);
	ok(outcomes_find(&seen.state.done, 1) && !seen.state.attempts, "but for who was settled");
	answer_release(&seen);
	is_int(do_defer(&two, current, 3600000, true, NULL, NULL), 0, "deferred");
	is_int(do_claim_id(&one, id, &(unsigned){ 0 }) != NULL, 1, "claimed by its id");
	is_int(do_take(&two, id), 0, "taken");
	do_peek(&two, id, false, &seen);
	ok(seen.place == PLACE_DEFERRED && seen.state.due_in_ms > 3000000, "due when it was");
	answer_release(&seen);
	is_int(do_discard(&two, id), 0, "discarded");
	is_int(do_take(&two, id), 550, "not there");
	is_int(do_take(&two, "nonsense"), 550, "nor is this");
	outcomes_release(&done);
}

static void test_marks(void)
{
	struct answer seen;
	struct lease *lease;
	char id[ID_SIZE];

	write_one(&one, 0, id);
	lease = claim_one(&one, LONG_MS);
	do_mark(&two, id, MARK_HOLD, "a reason");
	is_int(do_take(&two, id), 0, "taken with a mark beside its lease");
	do_peek(&two, id, false, &seen);
	is_int(seen.place, PLACE_HELD, "held");
	is_str(seen.state.held, "a reason", "for that reason");
	is_int(seen.asked.count, 0, "nothing waits");
	answer_release(&seen);
	is_int(do_remove(&one, lease), 450, "its worker cannot remove it");
	do_mark(&two, id, MARK_RELEASE, NULL);
	lease = claim_one(&one, LONG_MS);
	do_mark(&two, id, MARK_DISCARD, NULL);
	is_int(do_take(&two, id), 0, "taken to be discarded");
	ok(!has_message(&two, id), "gone");
	is_int(do_defer(&one, lease, 0, true, NULL, NULL), 550, "its worker hears of it");
}

int main(void)
{
	hosts_begin(NULL);
	open_both();
	test_taken();
	test_marks();
	close_both();
	return hosts_end();
}
