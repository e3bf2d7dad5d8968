/* path.c - paths in values: ~, $VAR, and relative to the file they stand in
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/node.h"
#include "common/config/options.h"

/* Appends the home of the user that text[1..] names, or our own; what comes behind, or NULL. */
static const char *expand_home(const char *text, struct buffer *out)
{
	size_t size = strcspn(text, "/") - 1;
	char *name = xstrndup(text + 1, size);
	const char *home = size ? NULL : getenv("HOME");
	const struct passwd *entry;

	if (!home || !*home) {
		entry = size ? getpwnam(name) : getpwuid(geteuid());
		home = entry ? entry->pw_dir : NULL;
	}
	free(name);
	if (!home)
		return NULL;
	buffer_append_str(out, home);
	return text + 1 + size;
}

/* At a `$`: appends the value of $NAME or ${NAME}; what comes behind, or NULL with `name` set. A `$` with no
 * name behind it is itself. */
static const char *expand_variable(const char *text, struct buffer *out, char **name)
{
	bool braces = text[1] == '{';
	const char *start = text + 1 + braces, *end = start;
	const char *value;

	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	if (end == start || (braces && *end != '}')) {
		buffer_append_char(out, '$');
		return text + 1;
	}
	*name = xstrndup(start, (size_t)(end - start));
	value = getenv(*name);
	if (!value)
		return NULL;
	buffer_append_str(out, value);
	free(*name);
	*name = NULL;
	return end + braces;
}

static bool expand(const struct config_node *node, const char *text, struct buffer *out, struct config_errors *errors)
{
	char *name = NULL;

	if (*text == '~' && !(text = expand_home(text, out))) {
		config_error_at_value(errors, node, "nobody's home is known by this name");
		return false;
	}
	while (*text) {
		if (*text != '$') {
			buffer_append_char(out, *text++);
			continue;
		}
		text = expand_variable(text, out, &name);
		if (!text) {
			config_error_at_value(errors, node, "the environment variable %s is not set", name);
			free(name);
			return false;
		}
	}
	if (!out->size)
		config_error_at_value(errors, node, "expected a path, not \"\"");
	return out->size != 0;
}

/* Puts the directory before a relative path; what the path begins with is taken away from its end. */
static void make_absolute(struct buffer *path, const char *directory)
{
	size_t size = strlen(directory);

	for (;;) {
		bool up = text_has_prefix(buffer_str(path), "../"), here = text_has_prefix(buffer_str(path), "./");

		if (!up && !here)
			break;
		buffer_consume(path, up ? 3 : 2);
		while (up && size && directory[--size] != '/')
			;
	}
	if (size != 1)
		buffer_insert(path, 0, "/", 1);
	buffer_insert(path, 0, directory, size);
}

char *option_expand_path(const struct config_node *node, const char *text, struct config_errors *errors)
{
	struct buffer path = { 0 };

	if (!expand(node, text, &path, errors)) {
		buffer_release(&path);
		return NULL;
	}
	if (*path.data != '/' && node->source)
		make_absolute(&path, node->source->directory);
	return buffer_detach(&path);
}
