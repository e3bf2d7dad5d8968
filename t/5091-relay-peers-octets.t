#!/usr/bin/python3
# 5091-relay-peers-octets.t - the same octets arrive by DATA, in chunks, over TLS and by LMTP, whatever they are
# SPDX-License-Identifier: MIT
# P15 S16
import random
import re

from lib.certificates import Certificates
from lib.fixture import SLOW, is_, ok, run, wait_for
from lib.next_hop import NextHop
from lib.process import memory_kb
from lib.put import put
from lib.relay import config, queued, send

HEADER = b'subject:x\r\nTo: a@example.net,\r\n\tb@example.net\r\nX-Odd:  spaces  \r\n\r\n'
CHUNK = 32768           # the least that one has but the last
BASE = ('PIPELINING', '8BITMIME', 'SIZE 50000000', 'SMTPUTF8')
LARGE = 20 << 20


def bodies():
    """As they can be sent to an edge."""
    rng = random.Random(5091)
    yield b'', 'no body'
    for text in (b'.\r\n', b'.\r\n.\r\n', b'..\r\n.\r\n...\r\n.a\r\n\r\n.\r\n', b'\r\n\r\n', b'BDAT 3 LAST\r\nabc\r\n.\r\nQUIT\r\n',
            b'no end of the line', bytes(set(range(1, 256)) - {10, 13}) + b'\r\n', b'x' * 998 + b'\r\n'):
        yield text, repr(text[:20])
    sizes = [around + by for around in (CHUNK, 2 * CHUNK, 65536 + CHUNK, 4 * CHUNK) for by in (-2, -1, 0, 1, 2)]
    for size in sizes:
        line = b'.' + bytes(rng.choice(range(33, 127)) for _ in range(rng.randrange(70))) + b'\r\n'
        size -= len(HEADER)
        yield (line * (size // len(line) + 1))[:size - 2].rstrip(b'\r') + b'\r\n', f'{size + len(HEADER)} octets'
    dots = b'.\r\n' * 40000
    for size in (CHUNK, CHUNK + 1, CHUNK + 2, 3 * CHUNK):
        yield dots[:size - size % 3], f'{size} octets of dots'


def put_there(t):
    """What an edge would not have taken."""
    for text in (b'a\nb\rc\r\rd\n\ne\r\n', b'.\n.\r.\r\n\n.\n', b'\0\0\r\na\0.\r\n', b'\r' * (CHUNK + 1), b'\n' * (CHUNK + 1), b'\r', b'\n', b'a\r'):
        for lead in b'', b'x' * (CHUNK - len(HEADER) - 1):
            yield put(t, HEADER + lead + text), lead + text


def by_each_way(t):
    context = Certificates(t).server('self-signed')
    got = {}
    for name, extensions, tls, lmtp in (('DATA', BASE, None, False), ('BDAT', (*BASE, 'CHUNKING'), None, False),
            ('DATA over TLS', BASE, context, False), ('BDAT over TLS', (*BASE, 'CHUNKING'), context, False),
            ('DATA by LMTP', BASE, None, True), ('BDAT by LMTP', (*BASE, 'CHUNKING'), None, True)):
        hop = NextHop(t, extensions=extensions, tls=tls, lmtp=lmtp)
        master = t.master(config(f'type: {"lmtp" if lmtp else "static"}, host: 127.0.0.1, port: {hop.port}, tls: {{}}',
            queue=', scan_interval: 1'))
        for count, (body, what) in enumerate(bodies(), 1):
            data = HEADER + body
            ident = send(t, 'a@example.net', data=data, parameters=' BODY=8BITMIME')
            master.wait_log(rf' delivered id={ident} ', timeout=30)
            mail = hop.messages[-1]
            wanted = data if data.endswith(b'\r\n') else data + b'\r\n'
            if not ok((len(hop.messages), mail['data']) == (count, wanted), f'{name}: {what}'):
                is_((mail['data'][:200], mail['data'][-200:]), (wanted[:200], wanted[-200:]), 'its octets')
            is_(mail['parameters'][0], f'SIZE={len(wanted)}', 'its size was right')
            is_((bool(mail['chunks']), bool(mail['tls'])), ('BDAT' in name, tls is not None), 'by that way')
            if mail['chunks'] and not ok(min([CHUNK, *mail['chunks'][:-1]]) >= CHUNK, f'in {len(mail["chunks"])} chunks'):
                is_(mail['chunks'], [], 'some are too small')
        got[name] = odd(t, hop)
        is_(hop.wrong, [], 'nothing was said that may not be')
        master.stop()
    for name, octets in got.items():
        is_([place for place, (one, other) in enumerate(zip(octets, got['DATA'])) if one != other], [],
            f'{name}: what no edge takes is the same each way')


def odd(t, hop):
    hop.messages.clear()
    ids = dict(put_there(t))
    wait_for(lambda: len(hop.messages) == len(ids) and not queued(t), 40, 'what was put into the queue')
    taken = sorted((mail['data'] for mail in hop.messages), key=lambda data: (len(data), data))
    is_([data[:99] for data in taken if re.search(rb'(?<!\r)\n|\r(?!\n)', data)], [], 'bare CR and LF come as CR LF')
    lines = sorted(len(re.findall(rb'\r\n|\r|\n', HEADER + body)) + (body[-1:] not in b'\r\n') for body in ids.values())
    is_(sorted(data.count(b'\r\n') for data in taken), lines, 'as many as there were')
    return taken


def large(t):
    """20 MB, and a worker that does not have them in memory."""
    rng = random.Random(5091)
    line = b'.' + bytes(rng.choice(range(33, 127)) for _ in range(75)) + b'\r\n'
    data = HEADER + line * (LARGE // len(line))
    context = Certificates(t).server('self-signed')
    for extensions in BASE, (*BASE, 'CHUNKING'):
        for tls in None, context:
            hop = NextHop(t, extensions=extensions, tls=tls)
            master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}, tls: {{}}')
                .replace('listener:', 'max_size: 30000000, listener:'))
            worker = master.wait_log(rf' slimta-worker\[(\d+)\] .*delivered id={send(t, "a@example.net")} ')[1]
            before = memory_kb(worker)
            master.wait_log(rf' delivered id={send(t, "a@example.net", data=data)} ', timeout=60)
            grown = memory_kb(worker) - before
            ok(hop.messages[-1]['data'] == data, f'20 MB arrive: CHUNKING {"CHUNKING" in extensions}, TLS {tls is not None}')
            ok(grown < 8192 or SLOW > 1, f'the worker grew by {grown} KB')
            master.stop()


run(by_each_way, large, timeout=200)
