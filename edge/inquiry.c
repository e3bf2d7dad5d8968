/* inquiry.c - one client asks whether it is who it says
 * SPDX-License-Identifier: MIT
 * Look-up, then the thread, then maybe a delay, then the answer. By SCRAM there is an answer between the first two. */
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "edge/authenticator.h"
#include "edge/edge.h"

#define FIRST_DELAY_MS 1000
#define DOUBLINGS 3

struct text {
	char *data;
	size_t size;
};

/* Lives on in the thread when its inquiry is gone. */
struct hash_job {
	struct inquiry *inquiry;	/* NULL: gone */
	atomic_bool unwanted;
	enum sasl_question_kind kind;
	struct text stored, given;	/* the password, or the message of SCRAM */
	struct password_salt salt;
	unsigned char proof[SCRAM_KEY_SIZE];
	struct sasl_answer answer;
	bool right;
};

struct inquiry {
	struct inquiry **place;		/* of the owner */
	struct edge *edge;
	const struct peer *peer;
	const char *session;
	inquiry_done_fn *done;
	void *arg;
	const char *mechanism;
	char *authcid, *authzid, *user;
	struct text stored, password;
	bool known;			/* the user is */
	bool hurried;
	struct password_salt salt;
	struct lookup_query *query;
	struct hash_job *job;
	struct turn turn;		/* that the job waits for */
	struct event *delay;
	struct reply refusal;		/* that the delay holds back */
};

static void text_set(struct text *text, const char *data, size_t size)
{
	text->data = xstrndup(data, size);
	text->size = size;
}

static void text_wipe(struct text *text)
{
	if (text->data)
		OPENSSL_cleanse(text->data, text->size);
	free(text->data);
	*text = (struct text){ 0 };
}

static void job_free(struct hash_job *job)
{
	text_wipe(&job->stored);
	text_wipe(&job->given);
	OPENSSL_cleanse(job, sizeof(*job));
	free(job);
}

static void job_leave(struct inquiry *inquiry)
{
	if (inquiry->turn.client) {
		turns_leave(inquiry->edge->authentication.made->turns, &inquiry->turn);
		job_free(inquiry->job);
	} else {
		atomic_store(&inquiry->job->unwanted, true);
		inquiry->job->inquiry = NULL;
	}
}

void inquiry_free(struct inquiry **place)
{
	struct inquiry *inquiry = *place;

	if (!inquiry)
		return;
	*place = NULL;
	lookup_cancel(inquiry->query);
	if (inquiry->job)
		job_leave(inquiry);
	if (inquiry->delay)
		event_free(inquiry->delay);
	text_wipe(&inquiry->stored);
	text_wipe(&inquiry->password);
	reply_release(&inquiry->refusal);
	free(inquiry->authcid);
	free(inquiry->authzid);
	free(inquiry->user);
	free(inquiry);
}

/* ---- answers */

/* The inquiry is over. */
static void end(struct inquiry *inquiry, const struct reply *why, const struct sasl_answer *answer)
{
	inquiry_done_fn *done = inquiry->done;
	void *arg = inquiry->arg;
	char *user = why ? NULL : inquiry->user;
	struct reply copy = { 0 };

	if (why)
		reply_copy(&copy, why);
	else
		inquiry->user = NULL;
	inquiry_free(inquiry->place);
	done(arg, why ? &copy : NULL, answer, user);
	free(user);
	reply_release(&copy);
}

static void refuse(struct inquiry *inquiry, unsigned code, const char *status, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, code, status, "%s", text);
	end(inquiry, &why, NULL);
	reply_release(&why);
}

static void log_result(const struct inquiry *inquiry, const char *event, const char *reason)
{
	const char *user = inquiry->authcid[0] ? inquiry->authcid : NULL;
	const char *authzid = inquiry->authzid[0] ? inquiry->authzid : NULL;

	log_info("edge", event, LOG_TEXT("session", inquiry->session), LOG_TEXT("client", inquiry->peer->text),
		LOG_TEXT("user", user), LOG_TEXT("authzid", authzid), LOG_TEXT("mechanism", inquiry->mechanism),
		LOG_TEXT("edge", inquiry->edge->name), LOG_TEXT("reason", reason));
}

/* Each attempt is a line, with its user: several may share the address that is locked out. */
static void log_locked_out(const struct inquiry *inquiry, const char *event, unsigned failures)
{
	log_info("edge", event, LOG_TEXT("session", inquiry->session), LOG_TEXT("client", inquiry->peer->text),
		LOG_TEXT("user", inquiry->authcid), LOG_TEXT("edge", inquiry->edge->name), LOG_INT("failures", failures),
		LOG_TEXT("rule", "max_auth_failures"));
}

