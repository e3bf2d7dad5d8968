/* certificates.h - authorities and certificates of the test's own, made by openssl
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_CERTIFICATES_H
#define SLIMTA_T_CERTIFICATES_H

#include "t/lib/tap.h"

#include <stdlib.h>

#include "common/base/memory.h"

__attribute__((unused, format(printf, 1, 2))) static void certificates_run(const char *format, ...)
{
	char *command;
	va_list args;

	va_start(args, format);
	command = xvasprintf(format, args);
	va_end(args);
	if (system(command) != 0)
		BUG("openssl failed: %s", command);
	free(command);
}

/* In `folder`: ca.crt and other.crt, of authorities; by the first of them server (for localhost and 127.0.0.1), wrong (for
 * wrong.example) and client, each .crt and .key. */
__attribute__((unused)) static void certificates_make(const char *folder)
{
	static const char *const authorities[] = { "ca", "other" };
	static const struct {
		const char *who, *names;
	} all[] = {
		{ "server", "DNS:localhost,IP:127.0.0.1" }, { "wrong", "DNS:wrong.example" }, { "client", "DNS:client.example" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(authorities); i++)
		certificates_run("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
			"-keyout %s.key -out %s.crt -subj '/CN=test %s' 2>>log", folder, authorities[i], authorities[i],
			authorities[i]);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const char *who = all[i].who;

		certificates_run("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key "
			"-out %s.csr -subj /CN=%s 2>>log && echo subjectAltName=%s >%s.ext && openssl x509 -req -in %s.csr "
			"-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile %s.ext -out %s.crt 2>>log", folder, who, who,
			who, all[i].names, who, who, who, who);
	}
}

#endif
