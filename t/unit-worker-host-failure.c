/* unit-worker-host-failure.c - how long a host is left alone that could not be used
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "worker/host_failure.h"

int main(void)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
	struct host_failure failure = { 0 };
	struct reply why = { 0 };
	int64_t now_ms = 7000;

	ok(!host_failure_holds(&failure, 0), "nothing is known at first");
	is_int(host_failure_kept_until_ms(&failure), 0, "nor worth to be kept");
	reply_set(&why, 451, "4.4.2", "Connection lost");
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		host_failure_note(&failure, &why, "mx[192.0.2.1]", now_ms);
		ok(host_failure_holds(&failure, now_ms + waits[i] - 1) && !host_failure_holds(&failure, now_ms + waits[i]),
			"failure %zu: for %lld ms", i + 1, (long long)waits[i]);
		ok(host_failure_kept_until_ms(&failure) > now_ms + 2 * waits[i], "it is known after that, too");
		now_ms += waits[i];
	}
	ok(strncmp(failure.told.text, "Connection lost (left alone until 20", 36) == 0 &&
		strlen(failure.told.text) == strlen("Connection lost (left alone until 2026-11-22T21:59:48.147Z)"),
		"the text says until when: %s", failure.told.text);
	is_int(failure.told.code * 100 + failure.told.subject * 10U + failure.told.detail, 45142, "the code stays");
	is_str(failure.host, "mx[192.0.2.1]", "so does the host");
	host_failure_forget(&failure);
	ok(!host_failure_holds(&failure, now_ms), "forgotten");
	host_failure_note(&failure, &why, "mx[192.0.2.1]", now_ms);
	ok(!host_failure_holds(&failure, now_ms + 1000), "it begins with 1 s again");
	host_failure_forget(&failure);
	reply_release(&why);
	return done_testing();
}
