#!/usr/bin/python3
# 5049-relay-credentials-hostile.t - credentials before servers that lie, stop short or ask for too much: mail waits, none is lost
# SPDX-License-Identifier: MIT
# P12
import base64

from lib import next_hop_auth
from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, RESET, SILENCE, NextHop
from lib.relay import config, queued, send

USERS = {'relay7': 'geh=eim, \xe4\u20ac'}
SECRETS = (USERS['relay7'], base64.b64encode(b'\0relay7\0' + USERS['relay7'].encode()).decode(),
    base64.b64encode(USERS['relay7'].encode()).decode())
PLAIN = ('PLAIN',)


def relay(t, hop, more='auth_without_tls: yes', kind='static', delay=300):
    t.write('password', USERS['relay7'] + '\n')
    return t.master(config(f'type: {kind}, host: 127.0.0.1, port: {hop.port}, command_timeout: 3, {more}, '
        'credentials: {username: relay7, password_file: password}', delay=delay, bounces=True))


def waits(t, hop, pattern, what, more='auth_without_tls: yes', secret=True):
    master = relay(t, hop, more)
    ident = send(t, 'a@example.net')
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
    like(match[1], pattern, what)
    is_(queued(t), [ident], 'the message waits')
    is_(hop.messages, [], 'and was not sent')
    unlike(master.log, r' failed id=', 'nothing failed')
    ok(not any(word in master.log for word in SECRETS), 'no secret is told')
    if not secret:
        ok(not any(line.startswith('AUTH') or word in line for line in hop.said for word in SECRETS), 'nor said to the server')
    master.stop()
    t.run('rm', '-r', t.path('env'), t.path('meta'))


def best_of_all(t):
    for kind in ('static', 'lmtp'):
        for mechanisms, best in ((('LOGIN', 'PLAIN', 'SCRAM-SHA-256'), 'SCRAM-SHA-256'), (('CRAM-MD5', 'LOGIN', 'PLAIN'), 'PLAIN'),
                (('XOAUTH2', 'LOGIN'), 'LOGIN')):
            hop = NextHop(t, credentials=USERS, mechanisms=mechanisms, lmtp=kind == 'lmtp')
            master = relay(t, hop, kind=kind)
            for _ in range(2):
                master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
            is_(hop.auths, [(best, 'relay7', True, None)], f'{kind}: {best}, once for a connection')
            is_([m['user'] for m in hop.messages], ['relay7'] * 2, 'and before the mail')
            master.stop()


def never_in_clear(t):
    certificates = Certificates(t)
    server = lambda **more: NextHop(t, credentials=USERS, tls=certificates.server(), **more)
    for mechanisms in (PLAIN, ('LOGIN',), ('SCRAM-SHA-256',)):
        hop = server(mechanisms=mechanisms)
        master = relay(t, hop, 'tls: {}')
        master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
        ok(hop.auths[0][3], f'{mechanisms[0]} in TLS')
        is_(hop.wrong, [], 'and not before')
        master.stop()
    waits(t, NextHop(t, credentials=USERS), r'^451 4\.7\.', 'no TLS there', 'tls: {}', False)
    waits(t, server(at={'STARTTLS': '454 4.7.0 not now'}, auth_in_clear=True), r'^45\d 4\.7\.', 'TLS refused', 'tls: {}', False)
    waits(t, server(at={'handshake': CLOSE}, auth_in_clear=True), r'^451 4\.7\.', 'TLS failed', 'tls: {}', False)
    hop = server(at={'handshake': CLOSE}, auth_in_clear=True)
    master = relay(t, hop, 'tls: {}, auth_without_tls: yes')
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    is_([auth[3] for auth in hop.auths], [None], 'in clear where that was allowed')


def no_mechanism(t):
    waits(t, NextHop(t, credentials=USERS, mechanisms=('CRAM-MD5', 'GSSAPI')), r'^454 4\.7\.0 .*no mechanism', 'none that is known',
        secret=False)
    waits(t, NextHop(t), r'^454 4\.7\.0 .*not offer AUTH', 'no AUTH at all', secret=False)


def replies(t):
    for step, what, pattern in (
            ('AUTH', '535 5.7.8 no such user', r'^454 4\.7\.8 AUTH was refused: 535'), ('AUTH', '454 4.7.0 later', r'^454 4\.7\.0 '),
            ('AUTH', '421 4.3.2 down', r'^421 '), ('AUTH', CLOSE, r'^45\d 4\.4\.2 '), ('AUTH', RESET, r'^45\d 4\.4\.2 '),
            ('AUTH', SILENCE, r'^421 4\.4\.2 '), ('AUTH', '250 2.0.0 ok', r'^45\d 4\.\d\.\d '), ('AUTH', 'what', r'^451 4\.5\.0 '),
            ('AUTH', '334 !!!', r'^45\d 4\.\d\.\d .*(broken off|refused)'), ('AUTH', '334 ' + 'A' * 1900, r'^45\d 4\.'),
            ('AUTH', '334 ' + 'A' * 5000, r'^451 4\.5\.0 '), ('AUTH', '334', r'^45\d 4\.')):
        for mechanisms in (PLAIN, ('SCRAM-SHA-256',)):
            hop = NextHop(t, {step: what}, credentials=USERS, mechanisms=mechanisms)
            waits(t, hop, pattern, f'{mechanisms[0]}: {str(what)[:20]} to {step}')


def early_success(t):
    hop = NextHop(t, {'AUTH': '235 2.7.0 welcome'}, credentials=USERS, mechanisms=('SCRAM-SHA-256',))
    waits(t, hop, r'^454 4\.7\.0 .*proved', 'a server that does not prove that it knows the password')


def bad_scram(t):
    scram = next_hop_auth.scram
    for name, value, pattern in (('iterations', 99999999, 'iterations'), ('iterations', 0, 'iterations'),
            ('nonce', staticmethod(lambda client: 'other' + client), 'nonce'), ('nonce', staticmethod(lambda client: client), 'nonce'),
            ('verifier', staticmethod(lambda signature: 'v=' + base64.b64encode(signature[::-1]).decode()), 'does not know'),
            ('verifier', staticmethod(lambda signature: 'e=other-error'), 'other-error')):
        old = scram.__dict__.get(name, type(scram).__dict__[name])
        setattr(scram, name, getattr(value, '__func__', value))
        waits(t, NextHop(t, credentials=USERS), rf'^454 4\.7\.0 .*{pattern}', f'{name}: {pattern}')
        setattr(scram, name, getattr(old, '__func__', old))


def many_iterations(t):
    next_hop_auth.scram.iterations = 100000
    hop = NextHop(t, credentials=USERS)
    master = relay(t, hop, 'auth_without_tls: yes, idle_timeout: 0')
    for _ in range(3):
        master.wait_log(rf' delivered id={send(t, "a@example.net")} ', timeout=60)
    is_([auth[:3] for auth in hop.auths], [('SCRAM-SHA-256', 'relay7', True)] * len(hop.auths), 'many iterations are made')
    next_hop_auth.scram.iterations = 4096


def later(t):
    """The mistake is mended: what waited goes."""
    users = {'relay7': 'another'}
    hop = NextHop(t, credentials=users)
    master = relay(t, hop, delay=1)
    ident = send(t, 'a@example.net')
    master.wait_log(rf' deferred id={ident} ')
    users.update(USERS)
    master.wait_log(rf' delivered id={ident} ', timeout=60)
    wait_for(lambda: not queued(t), what='an empty queue')


run(best_of_all, never_in_clear, no_mechanism, replies, early_success, bad_scram, many_iterations, later)
