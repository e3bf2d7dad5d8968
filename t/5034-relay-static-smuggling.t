#!/usr/bin/python3
# 5034-relay-static-smuggling.t - whatever is in a queue: no next hop, however lax, reads two messages in one
# SPDX-License-Identifier: MIT
# S6 P15
import re

from lib.fixture import is_, ok, run, wait_for
from lib.next_hop import NextHop
from lib.put import put
from lib.smuggling import ENDS, KNOWN, SECOND, misread

POLICIES = '''policies: [{type: add_date_header}, {type: add_message_id_header}, {type: add_received_header},
    {type: forward, mapping: {"^to-(.*)$": '\\1'}}]'''
CONFIG = f'''@process@
  edge: {{instances: 1}}
  worker: {{instances: 1}}
edge:
  reject: {{type: smtp, queue: q, listener: {{port: @port:reject@}}}}
  normalize: {{type: smtp, queue: q, bare_newline: normalize, listener: {{port: @port:normalize@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, scan_interval: 1, bounce_queue: b,
    {POLICIES}}}
  b: {{type: disk, relay: r, envelope_dir: @dir@/benv, meta_dir: @dir@/bmeta, allow_volatile: yes,
    {POLICIES}}}
relay:
  r: {{type: static, host: 127.0.0.1, port: PORT}}
'''
SAID = re.compile(r'(EHLO \S+|MAIL FROM:<(s@example\.org)?>( SIZE=\d+)?( BODY=8BITMIME)?|RCPT TO:<(a@example\.net|'
    r'no@example\.net|s@example\.org)>|DATA|RSET|QUIT)')


def start(t):
    """Who is called `no` is refused, so that each message is returned, too."""
    hop = NextHop(t, {'RCPT': lambda peer, line: '550 5.1.1 no' if '<no@' in line else None})
    return hop, CONFIG.replace('PORT', str(hop.port))


def judge(hop, wanted, what):
    wait_for(lambda: len(hop.messages) >= wanted, 60, f'{wanted} messages')
    is_(len(hop.messages), wanted, f'{what}: as many messages as were sent, and returned')
    wrong = {line for line in hop.said if not SAID.fullmatch(line)}
    is_(wrong, set(), 'and no command but ours')
    wrong = [(found[:2], message['raw'][:200]) for message in hop.messages for found in [misread(message['raw'])] if found]
    is_(wrong[:3], [], 'and no reader finds another end than ours')
    is_([m['raw'] for m in hop.messages if re.search(rb'(?<!\r)\n|\r(?!\n)', m['raw'])], [], 'all line ends are CR LF')


BEGIN = (b'EHLO client.example\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<to-a@example.net>\r\n'
    b'RCPT TO:<to-no@example.net>\r\n')


def send(t, port, content):
    """The codes of a message's two last replies; `content` is what stands behind DATA, as it is."""
    with t.client(port) as client:
        codes = [client.reply().code]
        client.send(BEGIN + b'DATA\r\n')
        codes += [client.reply().code for _ in range(5)]
        client.send(content + b'\r\n.\r\nQUIT\r\n')
        codes += [client.reply().code, client.reply().code]
        return codes[-2:] if codes[:-2] == [220, 250, 250, 250, 250, 354] else codes


def send_chunks(t, port, content, cut):
    """The codes of two chunks."""
    with t.client(port) as client:
        codes = [client.reply().code]
        client.send(BEGIN + b'BDAT %d\r\n' % cut + content[:cut] + b'BDAT %d LAST\r\n' % (len(content) - cut) + content[cut:]
            + b'QUIT\r\n')
        codes += [client.reply().code for _ in range(7)]
        return codes[-3:-1] if codes[:-3] + codes[-1:] == [220, 250, 250, 250, 250, 221] else codes


def by_chunks(t):
    hop, text = start(t)
    t.master(text)
    head = b'Subject: x\r\n\r\nx'
    codes = [send_chunks(t, port, head + end + SECOND + tail, len(head) + len(end) // 2)
        for port in ('reject', 'normalize') for end in [*ENDS, b'\r\n.\r\n'] for tail in (b'', end)[:1 + (end in KNOWN)]]
    taken = codes.count([250, 250])
    is_([code for code in codes if code not in ([250, 250], [250, 550], [550, 550])], [], 'one verdict on each')
    ok(100 < taken < len(codes), f'{taken} of {len(codes)} are taken')
    judge(hop, 2 * taken, 'by BDAT')


def by_data(t):
    hop, text = start(t)
    t.master(text)
    contents = [head + b'x' + end + SECOND for end in ENDS for head in (b'Subject: x\r\n\r\n', b'')[end not in KNOWN:]]
    codes = [send(t, port, content) for port in ('reject', 'normalize') for content in contents]
    taken = codes.count([250, 221])
    is_([code for code in codes if code not in ([250, 221], [550, 221])], [], 'one reply to each')
    ok(100 < taken < len(codes), f'{taken} of {len(codes)} are taken')
    judge(hop, 2 * taken, 'by DATA')


def by_hand(t):
    """What no edge let in."""
    hop, text = start(t)
    starts = [b'Subject: x\r\n\r\nx', b'Subject: x', b'', b'Subject: x\n\nx', b'Subject: x\r\rx', b'\0']
    contents = [head + end + SECOND + tail for end in ENDS for head in (starts if end in KNOWN else starts[:1])
        for tail in (b'', end)[:2 if end in KNOWN else 1]]
    contents += [b'', b'.', b'.\r\n', b'\n', b'\r', b'\0', b'\0.', b'.\r', b'\r\n.\r\n', b'\r\n.\r\n' + SECOND, b'.\n.\r.\r\n.\0',
        b'x' * 65535 + b'\r\n.\r\n' + SECOND, b'x' * 65536 + b'\n.\n' + SECOND, b'x' * 65535 + b'\r\n\0.\r\n' + SECOND,
        b'x' * 65534 + b'\r\n.\r\n' + SECOND, b'x' * 300000 + b'\r\n.\r\n' + SECOND]
    for content in contents:
        put(t, content, recipients=[{'address': 'a@example.net'}, {'address': 'no@example.net'}])
    t.master(text)
    judge(hop, 2 * len(contents), 'by hand')


run(by_data, by_chunks, by_hand)
