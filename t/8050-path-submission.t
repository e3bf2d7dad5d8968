#!/usr/bin/python3
# 8050-path-submission.t - conf/slimta-submission.conf, README's submission server, with users, certificates and clients as there
# SPDX-License-Identifier: MIT
# P13 S7
import grp
import os
import pwd
import re
import shutil
import signal
import ssl

from lib import submission
from lib.certificates import Certificates
from lib.clients import Home
from lib.fixture import IS_ROOT, TOP, is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.submission import curl, msmtp, nodemailer, smtplib, swaks, together

NAME = 'mail.example.org'
LIVE = f'/etc/letsencrypt/live/{NAME}'
PASSWORDS = {'ann@example.org': 'correct-horse-7', 'bob@example.org': 'battery-staple-8'}


def readme():
    """The commands of README's section that make a user, and what a test cannot answer for a person filled in."""
    with open(f'{TOP}/README', encoding='utf-8') as text:
        section = re.search(r'(?ms)^A submission server\n(.*?)^\S', text.read())[1]
    return [line.strip()[2:] for line in section.replace('\\\n', '').splitlines() if line.strip().startswith('# ')]


def certify(t, certificates, who):
    """As certbot does it: links to what is for root alone."""
    for name, source in zip(('fullchain.pem', 'privkey.pem'), certificates.make(who)):
        data = t.read(os.path.relpath(source, t.dir)) + (t.read('tls/ca.crt') if name == 'fullchain.pem' else b'')
        path = t.write(f'live/{who}-{name}', data, 0o600)
        link = t.path('live', f'{name}.new')
        os.symlink(path, link)
        os.rename(link, t.path('live', name))


def add_users(t):
    """By README's commands, and the folder of the queue as the unit makes it."""
    with open(f'{TOP}/conf/slimta.service', encoding='utf-8') as unit:
        spool = re.search(r"(?m)^ExecStartPre=-/bin/sh -c '(.*)'$", unit.read())[1]
    users, user = [command for command in readme() if 'submission-users.yaml' in command]
    if not IS_ROOT:
        spool = spool.replace('-o mail -g mail', '')
    for command in (spool, users, *(user.replace('ann@example.org', name).replace(' -6', f' -6 {password}')
            for name, password in PASSWORDS.items())):
        done = t.run('sh', '-c', command.replace('/etc/slimta', t.path('conf')).replace('/var/spool/slimta', t.path('spool')))
        is_((done.returncode, done.stderr), (0, b''), command)
    is_(os.stat(t.path('spool')).st_mode & 0o777, 0o700, 'for the user of the edges and workers alone')
    is_(os.stat(t.path('conf/submission-users.yaml')).st_mode & 0o777, 0o600, 'for root alone')


def write(t, outside, relay):
    """The sample, but for what has another place here, and for who runs the test."""
    user = pwd.getpwuid(os.geteuid())
    host = f'type: mx\n    force_mx: {{example.net: "127.0.0.1:{outside.port}"}}'
    changes = [('port: 587}', f"port: {t.port('starttls')}}}"), ('port: 465}', f"port: {t.port('immediately')}}}"),
        (f'{LIVE}/fullchain.pem', t.path('live/fullchain.pem')), (f'{LIVE}/privkey.pem', t.path('live/privkey.pem')),
        ('/run/slimta', t.path('runtime')), ('/var/spool/slimta/outbound.meta', t.path('spool/meta')),
        ('/var/spool/slimta/outbound\n', t.path('spool/outbound\n    allow_volatile: yes\n')),
        ('relay: internet ', f'relay: {relay} '), ('type: mx ', f'{host} '), ('host: smtp.example.net', 'host: 127.0.0.1'),
        ('port: 587\n', f'port: {outside.port}\n'),
        ('cert_reqs: required}', f"cert_reqs: required, ca_certs: {t.path('tls/ca.crt')}}}")]
    if not IS_ROOT:
        changes += [('user: mail', f'user: {user.pw_name}'), ('group: mail', f'group: {grp.getgrgid(user.pw_gid).gr_name}')]
    with open(f'{TOP}/conf/slimta-submission.conf', encoding='utf-8') as sample:
        text = sample.read()
    for there, here in changes:
        is_(text.count(there), 1, f'the sample has {there.strip()} once')
        text = text.replace(there, here)
    return t.write('conf/slimta.conf', text)


