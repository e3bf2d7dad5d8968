/* resolve.c - looks names up as the programs do, for tests: resolve SERVER DNSSEC TIMEOUT_MS NAME...
 * SPDX-License-Identifier: MIT
 * Prints a line a name as the answers come. A name with a `-` before it is cancelled at once; `/` frees the resolver
 * with all that is under way; `mx:` asks for the hosts of a domain (PREFERENCE:NAME..., `*` for secure), `host:` for the name
 * of an address, within a second;
 * `anchor:PATH` believes what that key proves; `+` waits for all before it. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void on_mx(void *arg, const struct reply *why, const struct mx_records *records, bool secure)
{
	struct asked *asked = arg;
	struct buffer line = { 0 };

	if (asked->in_call)
		BUG("called back within the call");
	buffer_append(&line, secure ? "*" : "", secure);
	if (why)
		reply_append(why, &line);
	for (size_t i = 0; i < records->count; i++)
		buffer_appendf(&line, "%s%u:%s", i ? " " : "", records->items[i].preference, records->items[i].name);
	printf("%s: %s\n", asked->name, buffer_str(&line));
	buffer_release(&line);
	--*asked->left;
}

static void on_host(void *arg, const char *name)
{
	struct asked *asked = arg;

	if (asked->in_call)
		BUG("called back within the call");
	printf("%s: %s\n", asked->name, name ? name : "none");
	--*asked->left;
}

/* NULL where there is nothing that resolver_cancel() knows. */
static struct resolver_query *ask(struct resolver *resolver, struct asked *asked)
{
	struct host_address address;

	if (text_has_prefix(asked->name, "host:") && host_address_parse(&address, asked->name + strlen("host:"))) {
		resolver_host(resolver, &address, 1000, on_host, asked);
		return NULL;
	}
	if (text_has_prefix(asked->name, "mx:"))
		return resolver_mx(resolver, asked->name + strlen("mx:"), on_mx, asked);
	return resolver_addresses(resolver, asked->name, on_found, asked);
}

static void wait_for(struct event_base *base, const unsigned *left)
{
	while (*left)
		event_base_loop(base, EVLOOP_ONCE);
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
		if (argv[i][0] == '+') {
			wait_for(base, &left);
			continue;
		}
		if (text_has_prefix(argv[i], "anchor:")) {
			if (resolver_add_anchor(resolver, argv[i] + strlen("anchor:")))
				return 2;
			continue;
		}
		all[i] = (struct asked){ argv[i] + cancel, true, &left };
		query = ask(resolver, &all[i]);
		all[i].in_call = false;
		if (cancel)
			resolver_cancel(query);
		else
			left++;
		if (i == argc - 1)
			wait_for(base, &left);
	}
	resolver_free(resolver);
	strings_release(&options.servers);
	event_base_free(base);
	free(all);
	return resolver ? 0 : 1;
}
