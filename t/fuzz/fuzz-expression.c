/* fuzz-expression.c - whatever the text, an expression has a value or an error that stands within it
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct expression_error *error, size_t length)
{
	if (!error->column || error->column > length + 1 || !error->text[0]
			|| strlen(error->text) >= sizeof(error->text))
		BUG("an error at column %u of %zu octets", error->column, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t tried[] = { 1, 2, 10, 1000 };
	char *text = xstrndup((const char *)data, size);
	struct expression_error error = { 0 };
	struct expression *expression = expression_parse(text, &error);
	double first = 0, second = 0;

	if (!expression)
		check_error(&error, strlen(text));
	for (size_t i = 0; expression && i < ARRAY_SIZE(tried); i++) {
		if (expression_evaluate(expression, tried[i], &first, &error) < 0)
			check_error(&error, strlen(text));
		else if (expression_evaluate(expression, tried[i], &second, &error) < 0
				|| memcmp(&first, &second, sizeof(first)) != 0)
			BUG("another value the second time");
	}
	expression_free(expression);
	free(text);
	return 0;
}
