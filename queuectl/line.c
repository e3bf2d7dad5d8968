/* line.c - what messages wait for that are in the line of their relay
 * SPDX-License-Identifier: MIT */
#include "queuectl/line.h"

#include <string.h>

#include "common/base/buffer.h"
#include "common/queue/now.h"
#include "queuectl/output.h"

static const char *text_of(const struct config_node *section, const char *key)
{
	const struct config_node *node = config_get(section, key);

	return node && node->kind == CONFIG_SCALAR ? node->text : NULL;
}

static void put_given(struct buffer *out, const char *before, const char *text, const char *after)
{
	if (!text)
		return;
	buffer_append_str(out, before);
	put_text(out, text);
	buffer_append_str(out, after);
}

/* The relays' own rows are not known here: what is not written down is not said. */
static void put_turn(struct buffer *out, const char *relay, const struct config_node *section)
{
	const char *type = text_of(section, "type"), *host = text_of(section, "host");

	if (type && strcmp(type, "static") == 0 && host) {
		put_given(out, "a free connection to ", host, "");
		put_given(out, " port ", text_of(section, "port"), "");
		put_given(out, " (at most ", text_of(section, "concurrent_connections"), " at once)");
	} else if (type && strcmp(type, "pipe") == 0) {
		put_given(out, "a command of relay ", relay, " to end");
		put_given(out, " (at most ", text_of(section, "concurrent_processes"), " at once)");
	}
}

void line_look(struct found *found, const struct operator *operator)
{
	const char *relay = queue_options(found->queue)->relay;
	const struct config_node *section = relay ? config_section(operator->config, "relay", relay) : NULL;
	struct now_view *view = now_look(operator->process.runtime_dir, queue_name(found->queue));

	if (section)
		put_turn(&found->turn, relay, section);
	found->held = now_count(view, &found->in_line);
	now_view_free(view);
}
