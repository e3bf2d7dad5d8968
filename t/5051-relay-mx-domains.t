#!/usr/bin/python3
# 5051-relay-mx-domains.t - where the mail of a domain goes: every kind of domain that RFC 5321 5.1 knows, in real zones
# SPDX-License-Identifier: MIT
# P10
import subprocess

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mx import Mx
from lib.relay import queued, send

RECORDS = '''
one IN MX 10 h2
order IN MX 20 h3
order IN MX 10 h2
order IN MX 30 h4
implicit IN A 127.0.0.3
alias IN CNAME order
cname IN MX 10 nick
nick IN CNAME h4
both IN MX 10 six
six IN AAAA ::1
six IN A 127.0.0.2
null IN MX 0 .
text IN TXT "x"
far IN MX 5 mail.lost.example.
half IN MX 5 nowhere
half IN MX 6 mail.lost.example.
half IN MX 7 h3
gone IN MX 5 nowhere
numeric IN MX 5 127.0.0.2.
backup IN MX 10 us
backup IN MX 20 h2
equal IN MX 10 us
equal IN MX 10 h2
better IN MX 5 h2
better IN MX 10 us
better IN MX 20 h3
cut IN MX 5 h9
cut IN MX 10 us
cut IN MX 20 h3
us IN A 127.0.0.9
zero IN MX 5 any
any IN A 0.0.0.0
loop IN CNAME loop2
loop2 IN CNAME loop
xn--bcher-kva IN MX 10 h4
*.wild IN MX 10 h4
''' + ''.join(f'many IN MX {n} h{n}\n' for n in range(2, 60)) + ''.join(f'many IN MX {n} g{n}\n' for n in range(100, 400))
NONE, FAILED = '550 5.1.2 No usable DNS records found: ', '451 4.4.3 DNS lookup failed: '
TAKEN = '250 2.6.0 taken'


def taken_by(number, name=None):
    return 'delivered', f'{name or f"h{number}.example"}[127.0.0.{number}]', TAKEN


def loops(domain):
    return 'failed', '', f'554 5.4.6 Mail for {domain} loops back to this host'


WANTED = {
    'one.example': taken_by(2), 'ONE.Example': taken_by(2), 'order.example': taken_by(2), 'alias.example': taken_by(2),
    'implicit.example': taken_by(3, 'implicit.example'), 'cname.example': taken_by(4, 'nick.example'),
    'both.example': taken_by(2, 'six.example'), 'a.wild.example': taken_by(4), 'many.example': taken_by(2),
    'half.example': taken_by(3), 'better.example': taken_by(2), '[127.0.0.2]': taken_by(2, '[127.0.0.2]'),
    'null.example': ('failed', '', '556 5.1.10 The domain takes no mail: null.example'),
    'absent.example': ('failed', '', NONE + 'absent.example'), 'text.example': ('failed', '', NONE + 'text.example'),
    'gone.example': ('failed', '', NONE + 'gone.example'), 'numeric.example': ('failed', '', NONE + 'numeric.example'),
    '127.0.0.2': ('failed', '', NONE + '127.0.0.2'),
    'lost.example': ('deferred', '', FAILED + 'lost.example'), 'far.example': ('deferred', '', FAILED + 'mail.lost.example'),
    'loop.example': ('deferred', '', FAILED + 'loop.example'),
    'backup.example': loops('backup.example'), 'equal.example': loops('equal.example'), 'us.example': loops('us.example'),
    'zero.example': loops('zero.example'), 'localhost': loops('localhost'), '[0.0.0.0]': loops('[0.0.0.0]'),
}


def own_addresses():
    """Those of this machine beyond loopback."""
    listed = subprocess.run(['hostname', '-I'], capture_output=True, text=True, check=False).stdout.split()
    return [address for address in listed if ':' not in address]


def domains(t):
    own = own_addresses()[:1]
    mx = Mx(t, RECORDS + ''.join(f'mine IN MX 5 mine2\nmine2 IN A {address}\n' for address in own), zones={'lost.example': None})
    mx.start()
    wanted = dict(WANTED)
    if own:
        wanted['mine.example'] = loops('mine.example')
        wanted[f'[{own[0]}]'] = loops(f'[{own[0]}]')
    idents = {domain: send(t, f'a@{domain}') for domain in wanted}
    for domain, ident in idents.items():
        is_(mx.outcome(ident, f'a@{domain}'), wanted[domain], domain)
    waiting = sorted(ident for domain, ident in idents.items() if wanted[domain][0] == 'deferred')
    wait_for(lambda: queued(t) == waiting, 20, 'what waits to be there alone')
    is_(mx.taken(), {n: sum(where[1].endswith(f'.{n}]') for where in wanted.values()) for n in mx.hops}, 'nobody got more')
    before = mx.taken()
    is_(mx.outcome(send(t, 'a@cut.example'), 'a@cut.example'),
        ('deferred', 'h9.example[127.0.0.9]', '451 4.3.0 Connection failed: Connection refused'),
        'we are second: there is no other host than the first')
    is_(mx.taken(), before, 'and none was asked')
    ident = send(t, 'a@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example', parameters=' SMTPUTF8')
    is_(mx.outcome(ident, 'a@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example'), taken_by(4), 'a domain beyond ASCII')
    is_(mx.hops[4].messages[-1]['recipients'], ['a@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example'], 'as it was given')
    is_(mx.outcome(send(t, 'postmaster'), 'postmaster'), ('failed', '', '550 5.1.5 Recipient address has no domain: postmaster'),
        'a recipient without a domain')
    like(mx.outcome(send(t, 'a@[IPv6:::1]'), 'a@[IPv6:::1]')[1], r'^\[IPv6:::1\]\[::1\]$', 'an address of IPv6')
    unlike(mx.master.log, ' in doubt | error ', 'nothing is in doubt')
    is_(mx.master.stop(), 0, 'it ends by itself')
    ok(all(hop.now == 0 for hop in mx.hops.values()), 'and leaves no connection')


run(domains)
