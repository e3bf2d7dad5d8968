/* unit-message-stored.c - envelopes, their JSON, and the stored form cut, damaged and foreign
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/header.h"
#include "common/message/stored.h"
#include "t/lib/tap.h"

#define OCTETS "Subject: x\r\nFrom: a@b\r\n\r\nBody\0with NUL\r\n"

static struct envelope *sample(void)
{
	struct envelope *envelope = envelope_new();

	envelope->sender = xstrdup("sender@example.org");
	envelope_add_recipient(envelope, "one@example.org");
	envelope_add_recipient(envelope, "two@example.net")->notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	envelope->recipients[1].orcpt = xstrdup("rfc822;two+x@example.net");
	envelope->client.ip = xstrdup("192.0.2.1");
	envelope->client.name = xstrdup("client \"x\"");
	envelope->client.protocol = xstrdup("ESMTPS");
	envelope->client.tls = xstrdup("TLSv1.3 TLS_AES_128_GCM_SHA256");
	envelope->receiver = xstrdup("mx.example.org");
	envelope->body = BODY_8BITMIME;
	envelope->smtputf8 = true;
	envelope->size = 12345;
	envelope->ret = 'H';
	envelope->envid = xstrdup("QQ314159");
	buffer_append(&envelope->content.memory, OCTETS, sizeof(OCTETS) - 1);
	content_finish(&envelope->content);
	return envelope;
}

static char *json_of(const struct envelope *envelope)
{
	json_t *json = envelope_to_json(envelope);
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	return text;
}

static bool same_octets(const struct content *a, const struct content *b)
{
	uint64_t size = content_size(a);
	char *one = xmalloc((size_t)size), *two = xmalloc((size_t)size);
	bool same = content_size(b) == size && content_read(a, 0, one, (size_t)size) == (long)size &&
		content_read(b, 0, two, (size_t)size) == (long)size && !memcmp(one, two, (size_t)size);

	free(one);
	free(two);
	return same;
}

static bool same(const struct envelope *a, const struct envelope *b)
{
	char *one = json_of(a), *two = json_of(b);
	bool equal = !strcmp(one, two) && same_octets(&a->content, &b->content);

	free(one);
	free(two);
	return equal;
}

/* The whole file, as a driver writes it. */
static void encode(const struct envelope *envelope, struct buffer *file)
{
	uint64_t size = content_size(&envelope->content);

	buffer_reset(file);
	if (stored_encode(envelope, file) < 0)
		BUG("not encoded");
	buffer_reserve(file, (size_t)size);
	if (content_read(&envelope->content, 0, file->data + file->size, (size_t)size) != (long)size)
		BUG("not read");
	file->size += (size_t)size;
}

static int file_of(const struct buffer *file)
{
	int fd = memfd_create("stored", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, file->data, file->size) < 0)
		BUG("no memfd");
	return fd;
}

static void test_envelope(void)
{
	struct envelope *envelope = sample(), *copy, *again;

	ok(id_is_valid(envelope->id) && !envelope->origin[0] && envelope->timestamp_ms > 0, "a new envelope");
	copy = envelope_copy(envelope);
	ok(strcmp(copy->id, envelope->id) > 0, "a copy has an id of its own");
	is_str(copy->origin, envelope->id, "and its origin");
	again = envelope_copy(copy);
	is_str(again->origin, envelope->id, "as has a copy of the copy: the first id");
	memcpy(copy->id, envelope->id, ID_SIZE);
	copy->origin[0] = '\0';
	ok(same(copy, envelope), "the rest is the same");
	envelope_clear_recipients(envelope);
	is_int(copy->recipient_count, 2, "and independent");
	envelope_free(envelope);
	envelope_free(copy);
	envelope_free(again);
	envelope_free(NULL);
}

/* Read at once or part by part, kept in memory or not: it is the same message. */
static void test_every_maximum(const struct buffer *file, const struct envelope *envelope)
{
	int fd = file_of(file);
	bool good = true;

	for (size_t max = 0; max <= file->size + 1; max++) {
		struct envelope *back = NULL;
		const char *why;

		good &= stored_read(fd, max, true, &back, &why) == STORED_OK && same(envelope, back) &&
			(back->content.fd == -1) == (content_size(&envelope->content) <= max);
		envelope_free(back);
	}
	ok(good, "read with every maximum of memory");
	close(fd);
}

static void test_round_trip(void)
{
	struct envelope *envelope = sample(), *back = NULL, *from_file = NULL;
	struct buffer file = { 0 };
	const char *why = NULL;
	int fd;

	encode(envelope, &file);
	is_int(stored_decode(file.data, file.size, &back, &why), STORED_OK, "what is encoded can be decoded");
	ok(same(envelope, back), "and is the same");
	is_int(back->content.header_size, 23, "its header is found");
	test_every_maximum(&file, envelope);
	fd = file_of(&file);
	is_int(stored_read(fd, 1000, true, &from_file, &why), STORED_OK, "from a file into memory");
	ok(same(envelope, from_file) && from_file->content.fd == -1, "the same");
	envelope_free(from_file);
	is_int(stored_read(fd, 10, true, &from_file, &why), STORED_OK, "from a file, left there");
	close(fd);
	ok(from_file->content.fd >= 0 && same(envelope, from_file), "the same, and the file is open by itself");
	header_append(&from_file->content, "X-Added", "yes");
	header_append(&envelope->content, "X-Added", "yes");
	ok(same_octets(&from_file->content, &envelope->content), "fields are added at the same place");
	buffer_append_str(&file, "something behind");
	envelope_free(back);
	is_int(stored_decode(file.data, file.size, &back, &why), STORED_OK, "what stands behind is nobody's");
	envelope_free(back);
	envelope_free(from_file);
	envelope_free(envelope);
	buffer_release(&file);
}

