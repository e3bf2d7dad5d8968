/* fuzz-smtp-client.c - the SMTP client against a server that says anything
 * SPDX-License-Identifier: MIT
 * Input: an octet with the number of recipients, then pieces: an octet of length and that many octets of the server. A
 * length of 0 makes something else happen, as the next octet says. Octets from 128 on stand for whole replies. */
#include "t/lib/client_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const phrases[] = { "220 mx\r\n", "250 ok\r\n", "250-mx\r\n250-PIPELINING\r\n250 SIZE 999\r\n",
	"354 go\r\n", "421 down\r\n", "450 later\r\n", "550 5.1.1 no\r\n", "503 no\r\n", "250-mx\r\n250 8BITMIME\r\n" };

static void drive(struct client_harness *h)
{
	if (smtp_client_state(h->client) == SMTP_CLIENT_READY && !h->open)
		client_harness_begin(h);
	if (smtp_client_state(h->client) == SMTP_CLIENT_SENDING)
		client_harness_data(h, ".\r\nQUIT\r\n");
}

static void happen(struct client_harness *h, unsigned what)
{
	if (what % 8 == 0)
		smtp_client_timed_out(h->client);
	else if (what % 8 == 1)
		smtp_client_lost(h->client, "gone");
	else if (what % 8 == 2)
		smtp_client_break_off(h->client, NULL);
	else if (what % 8 == 3 && !h->open)
		smtp_client_quit(h->client);
	else
		drive(h);
}

/* Nothing that the server says gets into a command. */
static void check_commands(const struct buffer *out)
{
	const char *at = buffer_str(out);

	while (*at) {
		const char *end = strstr(at, "\r\n");

		if (!end || (size_t)(end - at) > 200)
			BUG("a command without an end");
		at = end + 2;
	}
}

static void check_results(const struct client_harness *h, unsigned begun)
{
	if (h->open && smtp_client_state(h->client) == SMTP_CLIENT_ENDED)
		BUG("the end was not told");
	if (h->settled > begun * h->transaction.count)
		BUG("settled twice");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_harness h;
	unsigned begun = 0;

	if (size < 1)
		return 0;
	client_harness_init(&h, data[0] % 100 + 1);
	h.again = true;
	for (data++, size--; size > 1;) {
		size_t piece = data[0];
		bool was_open = h.open;

		if (piece == 0) {
			happen(&h, data[1]);
			piece = 1;
		} else if (piece >= 128) {
			client_harness_hear(&h, phrases[piece % ARRAY_SIZE(phrases)]);
			check_commands(&h.out);
			piece = 0;
		} else {
			piece = piece < size ? piece : size - 1;
			client_harness_feed(&h, (const char *)data + 1, piece, piece);
		}
		if (!piece || h.open == was_open)
			drive(&h);
		begun += h.open && !was_open;
		check_results(&h, begun + 1 + h.finished);
		data += 1 + piece;
		size -= 1 + piece;
	}
	client_harness_release(&h);
	return 0;
}
