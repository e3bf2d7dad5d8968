/* limits_rates.c - what clients did within the last minutes, counted over all processes of one machine
 * SPDX-License-Identifier: MIT
 * All processes write one table, by compare and exchange of a place's state; its key changes only behind that. Who meets
 * another one at the very same moment may count for a key that has just left: one too many or too few, never a wrong
 * address of memory, and never for long. */
#include "common/base/limits_private.h"

#define TRIES 32			/* others were quicker each time: then it goes without being counted */

/* State of a rate: the number of its period, the count in it and in the one before; a state of failures: the second
 * of the last, and how many. Times of this machine since its start fit for more than 30 years. */
#define COUNT_BITS 20
#define COUNT_MASK ((1U << COUNT_BITS) - 1)
#define PERIOD_MASK 0xffffffU

_Static_assert(LIMITS_RATE_MAX <= COUNT_MASK, "a count that may be reached fits");

struct rate {
	uint32_t period, before, now;
};

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static bool exchange(uint64_t *word, uint64_t before, uint64_t after)
{
	return __atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* ---- states */

static uint64_t rate_packed(struct rate rate)
{
	return (uint64_t)(rate.period & PERIOD_MASK) << (2 * COUNT_BITS) | (uint64_t)rate.before << COUNT_BITS | rate.now;
}

/* What a state says at `now_ms`. */
static struct rate rate_at(uint64_t state, int64_t now_ms)
{
	uint32_t period = (uint32_t)((uint64_t)now_ms / LIMITS_MINUTE_MS & PERIOD_MASK);
	uint32_t passed = (period - (uint32_t)(state >> (2 * COUNT_BITS))) & PERIOD_MASK;
	uint32_t last = (uint32_t)state & COUNT_MASK;

	if (passed == 0)
		return (struct rate){ period, (uint32_t)(state >> COUNT_BITS) & COUNT_MASK, last };
	/* Another process read its clock a moment later than we did. */
	if (passed == PERIOD_MASK)
		return (struct rate){ (period + 1) & PERIOD_MASK, (uint32_t)(state >> COUNT_BITS) & COUNT_MASK, last };
	return (struct rate){ period, passed == 1 ? last : 0, 0 };
}

/* Rounded up: who has used up a minute's share waits until a whole one of it is a minute ago. */
static uint64_t rate_estimate(struct rate rate, int64_t now_ms)
{
	uint64_t left_ms = LIMITS_MINUTE_MS - (uint64_t)now_ms % LIMITS_MINUTE_MS;

	return rate.now + (rate.before * left_ms + LIMITS_MINUTE_MS - 1) / LIMITS_MINUTE_MS;
}

static uint32_t failures_at(uint64_t state, int64_t now_ms)
{
	uint32_t passed_s = (uint32_t)((uint64_t)now_ms / 1000) - (uint32_t)(state >> 32);

	/* Between the clocks of two processes a second may pass. */
	if (passed_s == UINT32_MAX)
		passed_s = 0;
	return passed_s < LIMITS_FAILURES_MS / 1000 ? (uint32_t)state : 0;
}

/* ---- places */

enum { OF_MESSAGES, OF_FAILURES };

/* How much would be forgotten. */
static uint64_t worth(int table, uint64_t state, int64_t now_ms)
{
	return table == OF_FAILURES ? failures_at(state, now_ms) : rate_estimate(rate_at(state, now_ms), now_ms);
}

static struct rate_place *place_at(const struct limits *limits, int table, uint64_t key, unsigned i)
{
	uint64_t hash = i < RATE_PLACES ? key : key >> 32;

	return &limits->rates[table].places[hash % RATE_BUCKETS][i % RATE_PLACES];
}

static struct rate_place *find(const struct limits *limits, int table, uint64_t key)
{
	for (unsigned i = 0; i < 2 * RATE_PLACES; i++) {
		struct rate_place *place = place_at(limits, table, key, i);

		if (load(&place->key) == key)
			return place;
	}
	return NULL;
}

/* The place of `key` from now on, which another key may have to leave; NULL where others were quicker. */
static struct rate_place *take(struct limits *limits, int table, uint64_t key, int64_t now_ms)
{
	struct rate_place *least = NULL;
	uint64_t least_worth = UINT64_MAX, least_state = 0;

	for (unsigned i = 0; i < 2 * RATE_PLACES; i++) {
		struct rate_place *place = place_at(limits, table, key, i);
		uint64_t state = load(&place->state), its_worth = worth(table, state, now_ms);

		if (its_worth >= least_worth)
			continue;
		least = place;
		least_worth = its_worth;
		least_state = state;
	}
	/* A state of nothing before the key that it is for. */
	if (!least || !exchange(&least->state, least_state, 0))
		return NULL;
	__atomic_store_n(&least->key, key, __ATOMIC_RELEASE);
	return least;
}

static struct rate_place *find_or_take(struct limits *limits, int table, uint64_t key, int64_t now_ms)
{
	struct rate_place *place = find(limits, table, key);

	return place ? place : take(limits, table, key, now_ms);
}

/* ---- counting */

bool limits_count(struct limits *limits, uint64_t key, unsigned most, int64_t now_ms)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct rate_place *place = find_or_take(limits, OF_MESSAGES, key, now_ms);
		uint64_t state = place ? load(&place->state) : 0;
		struct rate rate = rate_at(state, now_ms);

		if (!place || load(&place->key) != key)
			continue;
		if (rate_estimate(rate, now_ms) >= most)
			return false;
		rate.now += rate.now < COUNT_MASK;
		if (exchange(&place->state, state, rate_packed(rate)))
			return true;
	}
	return true;
}

unsigned limits_fail(struct limits *limits, uint64_t key, int64_t now_ms)
{
	uint64_t now_s = (uint64_t)now_ms / 1000;

	for (unsigned i = 0; i < TRIES; i++) {
		struct rate_place *place = find_or_take(limits, OF_FAILURES, key, now_ms);
		uint64_t state = place ? load(&place->state) : 0;
		uint32_t count = failures_at(state, now_ms);

		if (!place || load(&place->key) != key)
			continue;
		count += count < UINT32_MAX;
		if (exchange(&place->state, state, now_s << 32 | count))
			return count;
	}
	return 1;
}

unsigned limits_failures(const struct limits *limits, uint64_t key, int64_t now_ms)
{
	const struct rate_place *place = find(limits, OF_FAILURES, key);

	return place ? failures_at(load(&place->state), now_ms) : 0;
}
