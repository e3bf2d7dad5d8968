/* process.h - the `process` section, and the programs' common start
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_PROCESS_H
#define SLIMTA_CONFIG_PROCESS_H

#include <sys/types.h>

#include "common/base/log.h"
#include "common/config/options.h"

#define PROCESS_INSTANCES_AUTO 0xffffffffu

/* process.master, .edge or .worker over the defaults of process.slimta. */
struct process_options {
	char *user, *group;
	const struct config_node *instances;	/* see process_instances() */
	bool daemon;
	char *pid_file;
	char *stdout_path, *stderr_path;
	char *hostname, *fqdn;			/* never NULL after process_load: the system's if not given */
	struct process_logging {
		unsigned level, format;
		char *output;
		struct option_pairs levels;
	} logging;
	char *runtime_dir;
	int64_t drain_timeout_ms;
	char *spool_dir;			/* NULL: where the queue says, else /var/spool/slimta */
	uint64_t spool_threshold_bytes;
};

extern const struct option process_rows[];

/* `program`: "master", "edge" or "worker" (queuectl reads as master). 0, or -1 with errors. */
int process_load(const struct config *, const char *program, struct process_options *, struct config_errors *);
void process_release(struct process_options *);
/* Log settings of it, to be passed to log_open. */
int process_open_log(const char *program_name, const struct process_options *);

/* How many of a program: `queue` names one for workers, NULL for edges. `auto` is resolved: one per CPU. */
unsigned process_instances(const struct process_options *, const char *queue);

/* Names in user/group to ids; -1 with an error at the section. Absent: ids of this process. */
struct identity {
	uid_t uid;
	gid_t gid;
	char *name;			/* for initgroups; NULL: keep who we are */
};
int process_identity(const struct config *, const struct process_options *, const char *program, struct identity *,
	struct config_errors *);
/* initgroups, setgid, setuid, umask 077, no_new_privs; verified. 0, or -1 with errno. */
int identity_assume(const struct identity *);
void identity_release(struct identity *);

/* Replaces {hostname} and {fqdn}; `{{` and `}}` are braces. Owned; NULL with an error naming an unknown field. */
char *template_names(const char *text, const struct process_options *, const struct config_node *,
	struct config_errors *);

#endif
