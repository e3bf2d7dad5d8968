/* mx_parcel.c - a message on its way through an mx relay: what goes to one domain
 * SPDX-License-Identifier: MIT
 * A parcel is what goes to one domain. It waits (so that a message to thousands of domains does not take all look-ups),
 * has its route looked up, then is at one next hop after the other until its outgoing ends. */
#include "worker/mx_parcel.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/message/address.h"

#define LOOKUPS 20			/* at once, of one message */
#define HOSTS_MAX 5			/* that are tried in one attempt ... */
#define ADDRESSES_MAX 10		/* ... with so many addresses ... */
#define ATTEMPT_MS (5 * 60000)		/* ... in this time: then it is over before the next host */

struct parcel {
	TAILQ_ENTRY(parcel) link;
	UT_hash_handle hh;		/* while the message is cut */
	struct mx_mailing *mailing;
	char *domain;			/* in the form of route_domain(); NULL: it is none */
	char *key;			/* the domain, or what stands for it */
	size_t *recipients;
	size_t count, room;
	struct outgoing *outgoing;	/* once it is begun */
	struct route_query *query;
	struct route route;
	struct reply told;		/* what to say if no host takes it: transient before permanent, then the last ... */
	char *told_host, *told_tls;	/* ... and who said it */
};
TAILQ_HEAD(parcels, parcel);

struct mx_mailing {
	TAILQ_ENTRY(mx_mailing) link;
	struct mx_mailings *owner;
	struct sending *sending;
	struct parcels waiting, looking, under_way;
	size_t parcels, lookups;
};

/* ---- the end of a parcel */

static void free_parcel(struct parcel *parcel)
{
	route_cancel(parcel->query);
	route_release(&parcel->route);
	reply_release(&parcel->told);
	free(parcel->told_host);
	free(parcel->told_tls);
	free(parcel->recipients);
	free(parcel->domain);
	free(parcel->key);
	free(parcel);
}

static void let_go(struct mx_mailing *mailing)
{
	if (--mailing->parcels)
		return;
	TAILQ_REMOVE(&mailing->owner->all, mailing, link);
	free(mailing);
}

static void on_gone(void *arg)
{
	struct parcel *parcel = arg;
	struct mx_mailing *mailing = parcel->mailing;

	TAILQ_REMOVE(parcel->query ? &mailing->looking : &mailing->under_way, parcel, link);
	mailing->lookups -= parcel->query != NULL;
	free_parcel(parcel);
	let_go(mailing);
}

static void finish(struct parcel *parcel)
{
	struct relay_result result = { .reply = &parcel->told, .host = parcel->told_host ? parcel->told_host : "",
		.tls = parcel->told_tls };

	outgoing_finish(parcel->outgoing, &result);
}

static void finish_not_attempted(struct parcel *parcel)
{
	outgoing_finish(parcel->outgoing, RELAY_RESULT(&(struct reply){ 0 }, ""));
}

/* ---- one next hop after the other */

static void note(struct parcel *parcel, const struct relay_result *why)
{
	if (reply_is_transient(&parcel->told) && !reply_is_transient(why->reply))
		return;
	reply_copy(&parcel->told, why->reply);
	xstrset(&parcel->told_host, why->host);
	xstrset(&parcel->told_tls, why->tls);
}

static bool has_next(const struct parcel *parcel)
{
	const struct outgoing *outgoing = parcel->outgoing;

	return outgoing->route_at < parcel->route.count && outgoing->route_at < HOSTS_MAX &&
		outgoing->addresses_tried < ADDRESSES_MAX && clock_boot_ms() < outgoing->since_ms + ATTEMPT_MS;
}

static void send_next(struct parcel *parcel)
{
	const struct route_host *host = &parcel->route.hosts[parcel->outgoing->route_at++];

	parcel->outgoing->addresses_tried += host->addresses;
	destinations_send(parcel->mailing->owner->destinations, host->name, host->port, parcel->outgoing);
}

