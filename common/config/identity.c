/* identity.c - who edges and workers run as
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/node.h"
#include "common/config/process.h"
#include "common/config/values.h"

static bool is_number(const char *text, unsigned *out)
{
	uint64_t number;

	if (!parse_u64(text, strlen(text), UINT32_MAX - 1, &number))
		return false;
	*out = (unsigned)number;
	return true;
}

static int find_group(const char *group, gid_t *gid, char **why)
{
	const struct group *entry = getgrnam(group);

	if (entry)
		*gid = entry->gr_gid;
	else if (!is_number(group, gid)) {
		*why = xasprintf("no group is named \"%s\" on this system", group);
		return -1;
	}
	return 0;
}

int identity_find(const char *user, const char *group, struct identity *identity, char **why)
{
	const struct passwd *entry = user ? getpwnam(user) : NULL;
	unsigned number;

	memset(identity, 0, sizeof(*identity));
	*why = NULL;
	identity->uid = geteuid();
	identity->gid = getegid();
	if (user && !entry && is_number(user, &number))
		entry = getpwuid(number);
	if (user && !entry) {
		*why = xasprintf("no user is named \"%s\" on this system", user);
		return -1;
	}
	if (entry) {
		identity->uid = entry->pw_uid;
		identity->gid = entry->pw_gid;
		identity->name = xstrdup(entry->pw_name);
	}
	if (!group || find_group(group, &identity->gid, why) == 0)
		return 0;
	identity_release(identity);
	return -1;
}

void identity_release(struct identity *identity)
{
	free(identity->name);
	identity->name = NULL;
}

/* Where `key` of a program is written, or else what stands nearest. */
static const struct config_node *node_of(const struct config *config, const char *program, const char *key)
{
	const struct config_node *node = config_get(config_section(config, "process", program), key);

	return node ? node : config_get(config_section(config, "process", "slimta"), key);
}

static const struct config_node *place_of(const struct config *config, const char *program)
{
	const struct config_node *user = node_of(config, program, "user"), *group = node_of(config, program, "group");

	return user ? user : group ? group : config_root(config);
}

int process_identity(const struct config *config, const struct process_options *options, const char *program,
	struct identity *identity, struct config_errors *errors)
{
	const struct config_node *node = place_of(config, program);
	char *why = NULL;

	if (identity_find(options->user, options->group, identity, &why) < 0) {
		if (text_has_prefix(why, "no group"))
			node = node_of(config, program, "group");
		config_error_at_value(errors, node, "%s", why);
		free(why);
		return -1;
	}
	if (geteuid() == 0 || (identity->uid == geteuid() && (!options->group || identity->gid == getegid())))
		return 0;
	config_error_at_value(errors, node, "started as another user, and not as root, so it cannot be changed: "
		"leave out user and group, or start as \"%s\"", options->user ? options->user : options->group);
	identity_release(identity);
	return -1;
}

static void say_no_user(const struct config *config, const char *program, struct config_errors *errors)
{
	const struct config_node *root = config_root(config), *user = node_of(config, program, "user");
	char *path;

	if (user && user->broken)
		return;		/* it was given, and what is wrong with it is said */
	path = xasprintf("process.%s.user", program);
	config_error_add(errors, root->source, root->line, root->column, path,
		"required when started as root, but not given: expected a user to drop to, or --allow-root");
	free(path);
}

int process_check_identity(const struct config *config, const struct process_options *options, const char *program,
	bool allow_root, struct config_errors *errors)
{
	size_t before = errors->error_count;
	struct identity identity = { 0 };

	if (process_identity(config, options, program, &identity, errors) < 0)
		return -1;
	if (geteuid() == 0 && !options->user && !allow_root)
		say_no_user(config, program, errors);
	else if (identity.uid == 0 && !allow_root)
		config_error_at_value(errors, place_of(config, program), "must not be root, unless --allow-root is given");
	else if (identity.uid == 0)
		config_warning_at(errors, place_of(config, program), "%ss run as root (--allow-root)", program);
	identity_release(&identity);
	return errors->error_count == before ? 0 : -1;
}

