/* newline.h - the one rule for line ends, used by every source of mail data
 * SPDX-License-Identifier: MIT
 * Only CR LF ends a line and only CR LF . CR LF ends data (RFC 5321 2.3.8, 4.1.1.4). A CR or LF
 * alone is no line end for anything here: it is found, and kept or made CR LF. */
#ifndef SLIMTA_SMTP_NEWLINE_H
#define SLIMTA_SMTP_NEWLINE_H

#include <stdbool.h>
#include <stddef.h>

enum { NEWLINE_BARE_CR = 1, NEWLINE_BARE_LF = 2, NEWLINE_NUL = 4 };

struct newline {
	bool dots;		/* as DATA sends it: dot-stuffed, ended by a line with one dot */
	bool normalize;		/* a bare CR or LF comes out as CR LF */
	bool ended;		/* the end of data was seen */
	unsigned char state;
	unsigned char found;	/* NEWLINE_ bits, for all octets taken so far */
};

typedef void newline_sink_fn(void *arg, const char *data, size_t size);

void newline_init(struct newline *, bool dots, bool normalize);
/* Takes data[0..size), which may be cut at any octet, and gives the mail data in it to `sink` in
 * runs. Returns the octets taken: all of them, or those up to and with the end of data. */
size_t newline_feed(struct newline *, const char *data, size_t size, newline_sink_fn *sink,
	void *arg);
/* For sources without dots: no more will come. A CR that waited for its LF was a bare one. */
void newline_finish(struct newline *, newline_sink_fn *sink, void *arg);

#endif