static void test_cut_and_damaged(void)
{
	struct envelope *envelope = sample(), *back = NULL;
	struct buffer file = { 0 };
	const char *why = NULL;
	bool cut = true, cut_file = true, flipped = true;

	encode(envelope, &file);
	for (size_t size = 0; size < file.size; size++) {
		char *copy = xmemdup(file.data, size);
		int fd = memfd_create("cut", MFD_CLOEXEC);

		cut &= stored_decode(copy, size, &back, &why) == STORED_DAMAGED && !back && why;
		cut_file &= fd_write_all(fd, copy, size) == 0 && stored_read(fd, 0, false, &back, &why) == STORED_DAMAGED;
		cut_file &= stored_read(fd, file.size, false, &back, &why) == STORED_DAMAGED && !back;
		close(fd);
		free(copy);
	}
	ok(cut, "cut at any byte it is damaged");
	ok(cut_file, "as a file too, even if the sum is not looked at");
	for (size_t at = 0; at < file.size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			enum stored_result result;

			file.data[at] = (char)(file.data[at] ^ (1 << bit));
			result = stored_decode(file.data, file.size, &back, &why);
			if (result == STORED_OK)
				envelope_free(back);
			/* "slimta 3 ..." or "slimta 10..." is of another version: given back untouched. */
			if (result != STORED_DAMAGED && !((at == 7 || at == 8) && result == STORED_FOREIGN)) {
				diag("bit %d of octet %zu: %s", bit, at, result == STORED_OK ? "taken" : "foreign");
				flipped = false;
			}
			back = NULL;
			file.data[at] = (char)(file.data[at] ^ (1 << bit));
		}
	}
	ok(flipped, "with any bit turned it is never taken");
	envelope_free(envelope);
	buffer_release(&file);
}

static enum stored_result decode_json(const char *json, const char *octets, struct envelope **back, const char **why)
{
	struct buffer file = { 0 };
	char *with_line = xasprintf("%s\n%s", json, octets);
	enum stored_result result;

	buffer_appendf(&file, "slimta 1 %zu %zu %08x\n%s", strlen(json), strlen(octets),
		(unsigned)crc32c(0, with_line, strlen(with_line)), with_line);
	result = stored_decode(file.data, file.size, back, why);
	buffer_release(&file);
	free(with_line);
	return result;
}

#define ID "00000000000000000000000001"
#define GOOD "\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":[],\"timestamp\":0"

static void test_json(void)
{
	static const char *const wrong[] = {
		"[]", "7", "{", "{}", "{\"version\":\"1\"}", "{\"version\":1}", "{" GOOD ",\"sender\":\"twice\"}",
		"{\"version\":1,\"id\":\"../../etc/passwd\",\"sender\":\"\",\"recipients\":[],\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":null,\"recipients\":[],\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":{},\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":[\"a\"],\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":[{\"address\":1}],\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\","
			"\"recipients\":[{\"address\":\"a\",\"notify\":[\"X\"]}],\"timestamp\":0}",
		"{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":[]}",
		"{" GOOD ",\"origin\":\"x\"}", "{" GOOD ",\"client\":[]}", "{" GOOD ",\"client\":{\"ip\":1}}",
		"{" GOOD ",\"body\":\"9BIT\"}", "{" GOOD ",\"size\":-1}", "{" GOOD ",\"size\":1.5}",
		"{" GOOD ",\"smtputf8\":1}", "{" GOOD ",\"ret\":\"HALF\"}", "{" GOOD ",\"envid\":[]}",
		"{" GOOD ",\"x\":\"\xff\"}", "{" GOOD ",\"x\":\"\\u0000\"}", "{" GOOD "} ,",
	};
	struct envelope *back = NULL;
	const char *why = NULL;
	bool refused = true;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		bool damaged = decode_json(wrong[i], "x", &back, &why) == STORED_DAMAGED;

		if (!damaged)
			diag("taken: %s", wrong[i]);
		refused &= damaged;
	}
	ok(refused, "%zu envelopes that are none, with a right sum", ARRAY_SIZE(wrong));
	is_int(decode_json("{" GOOD "}", "", &back, &why), STORED_OK, "the least of all is taken");
	is_int(content_size(&back->content), 0, "without an octet");
	envelope_free(back);
	is_int(decode_json("{" GOOD ",\"needs\":[]}", "", &back, &why), STORED_OK, "needing nothing");
	envelope_free(back);
	is_int(decode_json("{" GOOD ",\"needs\":[\"telepathy\"]}", "", &back, &why), STORED_FOREIGN, "needing what we lack");
	is_int(decode_json("{\"version\":2}", "", &back, &why), STORED_FOREIGN, "of a later version");
	is_int(stored_decode("slimta 2 x", 10, &back, &why), STORED_FOREIGN, "in a later form");
	is_int(stored_decode("slimta 1 99999999999999999999 0 00000000\n", 41, &back, &why), STORED_DAMAGED,
		"a length beyond 64 bits");
	is_int(stored_decode("slimta 1 18446744073709551615 18446744073709551615 00000000\n", 60, &back, &why),
		STORED_DAMAGED, "lengths that would overflow");
	is_int(stored_decode("slimta 1 2 18446744073709551615 00000000\n{}\n", 44, &back, &why), STORED_DAMAGED,
		"a body that would");
}

