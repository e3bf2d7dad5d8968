/* id.c - message and session ids
 * SPDX-License-Identifier: MIT */
#include "common/base/id.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/memory.h"

/* RFC 4648 section 7: the digits stand in ASCII order, so text sorts as the number does. */
static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

#define MS_BITS 48
#define RANDOM_BITS 80
#define BLOCK_SIZE 256		/* so many octets getrandom gives whole, whatever signals come */

static struct {
	pthread_mutex_t lock;
	uint64_t ms;
	unsigned __int128 random;	/* the last one given out in `ms` */
	unsigned char block[BLOCK_SIZE];
	size_t left;			/* octets of the block that no id has had */
	uint64_t fallback;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A kernel that gives no randomness still gets ids that do not meet: time, process and a count, mixed. */
static uint64_t random_without_kernel(void)
{
	struct timespec now = { 0 };
	uint64_t z;

	clock_gettime(CLOCK_MONOTONIC, &now);
	state.fallback += 0x9e3779b97f4a7c15u;
	z = state.fallback ^ ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ ((uint64_t)getpid() << 24);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* What is left of a block is the parent's alone. */
static void forget_block(void)
{
	state.left = 0;
}

static void forget_block_at_fork(void)
{
	if (pthread_atfork(NULL, NULL, forget_block))
		BUG("no handler for forks");
}

/* Called with the lock held. */
static void random_words(uint64_t words[2])
{
	size_t size = 2 * sizeof(words[0]);

	if (!state.left && FAULT("id.random", getrandom(state.block, BLOCK_SIZE, 0)) == BLOCK_SIZE)
		state.left = BLOCK_SIZE;
	if (state.left) {
		state.left -= size;
		memcpy(words, state.block + state.left, size);
	} else {
		words[0] = random_without_kernel();
		words[1] = random_without_kernel();
	}
}

/* Within one millisecond, or while the clock stands before the last id, the number goes up by a random
 * step, so ids of one process always sort as they were made and the next is not to be guessed. */
static unsigned __int128 next_number(void)
{
	uint64_t now = (uint64_t)clock_wall_ms() & (((uint64_t)1 << MS_BITS) - 1);
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned __int128 number;
	uint64_t words[2];

	pthread_once(&once, forget_block_at_fork);
	pthread_mutex_lock(&state.lock);
	random_words(words);
	if (now > state.ms) {
		state.ms = now;
		/* The top bit is id_derive's. */
		state.random = ((unsigned __int128)(words[0] & 0x7fff) << 64) | words[1];
	} else {
		state.random += 1 + (words[0] >> 16);
		if (state.random >> (RANDOM_BITS - 1)) {
			state.ms++;
			state.random &= ((unsigned __int128)1 << (RANDOM_BITS - 2)) - 1;
		}
	}
	number = ((unsigned __int128)state.ms << RANDOM_BITS) | state.random;
	pthread_mutex_unlock(&state.lock);
	return number;
}

void id_new(char id[ID_SIZE])
{
	unsigned __int128 number = next_number();
	int i;

	for (i = ID_LENGTH - 1; i >= 0; i--, number >>= 5)
		id[i] = digits[(unsigned)number & 31];
	id[ID_LENGTH] = '\0';
}

bool id_is_valid(const char *text)
{
	return strnlen(text, ID_LENGTH + 1) == ID_LENGTH && strspn(text, digits) == ID_LENGTH;
}

int64_t id_wall_ms(const char *id)
{
	int64_t ms = 0;
	int i;

	if (!id_is_valid(id))
		return -1;
	/* 26 digits are 130 bits; the time is in the first ten, 50 bits of which the top two are clear. */
	for (i = 0; i < 10; i++)
		ms = (ms << 5) | (strchr(digits, id[i]) - digits);
	return ms;
}

bool id_is_derived(const char *id)
{
	return id_is_valid(id) && id[10] >= digits[16];
}
