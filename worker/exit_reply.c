/* exit_reply.c - what the end of a command means as a reply
 * SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/exit_reply.h"

#include <ctype.h>
#include <pcre2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/memory.h"

/* Output is the command's: a pattern that explodes on it may not hold up the loop. */
#define MATCH_LIMIT 1000000

struct pattern {
	pcre2_code *code;
	pcre2_match_context *context;
};

struct pattern *pattern_compile(const char *text, char **why)
{
	struct pattern *pattern;
	PCRE2_SIZE at;
	PCRE2_UCHAR message[256];
	int error;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_NEVER_BACKSLASH_C, &error,
		&at, NULL);

	if (!code) {
		pcre2_get_error_message(error, message, sizeof(message));
		*why = xasprintf("%s at character %zu", (const char *)message, (size_t)at + 1);
		return NULL;
	}
	pattern = xcalloc(1, sizeof(*pattern));
	pattern->code = code;
	pattern->context = pcre2_match_context_create(NULL);
	if (!pattern->context)
		BUG("no match context");
	pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_match_context_free(pattern->context);
	pcre2_code_free(pattern->code);
	free(pattern);
}

/* The part of `output` that the pattern picks; owned, NULL: it matches nowhere, or an empty part. */
static char *pick(const struct pattern *pattern, const struct buffer *output)
{
	pcre2_match_data *match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
	PCRE2_SIZE *ends;
	char *text = NULL;
	unsigned group;
	int groups;

	if (!match)
		BUG("no match data");
	groups = pcre2_match(pattern->code, (PCRE2_SPTR)buffer_str(output), output->size, 0, 0, match, pattern->context);
	ends = pcre2_get_ovector_pointer(match);
	group = groups > 1 && ends[2] != PCRE2_UNSET ? 1 : 0;
	if (groups > 0 && ends[2 * group + 1] > ends[2 * group])
		text = xstrndup(output->data + ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
	pcre2_match_data_free(match);
	return text;
}

/* Without white space at both ends; owned, NULL: nothing is left. */
static char *trimmed(const char *text)
{
	size_t size;

	text += strspn(text, " \t\r\n\v\f");
	size = strlen(text);
	while (size && isspace((unsigned char)text[size - 1]))
		size--;
	return size ? xstrndup(text, size) : NULL;
}

static char *failure_text(const struct spawn_result *result, const struct pattern *pattern)
{
	char *text = NULL;

	for (unsigned i = 0; pattern && !text && i < SPAWN_STREAMS; i++) {
		char *picked = pick(pattern, &result->output[i]);

		text = picked ? trimmed(picked) : NULL;
		free(picked);
	}
	for (unsigned i = 0; !text && i < SPAWN_STREAMS; i++)
		text = trimmed(buffer_str(&result->output[i]));
	return text;
}

/* "5.1.1 rest" or "4.2.2 rest": the length of the status, and where the rest begins; 0 if it is not one. */
static size_t leading_status(const char *text, const char **rest)
{
	const char *at = text + 1;

	if (*text != '4' && *text != '5')
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		size_t digits = *at == '.' ? strspn(at + 1, "0123456789") : 0;

		if (digits < 1 || digits > 3)
			return 0;
		at += 1 + digits;
	}
	if (!isspace((unsigned char)*at))
		return 0;
	*rest = at + strspn(at, " \t\r\n");
	return (size_t)(at - text);
}

static bool is_transient_exit(uint32_t status)
{
	return (status >= 71 && status <= 75) || status == 78 || status == 126 || status == 127;
}

static void reply_transient(struct reply *reply, uint32_t status, const char *text)
{
	if (text)
		reply_set(reply, 450, "4.3.0", "%s", text);
	else
		reply_set(reply, 450, "4.3.0", "Delivery failed (exit status %u)", status);
}

/* RFC 3463's word for those of <sysexits.h> that have one. */
static const char *status_of_exit(uint32_t status)
{
	switch (status) {
	case EX_DATAERR:
		return "5.6.0";
	case EX_NOUSER:
		return "5.1.1";
	case EX_NOHOST:
		return "5.1.2";
	case EX_PROTOCOL:
		return "5.5.0";
	case EX_NOPERM:
		return "5.7.0";
	default:
		return "5.3.0";
	}
}

static void reply_by_status(struct reply *reply, uint32_t status, const char *text)
{
	const char *rest;
	size_t size = text ? leading_status(text, &rest) : 0;
	char enhanced[sizeof("5.999.999")] = "";

	if (size && *text == '5') {
		memcpy(enhanced, text, size);
		reply_set(reply, 550, enhanced, "%s", rest);
	} else if (text) {
		reply_set(reply, 550, status_of_exit(status), "%s", text);
	} else {
		reply_set(reply, 550, status_of_exit(status), "Delivery failed (exit status %u)", status);
	}
}

static void reply_by_text(struct reply *reply, const char *text)
{
	const char *rest;
	size_t size = text ? leading_status(text, &rest) : 0;
	char enhanced[sizeof("5.999.999")] = "";

	if (!size) {
		reply_set(reply, 450, NULL, "%s", text ? text : "Delivery failed");
		return;
	}
	memcpy(enhanced, text, size);
	reply_set(reply, *text == '5' ? 550 : 450, enhanced, "%s", rest);
}

static void reply_to_exit(struct reply *reply, const struct spawn_result *result, const struct exit_rules *rules)
{
	char *text;

	if (result->detail == 0) {
		reply_set(reply, 250, "2.0.0", "Delivered");
		return;
	}
	text = failure_text(result, rules->pattern);
	if (is_transient_exit(result->detail))
		reply_transient(reply, result->detail, text);
	else if (rules->by_status)
		reply_by_status(reply, result->detail, text);
	else
		reply_by_text(reply, text);
	free(text);
}

void exit_reply(struct reply *reply, const struct spawn_result *result, const struct exit_rules *rules)
{
	switch (result->end) {
	case SPAWN_EXITED:
		reply_to_exit(reply, result, rules);
		break;
	case SPAWN_SIGNALLED:
		reply_set(reply, 450, "4.3.0", "Command was ended by signal %u", result->detail);
		break;
	case SPAWN_TIMED_OUT:
		reply_set(reply, 450, "4.4.2", "Delivery timed out");
		break;
	case SPAWN_UNSTARTED:
		reply_set(reply, 450, "4.3.0", "Command could not be started: %s", strerror((int)result->detail));
		break;
	case SPAWN_INCOMPLETE:
		reply_set(reply, 450, "4.3.0", "Message could not be read: %s", strerror((int)result->detail));
		break;
	case SPAWN_REFUSED:
		reply_set(reply, 554, "5.3.0", "%s", buffer_str(&result->output[SPAWN_STDERR]));
		break;
	case SPAWN_LOST:
		reply_set(reply, 450, "4.3.0", "Spawner ended while the command ran");
		break;
	default:
		reply_set(reply, 450, "4.3.0", "Spawner does not serve this relay");
	}
}