/* --- the section as a whole --- */

/* The queue of an edge and a worker of this host that both touch its files; NULL if there is none. */
static const char *shared_queue(const struct config *config, const struct process_options *worker)
{
	const struct config_node *edges = config_get(config_root(config), "edge");

	for (size_t i = 0; edges && edges->kind == CONFIG_MAP && i < edges->count; i++) {
		const struct config_node *name = config_get(edges->items[i], "queue");
		const struct config_node *queue = name && name->text ? config_section(config, "queue", name->text) : NULL;
		const struct config_node *type = config_get(queue, "type");

		if (name && type && type->text && config_get(queue, "relay") && process_instances(worker, name->text)
				&& (strcmp(type->text, "disk") == 0 || strcmp(type->text, "memory") == 0
				|| strcmp(type->text, "proxy") == 0 || strcmp(type->text, "custom") == 0))
			return name->text;
	}
	return NULL;
}

static void check_shared(const struct config *config, const struct process_options *edge,
	const struct process_options *worker, struct config_errors *errors)
{
	const char *queue = shared_queue(config, worker);
	struct identity edge_identity = { 0 }, worker_identity = { 0 };
	struct config_errors unused = { 0 };	/* said before */

	if (queue && process_identity(config, edge, "edge", &edge_identity, &unused) == 0
			&& process_identity(config, worker, "worker", &worker_identity, &unused) == 0
			&& (edge_identity.uid != worker_identity.uid || edge_identity.gid != worker_identity.gid))
		config_error_at(errors, place_of(config, "edge"),
			"edge and worker share the queue \"%s\", so their user and group must be the same", queue);
	identity_release(&edge_identity);
	identity_release(&worker_identity);
	config_errors_release(&unused);
}

/* Of any queue: a worker that is never started needs no user. */
static bool has_workers(const struct config *config, const struct process_options *worker)
{
	const struct config_node *queues = config_get(config_root(config), "queue");

	for (size_t i = 0; queues && queues->kind == CONFIG_MAP && i < queues->count; i++) {
		if (config_get(queues->items[i], "relay") && process_instances(worker, queues->items[i]->key))
			return true;
	}
	return false;
}

int process_check(const struct config *config, bool allow_root, struct config_errors *errors)
{
	struct process_options master, edge, worker;
	size_t before = errors->error_count;

	process_load(config, "master", &master, errors);
	process_load(config, "edge", &edge, errors);
	process_load(config, "worker", &worker, errors);
	if (errors->error_count == before) {
		if (config_get(config_root(config), "edge") && process_instances(&edge, NULL))
			process_check_identity(config, &edge, "edge", allow_root, errors);
		if (has_workers(config, &worker))
			process_check_identity(config, &worker, "worker", allow_root, errors);
		if (process_instances(&edge, NULL))
			check_shared(config, &edge, &worker, errors);
	}
	process_release(&master);
	process_release(&edge);
	process_release(&worker);
	return errors->error_count == before ? 0 : -1;
}

/* --- becoming somebody --- */

/* Calls that say they succeeded are not believed. */
static bool is_assumed(const struct identity *identity)
{
	uid_t uids[3];
	gid_t gids[3];

	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		if (uids[i] != identity->uid || gids[i] != identity->gid)
			return false;
	}
	return identity->uid == 0 || setuid(0) < 0;
}

static int change_ids(const struct identity *identity)
{
	if (identity->name && geteuid() == 0
			&& FAULT("identity.initgroups", initgroups(identity->name, identity->gid)) < 0)
		return -1;
	if (FAULT("identity.setresgid", setresgid(identity->gid, identity->gid, identity->gid)) < 0
			|| FAULT("identity.setresuid", setresuid(identity->uid, identity->uid, identity->uid)) < 0)
		return -1;
	if (is_assumed(identity))
		return 0;
	errno = EPERM;
	return -1;
}

int identity_assume(const struct identity *identity)
{
	umask(077);
	if (change_ids(identity) < 0)
		return -1;
	return FAULT("identity.no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}
