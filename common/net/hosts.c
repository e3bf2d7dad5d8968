/* hosts.c - what is known of names without asking
 * SPDX-License-Identifier: MIT */
#include "common/net/hosts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/memory.h"

#define NAME_MAX_SIZE 253

struct host {
	char name[NAME_MAX_SIZE + 1];		/* lower case, no dot at the end */
	struct host_address addresses[HOST_ADDRESSES];
	size_t count;
	UT_hash_handle hh;
};

struct named {
	struct in6_addr address;	/* of IPv4: in the form of IPv6 */
	char *name;
	UT_hash_handle hh;
};

struct hosts {
	struct host *table;
	struct named *names;
};

void host_address_v4(struct host_address *address, const void *octets)
{
	memset(address, 0, sizeof(*address));
	address->v4.sin_family = AF_INET;
	memcpy(&address->v4.sin_addr, octets, sizeof(address->v4.sin_addr));
}

void host_address_v6(struct host_address *address, const void *octets)
{
	memset(address, 0, sizeof(*address));
	address->v6.sin6_family = AF_INET6;
	memcpy(&address->v6.sin6_addr, octets, sizeof(address->v6.sin6_addr));
}

socklen_t host_address_size(const struct host_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

const char *host_address_text(const struct host_address *address, char out[HOST_ADDRESS_TEXT_SIZE])
{
	const void *octets = address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr
							       : &address->v6.sin6_addr;

	return inet_ntop(address->any.sa_family, octets, out, HOST_ADDRESS_TEXT_SIZE);
}

static struct in6_addr as_v6(const struct host_address *address)
{
	struct in6_addr v6 = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (address->any.sa_family != AF_INET)
		return address->v6.sin6_addr;
	memcpy(&v6.s6_addr[12], &address->v4.sin_addr, 4);
	return v6;
}

static bool parse_plain(struct host_address *address, const char *text)
{
	unsigned char octets[16];

	if (inet_pton(AF_INET, text, octets) == 1)
		host_address_v4(address, octets);
	else if (inet_pton(AF_INET6, text, octets) == 1)
		host_address_v6(address, octets);
	else
		return false;
	return true;
}

bool host_address_parse(struct host_address *address, const char *text)
{
	char inside[HOST_ADDRESS_TEXT_SIZE];
	size_t size = strlen(text);

	if (*text != '[')
		return parse_plain(address, text);
	if (size < 2 || text[size - 1] != ']')
		return false;
	text++;
	size -= 2;
	if (size > 5 && strncasecmp(text, "IPv6:", 5) == 0) {
		text += 5;
		size -= 5;
	}
	if (size >= sizeof(inside))
		return false;
	memcpy(inside, text, size);
	inside[size] = '\0';
	return parse_plain(address, inside);
}

/* False for what is too long to be a name. */
static bool normalize(char out[NAME_MAX_SIZE + 1], const char *name, size_t size)
{
	if (size && name[size - 1] == '.')
		size--;
	if (!size || size > NAME_MAX_SIZE)
		return false;
	for (size_t i = 0; i < size; i++)
		out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
	out[size] = '\0';
	return true;
}

static void add(struct hosts *hosts, const char *text, size_t size, const struct host_address *address)
{
	char name[NAME_MAX_SIZE + 1] = "";
	struct host *host;

	if (!normalize(name, text, size))
		return;
	HASH_FIND_STR(hosts->table, name, host);
	if (!host) {
		host = xcalloc(1, sizeof(*host));
		memcpy(host->name, name, sizeof(name));
		HASH_ADD_STR(hosts->table, name, host);
	}
	if (host->count < HOST_ADDRESSES)
		host->addresses[host->count++] = *address;
}

static void add_name(struct hosts *hosts, const char *text, size_t size, const struct host_address *address)
{
	char name[NAME_MAX_SIZE + 1] = "";
	struct named *named;

	if (hosts_name(hosts, address) || !normalize(name, text, size))
		return;
	named = xcalloc(1, sizeof(*named));
	named->address = as_v6(address);
	named->name = xstrdup(name);
	HASH_ADD(hh, hosts->names, address, sizeof(named->address), named);
}

/* The next word of [*at, end), NULL behind the last or at a comment. */
static const char *next_word(const char **at, const char *end, size_t *size)
{
	const char *word;

	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		++*at;
	word = *at;
	while (*at < end && !strchr(" \t\r#", **at))
		++*at;
	*size = (size_t)(*at - word);
	return *size ? word : NULL;
}

static void add_line(struct hosts *hosts, const char *at, const char *end)
{
	char text[HOST_ADDRESS_TEXT_SIZE];
	struct host_address address;
	size_t size;
	const char *word = next_word(&at, end, &size);

	if (!word || size >= sizeof(text))
		return;
	memcpy(text, word, size);
	text[size] = '\0';
	if (!parse_plain(&address, text))
		return;
	while ((word = next_word(&at, end, &size))) {
		add_name(hosts, word, size, &address);
		add(hosts, word, size, &address);
	}
}

struct hosts *hosts_new(const char *text, size_t size)
{
	struct hosts *hosts = xcalloc(1, sizeof(*hosts));
	const char *end = text + size;

	while (text < end) {
		const char *lf = memchr(text, '\n', (size_t)(end - text));

		add_line(hosts, text, lf ? lf : end);
		text = lf ? lf + 1 : end;
	}
	return hosts;
}

void hosts_free(struct hosts *hosts)
{
	struct host *host, *next;
	struct named *named, *after;

	if (!hosts)
		return;
	HASH_ITER(hh, hosts->names, named, after) {
		HASH_DEL(hosts->names, named);
		free(named->name);
		free(named);
	}
	HASH_ITER(hh, hosts->table, host, next) {
		HASH_DEL(hosts->table, host);
		free(host);
	}
	free(hosts);
}

static bool is_localhost(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t size = strlen(name);

	return strcmp(name, suffix + 1) == 0 ||
		(size >= sizeof(suffix) && strcmp(name + size - (sizeof(suffix) - 1), suffix) == 0);
}

size_t hosts_find(const struct hosts *hosts, const char *text, struct host_address found[HOST_ADDRESSES])
{
	char name[NAME_MAX_SIZE + 1] = "";
	struct host *host;

	if (!normalize(name, text, strlen(text)))
		return 0;
	HASH_FIND_STR(hosts->table, name, host);
	if (host) {
		memcpy(found, host->addresses, host->count * sizeof(*found));
		return host->count;
	}
	if (!is_localhost(name))
		return 0;
	host_address_v4(&found[0], &(struct in_addr){ htonl(INADDR_LOOPBACK) });
	host_address_v6(&found[1], &in6addr_loopback);
	return 2;
}

const char *hosts_name(const struct hosts *hosts, const struct host_address *address)
{
	struct in6_addr v6 = as_v6(address);
	struct named *named;

	HASH_FIND(hh, hosts->names, &v6, sizeof(v6), named);
	return named ? named->name : NULL;
}
