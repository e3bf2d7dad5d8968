/* authenticate.c - says who it is as slimta does, for servers of other projects
 * SPDX-License-Identifier: MIT
 * authenticate MECHANISM USERNAME PASSWORD. In: a challenge a line, in base64, or `end`. Out: what is said, a line each, then
 * `satisfied` or `not satisfied`, with what was wrong and the slices that were calculated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/smtp/sasl_client.h"

static void say(struct buffer *out)
{
	puts(buffer_str(out));
	fflush(stdout);
	buffer_reset(out);
}

int main(int argc, char **argv)
{
	struct sasl_credentials credentials = { 0 };
	struct buffer out = { 0 };
	struct sasl_client *client;
	char *line = NULL;
	size_t room = 0;
	unsigned slices = 0;
	ssize_t size;
	int result = 0;

	if (argc != 4)
		return 2;
	credentials = (struct sasl_credentials){ argv[2], argv[3], sasl_memory_new() };
	client = sasl_client_new(argv[1], &credentials);
	if (sasl_client_first(client, &out))
		say(&out);
	while (result == 0 && (size = getline(&line, &room, stdin)) > 0 && strcmp(line, "end\n") != 0) {
		line[strcspn(line, "\n")] = '\0';
		for (result = sasl_client_next(client, line, &out); result == 1; slices++)
			result = sasl_client_work(client, &out);
		say(&out);
	}
	printf("%ssatisfied, %u slices: %s\n", sasl_client_is_satisfied(client) ? "" : "not ", slices,
		sasl_client_problem(client));
	sasl_client_free(client);
	sasl_memory_free(credentials.memory);
	buffer_release(&out);
	free(line);
	return 0;
}
