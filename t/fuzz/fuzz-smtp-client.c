/* fuzz-smtp-client.c - the SMTP client against a server that says anything
 * SPDX-License-Identifier: MIT
 * Input: an octet with the number of recipients, one with settings (LMTP 1, credentials 2, these in clear 4, TLS 8 and 16),
 * then pieces: an octet of length and that many octets of the server. A length of 0 makes something else happen, as the
 * next octet says. Octets from 128 on stand for whole turns of a server. */
#include "common/smtp/sasl_client.h"
#include "t/lib/client_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const phrases[] = { "220 mx\r\n", "250 ok\r\n", "250-mx\r\n250-PIPELINING\r\n250 SIZE 999\r\n",
	"354 go\r\n", "421 down\r\n", "450 later\r\n", "550 5.1.1 no\r\n", "503 no\r\n", "250-mx\r\n250 8BITMIME\r\n",
	"250-mx\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 CHUNKING\r\n", "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	"250-mx\r\n250-AUTH SCRAM-SHA-256\r\n250 DSN\r\n", "250-mx\r\n250-AUTH LOGIN\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	"334 \r\n", "235 ok\r\n", "452 4.5.3 many\r\n", "250-mx\r\n250-LIMITS RCPTMAX=3 MAILMAX=2\r\n250 PIPELINING\r\n",
	"250-mx\r\n250-LIMITS RCPTDOMAINMAX=1\r\n250 CHUNKING\r\n", "552 5.3.4 large\r\n", "250 a\r\n250 b\r\n250 c\r\n",
	"220 go\r\n250 evil\r\n" };
static const struct sasl_credentials credentials = { .username = "user", .password = "pencil" };

struct fuzz {
	struct client_harness h;
	struct buffer sent;		/* since it was looked at */
	enum smtp_client_tls tls;
	bool in_tls;
	unsigned begun;
	char piece[40000];
};

static void give_data(struct fuzz *fuzz, bool large)
{
	if (smtp_client_state(fuzz->h.client) != SMTP_CLIENT_SENDING)
		return;
	if (large)
		smtp_client_data(fuzz->h.client, fuzz->piece, sizeof(fuzz->piece));
	else
		client_harness_data(&fuzz->h, ".\r\nQUIT\r\n");
}

static void drive(struct fuzz *fuzz)
{
	struct client_harness *h = &fuzz->h;

	if (smtp_client_state(h->client) == SMTP_CLIENT_WANTS_TLS) {
		fuzz->in_tls = true;
		smtp_client_tls_started(h->client);
	}
	if (smtp_client_state(h->client) == SMTP_CLIENT_WORKING) {
		smtp_client_work(h->client);
		smtp_client_timed_out(h->client);
	}
	if (smtp_client_state(h->client) == SMTP_CLIENT_READY && !h->open) {
		int code = h->rest ? client_harness_begin_rest(h) : client_harness_begin(h);

		if (!h->open && code == 0)
			BUG("neither begun nor refused");
		fuzz->begun++;
	}
}

static void happen(struct fuzz *fuzz, unsigned what)
{
	struct client_harness *h = &fuzz->h;

	if (what % 8 == 0)
		smtp_client_timed_out(h->client);
	else if (what % 8 == 1)
		smtp_client_lost(h->client, "gone");
	else if (what % 8 == 2)
		smtp_client_break_off(h->client, NULL);
	else if (what % 8 == 3 && !h->open)
		smtp_client_quit(h->client);
	else
		give_data(fuzz, what % 8 >= 6);
}

/* Nothing that the server says gets into a command, and no secret goes where it may not. */
static void check_sent(struct fuzz *fuzz)
{
	const struct client_harness *h = &fuzz->h;
	const char *at;

	buffer_append(&fuzz->sent, h->out.data, h->out.size);
	for (at = buffer_str(&fuzz->sent); *at;) {
		const char *end = strstr(at, "\r\n");

		if (!end || (size_t)(end - at) > 200)
			BUG("a command without an end");
		if (strncmp(at, "AUTH ", 5) == 0 && !(fuzz->in_tls || h->settings.auth_without_tls))
			BUG("credentials in clear");
		if (strncmp(at, "MAIL ", 5) == 0 && !fuzz->in_tls && fuzz->tls == SMTP_TLS_REQUIRED)
			BUG("a message in clear");
		at = end + 2;
	}
	buffer_reset(&fuzz->sent);
}

static void check_results(const struct fuzz *fuzz)
{
	const struct client_harness *h = &fuzz->h;

	if (h->open && smtp_client_state(h->client) == SMTP_CLIENT_ENDED)
		BUG("the end was not told");
	if (h->finished + h->open > fuzz->begun)
		BUG("finished more often than begun");
	if (smtp_client_dot_sent(h->client) && !smtp_client_in_data(h->client))
		BUG("an end without data");
}

static void begin(struct fuzz *fuzz, unsigned recipients, unsigned settings)
{
	struct client_harness *h = &fuzz->h;

	client_harness_init(h, recipients);
	h->settings.lmtp = settings & 1;
	h->settings.credentials = settings & 2 ? &credentials : NULL;
	h->settings.auth_without_tls = settings & 4;
	fuzz->tls = (enum smtp_client_tls)(settings >> 3 & 3);
	fuzz->in_tls = fuzz->tls == SMTP_TLS_STARTED;
	client_harness_renew(h, fuzz->tls);
	h->envelope->ret = 'F';
	for (unsigned i = 0; i < recipients; i += 2)
		h->envelope->recipients[i].notify = i % 16;
	memset(fuzz->piece, 'x', sizeof(fuzz->piece));
	for (size_t i = 98; i < sizeof(fuzz->piece); i += 100)
		memcpy(fuzz->piece + i, "\r\n", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;

	if (size < 2)
		return 0;
	fuzz = (struct fuzz){ 0 };
	begin(&fuzz, data[0] % 100 + 1, data[1]);
	for (data += 2, size -= 2; size > 1;) {
		size_t piece = data[0];

		buffer_reset(&fuzz.h.out);
		if (piece == 0) {
			happen(&fuzz, data[1]);
			piece = 1;
		} else if (piece >= 128) {
			const char *phrase = phrases[(piece - 128) % ARRAY_SIZE(phrases)];

			client_harness_feed(&fuzz.h, phrase, strlen(phrase), strlen(phrase));
			piece = 0;
		} else {
			piece = piece < size ? piece : size - 1;
			client_harness_feed(&fuzz.h, (const char *)data + 1, piece, piece);
		}
		check_sent(&fuzz);
		buffer_reset(&fuzz.h.out);
		drive(&fuzz);
		check_sent(&fuzz);
		check_results(&fuzz);
		data += 1 + piece;
		size -= 1 + piece;
	}
	client_harness_release(&fuzz.h);
	buffer_release(&fuzz.sent);
	return 0;
}
