/* stored.c - the stored form of a message
 * SPDX-License-Identifier: MIT
 * A file and a run of memory are read alike, by offset; what stands behind the octets is nobody's. */
#include "common/message/stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/base/fault.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define CHUNK 65536
#define PREFIX "slimta "
#define FORM_VERSION 1

/* ---- writing */

static int add_content_sum(const struct content *content, uint32_t *sum)
{
	uint64_t offset = 0, size = content_size(content);
	char *chunk = xmalloc(CHUNK);
	long got = 0;

	while (offset < size && (got = content_read(content, offset, chunk, CHUNK)) > 0) {
		*sum = crc32c(*sum, chunk, (size_t)got);
		offset += (uint64_t)got;
	}
	free(chunk);
	return got < 0 ? -1 : 0;
}

int stored_encode(const struct envelope *envelope, struct buffer *head)
{
	json_t *json = envelope_to_json(envelope);
	char *text = json_dumps(json, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0;
	uint32_t sum;
	int result = -1;

	json_decref(json);
	if (!size || size > STORED_JSON_MAX) {
		errno = EFBIG;
	} else {
		text[size] = '\n';
		sum = crc32c(0, text, size + 1);
		result = add_content_sum(&envelope->content, &sum);
		if (result == 0) {
			buffer_appendf(head, PREFIX "%d %zu %" PRIu64 " %08" PRIx32 "\n", FORM_VERSION, size,
				content_size(&envelope->content), sum);
			buffer_append(head, text, size + 1);
		}
	}
	free(text);
	return result;
}

/* ---- reading */

struct source {
	const char *data;	/* NULL: fd */
	int fd;
	uint64_t size;
};

struct form {
	uint64_t json_at, json_size;
	uint64_t body_at, body_size;
	uint32_t sum;
};

/* All of `size` octets; the lengths were checked, so a file that gives fewer fails us. */
static int read_at(const struct source *source, uint64_t offset, void *out, size_t size)
{
	char *at = out;

	if (source->data) {
		memcpy(out, source->data + offset, size);
		return 0;
	}
	while (size) {
		ssize_t got = FAULT("stored.read", pread(source->fd, at, size, (off_t)offset));

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return -1;
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

static enum stored_result damaged(const char **why, const char *text)
{
	*why = text;
	return STORED_DAMAGED;
}

static enum stored_result foreign(const char **why, const char *text)
{
	*why = text;
	return STORED_FOREIGN;
}

static enum stored_result failed(const char **why)
{
	*why = "it cannot be read";
	return STORED_FAILED;
}

/* A decimal number and the octet behind it. */
static bool take_number(const char **at, char end, uint64_t max, uint64_t *out)
{
	size_t size = strspn(*at, "0123456789");

	if ((*at)[size] != end || !parse_u64(*at, size, max, out))
		return false;
	*at += size + 1;
	return true;
}

static bool take_sum(const char **at, uint32_t *out)
{
	uint32_t sum = 0;

	for (int i = 0; i < 8; i++, (*at)++) {
		const char *digits = "0123456789abcdef";
		const char *digit = **at ? strchr(digits, **at) : NULL;

		if (!digit)
			return false;
		sum = sum << 4 | (uint32_t)(digit - digits);
	}
	*out = sum;
	return *(*at)++ == '\n';
}

static enum stored_result read_line(const struct source *source, struct form *form, const char **why)
{
	char line[STORED_LINE_SIZE + 1];
	size_t size = source->size < STORED_LINE_SIZE ? (size_t)source->size : STORED_LINE_SIZE;
	const char *at = line;
	uint64_t version;

	if (read_at(source, 0, line, size) < 0)
		return failed(why);
	line[size] = '\0';
	if (!text_has_prefix(line, PREFIX))
		return damaged(why, "it does not begin as a stored message");
	at += strlen(PREFIX);
	if (!take_number(&at, ' ', UINT32_MAX, &version))
		return damaged(why, "its first line has no version");
	if (version != FORM_VERSION)
		return foreign(why, "it is stored in a form of another version");
	if (!take_number(&at, ' ', UINT64_MAX, &form->json_size) ||
			!take_number(&at, ' ', UINT64_MAX, &form->body_size) || !take_sum(&at, &form->sum))
		return damaged(why, "its first line is broken");
	form->json_at = (uint64_t)(at - line);
	if (!form->json_size || form->json_size > STORED_JSON_MAX)
		return damaged(why, "the length of its JSON cannot be");
	form->body_at = form->json_at + form->json_size + 1;
	if (source->size < form->body_at)
		return damaged(why, "it is shorter than its first line says");
	return STORED_OK;
}

/* The line, and whether all is there that it speaks of. */
static enum stored_result read_whole_line(const struct source *source, struct form *form, const char **why)
{
	enum stored_result result = read_line(source, form, why);

	if (result == STORED_OK && source->size - form->body_at < form->body_size)
		return damaged(why, "it is shorter than its first line says");
	return result;
}

static bool knows_all_needs(const json_t *needs)
{
	return !needs || (json_is_array(needs) && json_array_size(needs) == 0);
}

static enum stored_result parse_json(const char *text, size_t size, struct envelope **envelope, const char **why)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *version = json_object_get(json, "version");
	enum stored_result result = STORED_OK;

	if (!json_is_object(json) || !json_is_integer(version))
		result = damaged(why, "its JSON is broken");
	else if (json_integer_value(version) != ENVELOPE_VERSION)
		result = foreign(why, "its envelope is of another version");
	else if (!knows_all_needs(json_object_get(json, "needs")))
		result = foreign(why, "it needs a feature that this slimta lacks");
	else if (!(*envelope = envelope_from_json(json, why)))
		result = STORED_DAMAGED;
	json_decref(json);
	return result;
}

static enum stored_result check_octets(const struct source *source, const struct form *form, uint32_t sum,
	uint64_t from, const char **why)
{
	char *chunk = xmalloc(CHUNK);
	enum stored_result result = STORED_OK;

	while (from < form->body_size && result == STORED_OK) {
		size_t size = form->body_size - from < CHUNK ? (size_t)(form->body_size - from) : CHUNK;

		if (read_at(source, form->body_at + from, chunk, size) < 0)
			result = failed(why);
		sum = crc32c(sum, chunk, size);
		from += size;
	}
	free(chunk);
	if (result == STORED_OK && sum != form->sum)
		result = damaged(why, "its octets do not have the sum that its first line says");
	return result;
}

/* What the header and its end need stays in memory, the rest in the file. */
static enum stored_result keep_in_file(const struct source *source, const struct form *form,
	struct content *content, const char **why)
{
	size_t kept;

	content->fd = fd_open_again(source->fd);
	if (content->fd < 0)
		return failed(why);
	content->fd_size = form->body_size - content->memory.size;
	content_finish(content);
	kept = content->header_size + 2;
	if (kept < content->memory.size) {
		struct buffer header = { 0 };

		buffer_append(&header, content->memory.data, kept);
		buffer_release(&content->memory);
		content->memory = header;
	}
	content->fd_offset = form->body_at + content->memory.size;
	content->fd_size = form->body_size - content->memory.size;
	return STORED_OK;
}

static enum stored_result read_content(const struct source *source, const struct form *form, size_t memory_max,
	const uint32_t *sum, struct content *content, const char **why)
{
	bool in_memory = source->data || form->body_size <= memory_max;
	uint64_t size = in_memory || form->body_size < CONTENT_HEADER_MAX ? form->body_size : CONTENT_HEADER_MAX;
	enum stored_result result = STORED_OK;

	buffer_reserve(&content->memory, (size_t)size);
	if (read_at(source, form->body_at, content->memory.data, (size_t)size) < 0)
		return failed(why);
	content->memory.size = (size_t)size;
	content->memory.data[size] = '\0';
	if (sum)
		result = check_octets(source, form, crc32c(*sum, content->memory.data, (size_t)size), size, why);
	if (result != STORED_OK)
		return result;
	if (!in_memory)
		return keep_in_file(source, form, content, why);
	content_finish(content);
	return STORED_OK;
}

static enum stored_result read_all(const struct source *source, size_t memory_max, bool check_sum,
	struct envelope **out, const char **why)
{
	struct envelope *envelope = NULL;
	struct content content;
	struct form form = { 0 };
	uint32_t sum = 0;
	char *json;
	enum stored_result result = read_whole_line(source, &form, why);

	if (result != STORED_OK)
		return result;
	content_init(&content);
	json = xmalloc((size_t)form.json_size + 1);
	if (read_at(source, form.json_at, json, (size_t)form.json_size + 1) < 0) {
		result = failed(why);
	} else {
		/* The sum goes first: what it does not vouch for is damage, not a foreign form. */
		sum = crc32c(0, json, (size_t)form.json_size + 1);
		result = read_content(source, &form, memory_max, check_sum ? &sum : NULL, &content, why);
	}
	if (result == STORED_OK && json[form.json_size] != '\n')
		result = damaged(why, "its JSON does not end where its first line says");
	if (result == STORED_OK)
		result = parse_json(json, (size_t)form.json_size, &envelope, why);
	free(json);
	if (result != STORED_OK) {
		content_release(&content);
		return result;
	}
	envelope->content = content;
	*out = envelope;
	return STORED_OK;
}

/* Most messages are small: one read for all of it, instead of one for each part. */
static enum stored_result read_at_once(const struct source *file, bool check_sum, struct envelope **envelope,
	const char **why)
{
	char *whole = xmalloc((size_t)file->size);
	struct source source = { .data = whole, .fd = -1, .size = file->size };
	enum stored_result result;

	if (read_at(file, 0, whole, (size_t)file->size) < 0)
		result = failed(why);
	else
		result = read_all(&source, SIZE_MAX, check_sum, envelope, why);
	free(whole);
	return result;
}

enum stored_result stored_read(int fd, size_t memory_max, bool check_sum, struct envelope **envelope, const char **why)
{
	struct source source = { .fd = fd };
	struct stat status = { 0 };

	if (FAULT("stored.stat", fstat(fd, &status)) < 0)
		return failed(why);
	source.size = (uint64_t)status.st_size;
	if (source.size <= memory_max)
		return read_at_once(&source, check_sum, envelope, why);
	return read_all(&source, memory_max, check_sum, envelope, why);
}

enum stored_result stored_decode(const void *data, size_t size, struct envelope **envelope, const char **why)
{
	struct source source = { .data = data, .fd = -1, .size = size };

	return read_all(&source, SIZE_MAX, true, envelope, why);
}

/* The JSON at its place, with the newline behind it. */
static enum stored_result decode_json(const char *json, const struct form *form, struct envelope **envelope,
	const char **why)
{
	if (json[form->json_size] != '\n')
		return damaged(why, "its JSON does not end where its first line says");
	return parse_json(json, (size_t)form->json_size, envelope, why);
}

enum stored_result stored_decode_head(const void *data, size_t size, bool check_sum, struct envelope **envelope,
	struct stored_extent *extent, const char **why)
{
	struct source source = { .data = data, .fd = -1, .size = size };
	struct form form = { 0 };
	enum stored_result result = check_sum ? read_whole_line(&source, &form, why) : read_line(&source, &form, why);

	if (result != STORED_OK)
		return result;
	extent->octets_at = (size_t)form.body_at;
	extent->size = (size_t)(form.body_at + form.body_size);
	if (check_sum)
		result = check_octets(&source, &form, crc32c(0, source.data + form.json_at, (size_t)form.json_size + 1), 0,
			why);
	if (result == STORED_OK)
		result = decode_json(source.data + form.json_at, &form, envelope, why);
	return result;
}