static void on_delay(evutil_socket_t fd, short what, void *arg)
{
	struct inquiry *inquiry = arg;
	struct reply why = { 0 };

	(void)fd;
	(void)what;
	reply_move(&why, &inquiry->refusal);
	end(inquiry, &why, NULL);
	reply_release(&why);
}

static bool has_failed_enough(const struct inquiry *inquiry, unsigned failures)
{
	unsigned most = inquiry->edge->authentication.max_failures;

	return most && failures >= most;
}

static bool is_blocked(const struct inquiry *inquiry)
{
	return has_failed_enough(inquiry, edge_limits_auth_failures(inquiry->edge, inquiry->peer));
}

/* Later than a right one is accepted, but each client waits for itself alone. */
static void fail(struct inquiry *inquiry, const char *reason)
{
	unsigned failures = edge_limits_auth_failed(inquiry->edge, inquiry->peer);
	unsigned doublings = failures > DOUBLINGS ? DOUBLINGS : failures ? failures - 1 : 0;
	int64_t delay_ms = (int64_t)FIRST_DELAY_MS << doublings;
	struct timeval delay = { delay_ms / 1000, delay_ms % 1000 * 1000 };

	log_result(inquiry, "authentication failed", reason);
	if (has_failed_enough(inquiry, failures)) {
		log_locked_out(inquiry, "locked out", failures);
		reply_set(&inquiry->refusal, 421, "4.7.0", "Too many failures to authenticate");
	} else {
		reply_set(&inquiry->refusal, 535, "5.7.8", "Authentication credentials invalid");
	}
	inquiry->delay = evtimer_new(inquiry->edge->child->base, on_delay, inquiry);
	if (!inquiry->delay)
		BUG("no timer event");
	event_add(inquiry->delay, &delay);
	if (inquiry->hurried)
		event_active(inquiry->delay, EV_TIMEOUT, 0);
}

void inquiry_hurry(struct inquiry *inquiry)
{
	if (inquiry)
		inquiry->hurried = true;
	if (inquiry && inquiry->delay)
		event_active(inquiry->delay, EV_TIMEOUT, 0);
}

/* ---- the thread */

static void work(void *arg)
{
	struct hash_job *job = arg;

	if (atomic_load(&job->unwanted))
		return;
	if (job->kind == SASL_PASSWORD)
		job->right = password_check(job->stored.data, job->given.data, job->given.size);
	else
		job->right = password_scram_check(job->stored.data, &job->salt, job->given.data, job->given.size, job->proof,
			job->answer.signature);
}

static bool may_act_for(const struct inquiry *inquiry)
{
	return !inquiry->authzid[0] || inquiry->edge->authentication.made->any_authzid
		|| strcmp(inquiry->authzid, inquiry->authcid) == 0;
}

static void refuse_blocked(struct inquiry *inquiry)
{
	log_locked_out(inquiry, "still locked out", edge_limits_auth_failures(inquiry->edge, inquiry->peer));
	refuse(inquiry, 454, "4.7.0", "Too many failures to authenticate, try again later");
}

static void worked(void *arg)
{
	struct hash_job *job = arg;
	struct inquiry *inquiry = job->inquiry;
	struct sasl_answer answer = job->answer;
	bool right = job->right;

	job_free(job);
	if (!inquiry)
		return;
	inquiry->job = NULL;
	/* Others of the same client failed meanwhile, in another process: what was found out is not told, nor counts. */
	if (is_blocked(inquiry)) {
		refuse_blocked(inquiry);
	} else if (!inquiry->known) {
		fail(inquiry, "no such user");
	} else if (!right) {
		fail(inquiry, "wrong password");
	} else if (!may_act_for(inquiry)) {
		fail(inquiry, "not allowed to act for another");
	} else {
		log_result(inquiry, "authenticated", NULL);
		end(inquiry, NULL, &answer);
	}
}

/* What waits with it counts before it is tried, as far as it is wrong: each guess is looked at behind the one before. */
static void take_turn(void *arg)
{
	struct inquiry *inquiry = arg;
	struct hash_job *job = inquiry->job;

	if (!is_blocked(inquiry)) {
		turns_work(inquiry->edge->authentication.made->turns, work, worked, job);
		return;
	}
	inquiry->job = NULL;
	job_free(job);
	refuse_blocked(inquiry);
}

