/* session.c - the server's side of an SMTP connection: phases, replies, what comes in
 * SPDX-License-Identifier: MIT */
#include "common/smtp/session.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/smtp/verbs.h"

struct session *session_new(const struct session_settings *settings,
	const struct session_owner *owner, void *arg, struct buffer *out, const char *client_ip)
{
	size_t ip_size = strlen(client_ip) + 1;
	struct session *s = xcalloc(1, sizeof(*s) + ip_size);

	s->settings = settings;
	s->owner = owner;
	s->arg = arg;
	s->out = out;
	s->phase = settings->tls_immediately ? PHASE_TLS : PHASE_CONNECT;
	id_new(s->id);
	memcpy(s->client_ip, client_ip, ip_size);
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	session_reset(s, "connection lost");
	reply_release(&s->chunk_refusal);
	free(s->name);
	free(s->tls);
	free(s->auth);
	auth_end(s);
	free(s);
}

const char *session_id(const struct session *s)
{
	return s->id;
}

const char *session_client(const struct session *s)
{
	return s->client_ip;
}

void session_enter(struct session *s, enum phase next)
{
	if (next == PHASE_SAME)
		return;
	if (next == PHASE_FRESH) {
		session_reset(s, NULL);
		next = s->name ? PHASE_READY : PHASE_START;
	}
	s->phase = (unsigned char)next;
}

void session_receive(struct session *s, enum phase phase)
{
	s->verb = NULL;
	session_enter(s, phase);
}

void session_reset(struct session *s, const char *reason)
{
	if (s->envelope && reason)
		log_info("smtp", "abandoned", LOG_TEXT("id", s->envelope->id),
			LOG_TEXT("session", s->id), LOG_TEXT("sender", s->envelope->sender),
			LOG_INT("recipients", s->envelope->recipient_count),
			LOG_TEXT("reason", reason));
	incoming_free(s->incoming);
	s->incoming = NULL;
	envelope_free(s->envelope);
	s->envelope = NULL;
}

void session_begin(struct session *s, const struct verb *verb)
{
	if (s->verb)
		BUG("%s begins while %s has no reply", verb->name, s->verb->name);
	s->verb = verb;
}

static bool is_bad_command(const struct reply *reply)
{
	return (reply->code >= 500 && reply->code <= 504) || reply->code == 555;
}

#define GIVEN_MAX 200
#define GIVEN_WORD_MAX 10

/* How much of a command that nobody knows is told: its word, if it looks like one. A client that means to log in, or takes
 * itself to be in the middle of that, sends secrets. */
static size_t tellable(const struct session *s, const char *line, size_t size)
{
	size_t word = 0;

	while (word < size && isalpha((unsigned char)line[word]))
		word++;
	return s->tried_auth || word > GIVEN_WORD_MAX || (word < size && line[word] != ' ') ? 0 : word;
}

/* What a bad command was given, owned, where that helps; NULL otherwise. */
static char *given_of(const struct session *s, const struct verb *verb, const struct reply *reply)
{
	size_t size = s->given_size;

	if (!s->given || !is_bad_command(reply) || verb->run == run_auth)
		return NULL;
	if (verb == verb_find("", 0) && !(size = tellable(s, s->given, size)))
		return NULL;
	return xstrndup(s->given, size < GIVEN_MAX ? size : GIVEN_MAX);
}

