#!/usr/bin/python3
# 0022-message-bounce-host.t - notifications name host, address and TLS, and return no more than REQUIRETLS allows
# SPDX-License-Identifier: MIT
from lib.bounce import make, one, result
from lib.fixture import is_, like, plan, unlike

HERE = dict(host='mail.d.example[192.0.2.7]', tls='TLSv1.3')
TWO = {'recipients': [{'address': f'r{i}@d.example'} for i in range(2)]}

like(one().text(), r'No such user\r\n\r\nThe host was mail\.d\.example\.\r\nThe message was', 'who said it')
like(one(results=[result(**HERE)]).text(),
    r'The host was mail\.d\.example \(192\.0\.2\.7\), over TLSv1\.3\.\r\n', 'with address and TLS')
like(one(envelope=TWO, results=[result(**HERE), result(index=1, **HERE)]).text(),
    r'The host was mail\.d', 'where it said it of all')
unlike(one(envelope=TWO, results=[result(**HERE), result(index=1)]).text(), 'The host was', 'and not of some')
unlike(one(results=[result(host='', tls='TLSv1.3')]).text(), 'The host was|TLS', 'nor where it was none')
like(one(results=[result(tls='x\r\ny')]).text(), r'over x  y\.', 'what comes from elsewhere is cleaned')

# ---- RFC 8689 5
for what, envelope, kind in (
        ('a message', {}, 'message/rfc822'),
        ('one with REQUIRETLS', {'requiretls': True}, 'text/rfc822-headers'),
        ('whatever RET says', {'requiretls': True, 'ret': 'FULL'}, 'text/rfc822-headers')):
    (made,) = make(envelope=envelope)
    is_(made.parts[2][0], kind, f'{what}: what comes back')
    is_(bool(made.envelope.get('requiretls')), bool(envelope), f'{what}: how it is to go')
plan()
