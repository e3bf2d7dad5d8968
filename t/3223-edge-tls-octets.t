#!/usr/bin/python3
# 3223-edge-tls-octets.t - silence, pipelining and large messages within TLS
# SPDX-License-Identifier: MIT
import random

from lib.certificates import Certificates
from lib.edge import GROUP, MAIL, replies, secure, stored, with_tls
from lib.fixture import is_, like, ok, run


def silent(t):
    """Within TLS as in clear: 421 4.4.2 in time."""
    certificates = Certificates(t)
    t.edge(with_tls(certificates, ', command_timeout: 1, data_timeout: 1'))
    for start in b'', b'NOO', GROUP, GROUP + b'x\r\n.':
        with t.client('smtp') as c:
            c.hello()
            secure(c, certificates.client())
            c.send(start) if start else None
            while (reply := c.reply()).code in (250, 354):
                pass
            is_(reply.code, 421, f'{start[-10:]!r}, then silence')
            ok(c.at_end(), 'and the end')


def large(t):
    """Octet for octet, by DATA and BDAT, in records of any size."""
    certificates = Certificates(t)
    t.edge(with_tls(certificates))
    noise = random.Random(5)
    body = b''.join(b'%x\r\n' % noise.getrandbits(noise.randrange(8, 3000)) for _ in range(10000))
    with t.client('smtp') as c:
        c.hello()
        secure(c, certificates.client())
        c.cmd('EHLO c.example', 250)
        for by in 'DATA', 'BDAT':
            c.send(b'MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n' + (b'DATA\r\n' if by == 'DATA' else b'BDAT %d LAST\r\n' % len(body)))
            at = 0
            while at < len(body):
                size = noise.choice([1, 7, 100, 16384, 60000])
                c.send(body[at:at + size])
                at += size
            c.send(b'.\r\n' if by == 'DATA' else b'')
            for code in (250, 250, 354, 250) if by == 'DATA' else (250, 250, 250):
                c.expect(code)
    is_([message['content'] == body for message in stored(t)], [True, True], f'{len(body)} octets came as they were sent')


def pipelined(t):
    """A whole session in one record, in many, and with an end that is none of TLS."""
    certificates = Certificates(t)
    t.edge(with_tls(certificates))
    for step in len(MAIL), 1, 13:
        with t.client('smtp') as c:
            c.hello()
            secure(c, certificates.client())
            for at in range(0, len(MAIL), step):
                c.send(MAIL[at:at + step])
            is_(replies(c), [250, 250, 250, 354, 250, 221], f'{step} octets a record')
    with t.client('smtp') as c:
        c.hello()
        secure(c, certificates.client())
        c.send(MAIL[:-6])
        for code in 250, 250, 250, 354, 250:
            c.expect(code)
    is_(len(stored(t)), 4, 'each was taken')
    like(t.queuectl('show', stored(t)[0]['id']), r'protocol ESMTPS, TLS TLSv1\.3 \w+',
        'queuectl tells how one came')


run(silent, large, pipelined)
