#!/usr/bin/python3
# 8001-path-clients.t - real clients send, each message arrives once and octet for octet (S16)
# SPDX-License-Identifier: MIT
import glob
import os
import re
import smtplib
import subprocess

from lib.fixture import TOP, is_, like, ok, run, wait_for

CONFIG = '''
@process@
  edge: {instances: 2}
  worker: {instances: 2}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main: {type: disk, envelope_dir: @dir@/messages, meta_dir: @dir@/meta, allow_volatile: yes, relay: save}
relay:
  save: {type: pipe, args: [@top@/conf/save-mail.sh, @dir@/mail, "{recipient}", "{message_id}"]}
'''.replace('@top@', TOP)

# Nothing in here may be touched: odd spacing and folding, 8-bit text, dots, long lines, no final newline.
HEADER = b'Subject:no space\r\nTo:  two spaces <a@example.net>\r\nX-Folded: one\r\n\ttwo\r\n   three \r\nto:again\r\n'
BODIES = {
    'plain': b'hello\r\n',
    'dots': b'.\r\n..\r\n.a\r\n...\r\n',
    'empty': b'',
    'blank': b'\r\n\r\n\r\n',
    'eight': 'grüße \N{SNOWMAN}\r\n'.encode() + bytes(range(128, 256)) + b'\r\n',
    'long': b'x' * 900 + b'\r\n',
    'large': b'0123456789abcdef' * 60 + b'\r\n',
}
BODIES['large'] *= 1200        # 1.1 MB: beyond spool_threshold


def delivered(t, recipient, count=1):
    """The messages that arrived for a recipient, once there are `count`."""
    pattern = os.path.join(t.path('mail'), recipient, '*.eml')
    names = wait_for(lambda: len(found := glob.glob(pattern)) >= count and found, 20, f'mail for {recipient}')
    found = []
    for name in names:
        with open(name, 'rb') as message:
            found.append(message.read())
    return found


def python_smtplib(t):
    t.master(CONFIG)
    with smtplib.SMTP('127.0.0.1', t.port('smtp'), timeout=20) as client:
        for name, body in BODIES.items():
            recipient = f'{name}@example.net'
            client.sendmail('me@example.org', [recipient], HEADER + b'\r\n' + body,
                mail_options=['BODY=8BITMIME'])
            is_(delivered(t, recipient), [HEADER + b'\r\n' + body], f'{name}: octet for octet')
        everybody = [f'r{number}@example.net' for number in range(20)]
        client.sendmail('', everybody, HEADER + b'\r\n')
        is_({message for name in everybody for message in delivered(t, name)}, {HEADER + b'\r\n'},
            'twenty recipients and a null sender')
        client.sendmail('jürgen@example.org', ['maría@example.net'], HEADER + b'\r\n', ['SMTPUTF8', 'BODY=8BITMIME'])
        is_(delivered(t, 'maría@example.net'), [HEADER + b'\r\n'], 'an address in UTF-8')
    wait_for(lambda: not glob.glob(t.path('messages', '*.env')), 10, 'the queue to be empty')
    ok(True, 'the queue is empty again')


def command_line(t):
    t.master(CONFIG)
    port = t.port('smtp')
    message = HEADER + b'\r\nfrom a command\r\n'
    path = t.write('message.eml', message)
    unix = t.write('message.txt', message.replace(b'\r\n', b'\n'))
    t.write('msmtprc', f'account default\nhost 127.0.0.1\nport {port}\nfrom me@example.org\n', 0o600)
    for name, command in (
            ('swaks', f'swaks --silent 2 --server 127.0.0.1:{port} --from me@example.org --to @to@ --data @{unix}'),
            ('curl', f'curl -sS smtp://127.0.0.1:{port} --mail-from me@example.org --mail-rcpt @to@ -T {path}'),
            ('msmtp', f'msmtp -C {t.path("msmtprc")} -- @to@ <{unix}'),
            ('smtp-source', f'{TOP}/t/.peers/usr/sbin/smtp-source -m 20 -s 4 -l 2000 -t @to@ 127.0.0.1:{port}')):
        recipient = f'{name}@example.net'
        peers = f'{TOP}/t/.peers/usr/lib'
        libraries = ':'.join([f'{peers}/postfix', *glob.glob(f'{peers}/*-linux-gnu')])
        done = subprocess.run(['sh', '-c', command.replace('@to@', recipient)], capture_output=True,
            env=dict(t.env, LD_LIBRARY_PATH=libraries if name == 'smtp-source' else ''), timeout=60, check=False)
        is_(done.returncode, 0, f'{name} is content: {done.stderr.decode()[-200:]}')
        got = delivered(t, recipient, 20 if name == 'smtp-source' else 1)
        if name == 'smtp-source':
            is_(len(got), 20, 'smtp-source: each message once')
        else:
            # The clients may add fields of their own in front and take an empty line from the end.
            like(got[0].rstrip(b'\r\n') + b'\r\n', re.escape(message).decode() + r'\Z', f'{name}: octet for octet')


run(python_smtplib, command_line)
