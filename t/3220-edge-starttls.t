#!/usr/bin/python3
# 3220-edge-starttls.t - TLS by STARTTLS or at once: what is offered, stored and traced; TLS that is required
# SPDX-License-Identifier: MIT
import re
import smtplib
import ssl
import subprocess

from lib.certificates import Certificates
from lib.edge import config, secure, stored, with_tls
from lib.fixture import is_, like, ok, run

CLEAR = ['SIZE 10485760', '8BITMIME', 'PIPELINING', 'ENHANCEDSTATUSCODES', 'SMTPUTF8', 'DSN', 'CHUNKING', 'LIMITS RCPTMAX=1000']
LACKS = r'^5\.7\.0 Must issue a STARTTLS command first$'


def words(reply):
    return reply.text.split('\n')[1:]


def traced(t):
    """Of the last message stored: its protocol, its TLS, and what Received says of them."""
    last = stored(t)[-1]
    received = re.search(r'with (.*?) id ', re.sub(r'\r\n\t', ' ', last['content'].decode()))
    return last['client']['protocol'], last['client'].get('tls'), received and received[1]


def offered(t):
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates, queue=', policies: [{type: add_received_header}]'))
    for version, name in (ssl.TLSVersion.TLSv1_3, 'TLSv1.3'), (ssl.TLSVersion.TLSv1_2, 'TLSv1.2'):
        with t.client('smtp') as c:
            is_(words(c.hello()), [*CLEAR, 'STARTTLS'], 'in clear')
            c.mail('a@b.example', ['c@d.example'], 'x')
            is_(traced(t), ('ESMTP', None, 'ESMTP'), 'a message in clear')
            c.cmd('MAIL FROM:<a@b.example> REQUIRETLS', 555)
            secure(c, certificates.client(version))
            tls = f'{name} {c.sock.cipher()[0]}'
            c.cmd('MAIL FROM:<a@b.example>', 503, what='EHLO is due again')
            is_(words(c.cmd('EHLO again.example', 250)), [*CLEAR, 'REQUIRETLS'], 'within TLS')
            c.mail('a@b.example', ['c@d.example'], 'x')
            is_(traced(t), ('ESMTPS', tls, f'ESMTPS ({tls})'), f'a message within {name}')
            is_(stored(t)[-1]['client']['name'], 'again.example', 'from whom EHLO said the last time')
            ok('requiretls' not in stored(t)[-1], 'that does not require it on its way')
            c.mail('a@b.example', ['c@d.example'], 'x', ' REQUIRETLS SMTPUTF8')
            is_(traced(t)[::2], ('UTF8SMTPS', f'UTF8SMTPS ({tls})'), 'one in UTF-8')
            is_(stored(t)[-1].get('requiretls'), True, 'that does require it')
            c.cmd('STARTTLS', 503)
            c.cmd('HELO client.example', 250)
            c.mail('a@b.example', ['c@d.example'], 'x')
            is_(traced(t), ('SMTP', tls, f'SMTP ({tls})'), 'one behind HELO')
            c.cmd('QUIT', 221)
        edge.wait_log(rf' encrypted session=\S+ client=127\.0\.0\.1 version={name} cipher={tls.split()[1]} resumed=no$')


def refused(t):
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    with t.client('smtp') as c:
        c.expect(220)
        c.cmd('STARTTLS', 503)
        c.cmd('HELO c.example', 250)
        c.cmd('STARTTLS', 503)
        c.cmd('EHLO c.example', 250)
        c.cmd('STARTTLS now', 501, r'^5\.5\.4 ')
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('STARTTLS', 503)
        c.cmd('RSET', 250)
        secure(c, certificates.client())
        c.cmd('QUIT', 221)
    for text in with_tls(certificates, ', disable_extensions: [STARTTLS, requiretls]'), config():
        edge.stop()
        edge = t.edge(text)
        with t.client('smtp') as c:
            is_(words(c.hello()), CLEAR, 'what is disabled, or not there, is not offered')
            c.cmd('STARTTLS', 502)


