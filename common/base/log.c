/* log.c - one line per event, key=value or JSON
 * SPDX-License-Identifier: MIT */
#include "common/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/counters.h"
#include "common/base/log_output.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define NAME_MAX_SIZE 256		/* of program, subsystem and event */
#define RESERVED_FOR_CUT 32		/* room for the `cut` member, the end of the object and of the line */
#define JOURNAL_MAX 32768
#define WAIT_STEP_MS 5
#define SYSLOG_FACILITY_MAIL (2 << 3)

static struct {
	pthread_mutex_t lock;
	bool open;			/* the output is; it opens by itself at the first line */
	const char *program;
	enum log_format format;
	struct log_output output;
	char *output_name;
	struct buffer line, cut_text;	/* kept, so that a line costs no allocation */
	char time[CLOCK_ISO8601_SIZE];	/* of the last line, ... */
	int64_t time_s;			/* ... which was in this second */
	pid_t pid;			/* 0: to be asked for */
	uint64_t lost, unannounced;
	unsigned wait_ms;
	struct counters *counters;
	/* read without the lock */
	enum log_level level, highest;
	struct log_subsystem_level *levels;
	size_t level_count;
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.output = { .fd = -1 },
	.time_s = -1,
	.level = LOG_LEVEL_INFO,
	.highest = LOG_LEVEL_INFO,
};

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	return names[level];
}

bool log_wants(enum log_level level, const char *subsystem)
{
	if (level > state.highest)
		return false;
	for (size_t i = 0; i < state.level_count; i++)
		if (!strcmp(state.levels[i].subsystem, subsystem))
			return level <= state.levels[i].level;
	return level <= state.level;
}

static const char *program_name(void)
{
	return state.program ? state.program : program_invocation_short_name;
}

static size_t bounded(const char *text)
{
	size_t size = strnlen(text, NAME_MAX_SIZE + 1);

	return size > NAME_MAX_SIZE ? utf8_cut(text, NAME_MAX_SIZE) : size;
}

/* ---- fields */

