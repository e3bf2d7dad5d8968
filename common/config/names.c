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

#define MAX_NAME 255

/* Asked once: they do not change while we run, and the resolver may take its time. */
static char known_hostname[MAX_NAME + 1], known_fqdn[MAX_NAME + 1];

static const char *system_hostname(void)
{
	if (!*known_hostname && (gethostname(known_hostname, MAX_NAME) < 0 || !*known_hostname))
		snprintf(known_hostname, sizeof(known_hostname), "localhost");
	return known_hostname;
}

static const char *system_fqdn(void)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;
	const char *full = NULL, *hostname = system_hostname();

	if (strchr(hostname, '.'))
		return hostname;
	if (!*known_fqdn) {
		if (getaddrinfo(hostname, NULL, &hints, &found) == 0 && found)
			full = found->ai_canonname;
		snprintf(known_fqdn, sizeof(known_fqdn), "%s", full && strlen(full) <= MAX_NAME ? full : hostname);
		if (found)
			freeaddrinfo(found);
	}
	return known_fqdn;
}

void names_known(const char **hostname, const char **fqdn)
{
	*hostname = known_hostname;
	*fqdn = known_fqdn;
}

void names_inherit(const char *hostname, const char *fqdn)
{
	if (hostname && strlen(hostname) <= MAX_NAME && fqdn && strlen(fqdn) <= MAX_NAME) {
		snprintf(known_hostname, sizeof(known_hostname), "%s", hostname);
		snprintf(known_fqdn, sizeof(known_fqdn), "%s", fqdn);
	}
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
	if (!options->fqdn)
		options->fqdn = xstrdup(system_fqdn());
	if (!options->hostname)
		options->hostname = xstrdup(system_hostname());
	if (!options->runtime_dir)
		options->runtime_dir = system_runtime_dir();
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
