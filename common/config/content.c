/* content.c - files that a configuration names and whose content goes with it
 * SPDX-License-Identifier: MIT */
#include "common/config/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/options.h"
#include "common/config/reader.h"

#define MAX_CONTENT ((size_t)1 << 20)
#define MAX_SHARED ((size_t)1 << 16)	/* beyond, what anybody may read need not go with each configuration */

static const char *const content_keys[] = { "certfile", "keyfile", "ca_certs" };

int config_read_content(const char *path, struct buffer *out, bool *for_all)
{
	struct stat status = { 0 };

	if (config_read_file(path, MAX_CONTENT, false, out, NULL) < 0 || stat(path, &status) < 0)
		return -1;
	if (for_all)
		*for_all = status.st_mode & S_IROTH;
	return 0;
}

/* What stands between the blocks of PEM is for people, in whatever character set. */
static void keep_blocks(const struct buffer *all, struct buffer *out)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END ";
	const char *line = all->data, *stop = all->data + all->size, *next;
	bool inside = false;

	for (; line < stop; line = next) {
		size_t size = (size_t)(stop - line);

		next = memchr(line, '\n', size);
		next = next ? next + 1 : stop;
		size = (size_t)(next - line);
		inside = inside || (size >= sizeof(begin) && memcmp(line, begin, sizeof(begin) - 1) == 0);
		if (inside)
			buffer_append(out, line, size);
		inside = inside && !(size >= sizeof(end) && memcmp(line, end, sizeof(end) - 1) == 0);
	}
}

static void forget(struct buffer *text)
{
	if (text->size)
		explicit_bzero(text->data, text->size);
	buffer_release(text);
}

static void read_content(struct config *config, struct config_errors *errors, struct config_node *node)
{
	struct config_errors unused = { 0 };	/* who needs it says them */
	struct buffer content = { 0 }, blocks = { 0 };
	char *path = option_expand_path(node, node->text, &unused);
	bool for_all = false;

	if (path && config_read_content(path, &content, &for_all) == 0)
		keep_blocks(&content, &blocks);
	if (for_all && blocks.size > MAX_SHARED && strcmp(node->key, "ca_certs") == 0)
		buffer_reset(&blocks);
	if (blocks.size && !memchr(blocks.data, '\0', blocks.size) && utf8_is_valid(blocks.data, blocks.size))
		node->content = config_keep(config, blocks.data, blocks.size);
	if (node->content && for_all && strstr(node->content, "PRIVATE KEY-----"))
		config_warning_at(errors, node, "%s has a private key, and anybody on this machine may read it", path);
	forget(&content);
	forget(&blocks);
	config_errors_release(&unused);
	free(path);
}

static bool is_content_key(const char *key)
{
	for (size_t i = 0; key && i < ARRAY_SIZE(content_keys); i++) {
		if (strcmp(content_keys[i], key) == 0)
			return true;
	}
	return false;
}

static void read_tls(struct config *config, struct config_errors *errors, struct config_node *tls)
{
	for (size_t i = 0; i < tls->count; i++) {
		struct config_node *node = tls->items[i];

		if (node->kind != CONFIG_SCALAR)
			read_tls(config, errors, node);
		else if (!node->broken && is_content_key(node->key))
			read_content(config, errors, node);
	}
}

static void read_below(struct config *config, struct config_errors *errors, struct config_node *node)
{
	if (node->key && strcmp(node->key, "tls") == 0) {
		read_tls(config, errors, node);
		return;
	}
	for (size_t i = 0; i < node->count; i++)
		read_below(config, errors, node->items[i]);
}

void config_read_contents(struct config *config, struct config_errors *errors)
{
	static const char *const sections[] = { "edge", "queue", "relay" };

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct config_node *section = config_get(config->root, sections[i]);

		if (section)
			read_below(config, errors, (struct config_node *)section);
	}
}
