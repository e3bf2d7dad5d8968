/* main.c - slimta-queuectl: the operator's hand on queues
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "config.h"
#include "queuectl/operator.h"

static const char usage[] =
	"usage: slimta-queuectl [OPTION]... COMMAND\n"
	"Looks at the queues of slimta.conf, and changes them.\n"
	"\n"
	"  list [ID...]               messages, a line each\n"
	"  show [--message] ID        all that is known of one; or its octets\n"
	"  retry                      messages are due now\n"
	"  hold                       they are not tried until they are released\n"
	"  release                    they are, from now on\n"
	"  remove                     they are taken away for good, nobody is told\n"
	"  bounce                     they fail, their senders are told\n"
	"  suspend [DOMAIN...]        nothing is delivered there; or what is suspended\n"
	"  resume DOMAIN...           it is, from now on\n"
	"  status                     queues by state, top destinations, and processes\n"
	"  reload                     the master reads slimta.conf again, and says what is wrong with it\n"
	"\n"
	"  -c, --config FILE  read FILE; else ~/.slimta/slimta.conf, else /etc/slimta/slimta.conf\n"
	"  -q, --queue QUEUE  this queue alone\n"
	"      --json         print JSON objects\n"
	"      --version      print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"Which messages (list, and retry to bounce, which need ids, a filter, or --all):\n"
	"  ID...                        these\n"
	"  --sender, --recipient, --domain, --reply PATTERN\n"
	"                               of that sender, recipient, recipient's domain, last reply; * is any text\n"
	"  --older, --younger AGE       90s, 15m, 1h30m, 3d\n"
	"  --state STATE,...            new, deferred, leased, held\n"
	"  --attempts N                 or N- or N-M\n"
	"  --limit N                    so many at most\n"
	"list:\n"
	"  --sort KEY                   age, due, size or attempts; -KEY the other way\n"
	"status:\n"
	"  --top N                      so many destinations (10)\n"
	"retry to bounce:\n"
	"  --all                        all messages\n"
	"  --dry-run                    list what would be changed\n"
	"  --yes                        do not ask\n"
	"  --force                      also take them from who delivers them, where the storage can\n"
	"  --reason TEXT                why (hold, bounce, suspend)\n"
	"suspend (DOMAIN is example.net, or .example.net for all names below it):\n"
	"  --for TIME                   90s, 15m, 1h30m, 3d; else until it is resumed\n"
	"\n"
	"See slimta-queuectl(8) and slimta.conf(5).\n";

/* What is printed where stdout is closed must fail, and not go into a file that was opened in its place. */
static void take_closed(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	fd_close(&fd);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct operator operator;
	int code;

	take_closed();
	code = arguments_parse(argv + (argc > 0), &arguments);
	if (code)
		return code;
	if (arguments.help || arguments.version) {
		fputs(arguments.help ? usage : "slimta-queuectl " VERSION "\n", stdout);
		return EXIT_DONE;
	}
	if (operator_open(&operator, &arguments) == 0)
		arguments.command->run(&operator, &arguments);
	if ((fflush(stdout) != 0 || ferror(stdout)))
		operator_say(&operator, EXIT_ERROR, "cannot write: %s", strerror(errno));
	code = (int)operator.code;
	operator_close(&operator);
	return code;
}
