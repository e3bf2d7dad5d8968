# smuggling.py - what was ever taken for the end of mail data, and servers that take it
# SPDX-License-Identifier: MIT
import itertools
import re

# What the scanners of hannob/smtpsmug and The-Login/SMTP-Smuggling-Tools send, and the advisories of 2023 name.
KNOWN = {b'\n.\n', b'\r.\r', b'\r.\n', b'\n.\r', b'\n.\r\n', b'\r\n.\n', b'\r.\r\n', b'\r\n.\r', b'\r\n\0.\r\n',
    b'\r\n.\0\r\n', b'\r\n.\r\r\n', b'\r\r\n.\r\r\n', b'\r\n\r.\r\n'}
BREAKS = [b'\r\n', b'\n', b'\r', b'\r\r\n', b'\n\r', b'\r\n\n', b'\0\r\n', b'\r\0\n', b'\r\n\0', b'\r\n\r', b'\n\n', b'\0', b'']
ODD = [b'\x0b', b'\x0c', b'\x1c', b'\x85', b'\x8d\x8a', '\x85'.encode(), '\u2028'.encode(), b'\xc0\x8d\xc0\x8a',
    b'\r\n ', b'\r\n\t', b'\r\n\x0b', b'\r\n\x08', b'\\r\\n', b'=0D=0A', b'\x1a', b'\xff\xf4']
EXTRA = [b' ', b'\t', b'\0', b'.', b'\r', b'\n', b'\x0b', b'\x08', b'\x7f', b'\x1a', b'QUIT']
ENDS = sorted(KNOWN | {before + b'.' + after for before, after in itertools.product(BREAKS, BREAKS)}
    | {before + b'.' + after for odd in ODD for before, after in ((odd, odd), (odd, b'\r\n'), (b'\r\n', odd))}
    | {b'\r\n.' + extra + b'\r\n' for extra in EXTRA}
    | {b'\r\n' + dot + b'\r\n' for dot in (b'\xae', b'\xc0\xae', '\uff0e'.encode())})
# All but the true one.
ENDS = [end for end in ENDS if b'\r\n.\r\n' not in end]

SECOND = b'MAIL FROM:<evil@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\nevil\r\n'

# A server reads the octets as one of these, and takes one of those for the end.
SEEN = {'all': lambda data: data, 'no NUL': lambda data: data.replace(b'\0', b''), 'no CR': lambda data: data.replace(b'\r', b''),
    'no bare CR': lambda data: re.sub(rb'\r(?!\n)', b'', data),
    'NUL is space': lambda data: data.replace(b'\0', b' ')}
TAKEN = [rb'\r\n\.\r\n', rb'\n\.\n', rb'\r\.\r', rb'\n\.\r', rb'\r\.\n', rb'\n\.\r\n', rb'\r\n\.\n', rb'\r\.\r\n', rb'\r\n\.\r',
    rb'\r+\n\.\r+\n', rb'[\r\n]\.[ \t]*[\r\n]', rb'[\r\n]\.\0']


def misread(raw):
    """Those that see an end before that of `raw`, the octets sent behind the reply to DATA; or, if strict, none."""
    wrong = []
    for seen, end in itertools.product(SEEN, TAKEN):
        data = b'\r\n' + SEEN[seen](raw)
        match = re.search(end, data)
        # Who stops at a CR leaves its LF.
        if match and data[match.end():] not in (b'', b'\n'):
            wrong.append((seen, end, data[max(0, match.start() - 20):match.end() + 20]))
    return wrong + ([] if raw.endswith(b'.\r\n') else ['no end'])