static void submit(struct inquiry *inquiry, enum sasl_question_kind kind, const char *given, size_t size,
	const unsigned char *proof)
{
	struct turns *turns = inquiry->edge->authentication.made->turns;
	uint64_t client = edge_limits_client(inquiry->edge, inquiry->peer);
	struct hash_job *job;

	if (!turns || !turns_wait(turns, &inquiry->turn, client, take_turn, inquiry)) {
		refuse(inquiry, 454, "4.7.0", "Too many clients authenticate, try again later");
		return;
	}
	job = xcalloc(1, sizeof(*job));
	job->inquiry = inquiry;
	job->kind = kind;
	job->salt = inquiry->salt;
	text_set(&job->stored, inquiry->stored.data, inquiry->stored.size);
	text_set(&job->given, given, size);
	if (proof)
		memcpy(job->proof, proof, sizeof(job->proof));
	inquiry->job = job;
}

/* ---- the look-up */

static void give_salt(struct inquiry *inquiry, const char *name)
{
	struct sasl_answer answer = { 0 };

	authenticator_salt(inquiry->edge->authentication.made, inquiry->stored.data, inquiry->known, name,
		&inquiry->salt);
	memcpy(answer.salt, inquiry->salt.octets, inquiry->salt.size);
	answer.salt_size = inquiry->salt.size;
	answer.iterations = inquiry->salt.iterations;
	/* It stays for the proof. */
	inquiry->done(inquiry->arg, NULL, &answer, NULL);
}

static struct lookup_key key_of(const struct inquiry *inquiry)
{
	return (struct lookup_key){ .address = inquiry->authcid, .authzid = inquiry->authzid[0] ? inquiry->authzid : NULL };
}

/* What the name stands for is found out for known users, too: it takes time. */
static void proceed(struct inquiry *inquiry, const char *stored)
{
	const struct authenticator *made = inquiry->edge->authentication.made;
	struct lookup_key key = key_of(inquiry);
	char *name = lookup_name(made->lookup, &key);
	const char *dummy = authenticator_dummy(made, name);

	stored = inquiry->known ? stored : dummy;
	text_set(&inquiry->stored, stored, strlen(stored));
	if (inquiry->password.data)
		submit(inquiry, SASL_PASSWORD, inquiry->password.data, inquiry->password.size, NULL);
	else
		give_salt(inquiry, name);
	free(name);
}

static void found(void *arg, const struct lookup_fields *fields, const struct reply *why)
{
	struct inquiry *inquiry = arg;
	const char *stored = fields ? lookup_field(fields, "password") : NULL, *problem;

	inquiry->query = NULL;
	if (why) {
		end(inquiry, why, NULL);
		return;
	}
	problem = stored ? password_problem(stored) : NULL;
	if (problem) {
		log_error("edge", "password cannot be used", LOG_TEXT("edge", inquiry->edge->name),
			LOG_TEXT("user", inquiry->authcid), LOG_TEXT("reason", problem));
		refuse(inquiry, 451, "4.3.0", "Credentials could not be looked up");
		return;
	}
	inquiry->known = stored && (inquiry->password.data || password_allows_scram(stored));
	inquiry->user = xstrdup(fields && fields->key ? fields->key : inquiry->authcid);
	proceed(inquiry, stored);
}

static void look_up(struct inquiry *inquiry, const struct sasl_question *question)
{
	struct lookup_key key = key_of(inquiry);

	if (question->kind == SASL_PASSWORD)
		text_set(&inquiry->password, question->password, question->password_size);
	inquiry->query = lookup_find(inquiry->edge->authentication.made->lookup, &key, found, inquiry);
}

void inquiry_ask(struct inquiry **place, struct edge *edge, const struct peer *peer, const char *session,
	const struct sasl_question *question, inquiry_done_fn *done, void *arg)
{
	struct inquiry *inquiry = *place;

	if (question->kind == SASL_PROOF) {
		if (!inquiry || !inquiry->stored.data)
			BUG("a proof without a salt");
		submit(inquiry, SASL_PROOF, question->message, question->message_size, question->proof);
		return;
	}
	inquiry_free(place);		/* of an exchange that was not ended */
	inquiry = *place = xcalloc(1, sizeof(*inquiry));
	*inquiry = (struct inquiry){ .place = place, .edge = edge, .peer = peer, .session = session, .done = done, .arg = arg };
	inquiry->mechanism = question->mechanism;
	inquiry->authcid = xstrdup(question->authcid);
	inquiry->authzid = xstrdup(question->authzid);
	if (is_blocked(inquiry))
		refuse_blocked(inquiry);
	else if (question->kind == SASL_NOBODY)
		fail(inquiry, "no name or password can be so");
	else
		look_up(inquiry, question);
}
