#!/usr/bin/python3
# 5055-relay-mx-refuses.t - what an mx relay sends nowhere: addresses that are none, REQUIRETLS that nothing proves
# SPDX-License-Identifier: MIT
# P12
import os

from lib.dns import DnsServer
from lib.fixture import is_, run, unlike, wait_for
from lib.mx import Mx
from lib.put import put
from lib.relay import queued

DATA = b'Subject: x\r\n\r\nbody\r\n'
CANNOT = '553 5.1.3 Recipient address cannot be sent'
NONE = '550 5.1.2 No usable DNS records found: '
ADDRESSES = {
    'a@b c.example': CANNOT, 'a@..': CANNOT, 'a@': CANNOT, '@example': CANNOT, 'a@[192.0.2]': CANNOT, 'a@[x]': CANNOT,
    'a@b.example\r\nRCPT TO:<b@two.example>': CANNOT, 'a@b.example>\r\nDATA': CANNOT, 'a@b\x1b[2J.example': CANNOT,
    'a@' + 'x' * 64 + '.example': CANNOT, 'a@' + 'x.' * 200 + 'example': CANNOT, 'a@\\046example': CANNOT,
    'nobody': '550 5.1.5 Recipient address has no domain: nobody', '': '550 5.1.5 Recipient address has no domain: ',
    'no\r\nbody\x1b': r'550 5.1.5 Recipient address has no domain: no\r\nbody\x1B',
    'a@192.0.2.1': NONE + '192.0.2.1', 'a@\u2028.example': NONE, 'a@xn--\u00fc.example': NONE + 'xn--\u00fc.example',
}


def addresses(t):
    """As they may stand in a queue, though no edge lets them in; beside one that is good."""
    mx = Mx(t, 'two IN MX 5 h2\n')
    os.makedirs(t.path('env'))
    idents = {address: put(t, DATA, sender='', smtputf8=True, recipients=[{'address': address}, {'address': 'good@two.example'}])
        for address in ADDRESSES}
    mx.start()
    for address, ident in idents.items():
        found = mx.master.wait_log(rf' worker: failed id={ident} .* reply="((?:[^"\\]|\\.)*)"')[1]
        is_(found.replace('\\\\', '\\')[:len(ADDRESSES[address])], ADDRESSES[address], f'{address!r:.60}')
    wait_for(lambda: not queued(t), 20, 'an empty queue')
    is_([mail['recipients'] for mail in mx.hops[2].messages], [['good@two.example']] * len(ADDRESSES), 'the others got theirs')
    unlike('\n'.join(mx.hops[2].said), r'[\x00-\x09\x0b-\x1f]', 'nobody was told anything odd')
    unlike(mx.master.log, r'[\x00-\x08\x0b-\x1f\x7f]', 'nor does the log have it')
    mx.master.stop()


def require_tls(t):
    """RFC 8689 4.2.1: no MX record is believed that DNSSEC does not prove; the hosts here have no TLS."""
    mx = Mx(t, 'two IN MX 5 h2\nplain IN A 127.0.0.3\nfive IN MX 5 h5\n', hops=(2, 3, 4, 5))
    os.makedirs(t.path('env'))
    ident = put(t, DATA, requiretls=True, recipients=[{'address': f'a@{domain}.example'} for domain in ('two', 'plain', 'forced')])
    notice = put(t, DATA, sender='', requiretls=True, recipients=[{'address': 'a@five.example'}])
    mx.start(', force_mx: {forced.example: h4.example}')
    is_(mx.outcome(ident, 'a@two.example'), ('failed', '', '550 5.7.30 REQUIRETLS: DNSSEC does not prove the hosts of two.example'),
        'hosts that anybody may have named')
    for domain, host in ('plain', 'plain.example[127.0.0.3]'), ('forced', 'h4.example[127.0.0.4]'):
        event, where, reply = mx.outcome(ident, f'a@{domain}.example')
        is_((event, where, reply[:10]), ('failed', host, '550 5.7.30'), f'{domain}: the domain itself, or who was told, is asked')
    is_(mx.outcome(notice, 'a@five.example')[0], 'delivered', 'a notification is for whoever can be reached')
    is_(mx.taken(), {2: 0, 3: 0, 4: 0, 5: 1}, 'nobody got anything else in clear')
    is_(mx.hops[2].connections, 0, 'and who is not believed is not asked')
    mx.master.stop()


def nothing_to_ask(t):
    """No address that is none is looked up."""
    dns = DnsServer(lambda name, kind: None)
    mx = Mx(t, dns=dns)
    os.makedirs(t.path('env'))
    ident = put(t, DATA, sender='', smtputf8=True, recipients=[{'address': address} for address in ADDRESSES])
    mx.start()
    wait_for(lambda: not queued(t), 20, 'an empty queue')
    is_(dns.asked, [], 'nobody was asked')
    wait_for(lambda: mx.master.log.count(f' worker: failed id={ident} ') == len(ADDRESSES), 20, 'each to be logged')
    mx.master.stop()
    dns.close()


run(addresses, require_tls, nothing_to_ask)
