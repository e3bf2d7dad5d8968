#!/usr/bin/python3
# 5053-relay-mx-several.t - one message to several domains: each to its own hosts, each recipient with its own outcome
# SPDX-License-Identifier: MIT
# P1
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mx import Mx
from lib.next_hop import CLOSE
from lib.relay import queued, send

TAKEN = '250 2.6.0 taken'
RECORDS = '''
two IN MX 10 h2
three IN MX 10 h3
same IN MX 10 h2
null IN MX 0 .
later IN MX 5 h5
many IN MX 5 h4
''' + ''.join(f'd{n} IN MX 5 h{2 + n % 3}\n' for n in range(300))


def each_its_own(t):
    def recipient(peer, line):
        return '550 5.1.1 nobody' if 'nobody' in line else '450 4.2.1 busy' if 'busy' in line else None

    mx = Mx(t, RECORDS, hops=(2, 3, 4, 5))
    mx.hops[2].at = {'RCPT': recipient}
    mx.hops[3].at = {'.': '552 5.2.2 full'}
    mx.hops[5].at = {'connect': '421 4.3.2 shut'}
    mx.start()
    none = '550 5.1.2 No usable DNS records found: '
    wanted = {
        'a@two.example': ('delivered', 'h2.example[127.0.0.2]', TAKEN), 'b@Two.Example': ('delivered', 'h2.example[127.0.0.2]', TAKEN),
        'nobody@two.example': ('failed', 'h2.example[127.0.0.2]', '550 5.1.1 nobody'),
        'busy@two.example': ('deferred', 'h2.example[127.0.0.2]', '450 4.2.1 busy'),
        'a@same.example': ('delivered', 'h2.example[127.0.0.2]', TAKEN),
        'a@three.example': ('failed', 'h3.example[127.0.0.3]', '552 5.2.2 full'),
        'a@later.example': ('deferred', 'h5.example[127.0.0.5]', '421 4.3.2 shut'),
        'a@null.example': ('failed', '', '556 5.1.10 The domain takes no mail: null.example'),
        'a@absent.example': ('failed', '', none + 'absent.example'),
        'postmaster': ('failed', '', '550 5.1.5 Recipient address has no domain: postmaster'),
        'a@[127.0.0.4]': ('delivered', '[127.0.0.4][127.0.0.4]', TAKEN),
    }
    ident = send(t, *wanted)
    for address, outcome in wanted.items():
        is_(mx.outcome(ident, address), outcome, address)
    is_(sorted(sorted(mail['recipients']) for mail in mx.hops[2].messages), [['a@same.example'], ['a@two.example', 'b@Two.Example']],
        'a transaction for each domain, also at the same host')
    is_([mail['recipients'] for mail in mx.hops[4].messages], [['a@[127.0.0.4]']], 'and for an address')
    is_(queued(t), [ident], 'what waits is still there')
    failed = sorted(address for address, outcome in wanted.items() if outcome[0] == 'failed')
    wait_for(lambda: sorted(re.findall(rf' worker: bounced id={ident} .* recipient=(.*)', mx.master.log)) == failed, 20,
        'the sender to be told of those that failed')
    mx.hops[2].at, mx.hops[5].at = {}, {}

    def gone():
        """A host that was shut is left alone for a second."""
        t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'retry', ident)
        return not queued(t)
    wait_for(gone, 20, 'an empty queue')
    for address in 'busy@two.example', 'a@later.example':
        mx.master.wait_log(rf' delivered id={ident} recipient={address} ')
    is_(mx.master.log.count(f' worker: delivered id={ident} '), 6, 'each once, and only what was left over later')
    mx.master.stop()


def hundreds(t):
    """300 domains of one message, at three hosts; one of them ends its first connection."""
    mx = Mx(t, RECORDS)
    lost = iter([CLOSE])
    mx.hops[3].at = {'MAIL': lambda peer, line: next(lost, None)}
    mx.start()
    recipients = [f'a@d{n}.example' for n in range(300)]
    ident = send(t, *recipients)
    wait_for(lambda: sum(mx.taken().values()) == 300, 60, 'all to be taken')
    wait_for(lambda: not queued(t), 30, 'an empty queue')
    is_(mx.taken(), {2: 100, 3: 100, 4: 100}, 'each domain once')
    got = sorted(address for hop in mx.hops.values() for mail in hop.messages for address in mail['recipients'])
    is_(got, sorted(recipients), 'each recipient once')
    is_({mail['data'] for hop in mx.hops.values() for mail in hop.messages}, {b'Subject: x\r\n\r\nbody\r\n'}, 'all of it')
    ok(all(hop.most <= 5 for hop in mx.hops.values()), 'over at most 5 connections to a host')
    wait_for(lambda: mx.master.log.count(f' worker: delivered id={ident} ') == 300, 20, 'the log to have each')
    unlike(mx.master.log, rf' worker: (deferred|failed) id={ident} ', 'and no other outcome')
    unlike(mx.master.log, ' in doubt ', 'nothing is in doubt')
    like(str(mx.master.stop()), '^0$', 'it ends by itself')


run(each_its_own, hundreds)
