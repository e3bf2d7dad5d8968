/* fuzz-now.c - what is read of a `.now` file, whoever wrote it
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/now_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct now_content content;
	enum now_result result = now_parse(data, size, &content);

	if (result != NOW_READ && (content.held || content.count))
		BUG("rows of a file that was not read");
	if (result == NOW_READ && (content.count > NOW_ROWS_MAX || !memchr(content.owner, '\0', NOW_OWNER_SIZE)))
		BUG("more than a file holds");
	for (size_t i = 0; i < content.count; i++)
		if (!id_is_valid(content.held[i].id) || content.held[i].phase < LEASE_CLAIMED ||
				content.held[i].phase > LEASE_PAST_THE_DOT)
			BUG("a row that is none");
	now_content_release(&content);
	return 0;
}
