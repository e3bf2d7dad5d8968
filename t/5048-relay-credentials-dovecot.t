#!/usr/bin/python3
# 5048-relay-credentials-dovecot.t - credentials that Dovecot's submission server takes, or does not
# SPDX-License-Identifier: MIT
from lib.certificates import Certificates
from lib.dovecot import USERS, Dovecot
from lib.fixture import is_, like, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import config, queued, send

USER, PASSWORD = 'user3@example.net', USERS['user3@example.net']


def submission(t, mechanisms=None, tls=None):
    hop = NextHop(t)
    dovecot = Dovecot(t, relay_port=hop.port, tls=tls, start=False)
    if mechanisms:
        with open(dovecot.conf, encoding='utf-8') as conf:
            text = conf.read()
        t.write('dovecot/dovecot.conf', text.replace('plain login scram-sha-256', mechanisms))
    return hop, dovecot.start()


def relay(dovecot, password=PASSWORD, more='auth_without_tls: yes'):
    return config(f'type: static, host: 127.0.0.1, port: {dovecot.submission_port}, {more}, '
        f'credentials: {{username: "{USER}", password: "{password}"}}', delay=300, bounces=True)


def each_mechanism(t):
    for mechanisms, method in ((None, 'SCRAM-SHA-256'), ('login plain', 'PLAIN'), ('login', 'LOGIN')):
        hop, dovecot = submission(t, mechanisms)
        master = t.master(relay(dovecot))
        for _ in range(2):
            master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
        wait_for(lambda: len(hop.messages) == 2, what='the messages behind Dovecot')
        wait_for(lambda: 'Login: ' in dovecot.log, what='a login')
        like(dovecot.log, rf'Login: user=<{USER}>, method={method},', f'{mechanisms or "of all"}: by {method}')
        unlike(master.log, PASSWORD, 'the password is in no log')
        master.stop()
        dovecot.stop()


def wrong_password(t):
    for mechanisms in (None, 'plain', 'login'):
        hop, dovecot = submission(t, mechanisms)
        master = t.master(relay(dovecot, 'secret word'))
        ident = send(t, 'a@example.net')
        match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
        like(match[1], '^454 4.7.8 AUTH was refused: 535 5.7.8 ', 'what the server said, as something to wait for')
        is_(queued(t), [ident], 'the message waits')
        unlike(master.log, r' failed id=|relay=nothing', 'and nothing is returned')
        unlike(master.log, 'secret word', 'no secret is told')
        is_(hop.messages, [], 'nothing was sent')
        master.stop()
        dovecot.stop()
        t.run('rm', '-r', t.path('env'), t.path('meta'))


def in_tls(t):
    certificates = Certificates(t)
    hop, dovecot = submission(t, tls=certificates.make('good'))
    master = t.master(relay(dovecot, more=f'tls: {{cert_reqs: required, ca_certs: {certificates.ca}}}'))
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    wait_for(lambda: hop.messages, what='the message behind Dovecot')
    like(dovecot.log, rf'Login: user=<{USER}>, method=SCRAM-SHA-256, .* TLS', 'the login was in TLS')
    master.stop()
    dovecot.stop()


def not_in_clear(t):
    hop, dovecot = submission(t, 'plain')
    master = t.master(relay(dovecot, more='tls: {}'))
    ident = send(t, 'a@example.net')
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
    like(match[1], r'^451 4\.7\.', 'a server without TLS is told nothing')
    master.stop()
    unlike(dovecot.log, 'Login: ', 'nobody logged in')
    is_(hop.messages, [], 'nothing was sent')


run(each_mechanism, wrong_password, in_tls, not_in_clear)
