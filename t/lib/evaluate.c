/* evaluate.c - expressions as slimta evaluates them, for comparisons
 * SPDX-License-Identifier: MIT
 * In: `X EXPRESSION` a line. Out: the value, or `error COLUMN: TEXT`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/expression.h"

int main(void)
{
	char line[EXPRESSION_LENGTH_MAX + 100];

	while (fgets(line, sizeof(line), stdin)) {
		struct expression_error error;
		struct expression *expression;
		char *text;
		long long x = strtoll(line, &text, 10);
		double value;

		line[strcspn(line, "\n")] = '\0';
		expression = expression_parse(text + 1, &error);
		if (expression && expression_evaluate(expression, x, &value, &error) == 0)
			printf("%a\n", value);
		else
			printf("error %u: %s\n", error.column, error.text);
		expression_free(expression);
	}
	return 0;
}
