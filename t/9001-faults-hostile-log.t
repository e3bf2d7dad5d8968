#!/usr/bin/python3
# 9001-faults-hostile-log.t - hostile sessions at the highest log level, through edge and worker: no forged line, nobody dies
# SPDX-License-Identifier: MIT
# P21
# SEED=n begins with other sessions, SESSIONS=n has more of them.
import json
import os
import re
import select
import socket
import struct

from lib.fixture import TOP, diag, is_, like, ok, run, wait_for
from lib.hostile import Hostile

SEED = int(os.environ.get('SEED', 1))
SESSIONS = int(os.environ.get('SESSIONS', 250))
CONFIG = '''
process:
  slimta:
    runtime_dir: @dir@/runtime
    spool_dir: @dir@/spool
    spool_threshold: 4K
    logging: {level: debug, format: FORMAT}
  edge: {instances: 1}
  worker: {instances: 1}
edge:
  in: {type: smtp, queue: main, max_errors: ERRORS, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main: {type: disk, envelope_dir: @dir@/messages, meta_dir: @dir@/meta, allow_volatile: yes, relay: save, bounce_queue: bounces,
    policies: [{type: add_received_header}, {type: add_date_header}], retry: {delay: 600, maximum: 3}}
  bounces: {type: disk, envelope_dir: @dir@/bounces, meta_dir: @dir@/bmeta, allow_volatile: yes, relay: none}
relay:
  save: {type: pipe, args: [@top@/conf/save-mail.sh, @dir@/mail, "{recipient}", "{message_id}"]}
  none: {type: blackhole}
'''.replace('@top@', TOP)


def leave(client, how):
    """What the client does at its end: hears all of it out, or goes."""
    if how == 'reset':
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    elif how == 'half':
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return
        while client.sock.recv(65536):
            pass


def talk(t, seed):
    """One session; gives the octets of its replies as far as they were read."""
    hostile = Hostile(seed)
    data = hostile.session()
    with t.client('smtp') as client:
        greeting = client.read_line()
        try:
            for piece in hostile.pieces(data):
                client.send(piece)
                # What has been answered meanwhile is read, or is not.
                if hostile.random.random() < 0.7 and select.select([client.sock], [], [], 0)[0]:
                    if not client.sock.recv(65536):
                        break
            leave(client, hostile.random.choice(('half', 'half', 'half', 'close', 'reset')))
        except (BrokenPipeError, ConnectionResetError):
            pass
    return greeting


def events(log, form):
    """(event, id) of each line that names a message."""
    if form == 'text':
        return re.findall(r'^\S+ \w+ [^ ]+ \w+: ([a-z ]+) id=([0-9a-v]{26}) ', log, re.M)
    lines = [json.loads(line) for line in log.splitlines() if '"id":"' in line]
    return [(line['event'], line.get('id')) for line in lines]


def settled(log, form):
    """Whether each message of the edge was tried, and that which fails has its bounce."""
    found = events(log, form)
    tried = {name for event, name in found if event in ('delivered', 'failed', 'deferred')}
    return {name for event, name in found if event == 'accepted'} <= tried and 'bounced' in dict(found)


def ours(master):
    """The log. What is said about the configuration comes before there is one."""
    return ''.join(line for line in master.log.splitlines(True) if not line.startswith(master.conf))


def hostile(t, form, errors, first):
    t.folder('spool')
    master = t.master(CONFIG.replace('FORMAT', form).replace('ERRORS', str(errors)))
    children = sorted(master.children())
    is_({talk(t, seed)[:4] for seed in range(first, first + SESSIONS)}, {b'220 '}, f'{form}: each of {SESSIONS} sessions is greeted')
    with t.client('smtp') as client:
        client.hello()
        client.mail('%s%n@example.org', ['%d%n@example.net', '"%s/\\"%n"@example.net'], 'Subject: %s%n\x1b[2J\r\n\r\n%n\r\n')
    wait_for(lambda: settled(ours(master), form), 30, 'an attempt at each message')
    found = events(ours(master), form)
    counts = {what: sum(event == what for event, _ in found) for what in ('accepted', 'rejected', 'abandoned', 'delivered', 'failed')}
    diag(f'{form}, from seed {first}: {counts}')
    ok(all(counts.values()), f'{form}: all that can become of a message became of some')
    is_(sorted(set(children) - set(master.children())), [], f'{form}: nobody died')
    is_(os.listdir(t.path('spool')), [], f'{form}: nothing is left in the spool')
    is_(master.stop(), 0, f'{form}: all end well')
    return ours(master)


def text(t):
    log = hostile(t, 'text', 10, SEED)
    # A field that any octet of a peer has touched is quoted, or has no blank, quote or control character in it.
    form = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) slimta-\w+\[\d+\] \w+: '
        r'[a-z ]+( \w+=([^ "=]*|"([^"\\]|\\.)*"))*\n')
    odd = [line for line in log.splitlines(True) if not form.fullmatch(line)]
    if not is_(odd[:5], [], 'each line is a whole line of ours'):
        diag(f'SEED={SEED}')
    ok(not re.search('[\0-\x09\x0b-\x1f\x7f\x85\u2028\u202e]', log), 'no control character got through')
    ok(not re.search(r'^[^"]* id=forged', log, re.M), 'and no field was forged')


def as_json(t):
    log = hostile(t, 'json', 1000, SEED + SESSIONS)
    wrong = []
    for line in log.splitlines():
        try:
            if not {'time', 'level', 'process', 'pid', 'subsystem', 'event'} <= set(json.loads(line)):
                wrong.append(line)
        except ValueError:
            wrong.append(line)
    if not is_(wrong[:5], [], 'each line is an object of ours'):
        diag(f'SEED={SEED}')
    like(log, '"level":"debug"', 'debug lines are there')


run(text, as_json)
