/* date.c - add_date_header: a Date field for a message that has none
 * SPDX-License-Identifier: MIT */
#include "common/base/clock.h"
#include "common/message/header.h"
#include "common/policy/drivers.h"

static const struct option rows[] = { { 0 } };

static int apply(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	char date[CLOCK_RFC5322_SIZE];

	(void)policy;
	(void)out;
	(void)why;
	if (!header_has(&(*in)->content, "Date"))
		header_append(&(*in)->content, "Date", clock_rfc5322(date, (*in)->timestamp_ms));
	return 0;
}

const struct policy_driver policy_date = {
	.type = "add_date_header",
	.size = sizeof(struct policy),
	.options = rows,
	.apply = apply,
};
