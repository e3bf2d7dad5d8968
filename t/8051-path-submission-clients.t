#!/usr/bin/python3
# 8051-path-submission-clients.t - clients of three TLS libraries submit by all mechanisms, and are refused as they should be
# SPDX-License-Identifier: MIT
# P13 S7
import base64
import re

from lib import submission
from lib.certificates import Certificates
from lib.clients import Home
from lib.edge import stored
from lib.fixture import is_, like, ok, run, unlike
from lib.submission import MESSAGE, curl, exim, gsasl, msmtp, nodemailer, s_client, smtplib, swaks, together

NAME, USER, PASSWORD = 'mail.example.org', 'ann@example.org', 'correct-horse-7'
LARGE = 'Subject: large\r\n\r\n' + ('.' * 70 + '\r\n' + '0123456789' * 7 + '\r\n') * 72000     # 10.4 MB, half of it dots
CONFIG = '''@process@
  edge: {instances: 2}
  worker: {instances: 0}
edge:
  starttls: &one
    {type: smtp, queue: q, listener: {port: @port:starttls@}, tls: {certfile: @good@, keyfile: @key@}, require_tls: yes,
    max_size: 20M, max_auth_failures: 50, rules: {lookup_credentials: {type: config, map: {"@user@": {password: "@stored@"}}}}}
  immediately: {<<: *one, listener: {port: @port:immediately@}, tls_immediately: yes}
  clear: {<<: *one, listener: {port: @port:clear@}, require_tls: no, auth_without_tls: yes}
  wrong: {<<: *one, listener: {port: @port:wrong@}, tls: {certfile: @wrong@, keyfile: @wrongkey@}}
  certified: {type: smtp, queue: q, listener: {port: @port:certified@}, max_size: 20M, require_tls: yes,
    tls: {certfile: @good@, keyfile: @key@, cert_reqs: required, ca_certs: @ca@}}
queue:
  q: {type: disk, envelope_dir: @dir@/mail, meta_dir: @dir@/meta, allow_volatile: yes, policies: [{type: add_received_header}]}
'''
MECHANISMS = {swaks: ['PLAIN', 'LOGIN'], curl: ['PLAIN', 'LOGIN'], msmtp: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'],
    smtplib: ['PLAIN', 'LOGIN'], nodemailer: ['PLAIN', 'LOGIN'], gsasl: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'], exim: ['PLAIN']}


class Server:
    """A slimta with all these edges, and ways to them by name."""

    def __init__(self, t):
        self.t, self.home = t, Home(t)
        self.certificates = Certificates(t, f'DNS:{NAME},DNS:localhost,IP:127.0.0.1')
        made = t.run('gsasl', '--mkpasswd', '--mechanism=SCRAM-SHA-256', '--iteration-count=4096', f'--password={PASSWORD}')
        text = CONFIG
        for name, value in zip(('good', 'key', 'wrong', 'wrongkey', 'ca', 'user', 'stored'), (*self.certificates.make('good'),
                *self.certificates.make('wrong'), self.certificates.ca, USER, made.stdout.decode().strip())):
            text = text.replace(f'@{name}@', value)
        self.master = t.master(text)

    def way(self, edge, tls='starttls', **other):
        return submission.Way(self.t.port(edge), tls, self.certificates.ca, NAME, USER, PASSWORD, **other)

    def mail(self):
        """What stands in the queue, by its first recipient."""
        return {envelope['recipients'][0]['address']: envelope for envelope in stored(self.t)}


def base64_of(text):
    return base64.b64encode(text.encode()).decode().rstrip('=')


def by_all_mechanisms(server):
    edge = {gsasl: ('clear', 'none')}       # it says STARTTLS before EHLO, and so nowhere
    jobs = [(client, server.way(*edge.get(client, ('starttls', 'starttls')), mechanism=mechanism),
        [f'{client.__name__}-{mechanism.lower()}@example.net'])
        for client, mechanisms in MECHANISMS.items() for mechanism in mechanisms]
    jobs += [(client, server.way('immediately', 'immediately', mechanism=mechanisms[-1]), [f'{client.__name__}-now@example.net'])
        for client, mechanisms in MECHANISMS.items() if client is not gsasl]
    ended = together(server.home, jobs)
    mail = server.mail()
    for (client, way, (recipient, *_)), done in zip(jobs, ended):
        what = f'{client.__name__}, {way.mechanism}, {way.tls}'
        if not is_(done.returncode, 0, f'{what}: it is content'):
            is_(done.stdout.decode(errors='replace'), '', 'what it said')
        if client is gsasl:
            like(done.stdout.decode(errors='replace'), '^235 2.7.0 ', f'{what}: it is let in')
        elif ok(recipient in mail, f'{what}: its mail is there'):
            is_authenticated(mail[recipient], what)


def is_authenticated(envelope, what):
    is_((envelope['client']['auth'], envelope['client']['protocol']), (USER, 'ESMTPSA'), f'{what}: the queue knows whose it is')
    content = envelope['content'].decode()
    like(re.sub(r'\r\n[ \t]', ' ', content), r'\AReceived: from .* with ESMTPSA \(TLSv1\.[23] [A-Z0-9_-]+\) id ',
        f'{what}: Received')
    is_(content.split('\r\n\r\n', 1)[1], MESSAGE.split('\r\n\r\n', 1)[1], f'{what}: octet for octet')


def wrong_password(server):
    clients = (swaks, curl, msmtp, smtplib, nodemailer)
    jobs = [(client, server.way('starttls', source=f'127.0.0.{number}').but(password='guess-12345'), ['never@example.net'])
        for number, client in enumerate(clients, 11)]
    way = server.way('clear', 'none', mechanism='SCRAM-SHA-256')
    jobs.append((gsasl, way.but(password='guess-12345'), ['never@example.net']))
    since = len(server.master.log)
    for (client, *_), done in zip(jobs, together(server.home, jobs)):
        ok(done.returncode != 0, f'{client.__name__} fails with a wrong password')
        like(done.stdout.decode(errors='replace'), '535', f'{client.__name__}: and says why')
    log = server.master.log
    unlike(log[since:], ' accepted ', 'nothing was taken')
    for password in ('guess-12345', PASSWORD):
        for secret in (password, base64_of(password), base64_of(f'\0{USER}\0{password}')):
            ok(secret not in log, 'no password is in the log, nor in base64')


def wrong_name(server):
    """A certificate for another name: whoever verifies goes no further."""
    jobs = [(client, server.way('wrong'), ['never@example.net']) for client in (curl, msmtp, smtplib, nodemailer, exim, s_client)]
    for (client, *_), done in zip(jobs, together(server.home, jobs)):
        ok(done.returncode != 0, f'{client.__name__} does not trust a certificate for another name')
    done, = together(server.home, [(curl, server.way('wrong').but(ca=None), ['trusting@example.net'])])
    is_(done.returncode, 0, 'one that verifies nothing does')


def certified(server):
    """By certificate, without a password; large mail, whole sessions in one piece, chunks, and addresses in UTF-8."""
    way = server.way('certified', certificate=server.certificates.make('client')).but(user=None)
    stranger = Certificates(server.t, name='stranger').make('client')
    jobs = [(client, way, [f'{client.__name__}-large@example.net']) for client in (curl, exim, s_client)]
    for (client, _, (recipient,)), done in zip(jobs, together(server.home, jobs, message=LARGE)):
        if not is_(done.returncode, 0, f'{client.__name__} sends 10 MB'):
            is_(done.stdout.decode(errors='replace')[-900:], '', 'what it said')
    mail = server.mail()
    for client in (curl, exim, s_client):
        content = mail.pop(f'{client.__name__}-large@example.net', {'content': b''})['content']
        ok(content.endswith(LARGE.split('\r\n\r\n', 1)[1].encode()), f'{client.__name__}: octet for octet')
    jobs = [(client, way.but(certificate=pair), ['never@example.net'])
        for client in (*MECHANISMS, s_client) if client is not gsasl for pair in (None, stranger)]
    jobs.append((smtplib, way, ['m\N{LATIN SMALL LETTER A WITH DIAERESIS}x@example.net']))
    for (client, used, (recipient,)), done in zip(jobs, together(server.home, jobs)):
        if used is way:
            is_(done.returncode, 0, f'{client.__name__} sends to {recipient}')
            is_(server.mail()[recipient]['client']['protocol'], 'UTF8SMTPS', 'by RFC 6531')
        else:
            ok(done.returncode != 0, f"{client.__name__} fails with {'a strange' if used.certificate else 'no'} certificate")


def submits(t):
    server = Server(t)
    by_all_mechanisms(server)
    wrong_password(server)
    wrong_name(server)
    certified(server)
    ok('never@example.net' not in server.mail(), 'nothing came of what was refused')
    unlike(server.master.log, r'(?m)^\S+ error |BUG', 'no fault of ours')
    is_(server.master.stop(), 0, 'it ends')


run(submits)
