#!/usr/bin/python3
# 5052-relay-mx-hosts.t - one host after the other within an attempt: in order, within bounds, and which reply counts
# SPDX-License-Identifier: MIT
# P24
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mx import Mx
from lib.next_hop import CLOSE, SILENCE
from lib.relay import queued, send

TAKEN = '250 2.6.0 taken'
REFUSED = '451 4.3.0 Connection failed: Connection refused'
EIGHT_BIT = b'Subject: x\r\n\r\n\xc3\xa4\r\n'


def hosts(domain, *numbers):
    """Records of a domain in this order, each host under a name of its own: what is remembered of one does not matter."""
    return ''.join(f'{domain} IN MX {place} {domain}{place}\n{domain}{place} IN A 127.0.0.{number}\n'
        for place, number in enumerate(numbers, 1))


def order(t):
    """2 takes all; 5 to 8 refuse connections in some way; on 20 and above nobody listens."""
    mx = Mx(t, ''.join((hosts('dead', 20, 21, 2), hosts('late', 5, 2), hosts('never', 6, 7, 2), hosts('gone', 8, 2),
        hosts('perm', 6, 7), hosts('mixed', 5, 6), hosts('mixed2', 6, 5), hosts('last', 5, 20), hosts('sixth', 20, 21, 22, 23, 24, 2),
        hosts('fifth', 30, 31, 32, 33, 2), hosts('rcpt', 3, 2), hosts('rcpt4', 4, 2), hosts('plain', 9, 2), hosts('plainest', 9),
        hosts('many', 40, 2), hosts('ten', 41, 2), ''.join(f'many1 IN A 127.0.1.{n}\n' for n in range(1, 13)),
        ''.join(f'ten1 IN A 127.0.2.{n}\n' for n in range(1, 9)))), hops=(2, 3, 4, 5, 6, 7, 8, 9))
    for number, what in {5: '421 4.3.2 busy', 6: '554 5.7.1 never', 7: '550 5.7.1 nor here', 8: CLOSE}.items():
        mx.hops[number].at = {'connect': what}
    mx.hops[3].at = {'RCPT': '550 5.1.1 nobody'}
    mx.hops[4].at = {'RCPT': '450 4.2.1 later'}
    mx.hops[9].extensions = ('PIPELINING', 'SIZE 1000000')
    mx.start()

    def gives(domain, *wanted, data=b'Subject: x\r\n\r\nbody\r\n'):
        is_(mx.outcome(send(t, f'a@{domain}.example', data=data.decode()), f'a@{domain}.example'), wanted, domain)

    gives('dead', 'delivered', 'dead3.example[127.0.0.2]', TAKEN)
    for host in 'dead1.example[127.0.0.20]', 'dead2.example[127.0.0.21]':
        ok(f'host={host} ' in mx.master.log, f'behind {host}, which the log names')
    gives('late', 'delivered', 'late2.example[127.0.0.2]', TAKEN)
    gives('never', 'delivered', 'never3.example[127.0.0.2]', TAKEN)
    gives('gone', 'delivered', 'gone2.example[127.0.0.2]', TAKEN)
    gives('fifth', 'delivered', 'fifth5.example[127.0.0.2]', TAKEN)
    taken = mx.taken()
    is_(taken[2], 5, 'the last one took each of these once')
    gives('perm', 'failed', 'perm2.example[127.0.0.7]', '550 5.7.1 nor here')
    gives('mixed', 'deferred', 'mixed1.example[127.0.0.5]', '421 4.3.2 busy')
    gives('mixed2', 'deferred', 'mixed22.example[127.0.0.5]', '421 4.3.2 busy')
    gives('last', 'deferred', 'last2.example[127.0.0.20]', REFUSED)
    gives('sixth', 'deferred', 'sixth5.example[127.0.0.24]', REFUSED)
    event, host, _ = mx.outcome(send(t, 'a@many.example'), 'a@many.example')
    is_((event, host[:13]), ('deferred', 'many1.example'), 'ten addresses are enough of one attempt')
    gives('ten', 'delivered', 'ten2.example[127.0.0.2]', TAKEN)
    gives('rcpt', 'failed', 'rcpt1.example[127.0.0.3]', '550 5.1.1 nobody')
    gives('rcpt4', 'deferred', 'rcpt41.example[127.0.0.4]', '450 4.2.1 later')
    gives('plain', 'delivered', 'plain2.example[127.0.0.2]', TAKEN, data=EIGHT_BIT)
    event, host, reply = mx.outcome(send(t, 'a@plainest.example', data=EIGHT_BIT.decode()), 'a@plainest.example')
    is_((event, host, reply[:9]), ('failed', 'plainest1.example[127.0.0.9]', '554 5.6.3'), 'no host has what the message needs')
    is_(mx.taken()[2] - taken[2], 2, 'the hosts behind the others were not asked otherwise')
    is_(mx.hops[9].messages, [], 'nor was a message sent that its host cannot take')
    unlike(mx.master.log, ' in doubt ', 'nothing is in doubt')
    mx.master.stop()


def shuffled(t):
    """Equals share what there is; the one that is not better gets nothing."""
    mx = Mx(t, ''.join(f'many{n} IN MX 10 h2\nmany{n} IN MX 10 h3\nmany{n} IN MX 10 h4\nmany{n} IN MX 20 h5\n' for n in range(120)),
        hops=(2, 3, 4, 5))
    mx.start()
    for n in range(0, 120, 20):
        send(t, *(f'a@many{m}.example' for m in range(n, n + 20)))
    wait_for(lambda: sum(mx.taken().values()) == 120, 60, 'all to be taken')
    taken = mx.taken()
    is_(taken.pop(5), 0, 'not the worse one')
    for n, count in taken.items():
        ok(15 < count < 70, f'host {n} has {count} of 120')
    is_(sum(hop.connections for hop in mx.hops.values()) <= 15, True, 'over at most 5 connections each')
    mx.master.stop()


def interrupted(t):
    """A host that falls silent is left for the next one when its time is over; one that was given the message is not."""
    mx = Mx(t, hosts('silent', 2, 3) + hosts('lost', 4, 3))
    mx.hops[2].at = {'connect': SILENCE}
    mx.hops[4].at = {'.': CLOSE}
    mx.start(', command_timeout: 0.5')
    is_(mx.outcome(send(t, 'a@silent.example'), 'a@silent.example'), ('delivered', 'silent2.example[127.0.0.3]', TAKEN),
        'no greeting: the next host')
    event, host, reply = mx.outcome(ident := send(t, 'a@lost.example'), 'a@lost.example')
    is_((event, host), ('deferred', 'lost1.example[127.0.0.4]'), 'what may have been taken goes to no other host')
    like(reply, '^451 4.4.2 ', 'it waits')
    wait_for(lambda: queued(t) == [ident], 20, 'it alone to be in the queue')
    like(mx.master.log, f' in doubt id={ident} ', 'and is in doubt')
    is_(mx.taken()[3], 1, 'the other host had the first alone')
    mx.master.stop()


run(order, shuffled, interrupted)