static void log_refusal(const struct session *s, const struct verb *verb, const struct reply *reply)
{
	const struct envelope *e = s->envelope;
	struct buffer text = { 0 };
	char *given = given_of(s, verb, reply);

	reply_append(reply, &text);
	log_info("smtp", "rejected", LOG_TEXT("id", e ? e->id : NULL), LOG_TEXT("session", s->id),
		LOG_TEXT("client", s->client_ip), LOG_TEXT("user", s->auth), LOG_TEXT("edge", s->settings->edge),
		LOG_TEXT("command", verb->name), LOG_TEXT("given", given),
		LOG_TEXT("sender", e ? e->sender : NULL),
		LOG_TEXT("recipient", s->recipient), LOG_TEXT("rule", s->cause ? s->cause->rule : NULL),
		LOG_TEXT("reason", s->cause ? s->cause->reason : NULL), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
	free(given);
}

static void say(struct session *s, const struct reply *reply, bool plain)
{
	plain = plain || !(s->settings->extensions & EXTENSION_ENHANCEDSTATUSCODES);
	reply_append_wire(reply, plain, s->out);
}

void session_end(struct session *s, unsigned code, const char *status, const char *text)
{
	struct buffer line = { 0 };
	struct reply reply = { 0 };

	reply_set(&reply, code, status, "%s", text);
	if (s->phase != PHASE_TLS)
		say(s, &reply, false);
	reply_append(&reply, &line);
	log_info("smtp", "ended", LOG_TEXT("session", s->id), LOG_TEXT("client", s->client_ip),
		LOG_TEXT("reply", buffer_str(&line)));
	buffer_release(&line);
	reply_release(&reply);
	session_reset(s, text);
	s->verb = NULL;
	s->answered = NULL;
	s->lingering = s->phase != PHASE_TLS;
	session_enter(s, PHASE_CLOSED);
	s->owner->changed(s->arg);
}

/* No fault of the client: an address that is none may be one of many in a list, and what was sent in advance (RFC 2920)
 * cannot know that what came before it was refused. */
static bool is_excused(const struct session *s, const struct verb *verb, const struct reply *reply)
{
	if (reply->code == 501)
		return reply->subject == 1;
	if (verb == &end_of_discarded && s->refused_chunk)
		return true;
	return reply->code == 503 && s->refused_before &&
		(verb->run == run_rcpt || verb->run == run_data || verb == &end_of_discarded);
}

/* What a client may do without end has to bring a message on. */
static bool is_error(struct session *s, const struct verb *verb, const struct reply *reply)
{
	unsigned most = s->settings->max_recipients;

	if (is_bad_command(reply) && !is_excused(s, verb, reply))
		return true;
	if (verb->useful && reply->code < 400) {
		if (verb == &end_of_data)
			s->idle = s->refused = 0;
		return false;
	}
	if (verb->run == run_rcpt)
		return ++s->refused > (most > SESSION_REFUSED_RECIPIENTS ? most : SESSION_REFUSED_RECIPIENTS);
	return ++s->idle > SESSION_IDLE_COMMANDS;
}

static void note_refusal(struct session *s, const struct verb *verb, const struct reply *reply)
{
	if ((verb->run == run_mail || verb->run == run_rcpt) && reply->code >= 400 && reply->code != 503)
		s->refused_before = true;
	else if (verb->run != run_rcpt && verb->run != run_data && verb != &end_of_discarded)
		s->refused_before = false;
}

static bool is_idle(const struct session *s)
{
	return s->phase <= PHASE_AUTH && !s->verb;
}

void session_reply_with(struct session *s, const struct reply *reply)
{
	const struct verb *verb = s->verb;

	if (!verb)
		BUG("a second reply: %u %s", reply->code, reply->text);
	s->verb = NULL;
	s->answered = NULL;
	/* A message that the owner has is logged by the owner. */
	if (reply->code >= 400 && (s->envelope || verb != &end_of_data))
		log_refusal(s, verb, reply);
	s->cause = NULL;
	if (is_error(s, verb, reply) && ++s->errors > s->settings->max_errors) {
		session_end(s, 421, "4.7.0", is_bad_command(reply) ? "Too many errors" :
			"Too many commands that bring no message");
		return;
	}
	note_refusal(s, verb, reply);
	say(s, reply, reply->code < 400 && (verb->plain || reply->code >= 300));
	if (reply->code == 421) {
		s->lingering = true;
		session_reset(s, reply->text);
		session_enter(s, PHASE_CLOSED);
	} else if (reply->code < 400 || verb == &end_of_data) {
		session_enter(s, verb->next);
	}
	if (s->draining && s->phase != PHASE_CLOSED && (is_idle(s) || s->ending))
		session_drain(s, false);
	else
		s->owner->changed(s->arg);
}

void session_reply(struct session *s, unsigned code, const char *status, const char *format, ...)
{
	struct reply reply = { 0 };
	char text[2048];		/* more than names, addresses and keywords have together */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	reply_set(&reply, code, status, "%s", text);
	session_reply_with(s, &reply);
	reply_release(&reply);
}

void session_refuse(struct session *s, const char *rule, unsigned code, const char *status, const char *text)
{
	s->cause = &(struct session_cause){ rule, NULL };
	session_reply(s, code, status, "%s", text);
}

void session_reply_arguments(struct session *s)
{
	session_reply(s, 501, "5.5.4", "Syntax error in parameters or arguments");
}

void session_answer(struct session *s, const struct reply *why)
{
	if (!s->answered)
		BUG("an answer that nobody asked for");
	s->answered(s, why && !reply_is_none(why) ? why : NULL);
}

void session_answer_for(struct session *s, const struct reply *why, const struct session_cause *cause)
{
	s->cause = cause;
	session_answer(s, why);
}

void session_greet(struct session *s)
{
	struct reply reply = { 0 };

	if (s->phase != PHASE_CONNECT)
		return;
	session_enter(s, PHASE_START);
	reply_set(&reply, 220, NULL, "%s", s->settings->banner);
	say(s, &reply, true);
	reply_release(&reply);
	if (s->draining)
		session_drain(s, false);
	else
		s->owner->changed(s->arg);
}

enum session_state session_state(const struct session *s)
{
	if (s->phase == PHASE_CLOSED)
		return s->lingering ? SESSION_LINGERING : SESSION_CLOSING;
	if (s->phase == PHASE_TLS)
		return SESSION_WANTS_TLS;
	return s->verb || incoming_is_full(s) ? SESSION_WAITING : SESSION_READING;
}

bool session_is_receiving(const struct session *s)
{
	return s->phase == PHASE_DATA || s->phase == PHASE_CHUNK;
}

int64_t session_timeout_ms(const struct session *s)
{
	return session_is_receiving(s) ? s->settings->data_timeout_ms :
		s->settings->command_timeout_ms;
}

/* The first octet of a TLS client that connects (RFC 8446 5.1), which would wait for an answer in TLS. */
#define TLS_HANDSHAKE 22

/* Who sends a command octet by octet has no more time for it than who sends none. */
static void check_partial(struct session *s)
{
	int64_t now = clock_boot_ms();

	if (!s->partial_since_ms)
		s->partial_since_ms = now;
	else if (now - s->partial_since_ms > s->settings->command_timeout_ms)
		session_timed_out(s);
}

/* NUL, and CR or LF alone, stand in no command. */
static bool is_clean(const char *line, size_t size)
{
	return !memchr(line, '\0', size) && !memchr(line, '\r', size) && !memchr(line, '\n', size);
}

/* Of BDAT nobody knows how many octets follow, none of which may be read as a command: the end. */
static void refuse_line(struct session *s, const struct verb *verb, bool too_long)
{
	const char *why = too_long ? "Line too long" : "Syntax error, command unrecognized";

	session_begin(s, verb_find("", 0));
	if (verb->run == run_auth)
		s->had_secret = s->tried_auth = true;
	if (verb->run == run_bdat)
		session_end(s, 501, "5.5.4", why);
	else if (verb->run == run_auth && too_long)
		session_reply(s, 500, "5.5.6", TEXT_AUTH_TOO_LONG);
	else
		session_reply(s, 500, "5.5.2", "%s", why);
}

static void run_line(struct session *s, const char *line, size_t size)
{
	const struct verb *verb = verb_find(line, size);
	size_t name_size = 0;

	if (!is_clean(line, size)) {
		refuse_line(s, verb, false);
		return;
	}

	while (name_size < size && line[name_size] != ' ' && line[name_size] != '\t')
		name_size++;
	while (size > name_size && (line[size - 1] == ' ' || line[size - 1] == '\t'))
		size--;
	session_begin(s, verb);
	s->given = line;
	s->given_size = size;
	if (verb->run == run_auth)
		s->had_secret = s->tried_auth = true;
	s->refused_chunk = s->refused_chunk && verb->run == run_bdat;
	if (verb->guarded && session_lacks_tls(s))
		session_refuse(s, "require_tls", 530, "5.7.0", TEXT_LACKS_TLS);
	else if (!(verb->phases & (1u << s->phase)))
		session_reply(s, 503, "5.5.1", "Bad sequence of commands");
	else if (name_size == size)
		verb->run(s, line + size, 0);
	else
		verb->run(s, line + name_size + 1, size - name_size - 1);
	s->given = NULL;
}

/* What follows AUTH is nobody's business. */
static void log_command(const struct session *s, const char *line, size_t size)
{
	const struct verb *verb = verb_find(line, size);
	char *text;

	if (!log_wants(LOG_LEVEL_DEBUG, "smtp"))
		return;
	if (verb == verb_find("", 0))
		size = tellable(s, line, size);
	text = verb->run == run_auth || !size ? xstrdup(verb->name) : xstrndup(line, size);
	log_debug("smtp", "received", LOG_TEXT("session", s->id), LOG_TEXT("command", text));
	free(text);
}

static size_t line_max(const struct session *s, const char *data, size_t size)
{
	const struct verb *verb = verb_find(data, size);

	if (s->phase == PHASE_AUTH)
		return AUTH_LINE_MAX;
	if (size < READER_LINE_MAX || s->reader.skipping || (verb->run == run_auth && !session_allows_auth(s)))
		return READER_LINE_MAX;
	return READER_LINE_MAX + verb->more;
}

static size_t input_command(struct session *s, const char *data, size_t size)
{
	size_t line_size, taken;
	enum reader_result result;
	bool ended;
	size_t limit = line_max(s, data, size);

	result = reader_next(&s->reader, data, size, limit, &line_size, &taken);
	ended = taken && !s->reader.skipping;
	if (ended)
		s->partial_since_ms = 0;
	switch (result) {
	case READER_LINE:
		if (s->phase == PHASE_AUTH) {
			auth_line(s, data, line_size);
			break;
		}
		log_command(s, data, line_size);
		run_line(s, data, line_size);
		break;
	case READER_TOO_LONG:
		if (s->phase == PHASE_AUTH)
			auth_line_too_long(s);
		else
			refuse_line(s, verb_find(data, size), true);
		break;
	case READER_MORE:
		if (!ended)
			check_partial(s);
	}
	return taken;
}

size_t session_input(struct session *s, const char *data, size_t size)
{
	size_t taken = 0;

	if (s->phase == PHASE_CONNECT && size > 0)
		session_end(s, 554, "5.5.1", "Command before the greeting");
	else if (s->phase == PHASE_START && !s->heard && size > 0 && data[0] == TLS_HANDSHAKE)
		session_end(s, 554, "5.5.1", "This is SMTP without TLS");
	s->heard = s->heard || size > 0;
	while (taken < size && session_state(s) == SESSION_READING) {
		size_t more = session_is_receiving(s) ?
			incoming_take(s, data + taken, size - taken) :
			input_command(s, data + taken, size - taken);

		if (!more)
			break;
		taken += more;
	}
	if (s->phase == PHASE_TLS && taken < size)
		session_discarded(s, size - taken);
	return s->phase == PHASE_CLOSED || s->phase == PHASE_TLS ? size : taken;
}

void session_input_ended(struct session *s)
{
	session_reset(s, "connection ended");
	session_enter(s, PHASE_CLOSED);
}

void session_lost(struct session *s)
{
	session_reset(s, "connection lost");
	session_enter(s, PHASE_CLOSED);
}

void session_timed_out(struct session *s)
{
	session_end(s, 421, "4.4.2", "Connection timed out");
}

void session_drain(struct session *s, bool now)
{
	s->draining = true;
	s->ending = s->ending || now;
	if (s->phase != PHASE_CLOSED && (is_idle(s) || (s->ending && !s->verb)))
		session_end(s, 421, "4.3.2", "Service shutting down");
}
