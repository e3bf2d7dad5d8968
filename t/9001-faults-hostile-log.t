#!/usr/bin/python3
# 9001-faults-hostile-log.t - hostile input at the highest log level: no forged line, nobody dies (P21)
# SPDX-License-Identifier: MIT
import json
import random
import re

from lib.fixture import TOP, diag, is_, like, ok, run

CONFIG = '''
process:
  slimta:
    runtime_dir: @dir@/runtime
    logging: {level: debug, format: FORMAT}
  edge: {instances: 1}
  worker: {instances: 1}
edge:
  in: {type: smtp, queue: main, max_errors: 1000, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main: {type: disk, envelope_dir: @dir@/messages, meta_dir: @dir@/meta, allow_volatile: yes, relay: save}
relay:
  save: {type: pipe, args: [@top@/conf/save-mail.sh, @dir@/mail, "{recipient}", "{message_id}"]}
'''.replace('@top@', TOP)

NASTY = [b'%s%n%s%n%d', b'\0\0\0', b'\xff\xfe\xfd', b'\x1b[2J\x1b]0;x\x07', b'"\\"\\\\', b'id=forged status=sent',
    b'{"level":"error"}', b'a\rb', '\N{RIGHT-TO-LEFT OVERRIDE}\N{SNOWMAN}'.encode(), b'x' * 5000, b'']
LINES = [b'%b', b'EHLO %b', b'HELO %b', b'MAIL FROM:<%b>', b'MAIL FROM:<%b@example.org> SIZE=%b', b'RCPT TO:<%b>',
    b'RCPT TO:<"%b"@example.net>', b'NOOP %b', b'VRFY %b', b'RSET %b', b'AUTH %b', b'DATA %b']


def fill(line, nasty):
    return line.replace(b'%b', nasty) + b'\r\n'


def talk(t, name):
    """Says all of it; the session may be closed at any line."""
    def reconnect():
        client = t.client('smtp')
        client.expect(220, '', f'{name}: it still answers')
        return client
    client = reconnect()
    for line in LINES:
        client.line('EHLO client.example')
        client.reply()
        for nasty in NASTY:
            client.send(fill(line, nasty))
            if client.reply().code in (0, 421):
                client.close()
                client = reconnect()
                client.line('EHLO client.example')
                client.reply()
    noise = random.Random(3)
    client.close()
    for _ in range(20):
        with t.client('smtp') as client:
            client.send(bytes(noise.randrange(256) for _ in range(noise.randrange(3000))))


def hostile(t, form):
    master = t.master(CONFIG.replace('FORMAT', form))
    children = sorted(master.children())
    talk(t, form)
    with t.client('smtp') as client:
        client.hello()
        client.mail('%s%n@example.org', ['%d%n@example.net'], 'Subject: %s%n\x1b[2J\r\n\r\n%n\r\n')
    master.wait_log(r'delivered', 15)
    is_(sorted(set(children) - set(master.children())), [], f'{form}: nobody died')
    is_(master.stop(), 0, f'{form}: all end well')
    # What is said about the configuration comes before there is a log.
    return ''.join(line for line in master.log.splitlines(True) if not line.startswith(master.conf))


def text(t):
    log = hostile(t, 'text')
    odd = [line for line in log.splitlines()
        if not re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) slimta-\w+\[\d+\] \w+: ', line)]
    if not is_(odd[:5], [], 'each line is a whole line of ours'):
        diag('\n'.join(odd[:5]))
    ok(not re.search(r'[\0-\x09\x0b-\x1f\x7f]', log), 'no control character got through')


def as_json(t):
    log = hostile(t, 'json')
    wrong = []
    for line in log.splitlines():
        try:
            if not {'time', 'level', 'process', 'pid', 'subsystem', 'event'} <= set(json.loads(line)):
                wrong.append(line)
        except ValueError:
            wrong.append(line)
    is_(wrong[:5], [], 'each line is an object of ours')
    like(log, '"level":"debug"', 'debug lines are there')


run(text, as_json)
