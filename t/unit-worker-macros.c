/* unit-worker-macros.c - arguments of commands: templates, and values that may not be passed (lesson P11)
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/memory.h"
#include "worker/command.h"
#include "worker/macros.h"

static const struct macros full = { {
	[MACRO_SENDER] = "s@example.org",
	[MACRO_RECIPIENT] = "r@example.org",
	[MACRO_MESSAGE_ID] = "0a",
	[MACRO_CLIENT_IP] = "192.0.2.1",
	[MACRO_CLIENT_HOST] = "host.example.org",
	[MACRO_CLIENT_EHLO] = "ehlo.example.org",
	[MACRO_CLIENT_PROTOCOL] = "ESMTP",
	[MACRO_CLIENT_AUTH] = "joe",
} };

static void expands_to(const char *text, const struct macros *macros, const char *wanted)
{
	char *why = NULL;
	struct template *template = template_parse(text, &why);
	char *got = template ? template_expand(template, macros) : xstrdup(why);

	is_str(got, wanted, text);
	free(got);
	free(why);
	template_free(template);
}

static void is_refused(const char *text, const char *wanted)
{
	char *why = NULL;
	struct template *template = template_parse(text, &why);

	ok(!template, "%s is refused", text);
	is_str(why, wanted, "and it says why");
	free(why);
	template_free(template);
}

static void templates(void)
{
	const struct macros empty = { { 0 } };

	expands_to("", &full, "");
	expands_to("plain", &full, "plain");
	expands_to("{sender}{recipient}", &full, "s@example.orgr@example.org");
	expands_to("{message_id} {client_ip} {client_host} {client_ehlo} {client_protocol} {client_auth}", &full,
		"0a 192.0.2.1 host.example.org ehlo.example.org ESMTP joe");
	expands_to("<{sender}>", &empty, "<>");
	expands_to("{{sender}}", &full, "{sender}");
	expands_to("{{{sender}}}", &full, "{s@example.org}");
	expands_to("a}b", &full, "a}b");
	expands_to("$(id) `id` ; {recipient}", &full, "$(id) `id` ; r@example.org");
	is_refused("{recipent}", "there is no field {recipent} (did you mean {recipient}?)");
	is_refused("{}", "there is no field {}; a brace is written {{");
	is_refused("x{sender", "a field that begins with { ends with }; a brace is written {{");
}

/* A value is never read as a template. */
static void values_stay_values(void)
{
	struct macros macros = full;

	macros.values[MACRO_SENDER] = "{recipient}$HOME'\"\\ x";
	expands_to("-f{sender}", &macros, "-f{recipient}$HOME'\"\\ x");
}

static void clean_values(void)
{
	static const char *const dirty[] = { "a\nb", "a\rb", "\x1b[2J", "a\x7f", "\t" };
	struct macros macros = full;
	enum macro which = MACRO_COUNT;
	char *longest = xmalloc(MACRO_MAX + 2);

	ok(macros_are_clean(&full, &which), "usual values are clean");
	for (size_t i = 0; i < ARRAY_SIZE(dirty); i++) {
		macros.values[MACRO_CLIENT_EHLO] = dirty[i];
		ok(!macros_are_clean(&macros, &which) && which == MACRO_CLIENT_EHLO, "control character %zu is seen", i);
	}
	memset(longest, 'x', MACRO_MAX + 1);
	longest[MACRO_MAX + 1] = '\0';
	macros.values[MACRO_CLIENT_EHLO] = longest;
	ok(!macros_are_clean(&macros, &which), "so is a value that is too long");
	macros.values[MACRO_CLIENT_EHLO] = longest + 1;
	ok(macros_are_clean(&macros, &which), "the longest is clean");
	free(longest);
}

static struct command command_of(const char *const *args)
{
	struct command command = { 0 };
	char *why;

	for (; args[command.count]; command.count++) {
		command.templates = xrealloc(command.templates, command.count + 1, sizeof(*command.templates));
		command.templates[command.count] = template_parse(args[command.count], &why);
	}
	return command;
}

static void expanded_arguments(void)
{
	struct command command = command_of((const char *[]){ "prog", "-f", "{sender}", "-r{recipient}", "", NULL });
	struct command guarded = command_of((const char *[]){ "prog", "--", "{sender}", NULL });
	struct macros macros = full;
	char *why = NULL;
	char **args = command_expand(&command, &macros, &why);

	ok(args && !args[5], "five arguments");
	is_str(args[2], "s@example.org", "a value is one argument");
	is_str(args[3], "-rr@example.org", "also behind a text");
	is_str(args[4], "", "an empty argument stays");
	command_free_args(args);

	macros.values[MACRO_SENDER] = "a b\"'*@example.org";
	args = command_expand(&command, &macros, &why);
	is_str(args[2], "a b\"'*@example.org", "blanks and quotes do not divide it");
	command_free_args(args);

	macros.values[MACRO_SENDER] = "-oQ/tmp@example.org";
	ok(!command_expand(&command, &macros, &why), "no peer writes an option of the command");
	is_str(why, "Argument 2 of the command would begin with \"-\"", "and the reason is told");
	free(why);
	args = command_expand(&guarded, &macros, &why);
	is_str(args ? args[2] : NULL, "-oQ/tmp@example.org", "behind -- it is no option");
	command_free_args(args);

	macros.values[MACRO_SENDER] = "a\n@example.org";
	ok(!command_expand(&guarded, &macros, &why), "a line break is refused");
	is_str(why, "The value of {sender} cannot be passed to a command", "and the reason is told");
	free(why);
	command_release(&command);
	command_release(&guarded);
}

/* `-f VALUE` of the relay's own: VALUE is what -f takes, so nothing is an option by what it begins with. */
static void values_of_own_options(void)
{
	struct command command = command_of((const char *[]){ "lda", "-f", "{sender}", "-d", "{recipient}", "{client_ehlo}",
		NULL });
	struct macros macros = full;
	char *why = NULL;
	char **args;

	command.options.fixed = 5;
	macros.values[MACRO_SENDER] = NULL;
	macros.values[MACRO_RECIPIENT] = "-e\"x y\"@example.org";
	args = command_expand(&command, &macros, &why);
	ok(args && !args[6], "six arguments, whatever they hold");
	is_str(args[2], "", "the null sender is an argument too");
	is_str(args[4], "-e\"x y\"@example.org", "and no recipient is an option");
	command_free_args(args);
	macros.values[MACRO_CLIENT_EHLO] = "-e";
	ok(!command_expand(&command, &macros, &why), "behind those it would be one");
	free(why);
	command_release(&command);
}

static void uses(void)
{
	char *why = NULL;
	struct template *template = template_parse("-d{{recipient}}{sender}", &why);

	ok(template_uses(template, MACRO_SENDER) && !template_uses(template, MACRO_RECIPIENT), "what a template uses");
	template_free(template);
}

int main(void)
{
	values_of_own_options();
	uses();
	templates();
	values_stay_values();
	clean_values();
	expanded_arguments();
	return done_testing();
}
