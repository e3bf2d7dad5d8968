/* unit-config-identity.c - becoming somebody else, and calls that fail on the way
 * SPDX-License-Identifier: MIT
 * S15: no group, mode or privilege of root is left. Each case is a process of its own. */
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/process.h"
#include "t/lib/tap.h"

enum { AS_WANTED, REFUSED, LEFT_OVER, OTHER };

static int become_nobody(void)
{
	struct identity identity;
	gid_t groups[64];
	char *why;
	int count;

	if (identity_find("nobody", "nogroup", &identity, &why) < 0)
		return OTHER;
	if (identity_assume(&identity) < 0)
		return errno == EPERM ? REFUSED : OTHER;
	count = getgroups(64, groups);
	if (getuid() != identity.uid || getgid() != identity.gid || umask(0) != 077 || setuid(0) == 0
			|| prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return LEFT_OVER;
	for (int i = 0; i < count; i++) {
		if (groups[i] != identity.gid)
			return LEFT_OVER;
	}
	identity_release(&identity);
	return AS_WANTED;
}

static int in_child(int run(void), const char *fault)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		setenv("SLIMTA_FAULT", fault, 1);
		_exit(run());
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int stay(void)
{
	struct identity identity;
	char *why;

	if (identity_find(NULL, NULL, &identity, &why) < 0 || identity.name || identity.uid != geteuid())
		return OTHER;
	return identity_assume(&identity) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? AS_WANTED : OTHER;
}

static void test_change(void)
{
	static const gid_t some[] = { 0, 4, 6 };

	if (geteuid() != 0) {
		is_int(in_child(become_nobody, ""), REFUSED, "nobody but root becomes somebody else");
		skip(1, "not root");
		return;
	}
	if (setgroups(ARRAY_SIZE(some), some) < 0)
		diag("setgroups: %s", strerror(errno));
	is_int(in_child(become_nobody, ""), AS_WANTED, "user, group, groups, umask and privileges are as wanted");
#ifdef SLIMTA_FAULTS
	static const char *const faults[] = {
		"identity.initgroups:1:EPERM", "identity.setresgid:1:EPERM", "identity.setresuid:1:EPERM",
		"identity.setresgid:1:skip", "identity.setresuid:1:skip", "identity.no_new_privs:1:EPERM",
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		is_int(in_child(become_nobody, faults[i]), REFUSED, faults[i]);
#endif
}

#ifdef SLIMTA_FAULTS
static int read_self(void)
{
	struct config_errors errors = { 0 };
	struct config *config = config_read("/proc/self/cmdline", &errors);

	return !config && errors.count == 1 && strstr(errors.items[0].text, "cannot be read: Input/output error")
		? AS_WANTED : OTHER;
}
#endif

int main(void)
{
	test_change();
	is_int(in_child(stay, ""), AS_WANTED, "without a user all stays but the privileges");
#ifdef SLIMTA_FAULTS
	is_int(in_child(read_self, "config.open:1:EIO"), AS_WANTED, "a file that cannot be opened");
	is_int(in_child(read_self, "config.read:1:EIO"), AS_WANTED, "a file that cannot be read");
#endif
	return done_testing();
}
