#!/usr/bin/python3
# 5094-relay-peers-lacking.t - a host without what a message needs: another first, then a clear reply, never broken mail
# SPDX-License-Identifier: MIT
from lib.fixture import is_, run
from lib.mx import Mx
from lib.relay import send

BASE = ('PIPELINING', 'SIZE 1000000')
FULL = (*BASE, '8BITMIME', 'SMTPUTF8')
PLAIN = b'Subject: x\r\n\r\nbody\r\n'
EIGHT_BIT = b'Subject: x\r\n\r\n\xc3\xa4\r\n'
HEADER = 'Subject: grün\r\n\r\nbody\r\n'.encode()
LARGE = b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 1000
NEEDS = (
    # the recipient's local part, parameters, data, what of FULL a host has that will not do, and what is said then
    ('a', ' BODY=8BITMIME', EIGHT_BIT, BASE, '554 5.6.3 '),
    ('a', ' BODY=8BITMIME', EIGHT_BIT, (*BASE, 'SMTPUTF8'), '554 5.6.3 '),
    ('grün', ' SMTPUTF8', PLAIN, (*BASE, '8BITMIME'), '553 5.6.7 '),
    ('a', ' SMTPUTF8 BODY=8BITMIME', HEADER, (*BASE, '8BITMIME'), '554 5.6.9 '),
    ('a', '', LARGE, ('SIZE 70000', *FULL[2:]), '552 5.3.4 '),
    # merely said so, all ASCII: sent without
    ('a', ' BODY=8BITMIME', PLAIN, BASE, None), ('a', ' SMTPUTF8', PLAIN, BASE, None), ('a', ' SMTPUTF8 BODY=8BITMIME', PLAIN, (), None))


def lacks(t):
    mx = Mx(t, ''.join(f'd{n} IN MX 10 h2\nd{n} IN MX 20 h3\n' for n in range(99)), hops=(2, 3))
    domains = iter(range(99))
    for local, parameters, data, lacking, reply in NEEDS:
        for other in FULL, lacking:
            mx.start(', idle_timeout: 0')
            mx.hops[2].extensions, mx.hops[3].extensions = lacking, other
            before = mx.taken()
            recipient = f'{local}@d{next(domains)}.example'
            ident = send(t, recipient, data=data, parameters=parameters)
            event, host, said = mx.outcome(ident, recipient)
            what = f'{recipient}{parameters} {len(data)} octets, hosts with {lacking} and {other}'
            taker = 2 if reply is None else 3 if other is FULL else None
            wanted = '250 ' if taker else reply
            is_((event, said[:len(wanted)]), ('delivered' if taker else 'failed', wanted), what)
            is_({n: count - before[n] for n, count in mx.taken().items()}, {n: int(n == taker) for n in (2, 3)}, 'by whom')
            if taker:
                mail = mx.hops[taker].messages[-1]
                is_((mail['data'], mail['recipients']), (data, [recipient]), 'as it was')
                is_([word for word in mail['parameters'] if not word.startswith('SIZE=')],
                    [word for word in ('BODY=8BITMIME', 'SMTPUTF8') if reply and (word[0] == 'B' and not data.isascii()
                        or word[0] == 'S' and 'SMTPUTF8' in parameters)], 'with the parameters that it needs and no others')
                is_(host, f'h{taker}.example[127.0.0.{taker}]', 'which the log names')
            mx.master.stop()


run(lacks)
