/* record.c - what an operator did, in the log
 * SPDX-License-Identifier: MIT */
#include "queuectl/record.h"

#include "common/base/buffer.h"

void record(struct operator *operator, const char *event, const struct log_field *fields)
{
	struct log_field all[RECORD_FIELDS_MAX + 3] = { 0 };
	uint64_t lost = log_lost();
	size_t count = 0;

	for (; count < RECORD_FIELDS_MAX && fields[count].key; count++)
		all[count] = fields[count];
	all[count++] = (struct log_field)LOG_TEXT("user", buffer_str(&operator->user));
	if (operator->sudo_user.size)
		all[count++] = (struct log_field)LOG_TEXT("sudo_user", buffer_str(&operator->sudo_user));
	log_write(LOG_LEVEL_INFO, "queuectl", event, all);
	if (log_lost() == lost || operator->unrecorded)
		return;
	operator->unrecorded = true;
	operator_say(operator, EXIT_ERROR, "the log %s cannot be written: no more is changed",
		operator->process.logging.output ? operator->process.logging.output : "stderr");
}