/* A line that is full is no attempt, and no reason to bother a host that is worse. While draining there is no other host
 * to ask, and only then would a refusal for good be the last word. */
static void on_refused(void *arg, struct outgoing *outgoing, const struct relay_result *why)
{
	struct parcel *parcel = arg;

	if (reply_is_none(why->reply)) {
		outgoing_finish(outgoing, why);
		return;
	}
	note(parcel, why);
	if (!has_next(parcel)) {
		if (!reply_is_none(&parcel->route.missing))
			note(parcel, RELAY_RESULT(&parcel->route.missing, ""));
		finish(parcel);
	} else if (parcel->mailing->owner->draining) {
		finish_not_attempted(parcel);
	} else {
		send_next(parcel);
	}
}

/* ---- from the line to a route */

/* RFC 8689 4.2.1: whose certificate is verified has to be known from where nobody could change it. */
static bool may_be_believed(struct parcel *parcel, const struct route *route)
{
	if (!envelope_needs_requiretls(parcel->outgoing->envelope) || !route->by_mx || route->secure)
		return true;
	reply_set(&parcel->told, 550, "5.7.30", "REQUIRETLS: DNSSEC does not prove the hosts of %s", parcel->domain);
	return false;
}

static void begin_what_may(struct mx_mailing *);

static void on_route(void *arg, const struct reply *why, struct route *route)
{
	struct parcel *parcel = arg;
	struct mx_mailing *mailing = parcel->mailing;

	parcel->query = NULL;
	TAILQ_REMOVE(&mailing->looking, parcel, link);
	TAILQ_INSERT_TAIL(&mailing->under_way, parcel, link);
	mailing->lookups--;
	mailing->parcels++;
	if (why) {
		note(parcel, RELAY_RESULT(why, ""));
		finish(parcel);
	} else if (!may_be_believed(parcel, route)) {
		finish(parcel);
	} else {
		parcel->route = *route;
		*route = (struct route){ 0 };
		send_next(parcel);
	}
	begin_what_may(mailing);
	let_go(mailing);
}

static void refuse_address(struct parcel *parcel)
{
	const struct envelope *envelope = parcel->outgoing->envelope;
	const char *address = envelope->recipients[parcel->recipients[0]].address, *domain = address_domain(address);
	struct buffer shown = { 0 };

	escaped(&shown, address, strlen(address));
	if (!domain)
		reply_set(&parcel->told, 550, "5.1.5", "Recipient address has no domain: %s", buffer_str(&shown));
	else if (!address_is_mailbox(address, ADDRESS_FORWARD_PATH, true))
		reply_set(&parcel->told, 553, "5.1.3", "Recipient address cannot be sent");
	else
		reply_set(&parcel->told, 550, "5.1.2", "No usable DNS records found: %s", domain);
	buffer_release(&shown);
	finish(parcel);
}

static void begin(struct parcel *parcel)
{
	static const struct outgoing_owner owner = { on_refused, on_gone };
	struct mx_mailing *mailing = parcel->mailing;

	parcel->outgoing = sending_add(mailing->sending, parcel->recipients, parcel->count, &owner, parcel);
	parcel->outgoing->since_ms = clock_boot_ms();
	TAILQ_REMOVE(&mailing->waiting, parcel, link);
	if (!parcel->domain || mailing->owner->draining) {
		TAILQ_INSERT_TAIL(&mailing->under_way, parcel, link);
		if (mailing->owner->draining)
			finish_not_attempted(parcel);
		else
			refuse_address(parcel);
		return;
	}
	TAILQ_INSERT_TAIL(&mailing->looking, parcel, link);
	mailing->lookups++;
	parcel->query = route_find(&mailing->owner->routes, parcel->domain, on_route, parcel);
}

