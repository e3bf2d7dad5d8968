/* connection_tls.c - TLS on a connection to a next hop: whether, and what follows where it fails
 * SPDX-License-Identifier: MIT
 * RFC 3207. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/connection_private.h"

#define CLEAR_MS 600000
#define DISCARD_MAX 65536

void next_hop_memory_release(struct next_hop_memory *memory)
{
	tls_session_free(memory->session);
	*memory = (struct next_hop_memory){ 0 };
}

static bool may_go_in_clear(const struct connection_settings *settings)
{
	return !settings->tls_required && !settings->tls_immediately && !tls_context_verifies(settings->tls);
}

void connection_choose_tls(struct connection *connection, bool failed_just_now)
{
	const struct connection_settings *settings = connection->settings;
	bool known = settings->tls && may_go_in_clear(settings) && settings->memory &&
		clock_boot_ms() < settings->memory->clear_until_ms;

	connection->tls = TLS_NONE;
	connection->tls_failed = failed_just_now;
	connection->in_clear = failed_just_now || known;
	reply_release(&connection->tls_why);
}

enum smtp_client_tls connection_client_tls(const struct connection *connection)
{
	const struct connection_settings *settings = connection->settings;

	if (!settings->tls || connection->in_clear)
		return SMTP_TLS_NEVER;
	if (settings->tls_immediately)
		return SMTP_TLS_STARTED;
	return may_go_in_clear(settings) ? SMTP_TLS_OFFERED : SMTP_TLS_REQUIRED;
}

static void begin(struct connection *connection)
{
	const struct connection_settings *settings = connection->settings;
	struct next_hop_memory *memory = settings->memory;

	tls_start_client(&connection->stream, settings->tls, settings->host);
	if (memory && !memory->session)
		memory->session = tls_session_new();
	if (memory)
		tls_use_session(&connection->stream, memory->session);
	connection->tls = TLS_BEGUN;
}

void connection_start_tls(struct connection *connection)
{
	begin(connection);
	tls_shake_hands(&connection->stream);
}

/* What waits to be read was said in clear: the server is to speak next when it was spoken to by TLS. */
static size_t throw_away(int fd)
{
	char octets[4096];
	size_t size = 0;
	ssize_t got;

	while (size < DISCARD_MAX && (got = recv(fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
		size += (size_t)got;
	return size;
}

void connection_answer_starttls(struct connection *connection)
{
	size_t discarded = smtp_client_discarded(connection->client) + throw_away(connection->stream.fd);

	if (discarded)
		log_warn("relay", "threw away what stood in clear behind the answer to STARTTLS",
			LOG_TEXT("relay", connection->settings->relay), LOG_TEXT("host", connection->host),
			LOG_INT("octets", (int64_t)discarded));
	/* An answer that came before the question. */
	if (connection->stream.out.size) {
		stream_abort(&connection->stream, EPROTO);
		return;
	}
	begin(connection);
	smtp_client_tls_started(connection->client);	/* the handshake goes with what it says */
	connection->last = -1;
}

void connection_note_tls(struct connection *connection)
{
	if (connection->tls != TLS_BEGUN)
		return;
	connection->tls = TLS_WORKS;
	log_debug("relay", "spoke TLS to a next hop", LOG_TEXT("relay", connection->settings->relay),
		LOG_TEXT("host", connection->host), LOG_TEXT("version", tls_version(&connection->stream)),
		LOG_TEXT("cipher", tls_cipher(&connection->stream)),
		LOG_TEXT("session", tls_is_resumed(&connection->stream) ? "resumed" : "new"));
}

void connection_note_tls_failure(struct connection *connection, int error)
{
	const struct stream *stream = &connection->stream;
	const char *problem = tls_problem(stream);

	if (connection->tls != TLS_BEGUN || smtp_client_state(connection->client) == SMTP_CLIENT_ENDED ||
			(!problem && !tls_is_shaking_hands(stream)))
		return;
	if (problem)
		reply_set(&connection->tls_why, 451, "4.7.5", "%s", problem);
	else
		reply_set(&connection->tls_why, 451, "4.7.5", "TLS handshake: %s",
			error == ETIMEDOUT ? "timed out" : error ? strerror(error) : "the connection was cut");
}

bool connection_goes_on_in_clear(const struct connection *connection)
{
	/* Where it is to try no more, the addresses are gone. */
	return !reply_is_none(&connection->tls_why) && may_go_in_clear(connection->settings) &&
		connection->next && connection->next <= connection->count;
}

void connection_remember_tls(struct connection *connection)
{
	struct next_hop_memory *memory = connection->settings->memory;

	if (connection->tls_failed && memory)
		memory->clear_until_ms = clock_boot_ms() + CLEAR_MS;
}
