/* unit-base-base64.c - base64 both ways, and what is none
 * SPDX-License-Identifier: MIT */
#include "common/base/base64.h"

#include "common/base/buffer.h"
#include "t/lib/tap.h"

/* RFC 4648 section 10 */
static const struct {
	const char *plain, *encoded;
} vectors[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfb", "//77" },
};
static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zm9vZg=", "Zg==Zg==", "Zm 9v", "Zm9v\n",
	"Zm9\xff", "-_-_", "=Zg=", "Zg=g" };

int main(void)
{
	struct buffer out = { 0 }, all = { 0 };

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		buffer_reset(&out);
		base64_append(&out, vectors[i].plain, strlen(vectors[i].plain));
		is_str(buffer_str(&out), vectors[i].encoded, "encoded");
		buffer_reset(&out);
		ok(base64_decode(&out, vectors[i].encoded, strlen(vectors[i].encoded)), "%s is base64", vectors[i].encoded);
		is_str(buffer_str(&out), vectors[i].plain, "decoded");
	}
	buffer_reset(&out);
	buffer_append_str(&out, "before");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ok(!base64_decode(&out, wrong[i], strlen(wrong[i])), "wrong text %zu", i);
		is_int(out.size, 6, "and nothing was appended");
	}
	buffer_reset(&out);
	for (int c = 0; c < 256; c++)
		buffer_append_char(&all, (char)c);
	base64_append(&out, all.data, all.size);
	base64_decode(&all, out.data, out.size);
	is_mem(all.data + 256, all.size - 256, all.data, 256, "each octet, both ways");
	buffer_release(&out);
	buffer_release(&all);
	return done_testing();
}
