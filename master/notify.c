/* notify.c - tells systemd how we are (sd_notify(3)), without its library
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "master/master.h"

#define WATCHDOG_MAX_US (UINT64_C(1000000) * 86400 * 365)

static struct {
	struct sockaddr_un address;
	socklen_t size;			/* 0: nobody wants to know */
	uint64_t watchdog_us;
	bool complained;
} notify;

static bool number_of(const char *variable, uint64_t max, uint64_t *out)
{
	const char *text = getenv(variable);

	return text && parse_u64(text, strlen(text), max, out);
}

/* A path, or with '@' a name without a file. */
static void take_address(const char *name)
{
	size_t size = name ? strlen(name) : 0;

	if (size < 2 || size >= sizeof notify.address.sun_path ||
		(name[0] != '/' && name[0] != '@'))
		return;
	notify.address.sun_family = AF_UNIX;
	memcpy(notify.address.sun_path, name, size);
	notify.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (name[0] == '/'));
	if (name[0] == '@')
		notify.address.sun_path[0] = '\0';
}

void notify_open(void)
{
	uint64_t pid;

	take_address(getenv("NOTIFY_SOCKET"));
	if (!getenv("WATCHDOG_PID") ||
		(number_of("WATCHDOG_PID", INT32_MAX, &pid) && (pid_t)pid == getpid()))
		number_of("WATCHDOG_USEC", WATCHDOG_MAX_US, &notify.watchdog_us);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(const char *format, ...)
{
	va_list args;
	char *text;
	int fd;

	if (!notify.size)
		return;
	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if ((fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL,
			       (struct sockaddr *)&notify.address, notify.size) < 0) &&
		!notify.complained) {
		log_warn("master", "could not notify systemd", LOG_TEXT("error", strerror(errno)));
		notify.complained = true;
	}
	if (fd >= 0)
		close(fd);
	free(text);
}

int64_t notify_watchdog_ms(void)
{
	return (int64_t)(notify.watchdog_us / 2000);
}
