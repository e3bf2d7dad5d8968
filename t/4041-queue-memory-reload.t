#!/usr/bin/python3
# 4041-queue-memory-reload.t - a queue in memory goes from generation to generation: nothing lost, doubled or forgotten
# SPDX-License-Identifier: MIT
import collections
import json
import re
import threading
import time

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import send, submit
from lib.master import sighup
from lib.next_hop import NextHop

CONFIG = '''@process@
  edge: {instances: 2}
edge:
  in: {type: smtp, queue: QUEUE, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  QUEUE: {type: memory, relay: r, retry: {delay: 300, maximum: 10}}
relay:
  r: {RELAY}
'''
PAUSE_S = 0.01
WAITS = 'type: pipe, args: [/bin/sh, -c, "cat >/dev/null; exit 75"]'


def config(relay, queue='q'):
    return CONFIG.replace('RELAY', relay).replace('QUEUE', queue)


def reload(t, master, text):
    t.config(text)
    since = len(master.log)
    sighup(master)
    master.wait_log('master: generation ended', 60, since)


def under_mail(t):
    hop = NextHop(t, {'.': lambda peer, line: time.sleep(0.03)})
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 2')
    master = t.master(text)
    ids, stopping = [], threading.Event()
    threads = [threading.Thread(target=submit, args=(t, PAUSE_S, stopping, ids)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for count in (50, 200, 350):
            wait_for(lambda: len(ids) > count, what=f'{count} messages')
            reload(t, master, text)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    good = [ident for ident in ids if re.fullmatch(r'[0-9a-z]{26}', ident)]
    is_([ident for ident in ids if ident not in good], [], f'{len(ids)} messages were accepted, none was cut')
    delivered = lambda: collections.Counter(re.findall(r' delivered id=([0-9a-z]{26}) ', master.log))
    wait_for(lambda: len(delivered()) == len(good), 60, 'all to be delivered')
    is_([ident for ident, count in delivered().items() if count > 1], [], 'none twice')
    is_(len(hop.messages), len(good), 'as the next hop has seen it')
    unlike(master.log, r' deferred id=|in doubt| lost |which are lost', 'at the first attempt')
    ok(len(re.findall('took over a memory queue', master.log)) == 3, 'each generation took over from the one before')
    is_(master.stop(), 0, 'and it ends well')


def with_state(t):
    master = t.master(config(WAITS))
    idents = send(t, 'smtp', *[('a@example.org', ['x@example.net'], b'Subject: x\r\n\r\n')] * 3)
    for ident in idents:
        master.wait_log(rf' deferred id={ident} ')
    before = json.loads(t.queuectl('--json', 'show', idents[1]))
    reload(t, master, config(WAITS))
    after = json.loads(t.queuectl('--json', 'show', idents[1]))
    for late in before, after:
        ok(299000 - 60000 < late.pop('due_in_ms') <= 300000, 'it is due in five minutes')
        late.pop('waits')
    is_(after, before, 'what is known of a message is the same afterwards')
    is_([line.split()[0] for line in t.queuectl('list').splitlines()[1:]], idents, 'all are there')
    t.queuectl('remove', idents[0])
    reload(t, master, config(WAITS))
    is_([line.split()[0] for line in t.queuectl('list').splitlines()[1:]], idents[1:], 'removed stays removed')
    worker, = master.children('slimta-worker')[-1:]
    ok(worker, 'a worker is there')
    is_(master.stop(), 0, 'it ends')
    like(master.log, r'which are lost queue=q messages=2', 'and says what is lost')


def without_it(t):
    """The queue is not in the new configuration: nobody takes its messages."""
    master = t.master(config(WAITS))
    ident, = send(t, 'smtp', ('a@example.org', ['x@example.net'], b'Subject: x\r\n\r\n'))
    master.wait_log(rf' deferred id={ident} ')
    reload(t, master, config(WAITS, 'other'))
    like(master.log, r' error .*which are lost queue=q messages=1', 'an error says so')
    like(master.log, rf'queue: lost id={ident} queue=q sender=a@example.org', 'and names them')
    ident, = send(t, 'smtp', ('a@example.org', ['x@example.net'], b'Subject: x\r\n\r\n'))
    like(t.queuectl('list'), ident, 'the other queue works')


run(under_mail, with_state, without_it)
