#!/usr/bin/python3
# 8040-path-lmtp-store.t - conf/slimta-lmtp.conf, README's relay in front of a mail store, with Dovecot behind it
# SPDX-License-Identifier: MIT
# S2 S3
import re
import shutil

from lib.dovecot import Dovecot
from lib.fixture import IS_ROOT, TOP, is_, like, run, wait_for
from lib.next_hop import NextHop

ROOT = ['--allow-root'] if IS_ROOT else []
MAIL = b'Subject: hello\r\n\r\n.Hello.\r\n'


def start(t, dovecot, outside):
    """The sample, but for what has another place here: the port, Dovecot's socket, the DNS, and the first retry."""
    shutil.copytree(f'{TOP}/conf', t.path('conf'))
    t.folder('run')
    text = t.read('conf/slimta-lmtp.conf').decode()
    for sample, here in (('1025', str(t.port('smtp'))), ('/run/dovecot/lmtp ', f'{dovecot.lmtp_path} '), ('"min(30 * 2**x, 1800)"', '1'),
            ('type: mx ', f'type: mx\n    force_mx: {{example.org: "127.0.0.1:{outside.port}"}} ')):
        is_(text.count(sample), 1, f'the sample has {sample} once')
        text = text.replace(sample, here)
    return t.start('slimta-master', '-c', t.write('conf/slimta-lmtp.conf', text), *ROOT, notify=True)


def send(t, *recipients):
    """As README has it, by curl; gives the id of what was accepted."""
    to = [part for recipient in recipients for part in ('--mail-rcpt', recipient)]
    done = t.run('curl', '-sSv', f"smtp://127.0.0.1:{t.port('smtp')}", '--mail-from', 'me@example.org', *to, '-T', '-', stdin=MAIL)
    is_(done.returncode, 0, 'curl sends')
    return re.search(r'(?m)^< 250 2\.6\.0 .*?([0-9a-z]{26})', done.stderr.decode())[1]


def bounce(outside, recipient):
    """The notification that the sender got about a recipient."""
    pattern = rf'(?m)^Final-Recipient: rfc822; ?{recipient}\s'
    return wait_for(lambda: [message for message in outside.messages if re.search(pattern, text_of(message))], 30,
        f'a bounce of {recipient}')[0]


def text_of(message):
    data = message['data']
    return data.decode() if isinstance(data, bytes) else data


def store(t):
    dovecot, outside = Dovecot(t), NextHop(t)
    master = start(t, dovecot, outside)
    ident = send(t, 'user1@example.net', 'full@example.net', 'missing@example.net', 'user2@example.net')
    for user in ('user1@example.net', 'user2@example.net'):
        like(dovecot.wait_mail(user)[0].decode(), r'\AReturn-Path: <me@example.org>\n(?s:.)*\nSubject: hello\n(?s:.)*\n\n.Hello.\n\Z',
            f'{user} has it, as it was sent')
        master.wait_log(rf' delivered id={ident} recipient={user} relay=store .*reply="250 2.0.0 .* Saved"')
    for user, reply in (('full@example.net', '552 5.2.2 .*Quota exceeded'), ('missing@example.net', '550 5.1.1 .*User doesn')):
        master.wait_log(rf' failed id={ident} recipient={user} relay=store .*reply="{reply}', 30)
        told = bounce(outside, user)
        is_((told['sender'], told['recipients']), ('', ['me@example.org']), f'the sender is told about {user}')
        like(text_of(told), f'(?m)^Diagnostic-Code: smtp; ?{reply[:9]}', 'in the words of Dovecot')
    is_([len(dovecot.mail(user)) for user in ('user1@example.net', 'user2@example.net', 'full@example.net')], [1, 1, 0], 'each once')
    is_(master.stop(), 0, 'it ends')


def away(t):
    dovecot, outside = Dovecot(t, start=False), NextHop(t)
    master = start(t, dovecot, outside)
    ident = send(t, 'user1@example.net')
    master.wait_log(rf' deferred id={ident} recipient=user1@example.net relay=store .*reply="4', 30)
    like(t.queuectl('list', conf=t.path('conf/slimta-lmtp.conf')), rf'(?m)^{ident} deferred ', 'without Dovecot it waits')
    dovecot.start()
    master.wait_log(rf' delivered id={ident} recipient=user1@example.net ', 60)
    is_(len(dovecot.wait_mail('user1@example.net')), 1, 'and is delivered when it is back')
    dovecot.stop()
    ident = send(t, 'user1@example.net', 'missing@example.net')
    master.wait_log(rf' deferred id={ident} recipient=missing@example.net ', 30)
    dovecot.start()
    master.wait_log(rf' delivered id={ident} recipient=user1@example.net ', 60)
    master.wait_log(rf' failed id={ident} recipient=missing@example.net ', 60)
    is_(len(dovecot.mail('user1@example.net')), 2, 'also when it went away in between')


run(store, away)
