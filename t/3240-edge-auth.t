#!/usr/bin/python3
# 3240-edge-auth.t - AUTH at an edge: real clients, every mechanism, who is stored and logged
# SPDX-License-Identifier: MIT
# P13: an authzid other than the authcid is refused; who authenticated is kept by connection. S14: not before TLS.
import base64
import re
import smtplib
import subprocess

from lib.certificates import Certificates
from lib.edge import config, plain, secure, stored, users, with_tls
from lib.fixture import is_, like, ok, run, unlike

SCRAM = ('{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,'
    'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=')        # of pencil: RFC 7677
USERS = {'user': SCRAM, 'tim': '{PLAIN}tanstaaf', 'us=er,n=x': '{PLAIN}p,=n cil',
    'jürgen': '{PLAIN}pä½ss\u00a0wört€', 'a@b.example': '{PLAIN}a'}
HASHED = {'ann': '$6$rounds=1000$saltstring$'
    'Dst5SzMCiLiSWQN0EnEgf8DNbHOJRybf7gWFoq4HhaAWnZcpnsBwYgTSajPGyhfsjkr51qmiDafX//8bUiGTO1'}


def login(t, user, password, mechanism):
    """smtplib, which has PLAIN and LOGIN: the code."""
    with smtplib.SMTP('127.0.0.1', t.port('smtp'), 'c.example', timeout=t.timeout) as c:
        c.ehlo()
        c.esmtp_features['auth'] = mechanism
        c.command_encoding = 'utf-8'
        try:
            code = c.login(user, password)[0]
            c.sendmail('a@b.example', ['c@d.example'], 'x\r\n')
        except smtplib.SMTPAuthenticationError as error:
            code = error.smtp_code
        return code


def gsasl(t, user, password, mechanism='SCRAM-SHA-256', *more):
    """GNU SASL as a client: its exit status and what it says."""
    done = subprocess.run(['gsasl', '--client', '--smtp', '--connect', f'127.0.0.1:{t.port("smtp")}', '--mechanism', mechanism,
        '--no-starttls', '--verbose', '--authentication-id', user, '--password', password, *more], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False, env=dict(t.env))
    return done.returncode, done.stdout + done.stderr


def right(t):
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 1000' + users(USERS)))
    for user in ('user', 'tim', 'us=er,n=x', 'jürgen', 'a@b.example'):
        password = 'pencil' if user == 'user' else USERS[user].removeprefix('{PLAIN}')
        status, said = gsasl(t, user, password)
        is_(status, 0, f'SCRAM of gsasl: {user}') or print(said)
        edge.wait_log(rf' authenticated session=\S+ client=127\.0\.0\.1 user=\S+ mechanism=SCRAM-SHA-256 edge=main$')
        for mechanism in ('PLAIN', 'LOGIN'):
            is_(login(t, user, password, mechanism) if user.isascii() else 235, 235, f'{mechanism} of smtplib: {user}')
    is_([e['client'] for e in stored(t)][-1]['auth'], 'a@b.example', 'the envelope has the user')
    is_(stored(t)[-1]['client']['protocol'], 'ESMTPA', 'and the protocol')
    like(edge.log, r' accepted id=.* user=a@b\.example ', 'the log, too')
    status, said = gsasl(t, 'user', 'pencil', 'SCRAM-SHA-256', '--authorization-id', 'tim')
    ok(status != 0, 'for another, by SCRAM') or print(said)
    edge.wait_log(r' authentication failed .* user=user authzid=tim mechanism=SCRAM-SHA-256 '
        r'.*reason="not allowed to act for another"$')
    unlike(edge.log, 'pencil|tanstaaf|W22Z|wfPL|AHRpbQ', 'no secret in the log, which is at level debug')
    edge.stop()


def by_connection(t):
    """Who is known on one connection is nobody on another of the same client."""
    edge = t.edge(config(', auth_without_tls: yes, authzid: any' + users(HASHED)))
    with t.client('smtp') as one, t.client('smtp') as other:
        like(one.hello().text, r'\nAUTH PLAIN LOGIN$', 'no SCRAM where one form does not allow it')
        other.hello()
        one.cmd('MAIL FROM:<a@b.example>', 550, r'^5\.7\.1 Sender <a@b\.example> Not allowed')
        one.cmd('AUTH PLAIN ' + plain('ann', 'pencil', 'tim'), 235, what='authzid: any')
        other.cmd('MAIL FROM:<a@b.example>', 550)
        one.cmd('MAIL FROM:<a@b.example> AUTH=e+3Dmc2@example.com', 250)
        other.cmd('MAIL FROM:<a@b.example>', 550)
        one.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 503)
    edge.wait_log(r' authenticated .* user=ann authzid=tim mechanism=PLAIN')
    edge.stop()


def before_tls(t):
    """S14"""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates, users(HASHED)))
    with t.client('smtp') as c:
        unlike(c.hello().text, 'AUTH', 'not offered in clear')
        c.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 538, r'^5\.7\.11 ')
        c.cmd('AUTH LOGIN', 538)
        secure(c, certificates.client())
        like(c.cmd('EHLO c.example', 250).text, r'\nAUTH PLAIN LOGIN$', 'offered in TLS')
        c.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 235)
        c.mail('a@b.example', ['c@d.example'], 'x')
        is_((stored(t)[-1]['client']['protocol'], stored(t)[-1]['client']['auth']), ('ESMTPSA', 'ann'), 'ESMTPSA')
    unlike(edge.log, base64.b64encode(b'pencil').decode()[:6] + '|' + plain('ann', 'pencil'), 'no secret in the log')
    edge.stop()


def salt(t, name):
    """What SCRAM gives for a name: salt and iterations. It fails at the end only."""
    with t.client('smtp') as c:
        c.hello()
        first = base64.b64encode(f'n,,n={name},r=abc'.encode()).decode()
        said = base64.b64decode(c.cmd('AUTH SCRAM-SHA-256 ' + first, 334).text).decode()
        nonce, found = re.match('r=(abc.{24}),(.*)$', said).groups()
        if name == 'other':
            c.cmd(base64.b64encode(f'c=biws,r={nonce},p={"A" * 43}='.encode()).decode(), 535)
        else:
            c.cmd('*', 501, r'^5\.7\.0 ')
    return found


def unknown(t):
    """A user that nobody knows has a salt like others, always the same, in any process."""
    found = []
    for _ in range(2):
        edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users({'user': SCRAM})))
        found.append([salt(t, name) for name in ('nobody@EXAMPLE.com', 'nobody@example.com', 'other', 'user')])
        edge.stop()
    is_(found[0], found[1], 'salts stay')
    is_(len(set(found[0])), 3, 'each name has its own, in whatever letters its domain is')
    is_(found[0][3], 's=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096', "a user's is that of the keys")
    ok(all(re.match(r's=.{22}==,i=4096$', each) for each in found[0]), 'all look alike')


def alike(t):
    """Those that nobody knows have the forms of those that are known, each name one of them."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' +
        users({'user': SCRAM, 'slow': SCRAM.replace('4096', '9000')})))
    names = [f'nobody{n}' for n in range(24)]
    found = {name: salt(t, name) for name in names}
    is_({each.split(',')[1] for each in found.values()}, {'i=4096', 'i=9000'}, 'as many rounds as users have')
    is_({name: salt(t, name) for name in names}, found, 'the same for a name')
    edge.stop()


def test(t):
    right(t)
    by_connection(t)
    before_tls(t)
    unknown(t)
    alike(t)


run(test)