static void test_unknown_members(void)
{
	struct envelope *back = NULL;
	const char *why = NULL;
	char *text;

	is_int(decode_json("{" GOOD ",\"future\":{\"a\":[1]},\"client\":{\"ip\":\"x\",\"asn\":1}}", "", &back, &why),
		STORED_OK, "members that we do not know");
	text = json_of(back);
	ok(strstr(text, "\"future\":{\"a\":[1]}") && strstr(text, "\"asn\":1"), "are kept when rewritten");
	free(text);
	envelope_free(back);
	is_int(decode_json("{\"version\":1,\"id\":\"" ID "\",\"sender\":\"\",\"recipients\":[{\"address\":\"a\",\"by\":9}],"
		"\"timestamp\":0}", "", &back, &why), STORED_OK, "a recipient's too");
	text = json_of(back);
	ok(strstr(text, "\"by\":9") != NULL, "are kept");
	free(text);
	envelope_free(back);
}

static char *random_text(void)
{
	size_t size = (size_t)(rand() % 40);
	char *text = xmalloc(size + 1);

	for (size_t i = 0; i < size; i++)
		text[i] = (char)(1 + rand() % 255);
	text[size] = '\0';
	return text;
}

/* What was not UTF-8 is escaped on the way in; from then on a round trip changes nothing. */
static void test_any_text(void)
{
	bool good = true;

	srand(1);
	for (int i = 0; i < 300; i++) {
		struct envelope *envelope = envelope_new(), *once = NULL, *twice = NULL;
		struct buffer file = { 0 };
		const char *why = NULL;
		char *octets = random_text();

		envelope->sender = random_text();
		envelope->client.name = random_text();
		envelope->envid = random_text();
		envelope->timestamp_ms = (int64_t)rand() * rand();
		for (int j = rand() % 5; j > 0; j--) {
			char *address = random_text();

			envelope_add_recipient(envelope, address)->notify = (unsigned)rand() % 16;
			free(address);
		}
		buffer_append_str(&envelope->content.memory, octets);
		content_finish(&envelope->content);
		encode(envelope, &file);
		good &= stored_decode(file.data, file.size, &once, &why) == STORED_OK &&
			utf8_is_valid(once->sender, strlen(once->sender)) &&
			same_octets(&envelope->content, &once->content);
		encode(once, &file);
		good &= stored_decode(file.data, file.size, &twice, &why) == STORED_OK && same(once, twice);
		envelope_free(envelope);
		envelope_free(once);
		envelope_free(twice);
		buffer_release(&file);
		free(octets);
	}
	ok(good, "300 envelopes of random octets come back");
}

static void test_system_failures(void)
{
	struct envelope *envelope = sample(), *back = NULL;
	struct buffer file = { 0 }, head = { 0 };
	const char *why = NULL;
	char path[] = "/tmp/slimta-unit-stored-XXXXXX";
	int fd = mkstemp(path);
	struct rlimit limit, none;

	encode(envelope, &file);
	is_int(stored_read(-1, 10, true, &back, &why), STORED_FAILED, "no file");
	is_int(errno, EBADF, "errno says why");
	if (fd_write_all(fd, file.data, file.size) < 0)
		BUG("not written");
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	is_int(stored_read(fd, 10, true, &back, &why), STORED_FAILED, "no descriptor left");
	is_int(errno, EMFILE, "errno says so");
	setrlimit(RLIMIT_NOFILE, &limit);
	/* The content in a file that is cut behind our back. */
	envelope->content.fd = fd;
	envelope->content.fd_size = file.size;
	if (ftruncate(fd, 5) < 0)
		BUG("not cut");
	is_int(stored_encode(envelope, &head), -1, "a spool file that became short is not stored");
	is_int(errno, EIO, "EIO");
	is_int(head.size, 0, "and nothing is written");
	unlink(path);
	envelope_free(envelope);
	buffer_release(&file);
	buffer_release(&head);
}

int main(void)
{
	test_envelope();
	test_round_trip();
	test_cut_and_damaged();
	test_json();
	test_unknown_members();
	test_any_text();
	test_system_failures();
	return done_testing();
}
