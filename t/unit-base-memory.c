/* unit-base-memory.c - arrays that grow by one item at a time are copied as seldom as their size doubles
 * SPDX-License-Identifier: MIT
 * P8 */
#include "t/lib/tap.h"

#include <malloc.h>
#include <stdint.h>

#include "common/base/memory.h"

#define ITEMS 100000
#define DOUBLINGS 18	/* 1, 2, 4 ... 131072 */

static void test_growth(void)
{
	size_t *items = NULL, count, room = 0, grown = 0;
	bool kept = true;

	for (count = 0; count < ITEMS; count++) {
		items = xgrow(items, count, sizeof(*items));
		if (malloc_usable_size(items) != room)
			grown++;
		room = malloc_usable_size(items);
		items[count] = count;
	}
	for (size_t i = 0; i < count; i++)
		kept = kept && items[i] == i;
	ok(kept, "every item of %zu is kept", count);
	ok(grown <= DOUBLINGS, "the array was made anew %zu times for them", grown);
	ok(room >= ITEMS * sizeof(*items), "there is room for all of them");
	free(items);
}

/* An array that was emptied, or cut, goes on from there. */
static void test_cut(void)
{
	int *items = NULL;
	size_t count = 0;

	for (; count < 9; count++) {
		items = xgrow(items, count, sizeof(*items));
		items[count] = (int)count;
	}
	for (count = 3; count < 40; count++) {
		items = xgrow(items, count, sizeof(*items));
		items[count] = (int)count;
	}
	ok(items[2] == 2 && items[39] == 39, "cut to 3 of 9, and then 40");
	count = 0;
	items = xgrow(items, count, sizeof(*items));
	items[count] = 7;
	ok(items[0] == 7, "emptied, and then one");
	free(items);
}

int main(void)
{
	test_growth();
	test_cut();
	return done_testing();
}
