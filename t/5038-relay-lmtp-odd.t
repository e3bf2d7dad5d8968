#!/usr/bin/python3
# 5038-relay-lmtp-odd.t - LMTP servers that say more than they should, want data for nobody, or take chunks
# SPDX-License-Identifier: MIT
# P1 P12
from lib.fixture import is_, run
from lib.next_hop import NextHop
from lib.relay import clean, config, outcome, send

TO = [f'{name}@example.net' for name in 'abc']
BASE = ('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8')


def start(t, hop, more='', delay=300):
    return t.master(config(f'type: lmtp, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1{more}', delay=delay,
        bounces=True))


def too_many(t):
    """A reply more than there are recipients is nobody's, and not the next message's."""
    more = '250 2.1.5 taken\r\n550 5.1.1 nobody'
    hop = NextHop(t, {'.': [None, None, more]}, BASE, lmtp=True)
    master = start(t, hop)
    for _ in range(3):
        ident = send(t, *TO)
        is_([outcome(master, ident, name)[0] for name in TO], ['delivered'] * 3, 'each has its own')
    is_(len(hop.messages), 3, 'each message once')
    is_(hop.connections, 2, 'a connection on which more is said is not used again')
    clean(t, master)


def data_for_nobody(t):
    """The server wants the data though it refused everybody, which has no reply at all then."""
    for extensions in (BASE, ()):
        hop = NextHop(t, {'RCPT': ['550 5.1.1 nobody'] * 3, 'DATA': ['354 go']}, extensions, lmtp=True)
        master = start(t, hop, ', data_timeout: 30')
        ident = send(t, *TO)
        is_([outcome(master, ident, name)[0] for name in TO], ['failed'] * 3, 'who was refused is refused')
        ident = send(t, *TO)
        is_([outcome(master, ident, name)[0] for name in TO], ['delivered'] * 3, 'the next message goes at once')
        clean(t, master)


def by_chunks(t):
    data = 'Subject: x\r\n\r\n' + ('.' + 'y' * 70 + '\r\n') * 3000
    for what in (None, '451 4.3.0 full'):
        hop = NextHop(t, {'BDAT': [what]}, (*BASE, 'CHUNKING'), lmtp=True)
        master = start(t, hop)
        ident = send(t, *TO, data=data)
        states = [outcome(master, ident, name)[0] for name in TO]
        is_(states, ['deferred'] * 3 if isinstance(what, str) else ['delivered'] * 3, f'{what} to a chunk')
        is_([m['data'].decode() == data for m in hop.messages], [] if isinstance(what, str) else [True],
            'all of it, once, and no dot doubled')
        clean(t, master)


run(too_many, data_for_nobody, by_chunks)
