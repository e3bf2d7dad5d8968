/* unit-master-restart.c - the back-off of children that die
 * SPDX-License-Identifier: MIT */
#include "master/restart.h"
#include "t/lib/tap.h"

int main(void)
{
	static const int64_t delays[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000,
		60000 };
	struct restart restart = { 0 };
	bool good = true;

	for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++)
		good = restart_delay_ms(&restart, 10) == delays[i] && good;
	ok(good, "one second, doubled up to a minute");
	is_int(restart_delay_ms(&restart, 59999), 60000,
		"a run of nearly a minute changes nothing");
	is_int(restart_delay_ms(&restart, 60000), 1000, "a run of a minute begins anew");
	is_int(restart_delay_ms(&restart, 0), 2000, "and then it doubles again");
	return done_testing();
}
