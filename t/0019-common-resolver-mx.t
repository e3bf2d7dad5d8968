#!/usr/bin/python3
# 0019-common-resolver-mx.t - domains to the hosts that take their mail: what a real name server says, and one that lies
# SPDX-License-Identifier: MIT
# P10
import os
import struct

from lib.dns import A, MX, NXDOMAIN, SERVFAIL, Answer, DnsServer
from lib.fixture import BUILD, is_, ok, run
from lib.nsd import Nsd

RESOLVE = os.path.join(BUILD, 't/lib/resolve')
OFF, PERMISSIVE, ON = '0', '1', '2'
RECORDS = '''
one IN MX 10 host
order IN MX 30 c
order IN MX 10 a
order IN MX 20 b
order IN MX 0 first.elsewhere.example.
order IN MX 65535 last
equal IN MX 5 e1
equal IN MX 5 e2
equal IN MX 5 e3
equal IN MX 9 e4
host IN A 192.0.2.1
alias IN CNAME order
far IN CNAME one.elsewhere.example.
loop1 IN CNAME loop2
loop2 IN CNAME loop1
null IN MX 0 .
address IN MX 0 192.0.2.1.
text IN TXT "no mail here"
*.wild IN MX 7 host
''' + ''.join(f'many IN MX {n} host-{n}\n' for n in range(300, 0, -1))
NONE, FAILED = '550 5.1.2 No usable DNS records found: ', '451 4.4.3 DNS lookup failed: '


def ask(t, server, *names, timeout=8000, dnssec=OFF):
    """What came for each; a list where a name was asked for more often."""
    result = t.run(RESOLVE, server.address, dnssec, str(timeout), *names, timeout=60)
    is_(result.returncode, 0, f'resolve {" ".join(names)[:60]} ends by itself')
    found = {}
    for line in result.stdout.decode().splitlines():
        name, answer = line.removeprefix('mx:').split(': ', 1)
        found.setdefault(name, []).append(answer)
    return {name: answers if len(answers) > 1 else answers[0] for name, answers in found.items()}


def zones(t):
    nsd = Nsd(t, {'example': RECORDS, 'elsewhere.example': 'one IN MX 3 there', 'lost.example': None})
    found = ask(t, nsd, *(f'mx:{name}.example' for name in ('one', 'order', 'alias', 'far', 'loop1', 'null', 'address', 'text',
        'absent', 'lost', 'x.wild', 'many')), 'mx:localhost', 'mx:x.localhost')
    many = found.pop('many.example')
    is_(found, {'one.example': '10:host.example',
        'order.example': '0:first.elsewhere.example 10:a.example 20:b.example 30:c.example 65535:last.example',
        'alias.example': '0:first.elsewhere.example 10:a.example 20:b.example 30:c.example 65535:last.example',
        'far.example': '3:there.elsewhere.example', 'loop1.example': FAILED + 'loop1.example',
        'null.example': '556 5.1.10 The domain takes no mail: null.example', 'address.example': NONE + 'address.example',
        'text.example': '', 'absent.example': NONE + 'absent.example', 'lost.example': FAILED + 'lost.example',
        'x.wild.example': '7:host.example', 'localhost': '', 'x.localhost': ''}, 'what each domain has')
    is_(many, ' '.join(f'{n}:host-{n}.example' for n in range(1, 101)), 'of 300 the 100 best, which came by TCP')
    tries = ask(t, nsd, *['mx:equal.example', '+'] * 200)['equal.example']
    is_({line.split()[3] for line in tries}, {'9:e4.example'}, 'the last one is the last')
    for place in range(3):
        firsts = [line.split()[place] for line in tries]
        for n in 1, 2, 3:
            ok(30 < firsts.count(f'5:e{n}.example') < 110, f'equals are shuffled: {n} in place {place}')


