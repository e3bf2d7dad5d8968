/* secrets.c - passwords and keys that stand in files of their own: password_file for password
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/options.h"
#include "common/config/reader.h"

#define MAX_SECRET 65536

static const char *const secret_names[] = {
	"password", "api_key", "access_key_id", "secret_access_key", "session_token",
};

/* The name whose twin `key` is; NULL if it is none. */
static const char *secret_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_names); i++) {
		if (text_has_prefix(key, secret_names[i]) && strcmp(key + strlen(secret_names[i]), "_file") == 0)
			return secret_names[i];
	}
	return NULL;
}

static const char *what_is_wrong(const struct buffer *secret)
{
	if (!secret->size)
		return "the file is empty";
	if (memchr(secret->data, '\0', secret->size))
		return "the file has a NUL in it";
	return utf8_is_valid(secret->data, secret->size) ? NULL : "the file is not UTF-8";
}

static void read_secret(struct config *config, struct config_errors *errors, struct config_node *node)
{
	struct buffer secret = { 0 };
	char *path = option_expand_path(node, node->text, errors);
	const char *wrong;

	node->broken = true;
	if (path && config_read_file(path, MAX_SECRET, false, &secret, NULL) < 0) {
		config_error_at_value(errors, node, "cannot read %s: %s", path, strerror(errno));
	} else if (path) {
		if (secret.size && secret.data[secret.size - 1] == '\n')
			secret.size--;
		wrong = what_is_wrong(&secret);
		if (!wrong && !(node->text = config_keep(config, buffer_str(&secret), secret.size)))
			wrong = "too much text";
		if (wrong)
			config_error_at_value(errors, node, "%s: %s", path, wrong);
		node->broken = wrong != NULL;
		node->quoted = true;
	}
	buffer_release(&secret);
	free(path);
}

static void replace_twin(struct config *config, struct config_errors *errors, struct config_node *map,
	struct config_node *node)
{
	const char *name = node->key ? secret_of(node->key) : NULL;

	if (!name || node->kind != CONFIG_SCALAR)
		return;
	if (config_get(map, name)) {
		config_error_at(errors, node, "given together with %s; one of them is enough", name);
		node->broken = true;
		return;
	}
	read_secret(config, errors, node);
	node->key = name;
}

/* Keys below `env` are names of the environment that a command gets. */
static void read_below(struct config *config, struct config_errors *errors, struct config_node *node)
{
	if (node->kind == CONFIG_MAP && node->key && strcmp(node->key, "env") == 0)
		return;
	for (size_t i = 0; i < node->count; i++) {
		if (node->kind == CONFIG_MAP)
			replace_twin(config, errors, node, node->items[i]);
		read_below(config, errors, node->items[i]);
	}
}

void config_read_secrets(struct config *config, struct config_errors *errors)
{
	static const char *const sections[] = { "process", "edge", "queue", "relay" };

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct config_node *section = config_get(config->root, sections[i]);

		if (section)
			read_below(config, errors, (struct config_node *)section);
	}
}
