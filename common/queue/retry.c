/* retry.c - when a message that had to wait is tried again
 * SPDX-License-Identifier: MIT */
#include "common/queue/retry.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define DELAY_DEFAULT_MS 300000

static int evaluate(const struct expression *schedule, unsigned attempts, double *seconds, struct expression_error *error)
{
	if (expression_evaluate(schedule, attempts, seconds, error) < 0)
		return -1;
	error->column = 1;
	if (isnan(*seconds))
		snprintf(error->text, sizeof(error->text), "expected a time, not what is not a number");
	else if (isinf(*seconds))
		snprintf(error->text, sizeof(error->text), "expected a time that ends");
	else if (*seconds < 0)
		snprintf(error->text, sizeof(error->text), "expected a time, not %.15g seconds", *seconds);
	else
		return 0;
	return -1;
}

struct expression *retry_schedule(const struct config_node *node, const char *delay, unsigned maximum,
	struct config_errors *errors)
{
	struct expression_error error;
	struct expression *schedule = expression_parse(delay, &error);
	double seconds;

	if (!schedule)
		config_error_at_value(errors, node, "column %u of the expression: %s", error.column, error.text);
	for (unsigned x = 1; schedule && x <= maximum; x++) {
		if (evaluate(schedule, x, &seconds, &error) == 0)
			continue;
		config_error_at_value(errors, node, "column %u of the expression, for x = %u: %s", error.column, x,
			error.text);
		expression_free(schedule);
		schedule = NULL;
	}
	return schedule;
}

int64_t retry_delay_ms(const struct expression *schedule, unsigned attempts)
{
	struct expression_error error;
	double seconds;
	bool good = evaluate(schedule, attempts, &seconds, &error) == 0;

	if (!good && attempts > RETRY_CHECKED_MAX)
		attempts = RETRY_CHECKED_MAX + 1;
	while (!good && attempts > 1)
		good = evaluate(schedule, --attempts, &seconds, &error) == 0;
	if (!good)
		return DELAY_DEFAULT_MS;
	return seconds < (double)RETRY_DELAY_MAX_MS / 1000 ? llround(seconds * 1000) : RETRY_DELAY_MAX_MS;
}