static bool is_common_key(const char *key)
{
	static const char *const keys[] = { "time", "level", "process", "pid", "subsystem", "event", "cut" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

static void append_json_text(struct buffer *out, const char *key, const char *text, size_t size)
{
	buffer_append_char(out, '"');
	buffer_append_str(out, key);
	buffer_append_str(out, "\":\"");
	json_escaped(out, text, size);
	buffer_append_char(out, '"');
}

static void append_key(struct buffer *out, const char *key)
{
	bool json = state.format == LOG_FORMAT_JSON;

	buffer_append_str(out, json ? ",\"" : " ");
	buffer_append_str(out, key);
	if (json && is_common_key(key))
		buffer_append_char(out, '_');
	buffer_append_str(out, json ? "\":" : "=");
}

static void append_value(struct buffer *out, const char *text, size_t size, bool cut)
{
	if (cut) {
		buffer_reset(&state.cut_text);
		buffer_append(&state.cut_text, text, size);
		buffer_append_str(&state.cut_text, "...");
		text = state.cut_text.data;
		size = state.cut_text.size;
	}
	if (state.format == LOG_FORMAT_JSON) {
		buffer_append_char(out, '"');
		json_escaped(out, text, size);
		buffer_append_char(out, '"');
	} else {
		quoted(out, text, size);
	}
}

static void shorten(struct buffer *out, size_t size)
{
	out->size = size;
	out->data[size] = '\0';
}

/* Appends the field, its text cut by halves until `out` is not larger than `max`; false if nothing fits. */
static bool append_field(struct buffer *out, const struct log_field *field, size_t max)
{
	size_t start = out->size, size, shown;

	append_key(out, field->key);
	if (field->type == LOG_FIELD_INT) {
		buffer_append_int(out, field->number);
	} else {
		size_t value = out->size;

		size = strnlen(field->text, LOG_LINE_MAX + 1);
		shown = size > LOG_LINE_MAX ? utf8_cut(field->text, LOG_LINE_MAX) : size;
		append_value(out, field->text, shown, shown < size);
		while (out->size > max && shown) {
			shorten(out, value);
			shown = utf8_cut(field->text, shown / 2);
			append_value(out, field->text, shown, true);
		}
	}
	if (out->size <= max)
		return true;
	shorten(out, start);
	return false;
}

static void append_fields(struct buffer *out, const struct log_field *fields, size_t max)
{
	uint64_t cut = 0;

	for (; fields->key; fields++) {
		if (fields->type == LOG_FIELD_TEXT && !fields->text)
			continue;
		if (cut || !append_field(out, fields, max))
			cut++;
	}
	if (cut && state.format == LOG_FORMAT_JSON)
		buffer_appendf(out, ",\"cut\":%" PRIu64, cut);
	else if (cut)
		buffer_appendf(out, " cut=%" PRIu64, cut);
}

/* ---- lines */

/* Most lines are in the second of the last, and differ by the digits of the millisecond before the final `Z`. */
static const char *time_text(int64_t now_ms)
{
	char *digits;

	if (now_ms < 0 || now_ms / 1000 != state.time_s) {
		state.time_s = now_ms < 0 ? -1 : now_ms / 1000;
		return clock_iso8601(state.time, now_ms);
	}
	digits = strchr(state.time, '.') + 1;
	digits[0] = (char)('0' + now_ms / 100 % 10);
	digits[1] = (char)('0' + now_ms / 10 % 10);
	digits[2] = (char)('0' + now_ms % 10);
	return state.time;
}

void log_forked(void)
{
	state.pid = 0;
}

static void forget_pid_at_fork(void)
{
	if (pthread_atfork(NULL, NULL, log_forked))
		BUG("no handler for forks");
}

static void append_pid(struct buffer *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, forget_pid_at_fork);
	if (!state.pid)
		state.pid = getpid();
	buffer_append_int(out, state.pid);
}

static void append_event(struct buffer *out, enum log_level level, const char *subsystem, const char *event,
	const struct log_field *fields, int64_t now_ms)
{
	const char *program = program_name();
	size_t max = out->size + LOG_LINE_MAX - RESERVED_FOR_CUT;

	if (state.format == LOG_FORMAT_JSON) {
		buffer_append_str(out, "{\"time\":\"");
		buffer_append_str(out, time_text(now_ms));
		buffer_append_str(out, "\",\"level\":\"");
		buffer_append_str(out, log_level_name(level));
		buffer_append_str(out, "\",");
		append_json_text(out, "process", program, bounded(program));
		buffer_append_str(out, ",\"pid\":");
		append_pid(out);
		buffer_append_char(out, ',');
		append_json_text(out, "subsystem", subsystem, bounded(subsystem));
		buffer_append_char(out, ',');
		append_json_text(out, "event", event, bounded(event));
		append_fields(out, fields, max);
		buffer_append_char(out, '}');
		return;
	}
	if (state.output.kind == LOG_OUTPUT_STDERR || state.output.kind == LOG_OUTPUT_FILE) {
		buffer_append_str(out, time_text(now_ms));
		buffer_append_char(out, ' ');
		buffer_append_str(out, log_level_name(level));
		buffer_append_char(out, ' ');
		escaped(out, program, bounded(program));
		buffer_append_char(out, '[');
		append_pid(out);
		buffer_append_str(out, "] ");
	}
	escaped(out, subsystem, bounded(subsystem));
	buffer_append_str(out, ": ");
	escaped(out, event, bounded(event));
	append_fields(out, fields, max);
}

static int priority(enum log_level level)
{
	static const int priorities[] = { 3, 4, 6, 7 };

	return priorities[level];
}

/* What a syslog daemon takes on its local socket: priority, local time without a year, tag. */
static void append_syslog_head(struct buffer *out, enum log_level level, int64_t now_ms)
{
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	time_t now = (time_t)(now_ms / 1000);
	struct tm local = { 0 };
	const char *program = program_name();

	localtime_r(&now, &local);
	buffer_appendf(out, "<%d>%s %2d %02d:%02d:%02d ", SYSLOG_FACILITY_MAIL | priority(level),
		months[local.tm_mon], local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
	escaped(out, program, bounded(program));
	buffer_append_char(out, '[');
	append_pid(out);
	buffer_append_str(out, "]: ");
}

/* The journal's own protocol: NAME LF, the size as 64 bits little-endian, the value, LF. */
static void append_journal(struct buffer *out, const char *prefix, const char *name, const char *value,
	size_t size)
{
	unsigned char length[8];

	if (size > JOURNAL_MAX || out->size > JOURNAL_MAX - size)
		return;
	for (unsigned i = 0; i < sizeof(length); i++)
		length[i] = (unsigned char)((uint64_t)size >> (8 * i));
	buffer_append_str(out, prefix);
	for (; *name; name++)
		buffer_append_char(out, *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name);
	buffer_append_char(out, '\n');
	buffer_append(out, length, sizeof(length));
	buffer_append(out, value, size);
	buffer_append_char(out, '\n');
}

static void wrap_for_journal(struct buffer *line, enum log_level level, const char *subsystem,
	const struct log_field *fields)
{
	struct buffer message = *line;
	char number[24];

	buffer_init(line);
	append_journal(line, "", "MESSAGE", message.data, message.size);
	buffer_release(&message);
	append_journal(line, "", "PRIORITY", (char[]){ (char)('0' + priority(level)) }, 1);
	append_journal(line, "", "SYSLOG_IDENTIFIER", program_name(), strlen(program_name()));
	append_journal(line, "SLIMTA_", "SUBSYSTEM", subsystem, strlen(subsystem));
	for (; fields->key; fields++) {
		if (fields->type == LOG_FIELD_INT) {
			snprintf(number, sizeof(number), "%" PRId64, fields->number);
			append_journal(line, "SLIMTA_", fields->key, number, strlen(number));
		} else if (fields->text) {
			append_journal(line, "SLIMTA_", fields->key, fields->text, strnlen(fields->text, LOG_LINE_MAX));
		}
	}
}

static void format_line(struct buffer *line, enum log_level level, const char *subsystem, const char *event,
	const struct log_field *fields)
{
	int64_t now_ms = clock_wall_ms();

	buffer_reset(line);
	if (state.output.kind == LOG_OUTPUT_SYSLOG)
		append_syslog_head(line, level, now_ms);
	append_event(line, level, subsystem, event, fields, now_ms);
	if (state.output.kind == LOG_OUTPUT_JOURNALD)
		wrap_for_journal(line, level, subsystem, fields);
	else if (state.output.kind != LOG_OUTPUT_SYSLOG)
		buffer_append_char(line, '\n');
}

/* ---- writing, under the lock */

static void count_lost(void)
{
	state.lost++;
	state.unannounced++;
	counter_add(state.counters, COUNTER_LOG_LOST, 1);
}

static int send_line(void)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP_MS * 1000000 };
	int result;

	for (unsigned waited_ms = 0;; waited_ms += WAIT_STEP_MS) {
		result = log_output_send(&state.output, state.line.data, state.line.size);
		if (result == 0 || waited_ms >= state.wait_ms || (errno != EAGAIN && errno != ENOBUFS))
			return result;
		nanosleep(&step, NULL);
	}
}

