#!/usr/bin/python3
# 4013-queue-disk-damage.t - what stands in a disk queue and is no message is set aside with a line; the others go on
# SPDX-License-Identifier: MIT
# P20
import json
import os
import re

from lib.fixture import is_, like, ok, run, wait_for
from lib.next_hop import NextHop

CONFIG = '''@process@
edge:
  main: {type: smtp, queue: q, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, scan_interval: 1,
    retry: {delay: 600, maximum: 1000}}
relay:
  r: {type: static, host: 127.0.0.1, port: PORT}
'''


def send(t, recipient='a@d.example'):
    """Gives the id."""
    with t.client('smtp') as client:
        client.hello()
        reply = client.mail('s@example.org', [recipient], 'Subject: x\r\n\r\nbody\r\n')
    return re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]


def start(t, hop):
    text = CONFIG.replace('PORT', str(hop.port))
    return t.edge(text), t.worker(text, 'q')


def goes_on(t, hop, edge, worker):
    worker.wait_log(f' delivered id={send(t, "next@d.example")} ')
    ok(any('next@d.example' in message['recipients'] for message in hop.messages), 'mail goes on')
    for process in (edge, worker):
        is_(process.stop(), 0, f'{process.name} ends well')


def damaged(t):
    hop = NextHop(t, {'RCPT': lambda peer, line: '451 4.2.1 later' if 'keep' in line else None})
    edge, worker = start(t, hop)
    good = send(t, 'keep@d.example')
    worker.wait_log(f' deferred id={good} ')
    whole = t.read(f'env/{good}.env')
    cases = {
        'does not begin as a stored message': b'From me to you\n' * 100,
        'does not begin as': b'',
        'shorter than its first line says': whole[:-3],
        'do not have the sum': whole.replace(b'body', b'b0dy'),
        'holds another id than its name': whole,
    }
    ids = [f'{good[:20]}{number:06}' for number in range(12)]
    names = dict(zip(cases, ids))
    for why, octets in cases.items():
        t.write(f'env/{names[why]}.env', octets)
    foreign, folder, pipe, link = ids[-4:]
    t.write(f'env/{foreign}.env', whole.replace(b'slimta 1 ', b'slimta 9 ', 1))
    os.mkdir(t.path('env', f'{folder}.env'))
    os.mkfifo(t.path('env', f'{pipe}.env'))
    os.symlink(t.path('slimta.conf'), t.path('env', f'{link}.env'))
    for name in ('README', f'{good}.env.orig', f'.{good}.bak', 'x.env', f'{good.upper()}.env'):
        t.write(f'env/{name}', 'nobody asked')
    for why, ident in names.items():
        worker.wait_log(rf' error .* damaged message held id={ident} queue=q why=".*{why}')
    worker.wait_log(rf' left to another version id={foreign} ')
    for ident in (folder, pipe, link):
        worker.wait_log(rf' disk call failed .*id={ident} ')
    # It says by its status that one, the link, cannot be read.
    listed = {entry['id']: entry for entry in map(json.loads, t.queuectl('list', '--json', code=1).splitlines())}
    is_({ident for ident in names.values() if listed[ident].get('held') != 'damaged'}, set(), 'all are held as damaged')
    is_([t.read(f'env/{names[why]}.env') == octets for why, octets in cases.items()], [True] * len(cases),
        'their octets are as they were')
    is_(worker.log.count('damaged message held'), len(cases), 'a line for each')
    is_(t.read('env/README'), b'nobody asked', 'other names are left alone')
    goes_on(t, hop, edge, worker)


def damaged_meta(t):
    hop = NextHop(t, {'RCPT': ['451 4.2.1 later']})
    edge, worker = start(t, hop)
    ident = send(t)
    worker.wait_log(f' deferred id={ident} ')
    worker.stop()
    t.write(f'meta/{ident}.meta', '{"due": "now"')
    worker = t.worker(CONFIG.replace('PORT', str(hop.port)), 'q')
    worker.wait_log(f' error .* damaged meta, message held id={ident} ')
    is_(t.read(f'meta/{ident}.meta'), b'{"due": "now"', 'what stands there is left for somebody to look at')
    like(t.queuectl('list'), f'{ident}.*damaged', 'and it is shown')
    goes_on(t, hop, edge, worker)


def vanished(t):
    """While it is delivered."""
    hop = NextHop(t, {'.': [lambda peer, line: [os.unlink(t.path('env', name)) for name in os.listdir(t.path('env'))
        if name.endswith('.env')] and None]})
    edge, worker = start(t, hop)
    ident = send(t)
    worker.wait_log(rf' warn .* message vanished under its lease id={ident} ')
    wait_for(lambda: hop.messages, 10, 'the message')
    is_(len(hop.messages), 1, 'it is delivered, once')
    goes_on(t, hop, edge, worker)


run(damaged, damaged_meta, vanished)