def named(t):
    """The certificate that a client asks for."""
    certificates = Certificates(t)
    certificate, key = certificates.make('wrong')
    t.edge(with_tls(certificates).replace('tls: {', f'tls: {{certs: [{{certfile: {certificate}, keyfile: {key}}}], '))
    for name, subject in ('localhost', 'good'), ('wrong.example', 'wrong'):
        with t.client('smtp') as c:
            c.hello()
            c.cmd('STARTTLS', 220)
            c.sock = certificates.client().wrap_socket(c.sock, server_hostname=name)
            is_(c.sock.getpeercert()['subject'][0][0][1], subject, f'one for {name}')


def immediately(t):
    certificates = Certificates(t)
    t.edge(with_tls(certificates, ', tls_immediately: yes, require_tls: yes', queue=', policies: [{type: add_received_header}]'))
    with t.client('smtp') as c:
        secure(c, certificates.client(), starttls=False)
        is_(words(c.hello()), [*CLEAR, 'REQUIRETLS'], 'there is no STARTTLS within TLS')
        c.mail('a@b.example', ['c@d.example'], 'x')
        protocol, tls, received = traced(t)
        is_((protocol, received), ('ESMTPS', f'ESMTPS ({tls})'), 'a message')
        c.cmd('STARTTLS', 503)


def required(t):
    certificates = Certificates(t)
    t.edge(with_tls(certificates, ', require_tls: yes'))
    with t.client('smtp') as c:
        c.hello()
        for line in 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA', 'VRFY a':
            c.cmd(line, 530, LACKS)
        c.send(b'BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nNOOP\r\nRSET\r\n')
        for code in 530, 530, 530, 530, 250, 250:
            c.expect(code, what='the octets of a chunk are no commands, and what was pipelined is refused')
        secure(c, certificates.client())
        c.cmd('EHLO c.example', 250)
        c.mail('a@b.example', ['c@d.example'], 'x')
    is_([message['client']['protocol'] for message in stored(t)], ['ESMTPS'], 'one message is stored')


def clients(t):
    """smtplib and openssl agree with what we say of TLS."""
    certificates = Certificates(t)
    t.edge(with_tls(certificates, ', require_tls: yes'))
    with smtplib.SMTP('localhost', t.port('smtp'), timeout=t.timeout) as client:
        client.starttls(context=certificates.client())
        client.sendmail('a@b.example', ['c@d.example'], 'Subject: x\r\n\r\nbody\r\n')
    is_([message['client']['protocol'] for message in stored(t)], ['ESMTPS'], 'what smtplib sent')
    done = subprocess.run(['openssl', 's_client', '-starttls', 'smtp', '-connect', f'127.0.0.1:{t.port("smtp")}', '-CAfile',
        certificates.ca, '-verify_return_error', '-crlf', '-quiet'], input=b'EHLO c.example\nQUIT\n', capture_output=True,
        timeout=t.timeout, check=False)
    like(done.stdout.decode(), r'^250 REQUIRETLS\r?\n221 2\.0\.0 Bye', 'what openssl was told')


def mistakes(t):
    """Keys that mean nothing without another one."""
    certificates = Certificates(t)
    for key in 'tls_immediately', 'require_tls':
        conf = t.config(config(f', {key}: yes'))
        done = t.run('slimta-master', '-c', conf, '--check', '--allow-root')
        is_(done.returncode, 1, f'{key} without tls is an error')
        like(done.stderr.decode(), rf'slimta\.conf:\d+:\d+: .*{key}.*expected tls', 'that says so')
    conf = t.config(with_tls(certificates, ', require_tls: yes, disable_extensions: [STARTTLS]'))
    done = t.run('slimta-master', '-c', conf, '--check', '--allow-root')
    is_(done.returncode, 1, 'what is required may not be disabled')
    conf = t.config(with_tls(certificates, ', require_tls: yes, tls_immediately: yes, disable_extensions: [STARTTLS]'))
    done = t.run('slimta-master', '-c', conf, '--check', '--allow-root')
    is_(done.returncode, 0, 'unless it is there from the start')


run(offered, refused, named, immediately, required, clients, mistakes)