/* Its caller holds the mailing. */
static void begin_what_may(struct mx_mailing *mailing)
{
	while (mailing->lookups < LOOKUPS && !TAILQ_EMPTY(&mailing->waiting))
		begin(TAILQ_FIRST(&mailing->waiting));
}

/* ---- cutting */

static struct parcel *new_parcel(struct mx_mailing *mailing, char *domain, char *key)
{
	struct parcel *parcel = xcalloc(1, sizeof(*parcel));

	*parcel = (struct parcel){ .mailing = mailing, .domain = domain, .key = key };
	TAILQ_INSERT_TAIL(&mailing->waiting, parcel, link);
	mailing->parcels++;
	return parcel;
}

/* An address that has no domain, or none that can be, has a parcel of its own: no domain has an "@". */
static void cut(struct mx_mailing *mailing, struct parcel **table, size_t recipient)
{
	const char *address = sending_envelope(mailing->sending)->recipients[recipient].address;
	const char *text = address_domain(address);
	char *domain = text && address_is_mailbox(address, ADDRESS_FORWARD_PATH, true) ? route_domain(text) : NULL;
	char *key = domain ? xstrdup(domain) : xasprintf("@%s", address);
	struct parcel *parcel;

	HASH_FIND_STR(*table, key, parcel);
	if (parcel) {
		free(domain);
		free(key);
	} else {
		parcel = new_parcel(mailing, domain, key);
		HASH_ADD_KEYPTR(hh, *table, parcel->key, strlen(parcel->key), parcel);
	}
	if (parcel->count == parcel->room) {
		parcel->room = parcel->room ? 2 * parcel->room : 4;
		parcel->recipients = xrealloc(parcel->recipients, parcel->room, sizeof(*parcel->recipients));
	}
	parcel->recipients[parcel->count++] = recipient;
}

void mx_mailing_begin(struct mx_mailings *mailings, struct sending *sending)
{
	struct mx_mailing *mailing = xcalloc(1, sizeof(*mailing));
	struct parcel *table = NULL;

	*mailing = (struct mx_mailing){ .owner = mailings, .sending = sending, .parcels = 1 };
	TAILQ_INIT(&mailing->waiting);
	TAILQ_INIT(&mailing->looking);
	TAILQ_INIT(&mailing->under_way);
	TAILQ_INSERT_TAIL(&mailings->all, mailing, link);
	for (size_t i = 0; i < sending_envelope(sending)->recipient_count; i++)
		if (sending_is_to_come(sending, i))
			cut(mailing, &table, i);
	HASH_CLEAR(hh, table);
	begin_what_may(mailing);
	let_go(mailing);
}

/* ---- draining, closing */

static void drain(struct mx_mailing *mailing)
{
	struct parcel *parcel;

	mailing->parcels++;
	while ((parcel = TAILQ_FIRST(&mailing->looking)))
		finish_not_attempted(parcel);
	begin_what_may(mailing);
	let_go(mailing);
}

void mx_mailings_drain(struct mx_mailings *mailings)
{
	struct mx_mailing *mailing = TAILQ_FIRST(&mailings->all), *next;

	mailings->draining = true;
	/* The end of one may bring another message, never the end of another. */
	for (; mailing; mailing = next) {
		next = TAILQ_NEXT(mailing, link);
		drain(mailing);
	}
}

void mx_mailings_release(struct mx_mailings *mailings)
{
	struct mx_mailing *mailing, *next;
	struct parcel *parcel;

	for (mailing = TAILQ_FIRST(&mailings->all); mailing; mailing = next) {
		next = TAILQ_NEXT(mailing, link);
		mailing->parcels++;
		while ((parcel = TAILQ_FIRST(&mailing->waiting))) {
			TAILQ_REMOVE(&mailing->waiting, parcel, link);
			mailing->parcels--;
			free_parcel(parcel);
		}
		while ((parcel = TAILQ_FIRST(&mailing->looking)))
			outgoing_free(parcel->outgoing);
		let_go(mailing);
	}
}
