#!/usr/bin/python3
# 5046-relay-lmtp-results.t - by LMTP each recipient has a result of its own, and what was cut off is neither lost nor told twice
# SPDX-License-Identifier: MIT
# P1 P24
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, RESET, SILENCE, NextHop, Raw
from lib.relay import clean, config, outcome, queued, send

TO = [f'{name}@example.net' for name in 'abc']
BASE = ('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8')


def start(t, hop, more='', delay=300):
    return t.master(config(f'type: lmtp, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1{more}', delay=delay,
        bounces=True))


def by_recipient(replies):
    return lambda peer, line: replies.get(re.sub(r'.*<|@.*', '', line))


def one_each(t):
    for extensions in (BASE, (), (*BASE, 'CHUNKING')):
        hop = NextHop(t, {'.': by_recipient({'b': '550 5.2.1 250 disabled', 'c': '452 4.2.2 250 over quota'})}, extensions,
            lmtp=True)
        master = start(t, hop)
        ident = send(t, *TO)
        is_([outcome(master, ident, name) for name in TO], [('delivered', '250 2.1.5 <a@example.net> taken'),
            ('failed', '550 5.2.1 250 disabled'), ('deferred', '452 4.2.2 250 over quota')], 'the code of each reply decides')
        is_([m['taken_for'] for m in hop.messages], [['a@example.net']], 'one transaction')
        is_(hop.said[0].split()[0], 'LHLO', 'begun with LHLO')
        is_(len(queued(t)), 1, 'who has to wait keeps the message')
        clean(t, master)


def refused_before(t):
    """RCPT that is refused has no reply behind the data."""
    hop = NextHop(t, {'RCPT': by_recipient({'a': '550 5.1.1 nobody', 'b': '450 4.2.0 later'})}, BASE, lmtp=True)
    master = start(t, hop)
    ident = send(t, *TO)
    is_([outcome(master, ident, name) for name in TO], [('failed', '550 5.1.1 nobody'), ('deferred', '450 4.2.0 later'),
        ('delivered', '250 2.1.5 <c@example.net> taken')], 'the only reply is for who was accepted')
    clean(t, master)
    hop = NextHop(t, {'RCPT': '550 5.1.1 nobody'}, BASE, lmtp=True)
    master = start(t, hop)
    ident = send(t, *TO)
    is_([outcome(master, ident, name)[0] for name in TO], ['failed'] * 3, 'nobody was accepted')
    is_(hop.data_ended, 0, 'and no data was taken')
    clean(t, master)


def cut(t):
    """The connection ends at each place, in each way: what was said counts, the rest is in doubt, and comes again."""
    for what in (CLOSE, RESET, 'nonsense', (Raw(b'250 2.1'), CLOSE), '421 4.3.2 down'):
        for at in range(3):
            hop = NextHop(t, {'.': [None] * at + [what]}, BASE, lmtp=True)
            master = start(t, hop)
            ident = send(t, *TO)
            outcomes = [outcome(master, ident, name)[0] for name in TO]
            said_421 = what == '421 4.3.2 down'
            at += said_421 and at == 2      # the last one was told 421, and goes again at once
            is_(outcomes, ['delivered'] * at + ['deferred'] * (3 - at), f'{what!r} after {at} replies')
            for number, name in enumerate(TO):
                if number != at or not said_421:
                    (like if number >= at else unlike)(master.log, rf' in doubt id={ident} recipient={name} ',
                        f'{name} is in doubt where it was not told')
            unlike(master.log, rf' failed id={ident} ', 'nothing fails of it')
            clean(t, master)


def again(t):
    """Those alone that were not told come again."""
    hop = NextHop(t, {'.': [None, CLOSE]}, BASE, lmtp=True)
    master = start(t, hop, delay=1)
    ident = send(t, *TO)
    for name in TO:
        master.wait_log(rf' delivered id={ident} recipient={name} ')
    wait_for(lambda: not queued(t), what='an empty queue')
    is_([m['recipients'] for m in hop.messages], [TO, ['b@example.net', 'c@example.net']], 'who was told is not asked')
    clean(t, master)


def silence(t):
    hop = NextHop(t, {'.': [None, SILENCE]}, BASE, lmtp=True)
    master = start(t, hop, ', data_timeout: 0.5')
    ident = send(t, *TO)
    is_([outcome(master, ident, name) for name in TO], [('delivered', '250 2.1.5 <a@example.net> taken'),
        *[('deferred', '421 4.4.2 Connection timed out')] * 2], 'silence behind the first reply')
    clean(t, master)


def before_the_data(t):
    for step, what, why in (('LHLO', '500 what', '451'), ('LHLO', '421 4.3.2 later', '421'), ('DATA', '451 4.3.0 no', '451'),
            ('MAIL', '452 4.3.1 full', '452'), ('connect', '220 smtp', '451')):
        hop = NextHop(t, {step: what}, BASE, lmtp=step != 'connect')
        master = start(t, hop)
        ident = send(t, 'a@example.net')
        state, reply = outcome(master, ident)
        is_((state, reply[:3]), ('deferred', why), f'{what} to {step}: {reply}')
        is_(hop.data_ended, 0, 'nothing was sent')
        ok(not any(line.startswith(('EHLO', 'HELO')) for line in hop.said), 'LMTP has no EHLO')
        clean(t, master)


def final(t):
    """What a store took is delivered: who asked for it is told so."""
    hop = NextHop(t, None, BASE, lmtp=True)
    told = NextHop(t)
    text = config(f'type: lmtp, host: 127.0.0.1, port: {hop.port}', bounces=True).replace(
        'nothing: {type: blackhole}', f'nothing: {{type: static, host: 127.0.0.1, port: {told.port}}}')
    t.master(text)
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<s@example.org>', 250)
        client.cmd('RCPT TO:<a@example.net> NOTIFY=SUCCESS', 250)
        client.cmd('DATA', 354)
        client.cmd('Subject: x\r\n\r\nbody\r\n.', 250)
    wait_for(lambda: hop.messages, what='a message in the store')
    wait_for(lambda: told.messages, what='a notification')
    like(told.messages[0]['data'].decode(), r'(?m)^Action: delivered\r$', 'delivered, and not relayed')


run(one_each, refused_before, cut, again, silence, before_the_data, final)
