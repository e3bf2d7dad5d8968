/* log.h - one line per event, key=value or JSON
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_LOG_H
#define SLIMTA_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* error: someone must act. warn: we carried on. info: the history of a message, always with its id.
 * debug: off in production. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* A field of an event. Text is quoted as it is written, so no peer can forge a line; NULL text is left
 * out. Never log a secret. */
struct log_field {
	const char *key;
	enum { LOG_FIELD_TEXT, LOG_FIELD_INT } type;
	const char *text;
	int64_t number;
};
#define LOG_TEXT(key, text) { (key), LOG_FIELD_TEXT, (text), 0 }
#define LOG_INT(key, number) { (key), LOG_FIELD_INT, NULL, (int64_t)(number) }

/* log_info("edge", "accepted", LOG_TEXT("id", id), LOG_INT("size", size));
 * gives  2026-11-22T08:03:36.123Z info slimta-edge[812] edge: accepted id=... size=...
 * `subsystem` is the name that logging.levels in slimta.conf knows; `event` is a past-tense phrase. */
#define log_at(level, subsystem, event, ...) \
	do { \
		if (log_wants((level), (subsystem))) \
			log_write((level), (subsystem), (event), \
				(const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) { 0 } }); \
	} while (0)
#define log_error(subsystem, event, ...) log_at(LOG_LEVEL_ERROR, subsystem, event __VA_OPT__(,) __VA_ARGS__)
#define log_warn(subsystem, event, ...) log_at(LOG_LEVEL_WARN, subsystem, event __VA_OPT__(,) __VA_ARGS__)
#define log_info(subsystem, event, ...) log_at(LOG_LEVEL_INFO, subsystem, event __VA_OPT__(,) __VA_ARGS__)
#define log_debug(subsystem, event, ...) log_at(LOG_LEVEL_DEBUG, subsystem, event __VA_OPT__(,) __VA_ARGS__)

bool log_wants(enum log_level level, const char *subsystem);
/* Formats one line and writes it without ever blocking: what does not fit the pipe is counted, and the
 * count is written as a line of its own before the next one that fits, or by log_close. Callable from any
 * thread. `fields` ends with a field whose key is NULL. A line is at most LOG_LINE_MAX octets, so that a
 * pipe takes all of it or nothing: long text is cut and ends in "...", and what then does not fit is left
 * out, its number given as `cut`. In JSON a key that every line has (time, level, process, pid, subsystem,
 * event, cut) gets a `_` behind it.
 * Levels are read without a lock: open the log before other threads log. SIGPIPE has to be ignored. */
#define LOG_LINE_MAX 4096
void log_write(enum log_level level, const char *subsystem, const char *event, const struct log_field *fields);

struct log_subsystem_level {
	const char *subsystem;
	enum log_level level;
};
struct log_settings {
	enum log_level level;
	enum log_format format;
	const char *output;		/* "stderr" (as NULL), "syslog", "journald" or an absolute path */
	const struct log_subsystem_level *levels;
	size_t level_count;
};
/* Before log_open, lines go to stderr as text at level info. `program` is kept, not copied.
 * stderr is written through an own open of /proc/self/fd/2 (O_NONBLOCK; a socket by MSG_DONTWAIT), so
 * that the flag is not shared with whoever gave us the descriptor. 0, or -1 with errno. */
int log_open(const char *program, const struct log_settings *);
int log_reopen(void);		/* the output again, at SIGUSR1: after a rename of the file, or a new fd 2 */
void log_close(void);
void log_forked(void);		/* in a process that was not made by fork(), which says so itself: it has a pid of its own */
void log_wait(unsigned wait_ms);	/* for a program without a loop: a line that does not fit waits so long for room */
uint64_t log_lost(void);	/* lines that did not fit, since the start */
struct counters;
/* Counts them as COUNTER_LOG_LOST too, from now on; borrowed until set to NULL. */
void log_set_counters(struct counters *);

const char *log_level_name(enum log_level);	/* "error" "warn" "info" "debug" */

#endif
