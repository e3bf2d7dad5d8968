/* tls.h - the standard `tls` settings, and TLS on a stream
 * SPDX-License-Identifier: MIT
 * RFC 8446, RFC 5246; names of servers as RFC 6125 and RFC 9525 have them. */
#ifndef SLIMTA_NET_TLS_H
#define SLIMTA_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/options.h"

struct stream;
struct tls_context;
struct tls_tickets;

/* `optional` is as `required` for a client, which always gets a certificate. */
enum tls_cert_reqs { TLS_CERT_NONE, TLS_CERT_OPTIONAL, TLS_CERT_REQUIRED };

/* A certificate of ours, with its chain, and its key. */
struct tls_pair {
	char *certfile, *keyfile;	/* NULL keyfile: in certfile too */
	const char *cert_pem, *key_pem;	/* what the files held when the configuration was read; borrowed; NULL: not read yet */
};

struct tls_settings {
	bool given;			/* the key `tls` is there, be it with an empty map */
	struct tls_pair own;		/* a server's: for clients that name no host, or one that is not in `certs` */
	struct option_list certs;	/* of struct tls_pair: a server's, chosen by the name that a client asks for */
	char *ca_certs;			/* a file or a directory; NULL: the system's */
	const char *ca_pem;		/* as cert_pem */
	unsigned cert_reqs;		/* tls_cert_reqs(); 0 where `given` is false */
	char *ciphers;			/* NULL: OpenSSL's */
	unsigned min_version;		/* index, see tls.c */
	bool check_hostname;
};

/* Rows of a client that verifies unless told otherwise: storages, look-ups. */
extern const struct option tls_client_rows[];
/* Rows of one that takes what TLS it gets unless told otherwise: relays by SMTP. */
extern const struct option tls_relay_rows[];
/* Rows of a server: edges. */
extern const struct option tls_server_rows[];
/* The row of the key `tls`: { "tls", TLS_FIELD(s, m), ... } with rows of the above. */
#define TLS_ROW(s, m, ROWS, TEXT) \
	{ "tls", OPTION_SECTION, OPTION_FIELD(s, m, struct tls_settings), NULL, 0, 0, TEXT, .rows = ROWS, \
		.check = tls_settings_given }
void tls_settings_given(const struct config_node *, void *field, struct config_errors *);

enum tls_cert_reqs tls_cert_reqs(const struct tls_settings *);

/* Why no context could be made: the key that is wrong, and what with it. */
struct tls_error {
	const char *key;
	unsigned pair;			/* from 1: of that member of `certs`; 0: of `tls` itself */
	char *text;			/* owned */
};

/* Reads the files. NULL with an error. */
struct tls_context *tls_client_context_new(const struct tls_settings *, struct tls_error *);
/* The same of a server. It shares tickets (NULL: none but its own) with all that have the same certificates and demands on
 * clients; they stay until all streams of the context are released. */
struct tls_context *tls_server_context_new(const struct tls_settings *, struct tls_tickets *, struct tls_error *);
void tls_context_free(struct tls_context *);		/* NULL is fine; streams that use it go on */
bool tls_context_verifies(const struct tls_context *);	/* it trusts no server without a good certificate */
/* Makes a context for its errors alone, which go to their keys in `map`, the value of `tls`. */
void tls_client_check(const struct tls_settings *, const struct config_node *map, struct config_errors *);

/* As tls_client_check, of a server; warns of certificates that are not valid now, too. */
void tls_server_check(const struct tls_settings *, const struct config_node *map, struct config_errors *);

/* What all processes of a machine share, over the generations of their configuration, so that a session which one of them
 * gave out goes on with another. It is another one in each epoch, made of the one before. */
#define TLS_SECRET_SIZE 32
#define TLS_EPOCH_S 14400
struct tls_secret {
	int64_t epoch;			/* of this machine's clock_boot_ms() */
	unsigned char octets[TLS_SECRET_SIZE];
};
int64_t tls_epoch_now(void);
void tls_secret_make(struct tls_secret *);
void tls_secret_advance(struct tls_secret *, int64_t epoch);	/* nothing where it is as far */
struct tls_tickets *tls_tickets_new(const struct tls_secret *);
void tls_tickets_free(struct tls_tickets *);		/* NULL is fine */

/* The stream, which has just been opened, speaks TLS as a client to `host` (a name, or an address literal): its certificate
 * must be for that, as the settings say. The handshake goes with what is first sent. An end without close_notify is an
 * error; `closed` gets EPROTO for what is TLS' own. */
void tls_start_client(struct stream *, const struct tls_context *, const char *host);
/* Begins the handshake now, for a client that is not the first to speak. Right behind tls_start_client(). */
void tls_shake_hands(struct stream *);

/* The stream, of whose `out` all is sent, speaks TLS as a server; a pause ends. What was read in clear and not taken is
 * thrown away: how many octets that was is returned. Until `up` the owner hears nothing but `closed`, and what it sends is
 * dropped. `up` comes once, from the loop, before the first `input`. The handshake as a whole has timeout_ms: ETIMEDOUT
 * beyond; EPROTO for what TLS has against the client. Afterwards an end without close_notify is an end. */
typedef void tls_up_fn(void *arg);
size_t tls_start_server(struct stream *, const struct tls_context *, int64_t timeout_ms, tls_up_fn *up, void *arg);
/* Subject of the certificate that the client has shown and that was found good ("CN=host,O=..."), at most 255 octets of
 * printable ASCII, others escaped (RFC 4514); NULL: none. Owned by the caller. */
char *tls_peer_name(const struct stream *);

bool tls_is_shaking_hands(const struct stream *);	/* false where no TLS is spoken, too */
const char *tls_version(const struct stream *);		/* "TLSv1.3"; NULL before the handshake is over, and without TLS */
const char *tls_cipher(const struct stream *);		/* likewise, "TLS_AES_256_GCM_SHA384" */
bool tls_is_resumed(const struct stream *);
/* What TLS found wrong with the connection ("certificate verify failed: ..."); NULL: nothing. Borrowed; for `closed`. */
const char *tls_problem(const struct stream *);

/* What a server gave to go on with a session over later connections, which spares both the costly part of the handshake.
 * For one host, context and purpose: what was verified once is not verified again. */
struct tls_session;
struct tls_session *tls_session_new(void);
void tls_session_free(struct tls_session *);		/* NULL is fine; before that, streams that use it are released */
/* The stream goes on with it where the server agrees, and puts into it what it gets. Right behind tls_start_client(). */
void tls_use_session(struct stream *, struct tls_session *);

#endif
