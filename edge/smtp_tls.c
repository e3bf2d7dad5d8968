/* smtp_tls.c - TLS of an SMTP edge
 * SPDX-License-Identifier: MIT */
#include "edge/smtp_tls.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/smtp/session.h"

static void check_without(const struct smtp_tls *tls, const struct config_node *section, struct config_errors *errors)
{
	if (tls->immediately)
		config_error_at_value(errors, config_get(section, "tls_immediately"), "expected tls with it");
	if (tls->required)
		config_error_at_value(errors, config_get(section, "require_tls"), "expected tls with it");
}

void smtp_tls_check(const struct smtp_tls *tls, const struct strings *disable_extensions, const struct config_node *section,
	struct config_errors *errors)
{
	if (!tls->settings.given) {
		check_without(tls, section, errors);
		return;
	}
	tls_server_check(&tls->settings, config_get(section, "tls"), errors);
	for (size_t i = 0; i < disable_extensions->count && tls->required && !tls->immediately; i++) {
		if (extension_find(disable_extensions->items[i]) == EXTENSION_STARTTLS)
			config_error_at_value(errors, config_get(section, "require_tls"),
				"without STARTTLS no client can do what this requires");
	}
}

void smtp_tls_open(struct smtp_tls *tls, const struct tls_secret *secret, const char *edge)
{
	struct tls_error error = { 0 };

	if (!tls->settings.given)
		return;
	tls->tickets = tls_tickets_new(secret);
	tls->context = tls_server_context_new(&tls->settings, tls->tickets, &error);
	if (!tls->context)
		log_error("edge", "could not begin to use TLS", LOG_TEXT("edge", edge), LOG_TEXT("key", error.key),
			LOG_TEXT("error", error.text));
	free(error.text);
}

void smtp_tls_close(struct smtp_tls *tls)
{
	tls_context_free(tls->context);
	tls->context = NULL;
	tls_tickets_free(tls->tickets);
	tls->tickets = NULL;
}

void smtp_tls_start(const struct smtp_tls *tls, struct stream *stream, const struct session *session, tls_up_fn *up, void *arg)
{
	int64_t timeout_ms = session_timeout_ms(session);
	size_t discarded;

	if (timeout_ms > SMTP_HANDSHAKE_MS)
		timeout_ms = SMTP_HANDSHAKE_MS;
	if (!tls->context) {		/* it was right when the configuration was checked */
		stream_abort(stream, 0);
		return;
	}
	discarded = tls_start_server(stream, tls->context, timeout_ms, up, arg);
	if (discarded)
		log_info("edge", "discarded", LOG_TEXT("session", session_id(session)),
			LOG_TEXT("client", session_client(session)), LOG_INT("octets", discarded),
			LOG_TEXT("reason", "in clear behind STARTTLS"));
}

void smtp_tls_started(const struct stream *stream, struct session *session)
{
	char *peer = tls_peer_name(stream);

	log_info("edge", "encrypted", LOG_TEXT("session", session_id(session)), LOG_TEXT("client", session_client(session)),
		LOG_TEXT("version", tls_version(stream)), LOG_TEXT("cipher", tls_cipher(stream)),
		LOG_TEXT("resumed", tls_is_resumed(stream) ? "yes" : "no"), LOG_TEXT("peer", peer));
	free(peer);
	session_tls_started(session, tls_version(stream), tls_cipher(stream));
}

bool smtp_tls_lost(const struct stream *stream, const struct session *session, int error)
{
	const char *problem = tls_problem(stream);

	if (!problem && session_state(session) == SESSION_WANTS_TLS)
		problem = error ? strerror(error) : "ended";
	if (problem)
		log_info("edge", "TLS failed", LOG_TEXT("session", session_id(session)),
			LOG_TEXT("client", session_client(session)), LOG_TEXT("reason", problem));
	return problem != NULL;
}
