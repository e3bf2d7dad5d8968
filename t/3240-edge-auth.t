#!/usr/bin/python3
# 3240-edge-auth.t - AUTH at an edge: real clients, every mechanism, who is stored and logged
# SPDX-License-Identifier: MIT
# P13: an authzid other than the authcid is refused; who authenticated is kept by connection. S14: not before TLS.
import base64
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


def test(t):
    right(t)
    by_connection(t)
    before_tls(t)


run(test)