static int announce_lost(void)
{
	const struct log_field fields[] = { LOG_INT("lines", state.unannounced), { 0 } };

	if (!state.unannounced)
		return 0;
	format_line(&state.line, LOG_LEVEL_WARN, "log", "lost", fields);
	if (send_line() < 0)
		return -1;
	state.unannounced = 0;
	return 0;
}

static int open_by_itself(void)
{
	if (!state.open && log_output_open(&state.output, NULL) == 0)
		state.open = true;
	return state.open ? 0 : -1;
}

void log_write(enum log_level level, const char *subsystem, const char *event, const struct log_field *fields)
{
	int kept = errno;

	pthread_mutex_lock(&state.lock);
	if (open_by_itself() < 0 || announce_lost() < 0) {
		count_lost();
	} else {
		format_line(&state.line, level, subsystem, event, fields);
		if (send_line() < 0)
			count_lost();
	}
	pthread_mutex_unlock(&state.lock);
	errno = kept;
}

/* ---- opening */

static void release_levels(void)
{
	for (size_t i = 0; i < state.level_count; i++)
		free((char *)state.levels[i].subsystem);
	free(state.levels);
	state.levels = NULL;
	state.level_count = 0;
}

static void take_levels(const struct log_settings *settings)
{
	release_levels();
	state.level = state.highest = settings->level;
	state.levels = xcalloc(settings->level_count, sizeof(state.levels[0]));
	for (size_t i = 0; i < settings->level_count; i++) {
		state.levels[i] = settings->levels[i];
		state.levels[i].subsystem = xstrdup(settings->levels[i].subsystem);
		if (state.levels[i].level > state.highest)
			state.highest = state.levels[i].level;
	}
	state.level_count = settings->level_count;
}

static int replace_output(const char *name)
{
	struct log_output output;

	if (log_output_open(&output, name) < 0)
		return -1;
	if (state.open)
		log_output_close(&state.output);
	state.output = output;
	state.open = true;
	return 0;
}

int log_open(const char *program, const struct log_settings *settings)
{
	int result;

	pthread_mutex_lock(&state.lock);
	result = replace_output(settings->output);
	if (result == 0) {
		state.program = program;
		state.format = settings->format;
		xstrset(&state.output_name, settings->output);
		take_levels(settings);
	}
	pthread_mutex_unlock(&state.lock);
	return result;
}

int log_reopen(void)
{
	int result;

	pthread_mutex_lock(&state.lock);
	result = replace_output(state.output_name);
	pthread_mutex_unlock(&state.lock);
	return result;
}

void log_close(void)
{
	pthread_mutex_lock(&state.lock);
	if (state.open) {
		announce_lost();
		log_output_close(&state.output);
	}
	state.open = false;
	state.format = LOG_FORMAT_TEXT;
	state.output.kind = LOG_OUTPUT_STDERR;
	xstrset(&state.output_name, NULL);
	release_levels();
	state.level = state.highest = LOG_LEVEL_INFO;
	buffer_release(&state.line);
	buffer_release(&state.cut_text);
	pthread_mutex_unlock(&state.lock);
}

void log_wait(unsigned wait_ms)
{
	state.wait_ms = wait_ms;
}

uint64_t log_lost(void)
{
	uint64_t lost;

	pthread_mutex_lock(&state.lock);
	lost = state.lost;
	pthread_mutex_unlock(&state.lock);
	return lost;
}

void log_set_counters(struct counters *counters)
{
	pthread_mutex_lock(&state.lock);
	state.counters = counters;
	pthread_mutex_unlock(&state.lock);
}
