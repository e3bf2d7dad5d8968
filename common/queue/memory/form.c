/* form.c - a message in its stored form, in memory
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/form.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/storage.h"

struct form *form_hold(struct form *form)
{
	form->references++;
	return form;
}

void form_release(struct form *form)
{
	if (!form || --form->references)
		return;
	free(form->data);
	free(form);
}

void forms_release(struct forms *forms)
{
	for (size_t i = 0; i < forms->count; i++)
		form_release(forms->items[i]);
	free((void *)forms->items);
	*forms = (struct forms){ 0 };
}

uint64_t form_content_size(const struct form *form)
{
	return form->size - form->octets_at;
}

/* Takes the data. */
static struct form *form_new(const struct envelope *envelope, size_t octets_at, size_t size, char *data)
{
	struct form *form = xmalloc(sizeof(*form));

	*form = (struct form){ .references = 1, .accepted_ms = message_accepted_ms(envelope->id, envelope),
		.octets_at = octets_at, .size = size, .data = data };
	memcpy(form->id, envelope->id, ID_SIZE);
	return form;
}

struct form *form_encode(const struct envelope *envelope, struct reply *why)
{
	struct buffer head = { 0 };
	size_t size = (size_t)content_size(&envelope->content);
	char *data;

	if (FAULT("memory.encode", stored_encode(envelope, &head)) == 0) {
		data = xrealloc(NULL, 1, head.size + size);
		memcpy(data, head.data, head.size);
		if (content_read(&envelope->content, 0, data + head.size, size) == (long)size) {
			size += head.size;
			buffer_release(&head);
			return form_new(envelope, size - (size_t)content_size(&envelope->content), size, data);
		}
		free(data);
	}
	buffer_release(&head);
	reply_set(why, 451, "4.3.0", "Error queuing message");
	return NULL;
}

static void set_why(enum stored_result result, const char *text, struct reply *why)
{
	if (result == STORED_DAMAGED)
		reply_set(why, 554, "5.6.0", "Message is damaged: %s", text);
	else
		reply_set(why, 451, "4.3.0", "Message cannot be read: %s", text);
}

/* The first of them; it takes the buffer where that holds nothing else. */
static struct form *take_first(struct buffer *from, size_t offset, struct reply *why)
{
	const char *data = from->data + offset, *text;
	size_t left = from->size - offset;
	struct envelope *envelope = NULL;
	struct stored_extent extent;
	struct form *form;
	enum stored_result result = stored_decode_head(data, left, true, &envelope, &extent, &text);

	if (result != STORED_OK) {
		set_why(result, text, why);
		return NULL;
	}
	/* A buffer is larger than what it holds. */
	form = form_new(envelope, extent.octets_at, extent.size, extent.size == from->size ?
		xrealloc(buffer_detach(from), 1, extent.size) : xmemdup(data, extent.size));
	envelope_free(envelope);
	return form;
}

int forms_split(struct forms *forms, struct buffer *from, struct reply *why)
{
	struct form *form = NULL;

	*forms = (struct forms){ 0 };
	for (size_t offset = 0; offset < from->size; offset += form->size) {
		form = take_first(from, offset, why);
		if (!form) {
			forms_release(forms);
			buffer_release(from);
			return -1;
		}
		forms->items = xgrow((void *)forms->items, forms->count, sizeof(struct form *));
		forms->items[forms->count++] = form;
	}
	buffer_release(from);
	return 0;
}

static struct envelope *read_head(const char *data, size_t size, struct stored_extent *extent, struct reply *why)
{
	struct envelope *envelope = NULL;
	const char *text;
	enum stored_result result = stored_decode_head(data, size, false, &envelope, extent, &text);

	if (result != STORED_OK)
		set_why(result, text, why);
	return envelope;
}

static struct envelope *read_all(const char *data, size_t size, struct reply *why)
{
	struct envelope *envelope = NULL;
	const char *text;
	enum stored_result result = stored_decode(data, size, &envelope, &text);

	if (result != STORED_OK)
		set_why(result, text, why);
	return envelope;
}

struct envelope *form_read(const char *data, size_t size, bool content, struct reply *why)
{
	struct stored_extent extent = { 0 };
	struct envelope *envelope = content ? read_all(data, size, why) : read_head(data, size, &extent, why);

	if (!envelope || content || extent.size == extent.octets_at)
		return envelope;
	/* Reading it fails, as it has to. */
	envelope->content.fd = FAULT("memory.open", open("/dev/null", O_RDONLY | O_CLOEXEC));
	envelope->content.fd_size = extent.size - extent.octets_at;
	if (envelope->content.fd >= 0)
		return envelope;
	set_why(STORED_FAILED, "no descriptor is left", why);
	envelope_free(envelope);
	return NULL;
}

struct envelope *form_decode(const struct form *form, bool content, struct reply *why)
{
	return form_read(form->data, form->size, content, why);
}

struct envelope *form_decode_head(const struct form *form, struct reply *why)
{
	struct stored_extent extent;

	return read_head(form->data, form->size, &extent, why);
}
