/* source.c - files: the configuration itself, !include, and the environment
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/options.h"
#include "common/config/reader.h"

/* O_NONBLOCK: opening a pipe by mistake must not wait for a writer. */
static int open_file(const char *path, bool any_kind, struct stat *status)
{
	int fd = FAULT("config.open", open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (any_kind ? 0 : O_NONBLOCK)));

	if (fd < 0)
		return -1;
	if (fstat(fd, status) == 0 && (any_kind || S_ISREG(status->st_mode)))
		return fd;
	errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
	fd_close(&fd);
	return -1;
}

int config_read_file(const char *path, size_t max, bool any_kind, struct buffer *out, struct reading *identity)
{
	struct stat status = { 0 };
	int fd = open_file(path, any_kind, &status), result;

	if (fd < 0)
		return -1;
	if (identity) {
		identity->device = status.st_dev;
		identity->inode = status.st_ino;
	}
	result = FAULT("config.read", fd_read_all(fd, out, max));
	fd_close(&fd);
	return result;
}

static bool is_cycle(const struct reading *reading)
{
	for (const struct reading *outer = reading->includer; outer; outer = outer->includer) {
		if (outer->inode && outer->device == reading->device && outer->inode == reading->inode)
			return true;
	}
	return false;
}

static struct config_node *include_path(struct config *config, struct config_errors *errors,
	const struct reading *includer, unsigned depth, struct config_node *node, const char *path)
{
	struct reading reading = { .includer = includer };
	struct buffer data = { 0 };
	struct config_node *root = NULL;

	if (config->source_count >= CONFIG_MAX_FILES)
		config_error_at_value(errors, node, "too many files are included");
	else if (!utf8_is_valid(path, strlen(path)))
		config_error_at_value(errors, node, "the name of an included file must be UTF-8");
	else if (config_read_file(path, CONFIG_MAX_FILE, false, &data, &reading) < 0)
		config_error_at_value(errors, node, "cannot include %s: %s", path, strerror(errno));
	else if (is_cycle(&reading))
		config_error_at_value(errors, node, "%s includes itself", path);
	else
		root = config_read_yaml(config, errors, config_add_source(config, path, NULL), &reading, node, depth,
			data.data, data.size);
	buffer_release(&data);
	return root;
}

struct config_node *config_include(struct config *config, struct config_errors *errors,
	const struct reading *reading, unsigned depth, struct config_node *node)
{
	char *path = option_expand_path(node, node->text, errors);
	struct config_node *root = NULL;

	if (path)
		root = include_path(config, errors, reading, depth, node, path);
	free(path);
	node->broken = !root;
	return root ? root : node;
}

void config_read_env(struct config *config, struct config_errors *errors, struct config_node *node)
{
	const char *value = getenv(node->text);

	if (!value)
		config_error_at_value(errors, node, "the environment variable %s is not set", node->text);
	else if (!utf8_is_valid(value, strlen(value)))
		config_error_at_value(errors, node, "the environment variable %s is not UTF-8", node->text);
	else if (!(node->text = config_keep(config, value, strlen(value))))
		config_error_at_value(errors, node, "too much text");
	else
		node->quoted = true;
	node->broken = !node->quoted || !node->text;
}

static struct config *parse(struct config_errors *errors, const char *name, const struct reading *reading,
	const void *data, size_t size)
{
	struct config *config = config_new();
	struct config_source *source = config_add_source(config, name, NULL);

	if (size > CONFIG_MAX_FILE)
		config_error_add(errors, source, 0, 0, "", "too large for a configuration");
	else
		config->root = config_read_yaml(config, errors, source, reading, NULL, 0, data, size);
	if (config->root) {
		config_read_secrets(config, errors);
		return config;
	}
	config_free(config);
	return NULL;
}

struct config *config_parse(const char *name, const void *data, size_t size, struct config_errors *errors)
{
	struct reading reading = { 0 };

	return parse(errors, name, &reading, size ? data : "", size);
}

static void unreadable(struct config_errors *errors, const char *path, const char *why)
{
	char *text = xasprintf("cannot be read: %s", why);

	config_errors_append(errors, &(struct config_error){ .file = (char *)path, .text = text });
	free(text);
}

static struct config *read_path(const char *path, struct config_errors *errors)
{
	struct reading reading = { 0 };
	struct buffer data = { 0 };
	struct config *config = NULL;

	if (!utf8_is_valid(path, strlen(path)))
		unreadable(errors, path, "its name must be UTF-8");
	else if (config_read_file(path, CONFIG_MAX_FILE, true, &data, &reading) < 0)
		unreadable(errors, path, strerror(errno));
	else
		config = parse(errors, path, &reading, data.size ? data.data : "", data.size);
	buffer_release(&data);
	return config;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

struct config *config_read(const char *path, struct config_errors *errors)
{
	static const char system_wide[] = "/etc/slimta/slimta.conf";
	const char *home = getenv("HOME");
	struct config *config = NULL;
	char *own = home && *home ? xasprintf("%s/.slimta/slimta.conf", home) : NULL;

	if (path)
		config = read_path(path, errors);
	else if (own && is_there(own))
		config = read_path(own, errors);
	else if (is_there(system_wide))
		config = read_path(system_wide, errors);
	else
		unreadable(errors, system_wide,
			"it is not there, nor is ~/.slimta/slimta.conf: make one of them, or name a file by -c FILE");
	free(own);
	return config;
}
