/* names.c - the host's names, the runtime directory, {hostname} and {fqdn} in templates
 * SPDX-License-Identifier: MIT */
#include "common/config/names.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/process.h"

static char *system_hostname(void)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
		return xstrdup("localhost");
	return xstrdup(name);
}

/* The resolver may take its time, and the name does not change while we run: asked once. */
static char *system_fqdn(const char *hostname)
{
	static char known[256];
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;

	if (strchr(hostname, '.'))
		return xstrdup(hostname);
	if (!*known) {
		const char *full = NULL;

		if (getaddrinfo(hostname, NULL, &hints, &found) == 0 && found)
			full = found->ai_canonname;
		snprintf(known, sizeof(known), "%s", full && strlen(full) < sizeof(known) ? full : hostname);
		if (found)
			freeaddrinfo(found);
	}
	return xstrdup(known);
}

/* $XDG_RUNTIME_DIR counts where it is ours, so that a child that dropped to another user finds the same
 * directory as its master. */
static char *system_runtime_dir(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat status;

	if (geteuid() != 0 && xdg && *xdg == '/' && stat(xdg, &status) == 0 && status.st_uid == geteuid())
		return xasprintf("%s/slimta", xdg);
	return xstrdup("/run/slimta");
}

void names_complete(struct process_options *options)
{
	char *host = system_hostname();

	if (!options->fqdn)
		options->fqdn = system_fqdn(host);
	if (!options->hostname)
		options->hostname = xstrdup(host);
	if (!options->runtime_dir)
		options->runtime_dir = system_runtime_dir();
	free(host);
}

/* At a brace: appends what it stands for; what comes behind, or NULL with an error. */
static const char *replace_field(const char *text, const struct process_options *options,
	const struct config_node *node, struct buffer *out, struct config_errors *errors)
{
	size_t size = strcspn(text + 1, "{}");

	if (text[1] == text[0]) {
		buffer_append_char(out, *text);
		return text + 2;
	}
	if (*text == '}' || text[1 + size] != '}') {
		config_error_at_value(errors, node, "a single %c in a template; write %c%c", *text, *text, *text);
		return NULL;
	}
	if (size == 8 && memcmp(text + 1, "hostname", size) == 0) {
		buffer_append_str(out, options->hostname);
	} else if (size == 4 && memcmp(text + 1, "fqdn", size) == 0) {
		buffer_append_str(out, options->fqdn);
	} else {
		config_error_at_value(errors, node, "unknown field %.*s in a template: there are {hostname} and {fqdn}",
			(int)size + 2, text);
		return NULL;
	}
	return text + size + 2;
}

char *template_names(const char *text, const struct process_options *options, const struct config_node *node,
	struct config_errors *errors)
{
	struct buffer out = { 0 };

	buffer_append_str(&out, "");
	while (text && *text) {
		if (*text == '{' || *text == '}')
			text = replace_field(text, options, node, &out, errors);
		else
			buffer_append_char(&out, *text++);
	}
	if (!text)
		buffer_release(&out);
	return text ? buffer_detach(&out) : NULL;
}
