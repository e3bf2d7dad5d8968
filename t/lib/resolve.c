/* resolve.c - looks names up as the programs do, for tests: resolve SERVER DNSSEC TIMEOUT_MS NAME...
 * SPDX-License-Identifier: MIT
 * Prints a line a name as the answers come. A name with a `-` before it is cancelled at once; `/` frees the resolver
 * with all that is under way. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/net/resolver.h"

struct asked {
	const char *name;
	bool in_call;
	unsigned *left;
};

static void on_found(void *arg, const struct reply *why, const struct host_address *addresses, size_t count)
{
	struct asked *asked = arg;
	char text[HOST_ADDRESS_TEXT_SIZE];
	struct buffer line = { 0 };

	if (asked->in_call)
		BUG("called back within the call");
	if (why)
		reply_append(why, &line);
	for (size_t i = 0; i < count; i++)
		buffer_appendf(&line, "%s%s", i ? " " : "", host_address_text(&addresses[i], text));
	printf("%s: %s\n", asked->name, buffer_str(&line));
	buffer_release(&line);
	--*asked->left;
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct process_resolver options = { 0 };
	struct resolver *resolver;
	struct asked *all = xcalloc((size_t)argc, sizeof(*all));
	unsigned left = 0;

	if (argc < 5 || !base)
		return 2;
	strings_add(&options.servers, argv[1]);
	options.dnssec = (unsigned)atoi(argv[2]);
	options.timeout_ms = atoi(argv[3]);
	resolver = resolver_new(base, &options);
	for (int i = 4; i < argc && resolver; i++) {
		bool cancel = argv[i][0] == '-';
		struct resolver_query *query;

		if (argv[i][0] == '/') {
			event_base_loop(base, EVLOOP_NONBLOCK);
			break;
		}
		all[i] = (struct asked){ argv[i] + cancel, true, &left };
		query = resolver_addresses(resolver, all[i].name, on_found, &all[i]);
		all[i].in_call = false;
		if (cancel)
			resolver_cancel(query);
		else
			left++;
		if (i == argc - 1)
			while (left)
				event_base_loop(base, EVLOOP_ONCE);
	}
	resolver_free(resolver);
	strings_release(&options.servers);
	event_base_free(base);
	free(all);
	return resolver ? 0 : 1;
}
