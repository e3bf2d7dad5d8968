/* command.c - the command of a relay: what is run, as whom, for how long
 * SPDX-License-Identifier: MIT */
#include "worker/command.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static const struct config_node *key_node(const struct config_node *section, const char *key)
{
	const struct config_node *node = config_get(section, key);

	return node ? node : section;
}

/* Where argument `i` stands in the file: those the relay has itself come of its `path`. */
static const struct config_node *argument_node(const struct command_options *options, size_t i,
	const struct config_node *section)
{
	const struct config_node *list = key_node(section, options->args_key);

	if (i < options->fixed)
		return key_node(section, "path");
	i -= options->fixed;
	return list->kind == CONFIG_LIST && i < list->count ? list->items[i] : list;
}

static void parse_argument(struct command *command, size_t i, const struct config_node *node,
	struct config_errors *errors)
{
	const char *text = command->options.args->items[i];
	char *why = NULL;
	struct template *template = template_parse(text, &why);

	if (!template)
		config_error_at_value(errors, node, "%s", why);
	else if (i == 0 && (!*text || !template_is_constant(template)))
		config_error_at_value(errors, node, "expected the name of a program, without fields");
	else if (command->options.without_recipient && template_uses(template, MACRO_RECIPIENT))
		config_error_at_value(errors, node, "{recipient} is known only where the command runs once for each");
	free(why);
	if (template)
		command->templates[command->count++] = template;
}

static void parse_args(struct command *command, const struct config_node *section, struct config_errors *errors)
{
	const struct strings *args = command->options.args;
	const struct config_node *list = key_node(section, command->options.args_key);

	command->templates = xcalloc(args->count + 1, sizeof(*command->templates));
	if (!args->count && list != section)
		config_error_at_value(errors, list, "expected a program and its arguments");
	for (size_t i = 0; i < args->count; i++)
		parse_argument(command, i, argument_node(&command->options, i, section), errors);
}

static void check_env(const struct command *command, const struct config_node *section, struct config_errors *errors)
{
	const struct option_pairs *env = command->options.env;

	for (size_t i = 0; env && i < env->count; i++)
		if (!*env->keys[i] || strchr(env->keys[i], '='))
			config_error_at(errors, key_node(section, "env"),
				"expected names of variables, without \"=\"");
}

/* Fills uid, gid and names from the keys; what is not given is the worker's. -1: an error was appended. */
static int look_up_names(struct command *command, const struct relay_setting *setting,
	const struct config_node *section, struct config_errors *errors)
{
	const struct command_options *options = &command->options;
	struct command_identity *identity = &command->identity;
	struct identity worker = { 0 };
	const struct passwd *user;
	const struct group *group;

	if (process_identity(setting->config, setting->process, "worker", &worker, errors) < 0)
		return -1;
	identity->uid = worker.uid;
	identity->gid = worker.gid;
	identity_release(&worker);
	user = options->user ? getpwnam(options->user) : getpwuid(identity->uid);
	if (options->user && !user) {
		config_error_at(errors, key_node(section, "user"), "there is no user \"%s\"", options->user);
		return -1;
	}
	if (user) {
		identity->uid = user->pw_uid;
		if (options->user)
			identity->gid = user->pw_gid;
		identity->name = xstrdup(user->pw_name);
		identity->home = xstrdup(user->pw_dir);
	}
	group = options->group ? getgrnam(options->group) : NULL;
	if (options->group && !group) {
		config_error_at(errors, key_node(section, "group"), "there is no group \"%s\"", options->group);
		return -1;
	}
	if (group)
		identity->gid = group->gr_gid;
	return 0;
}

static void list_groups(struct command_identity *identity)
{
	int count = 32;

	identity->groups = xcalloc((size_t)count, sizeof(*identity->groups));
	identity->groups[0] = identity->gid;
	identity->group_count = 1;
	if (!identity->name)
		return;
	while (getgrouplist(identity->name, identity->gid, identity->groups, &count) < 0)
		identity->groups = xrealloc(identity->groups, (size_t)count, sizeof(*identity->groups));
	identity->group_count = (size_t)count;
}

