/* client_write.c - messages on their way into a memory queue: encoded in a thread, sent without waiting for a disk
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/mail_source.h"
#include "common/message/stored.h"
#include "common/queue/memory/client.h"

struct write_call {
	struct call call;
	struct memory_client *client;
	struct envelope *const *items;
	struct buffer *heads;		/* their stored forms but for the octets */
	size_t count, at;
	bool head_sent;
	struct mail_source *source;
	uint64_t left;			/* octets of the one at `at` that are still to be sent */
	bool unreadable;		/* one could not be read: what was sent in its place has a wrong sum */
	storage_done_fn *done;
	void *arg;
};

struct encoding {
	struct task task;
	struct write_call *write;
	uint64_t max_bytes;
	struct reply why;
};

static void write_free(struct write_call *write)
{
	for (size_t i = 0; i < write->count; i++)
		buffer_release(&write->heads[i]);
	free(write->heads);
	mail_source_free(write->source);
	call_release(&write->call);
	free(write);
}

static void on_written(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct write_call *write = (struct write_call *)call;
	struct reply mine = { 0 };

	(void)line;
	(void)octets;
	/* What is damaged on its way here may come whole the next time. */
	if (write->unreadable || (why && reply_is_permanent(why)))
		reply_set(&mine, 451, "4.3.0", "Error queuing message");
	write->done(write->arg, reply_is_none(&mine) ? why : &mine);
	reply_release(&mine);
	write_free(write);
}

/* ---- sending */

static void rewind_write(struct call *call)
{
	struct write_call *write = (struct write_call *)call;

	mail_source_free(write->source);
	write->source = NULL;
	write->at = 0;
	write->head_sent = false;
}

static void on_arrived(void *arg)
{
	struct write_call *write = arg;

	client_go_on(write->client);
}

static void begin_item(struct write_call *write, struct buffer *out)
{
	const struct content *content = &write->items[write->at]->content;
	const struct buffer *head = &write->heads[write->at];

	buffer_append(out, head->data, head->size);
	write->head_sent = true;
	write->left = content_size(content);
	write->source = mail_source_new(write->client->context->disk, content, on_arrived, write);
}

static void end_item(struct write_call *write)
{
	mail_source_free(write->source);
	write->source = NULL;
	write->head_sent = false;
	write->at++;
}

/* The worker counts octets: it gets as many as it was promised, and a sum that is wrong. */
static enum call_more fill_up(struct write_call *write, struct buffer *out)
{
	char nothing[4096] = { 0 };
	size_t size = write->left < sizeof(nothing) ? (size_t)write->left : sizeof(nothing);

	if (!write->unreadable)
		log_error("queue", "could not read a message on its way into a memory queue",
			LOG_TEXT("id", write->items[write->at]->id), LOG_TEXT("error", strerror(errno)));
	write->unreadable = true;
	buffer_append(out, nothing, size);
	write->left -= size;
	return CALL_MORE;
}

static enum call_more more_of_write(struct call *call, struct buffer *out)
{
	struct write_call *write = (struct write_call *)call;
	enum mail_source_result result;
	const char *data;
	size_t size;

	if (write->at == write->count)
		return CALL_END;
	if (!write->head_sent)
		begin_item(write, out);
	result = write->unreadable && write->left ? MAIL_SOURCE_FAILED : mail_source_next(write->source, &data, &size);
	if (result == MAIL_SOURCE_LATER)
		return CALL_LATER;
	if (result == MAIL_SOURCE_FAILED && write->left)
		return fill_up(write, out);
	if (result == MAIL_SOURCE_DATA) {
		buffer_append(out, data, size);
		write->left -= size;
	} else {
		end_item(write);
	}
	return CALL_MORE;
}

/* ---- encoding */

static void encode_work(struct task *task)
{
	struct encoding *encoding = (struct encoding *)task;
	struct write_call *write = encoding->write;

	for (size_t i = 0; i < write->count; i++) {
		if (stored_encode(write->items[i], &write->heads[i]) < 0) {
			reply_set(&encoding->why, 451, "4.3.0", "Error queuing message");
			return;
		}
		write->call.bytes += write->heads[i].size + content_size(&write->items[i]->content);
	}
	if (write->call.bytes > encoding->max_bytes)
		reply_set(&encoding->why, 452, "4.3.1", "Insufficient system storage");
}

static void encode_done(struct task *task)
{
	struct encoding *encoding = (struct encoding *)task;
	struct write_call *write = encoding->write;

	if (reply_is_none(&encoding->why))
		client_ask(write->client, &write->call);
	else
		on_written(&write->call, NULL, NULL, &encoding->why);
	reply_release(&encoding->why);
	free(encoding);
}

void client_write(struct memory_client *client, struct tasks *tasks, struct envelope *const items[], size_t count,
	int64_t delay_ms, uint64_t max_bytes, storage_done_fn *done, void *arg)
{
	struct write_call *write = xcalloc(1, sizeof(*write));
	struct encoding *encoding = xcalloc(1, sizeof(*encoding));

	*write = (struct write_call){ .client = client, .items = items, .count = count, .done = done, .arg = arg };
	write->call.line = json_pack("{s:s, s:I}", "op", "write", "delay", (json_int_t)(delay_ms > 0 ? delay_ms : 0));
	write->call.more = more_of_write;
	write->call.rewind = rewind_write;
	write->call.answered = on_written;
	write->heads = xcalloc(count, sizeof(*write->heads));
	*encoding = (struct encoding){ .write = write, .max_bytes = max_bytes };
	encoding->task.work = encode_work;
	encoding->task.done = encode_done;
	tasks_run(tasks, &encoding->task);
}