def served(t, port):
    """The certificate on a port."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(('127.0.0.1', port), timeout=t.timeout))


def start(t):
    certificates = Certificates(t, f'DNS:{NAME},DNS:localhost,IP:127.0.0.1')
    outside = NextHop(t, tls=certificates.server(), credentials={NAME: 'secret'})
    for folder in ('conf', 'live'):
        os.chmod(t.folder(folder), 0o700)
    add_users(t)
    certify(t, certificates, 'good')
    conf = write(t, outside, 'internet')
    checked = t.run('slimta-master', '-c', conf, '--check')
    is_((checked.returncode, checked.stdout + checked.stderr), (0, b''), 'it passes --check, and there is nothing to warn about')
    return certificates, outside, t.start('slimta-master', '-c', conf, notify=True)


def submits(t):
    certificates, outside, master = start(t)
    home = Home(t)
    ways = {tls: submission.Way(t.port(tls), tls, certificates.ca, NAME, user, password)
        for tls, (user, password) in zip(('starttls', 'immediately'), PASSWORDS.items())}
    jobs = [(client, way, [f'{client.__name__}-{tls}@example.net']) for client in (curl, msmtp, swaks, nodemailer, smtplib)
        for tls, way in ways.items()]
    for (client, way, (recipient,)), done in zip(jobs, together(home, jobs)):
        is_(done.returncode, 0, f'{recipient}: {done.stdout.decode(errors="replace")[-400:] if done.returncode else "sent"}')
        master.wait_log(rf' delivered .*recipient={recipient} relay=internet ', 30)
    is_(sorted(message['recipients'][0] for message in outside.messages), sorted(job[2][0] for job in jobs),
        'each is delivered, once')
    for message in outside.messages:
        like(message['data'].decode(), r'\AReceived: from [^;]* with ESMTPSA ', 'its Received says how it came')
    refuses(t, home, ways, master)
    renews(t, certificates, outside, master, home, ways)
    is_(master.stop(), 0, 'it ends')


def refuses(t, home, ways, master):
    with t.client('starttls') as client:
        client.hello()
        client.cmd('MAIL FROM:<ann@example.org>', 530, '5.7.0', 'no mail in clear')
        client.line('AUTH PLAIN AGFubgBhbm4=')
        ok(client.reply().code // 100 == 5, 'no password in clear')
    jobs = [(curl, ways['starttls'].but(user=None), ['never@example.net']),
        (curl, ways['starttls'].but(password='guess-12345', source='127.0.0.31'), ['never@example.net']),
        (curl, ways['immediately'].but(user='eve@example.org', source='127.0.0.32'), ['never@example.net'])]
    for (_, way, _), done, code in zip(jobs, together(home, jobs), (b'550 5.7.1 Sender', b'535 5.7.8', b'535 5.7.8')):
        ok(done.returncode != 0 and code in done.stdout, f"{way.user or 'nobody'}: {code.decode()}")
    unlike(master.log, 'correct-horse-7|battery-staple-8|guess-12345', 'no password is in the log')


def renews(t, certificates, outside, master, home, ways):
    """A new certificate, and another way out, by SIGHUP; who is connected stays so."""
    before = served(t, t.port('immediately'))
    shutil.copy(t.path('tls/good.crt'), t.path('tls/first.crt'))
    certify(t, certificates, 'renewed')
    write(t, outside, 'smart_host')
    sent = len(outside.auths)
    master.kill(signal.SIGHUP)
    wait_for(lambda: served(t, t.port('immediately')) != before, 20, 'the new certificate to be served')
    done, = together(home, [(curl, ways['starttls'], ['after@example.net'])])
    is_(done.returncode, 0, 'a client that verifies it is content')
    master.wait_log(r' delivered .*recipient=after@example.net relay=smart_host ', 30)
    is_([auth[1:3] for auth in outside.auths[sent:]], [(NAME, True)], 'by the smart host, with the password')


run(submits)
