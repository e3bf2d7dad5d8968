/* process.h - the `process` section, and the programs' common start
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_PROCESS_H
#define SLIMTA_CONFIG_PROCESS_H

#include <sys/types.h>

#include "common/base/log.h"
#include "common/config/options.h"

#define PROCESS_INSTANCES_AUTO 0xffffffffu

/* PERMISSIVE: answers are checked, and taken also where that fails. */
enum process_dnssec { PROCESS_DNSSEC_OFF, PROCESS_DNSSEC_PERMISSIVE, PROCESS_DNSSEC_ON };

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
	struct process_resolver {
		struct strings servers;		/* "IP" or "IP@PORT"; none: the system's */
		unsigned dnssec;		/* enum process_dnssec */
		int64_t timeout_ms;		/* of one look-up */
	} resolver;
	int64_t drain_timeout_ms, reload_timeout_ms;
	char *spool_dir;			/* NULL: where the queue says, else /var/spool/slimta */
	uint64_t spool_threshold_bytes;
};

extern const struct option process_rows[];

/* `program`: "master", "edge" or "worker" (queuectl reads as master). 0, or -1 with errors. */
int process_load(const struct config *, const char *program, struct process_options *, struct config_errors *);
void process_release(struct process_options *);
/* Opens the log as these options say. 0, or -1 with errno. */
int process_open_log(const char *program_name, const struct process_options *);
/* Opens stdout_path and stderr_path, where given, for appending as descriptors 1 and 2: at the start, and again
 * where logs are reopened. 0, or -1 with errno. */
int process_redirect(const struct process_options *);

/* How many of a program: `queue` names one for workers, NULL for edges. `auto` is resolved: one per CPU. */
unsigned process_instances(const struct process_options *, const char *queue);

struct identity {
	uid_t uid;
	gid_t gid;
	char *name;			/* for initgroups; NULL: keep who we are */
};
/* A user's name or number, and that of a group (NULL: the user's own) to ids. NULL user: ids of this process.
 * 0, or -1 with `why`, owned: no such user, no such group. */
int identity_find(const char *user, const char *group, struct identity *, char **why);
/* The ids that user and group name; absent: ids of this process. -1 with an error: unknown, or other than what we
 * run as where we are not root and could not change it. */
int process_identity(const struct config *, const struct process_options *, const char *program, struct identity *,
	struct config_errors *);
/* The rules for it: started as root, an edge or worker needs a user, and that is not root, unless `allow_root`
 * (then a warning). 0, or -1 with errors. */
int process_check_identity(const struct config *, const struct process_options *, const char *program,
	bool allow_root, struct config_errors *);
/* All of the `process` section, as the master checks it: the options of each program, the rules above for those
 * that have instances, and that edge and worker are the same user where they share a queue on disk. */
int process_check(const struct config *, bool allow_root, struct config_errors *);
/* initgroups, setgid, setuid, umask 077, no_new_privs; verified. 0, or -1 with errno. */
int identity_assume(const struct identity *);
void identity_release(struct identity *);

/* Replaces {hostname} and {fqdn}; `{{` and `}}` are braces. Owned; NULL with an error naming an unknown field. */
char *template_names(const char *text, const struct process_options *, const struct config_node *,
	struct config_errors *);

#endif
