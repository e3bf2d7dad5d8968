/* adopt.c - which edge accepts on which socket
 * SPDX-License-Identifier: MIT
 * Every edge inherits all listening sockets. On those of a sibling that is down the others accept until it has a
 * successor: the kernel goes on to hand connections to them. */
#include <stdlib.h>

#include "common/base/memory.h"
#include "master/master.h"

static const struct slot *edge_of(const struct generation *generation, size_t instance)
{
	return &generation->slots[generation->slot_count - generation->edge_count + instance];
}

static bool is_wanted(const struct slot *edge, const struct listening *listening, size_t index)
{
	const struct generation *generation = edge->generation;
	const struct slot *sibling;

	if (index >= listening->listening_count)
		return false;
	if (listening->shared || index == edge->instance || index >= generation->edge_count)
		return true;
	sibling = edge_of(generation, index);
	return sibling->tried && sibling->state != CHILD_READY;
}

json_t *adopt_describe(struct slot *edge, int **fds, size_t *count)
{
	const struct sockets *sockets = &edge->generation->sockets;
	json_t *list = json_array();

	*count = 0;
	*fds = xcalloc(sockets_count(sockets) + 1, sizeof **fds);
	free(edge->accepts);
	edge->accepts = xcalloc(sockets_count(sockets) + 1, sizeof *edge->accepts);
	for (size_t i = 0; i < sockets->count; i++) {
		const struct listening *listening = &sockets->items[i];

		for (size_t j = 0; j < listening->fd_count; j++) {
			bool own = is_wanted(edge, listening, j);

			edge->accepts[*count] = own;
			(*fds)[(*count)++] = listening->fds[j];
			json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:b}",
				"edge", listening->edge, "listener", (int)listening->listener,
				"slot", listening->shared ? (int)edge->instance : (int)j, "own", own));
		}
	}
	return list;
}

static void tell(struct slot *edge, enum control_type type, json_t *list_taken)
{
	if (json_array_size(list_taken))
		control_send(edge->control, type, json_pack("{s:O}", "listeners", list_taken), -1);
	json_decref(list_taken);
}

static void adopt_by(struct slot *edge)
{
	const struct sockets *sockets = &edge->generation->sockets;
	json_t *adopted = json_array(), *returned = json_array();
	size_t at = 0;

	for (size_t i = 0; i < sockets->count; i++) {
		for (size_t j = 0; j < sockets->items[i].fd_count; j++, at++) {
			bool wanted = is_wanted(edge, &sockets->items[i], j);

			if (wanted != edge->accepts[at])
				json_array_append_new(wanted ? adopted : returned, json_integer((json_int_t)at));
			edge->accepts[at] = wanted;
		}
	}
	tell(edge, CONTROL_ADOPT, adopted);
	tell(edge, CONTROL_RETURN, returned);
}

void adopt(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->kind == CHILD_EDGE && slot->state == CHILD_READY && slot->control)
			adopt_by(slot);
	}
}