static void resolve_identity(struct command *command, const struct relay_setting *setting,
	const struct config_node *section, struct config_errors *errors)
{
	const struct command_options *options = &command->options;
	struct command_identity *identity = &command->identity;
	bool as_root = geteuid() == 0;

	if (look_up_names(command, setting, section, errors) < 0)
		return;
	list_groups(identity);
	identity->change = as_root;
	if (!as_root && options->user && identity->uid != geteuid())
		config_error_at(errors, key_node(section, "user"),
			"expected the user that slimta is started as, or slimta started as root");
	if (!as_root && options->group && identity->gid != getegid())
		config_error_at(errors, key_node(section, "group"),
			"expected the group that slimta is started with, or slimta started as root");
	if (as_root && options->user && identity->uid == 0 && !setting->allow_root)
		config_error_at(errors, key_node(section, "user"),
			"commands do not run as root (--allow-root lets them)");
}

static void set_variable(struct strings *all, const char *name, const char *value)
{
	size_t size = strlen(name);
	char *text;

	if (!value)
		return;
	text = xasprintf("%s=%s", name, value);
	for (size_t i = 0; i < all->count; i++) {
		if (strncmp(all->items[i], text, size + 1) == 0) {
			free(all->items[i]);
			all->items[i] = text;
			return;
		}
	}
	strings_add(all, text);
	free(text);
}

static void build_environment(struct command *command)
{
	const struct command_identity *identity = &command->identity;
	const struct option_pairs *env = command->options.env;
	struct strings all = { 0 };
	const char *path = getenv("PATH");

	set_variable(&all, "PATH", path && *path ? path : DEFAULT_PATH);
	set_variable(&all, "TZ", getenv("TZ"));
	set_variable(&all, "LANG", getenv("LANG"));
	set_variable(&all, "LC_ALL", getenv("LC_ALL"));
	set_variable(&all, "USER", identity->name);
	set_variable(&all, "LOGNAME", identity->name);
	set_variable(&all, "HOME", identity->home);
	for (size_t i = 0; env && i < env->count; i++)
		set_variable(&all, env->keys[i], env->values[i]);
	command->environment = xrealloc(all.items, all.count + 1, sizeof(*all.items));
	command->environment[all.count] = NULL;
}

void command_init(struct command *command, const struct command_options *options,
	const struct relay_setting *setting, const struct config_node *section, struct config_errors *errors)
{
	*command = (struct command){ .options = *options };
	if (!command->options.concurrent)
		command->options.concurrent = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	parse_args(command, section, errors);
	check_env(command, section, errors);
	resolve_identity(command, setting, section, errors);
	build_environment(command);
}

void command_release(struct command *command)
{
	for (size_t i = 0; i < command->count; i++)
		template_free(command->templates[i]);
	free(command->templates);
	command_free_args(command->environment);
	free(command->identity.groups);
	free(command->identity.name);
	free(command->identity.home);
	*command = (struct command){ 0 };
}

char **command_expand(const struct command *command, const struct macros *macros, char **why)
{
	char **args;
	bool options_ended = false;
	enum macro which;

	if (!macros_are_clean(macros, &which)) {
		*why = xasprintf("The value of {%s} cannot be passed to a command", macro_name(which));
		return NULL;
	}
	args = xcalloc(command->count + 1, sizeof(*args));
	for (size_t i = 0; i < command->count; i++) {
		const struct template *template = command->templates[i];

		args[i] = template_expand(template, macros);
		/* A peer chose this character, and could choose an option of the command by it. */
		if (i >= command->options.fixed && args[i][0] == '-' && !options_ended
			&& template_begins_with_value(template)) {
			*why = xasprintf("Argument %zu of the command would begin with \"-\"", i);
			command_free_args(args);
			return NULL;
		}
		if (i > 0 && strcmp(args[i], "--") == 0)
			options_ended = true;
	}
	return args;
}

void command_free_args(char **args)
{
	for (size_t i = 0; args && args[i]; i++)
		free(args[i]);
	free(args);
}
