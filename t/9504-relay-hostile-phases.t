#!/usr/bin/python3
# 9504-relay-hostile-phases.t - what a next hop can do wrong in STARTTLS, within TLS, in AUTH, chunks and LMTP
# SPDX-License-Identifier: MIT
# P12 P23 P24
# As t/5028 has it for plain SMTP: a message waits behind the one that suffers, and has to go on at once; none is lost or
# returned wrongly.
from lib.certificates import Certificates
from lib.fixture import run
from lib.lanes import AGAIN, EXTENSIONS, TAKEN, Kind, Row, run_rows
from lib.next_hop import CLOSE, RESET, SILENCE, Raw

LOST = '451 4.4.2 Connection lost: .*'
DOWN = '421 4.3.2 down'
LATER = '4[25][14] .*'              # whatever the words, never for good
GOOD = {'MAIL': '250', 'RCPT': '250', 'DATA': '354', '.': '250'}
JUNK = {'nonsense': b'SSH-2.0-OpenSSH_9\r\n', 'mixed codes': b'250-a\r\n550 b\r\n', 'a code that is none': b'199 early\r\n',
    'an empty line': b'\r\n', 'octets': bytes(range(256)) * 9 + b'\r\n', 'a line of 1 MB': b'250 ' + b'x' * 1000000 + b'\r\n',
    'endless lines': b'250-x\r\n' * 100000}
OCTETS = 9000000                    # more than is on its way before a reply is read


def say(text, then=SILENCE):
    """These octets and no others, then nothing, or the end."""
    def what(lane, peer):
        peer.send(text)
        if then is SILENCE:
            lane.over.wait(60)
            return CLOSE
        return then
    return what


def ends():
    yield '421', say(b'421 4.3.2 down\r\n'), DOWN
    yield '421, end', say(b'421 4.3.2 down\r\n', CLOSE), DOWN
    yield 'end', CLOSE, LOST
    yield 'reset', RESET, LOST
    yield 'end within a line', say(b'25', CLOSE), LOST


def greeting(*steps):
    """Before a connection can take mail: nothing but later."""
    for step in steps:
        for name, what, wanted in ends():
            yield Row(step, name, what, LATER if step in ('handshake', 'tls EHLO') else wanted)
        for name, octets in JUNK.items():
            if step != 'handshake' or len(octets) > 5:      # less is no record of TLS yet
                yield Row(step, name, say(octets), LATER)


def transaction(steps, code='451 4.5.0 Invalid reply to .*', **more):
    for step in steps:
        for name, what, wanted in ends():
            doubt = step == '.' and wanted == LOST
            yield Row(step, name, what, LOST if doubt else AGAIN, doubt=doubt, lead=[None] * (step == 'RCPT'), **more)
        for name, octets in JUNK.items():
            yield Row(step, name, say(octets), code, doubt=step == '.', lead=[None] * (step == 'RCPT'), **more)


def in_tls(t):
    kind = Kind(options=', tls: {}, require_tls: true', tls=Certificates(t).server('self-signed'))
    rows = [*greeting('STARTTLS', 'handshake', 'tls EHLO'), *transaction([f'tls {step}' for step in ('MAIL', 'RCPT', 'DATA')]),
        *(Row('STARTTLS', said, said, '451 4.7.5 .*') for said in ('454 4.7.0 no', '501 550 no', '502 5.5.1 what')),
        Row('STARTTLS', 'and more in clear', '220 go\r\n250-injected\r\n250 AUTH', TAKEN, 1),
        *(Row('handshake', f'{octets[:9]}', say(octets, CLOSE), LATER) for octets in (b'\x15\x03\x01\0\2\2\x28', b'\x16\x03\x03\xff\xff' + b'x' * 70000,
            b'\0' * 100000)),
        *(Row('tls .', name, what, LOST if wanted == LOST else AGAIN, doubt=wanted == LOST) for name, what, wanted in ends())]
    run_rows(t, rows, 'data_timeout: 30', kind=kind)


def in_auth(t):
    kind = Kind(options=', credentials: {username: us, password: secret}, auth_without_tls: true', credentials={'us': 'secret'},
        mechanisms=('SCRAM-SHA-256',))
    rows = [*greeting('AUTH', 'auth', 'authenticated'),
        *(Row(step, said, said, LATER) for step in ('AUTH', 'authenticated') for said in ('535 5.7.8 no', '550 no', '454 4.7.0 later'))]
    run_rows(t, rows, 'data_timeout: 30', kind=kind)


def in_chunks(t):
    kind = Kind(extensions=(('CHUNKING', *EXTENSIONS[0]), ('CHUNKING',)))
    rows = [*transaction(['MAIL', 'RCPT', '.']), *transaction(['BDAT'], '451 4.5.0 .*', octets=OCTETS),
        *(Row('chunk', name, what, AGAIN, octets=OCTETS) for name, what, _ in ends() if name != 'end within a line'),
        *(Row(step, said, said, reply, 1, octets=OCTETS) for step in ('BDAT', '.') for said, reply in (
            ('552 5.3.4 large', '552 5.3.4 large'), ('452 4.3.1 full', '452 4.3.1 full'), ('450 550 no', '450 4.0.0 550 no'))),
        *(Row('BDAT', said, said, '451 4.5.0 .*', octets=OCTETS) for said in ('354 go', '250 ok\r\n250 more\r\n250 yet more')),
        Row('connect', 'a host that is left alone', DOWN, DOWN)]
    run_rows(t, rows, 'data_timeout: 30', kind=kind)


def in_lmtp(t):
    kind = Kind('lmtp', lmtp=True)
    rows = [*greeting('connect', 'LHLO'), *transaction(['MAIL', 'RCPT', 'DATA'])]
    rows += [Row('LHLO', said, said, said[0] + '.. .*') for said in ('450 550 no', '550 450 later')]
    for lead in range(3):
        rest = 'abc'[lead:]
        for name, what, wanted in ends():
            doubt = rest if wanted == LOST else rest[1:]
            rows.append(Row('.', f'{name}, reply {lead + 1}', what, dict.fromkeys(rest, '4[25]1 .*') if doubt else AGAIN, doubt=doubt,
                lead=[None] * lead, taken=None if doubt else 3))
        rows += [Row('.', f'{name}, reply {lead + 1}', say(octets), dict.fromkeys(rest, '451 4.5.0 .*'), doubt=rest, lead=[None] * lead)
            for name, octets in JUNK.items()]
        rows += [Row('.', f'{said}, reply {lead + 1}', said, {rest[0]: f'{said[:3]} .*'}, 1, lead=[None] * lead)
            for said in ('552 5.2.2 full', '452 4.2.2 550 full', '550')]
    run_rows(t, rows, 'data_timeout: 30', kind=kind)


run(in_chunks, in_lmtp, in_tls, in_auth, timeout=300)
