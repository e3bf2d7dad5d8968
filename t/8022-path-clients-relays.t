#!/usr/bin/python3
# 8022-path-clients-relays.t - the small relays that stand in for sendmail, and Postfix's smtp-source
# SPDX-License-Identifier: MIT
import os
import re
import shlex

from lib.clients import BODY, HEADER, ME, MOST, NOBODY, MAX_SIZE, Edge, arrived, check, current_user, peer
from lib.fixture import is_, like, run


def ssmtp(edge, sender, recipients, text):
    path = edge.write('ssmtp.conf', f'mailhub=127.0.0.1:{edge.port}\nFromLineOverride=YES\nhostname=client.example\n')
    return edge.run(peer('usr/sbin/ssmtp'), '-C', path, '-f', sender, *recipients, stdin=HEADER + text)


def nullmailer(edge, sender, recipients, text):
    """Its smtp, as nullmailer-send runs it for one message: options on stdin, the message as file 3."""
    path = edge.write('nullmailer', '\n'.join([sender, *recipients, '', HEADER + text]))
    return edge.run('sh', '-c', f'exec {shlex.quote(peer("usr/lib/nullmailer/smtp"))} 3<{shlex.quote(path)}',
        stdin=f'host=127.0.0.1\nport={edge.port}\n\n', HELOHOST='client.example')


def esmtp(edge, sender, recipients, text):
    path = edge.write('esmtprc', f'hostname = 127.0.0.1:{edge.port}\n')
    return edge.run(peer('usr/bin/esmtp'), '-C', path, '-f', sender, *recipients, stdin=HEADER + text)


def dma(edge, sender, recipients, text):
    """It reads nothing but /etc/dma and writes nowhere but /var/spool/dma: proot shows it others."""
    user = current_user()
    edge.write('etc/passwd', ''.join(f'{name}:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n' for name in (user.pw_name, 'mail')))
    edge.write('etc/group', f'mail:x:{user.pw_gid}:\n')
    edge.write('etc/dma/dma.conf', f'SMARTHOST 127.0.0.1\nPORT {edge.port}\nMAILNAME client.example\n')
    os.makedirs(f'{edge.home}/var/spool/dma', exist_ok=True)
    os.chmod(f'{edge.home}/var/spool/dma', 0o1777)
    return edge.run(peer('usr/bin/proot'), '-b', f'{edge.home}/etc:/etc', '-b', f'{edge.home}/var:/var', peer('usr/sbin/dma'),
        '-D', '-i', '-f', sender, *recipients, stdin=HEADER + text)


def smtp_source(edge, *options):
    return edge.run(peer('usr/sbin/smtp-source'), *options, f'127.0.0.1:{edge.port}')


def relays(t):
    edge = Edge(t)
    check(edge, ssmtp, null=False)
    check(edge, nullmailer)
    edge.empty()


def chunks(t):
    edge = Edge(t, 'debug')
    check(edge, esmtp, told=lambda reply: f'{reply[:3]} {reply[10:]}')
    like(edge.master.log, r' command="BDAT \d+"$', 'esmtp: by BDAT, in chunks')
    edge.empty()


def bounces(t):
    """dma returns what the edge does not take to its sender, by the edge as well."""
    edge = Edge(t)
    too_large = ('x' * 900 + '\n') * (MAX_SIZE // 900)
    for recipients, text in (['dma1@example.net', 'dma2@example.net'], BODY), ([NOBODY], BODY), (['dma3@example.net'], too_large):
        done = dma(edge, ME, recipients, text)
        is_(done.returncode, 0, f'dma is content: {done.stdout.decode()[-200:]}')
    for recipient in ('dma1@example.net', 'dma2@example.net'):
        arrived(edge, 'dma', recipient)
    bounced = b''.join(edge.delivered(ME, 2)).decode()
    for reply in ('501 5.1.3 Bad recipient address', '552 5.3.4 Message exceeded'):
        like(bounced, reply, f'dma: its user reads {reply}')
    is_(len(re.findall(rf' accepted .* sender="" recipients={ME} ', edge.master.log)), 2, 'dma: from the null sender')
    edge.empty()


def postfix(t):
    edge = Edge(t)
    for name, options in (('plain', []), ('one session', ['-d']), ('many recipients', ['-r', str(MOST)]),
            ('large', ['-l', '100000'])):
        to = f'{name.replace(" ", "-")}@example.net'
        done = smtp_source(edge, '-m', '20', '-s', '4', '-t', to, *options)
        is_(done.returncode, 0, f'smtp-source, {name}: {done.stdout.decode()[-200:]}')
        for recipient in [to, *(f'{number}{to}' for number in range(2, MOST + 1))] if '-r' in options else [to]:
            is_(len(edge.delivered(recipient, 20)), 20, f'smtp-source, {name}: each message once')
    edge.empty()


run(bounces, relays, chunks, postfix)