def signed(t):
    records = '@ IN MX 5 mail\nmail IN A 192.0.2.1\nother IN TXT "x"'
    nsd = Nsd(t, {'example': 'plain IN MX 1 a', 'signed.example': records, 'bogus.example': records},
        signed=['signed.example'], tampered={'bogus.example': ('MX\t5 mail', 'MX\t5 evil')})
    anchors = [f'anchor:{nsd.anchor(name)}' for name in ('signed.example', 'bogus.example')]
    found = ask(t, nsd, *anchors, *(f'mx:{name}example' for name in ('plain.', 'signed.', 'other.signed.', 'no.signed.', 'bogus.')))
    is_(found, {'plain.example': '1:a.example', 'signed.example': '*5:mail.signed.example', 'other.signed.example': '*',
        'no.signed.example': f'*{NONE}no.signed.example', 'bogus.example': f'{FAILED}bogus.example'},
        'what is proved is known to be, what is wrong is not believed')
    is_(ask(t, nsd, 'mx:bogus.example'), {'bogus.example': '5:evil.bogus.example'}, 'without a key nothing is proved')
    is_(ask(t, nsd, 'mx:plain.example', dnssec=ON), {'plain.example': f'{FAILED}plain.example'}, 'on: it has to be')
    is_(ask(t, nsd, 'mx:plain.example', dnssec=PERMISSIVE), {'plain.example': '1:a.example'}, 'permissive: not')


def lies(t):
    """Answers that no name server would give."""
    def lie(name, kind):
        start = struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0)
        asked = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0' + struct.pack('>HH', kind, 1)
        record = start + asked + b'\xc0\x0c' + struct.pack('>HHI', kind, 1, 60)
        at = len(record) + 2 + 2 + 2     # of the name, behind the id, the length and the preference
        data = {'short': b'\0', 'empty': b'', 'noname': b'\0\1', 'cut': b'\0\1\5ab', 'self': b'\0\1' + struct.pack('>H', 0xc000 | at),
            'forward': b'\0\1' + struct.pack('>H', 0xc000 | at + 2) + b'\1a\0', 'behind': b'\0\1\1a\0more', 'far': b'\0\1\xff\xff',
            'label': b'\0\1\x7fa\0', 'long': b'\0\1' + (b'\x3f' + b'a' * 63) * 4 + b'\0'}
        word = name.split('.')[0]
        if word == 'length':
            return record + b'\xff\xff\0\1\1a\0'
        if word == 'spaced':
            return record + b'\0\7\0\1\3a b\0'
        return record + struct.pack('>H', len(data[word])) + data[word]
    server = DnsServer(lie)
    words = ['short', 'empty', 'noname', 'cut', 'self', 'forward', 'behind', 'far', 'label', 'long', 'length', 'spaced']
    found = ask(t, server, *(f'mx:{word}.example' for word in words), timeout=1500)
    is_(found.pop('spaced.example'), f'{NONE}spaced.example', 'no host has such a name')
    is_(found, {f'{word}.example': f'{FAILED}{word}.example' for word in words[:-1]}, 'a malformed answer is none')
    server.close()


def kept(t):
    """An answer is kept for its TTL, also that there is none; silence and SERVFAIL are not answers."""
    def answer(name, kind):
        if name == 'silent.example':
            return None
        if name == 'failed.example':
            return Answer(rcode=SERVFAIL)
        return Answer((MX, (10, 'mail.example'))) if name == 'kept.example' and kind == MX else Answer(rcode=NXDOMAIN)
    server = DnsServer(answer)
    found = ask(t, server, *['mx:kept.example', '+'] * 50, 'mx:silent.example', 'mx:failed.example', timeout=1500)
    is_(found, {'kept.example': ['10:mail.example'] * 50, 'silent.example': f'{FAILED}silent.example',
        'failed.example': f'{FAILED}failed.example'}, 'fifty times the same, and what nobody says')
    is_(server.asked.count(('kept.example', MX)), 1, 'asked for once')
    is_(server.asked.count(('kept.example', A)), 0, 'and for nothing else')
    server.close()


run(zones, signed, lies, kept)
