#!/usr/bin/python3
# 2017-master-reload-deliveries.t - deliveries while generations change: none is cut, none is doubled, none is lost
# SPDX-License-Identifier: MIT
import collections
import re
import signal
import threading
import time

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import submit
from lib.master import CONFIG, sighup
from lib.next_hop import SILENCE, NextHop
from lib.relay import queued

DELIVERY_S = 0.03
PAUSE_S = 0.02
DELIVERED = r' delivered id=([0-9a-z]{26}) '


def config(hop, workers=2, more=''):
    return CONFIG.replace('worker: {instances: 1}', f'worker: {{instances: {workers}}}').replace('meta_dir: @dir@/meta,',
        'meta_dir: @dir@/meta, allow_volatile: yes,').replace('type: blackhole',
        f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 5{more}')


def under_mail(t):
    hop = NextHop(t, {'.': lambda peer, line: time.sleep(DELIVERY_S)})
    master = t.master(config(hop))
    ids, stopping = [], threading.Event()
    threads = [threading.Thread(target=submit, args=(t, PAUSE_S, stopping, ids)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for workers in (2, 3, 1, 2):
            t.config(config(hop, workers))
            since = len(master.log)
            sighup(master)
            master.wait_log('master: generation ended', 60, since)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    good = [ident for ident in ids if re.fullmatch(r'[0-9a-z]{26}', ident)]
    is_([ident for ident in ids if ident not in good], [], f'{len(ids)} messages were accepted, none was cut')
    # The line comes after the record.
    wait_for(lambda: not queued(t) and len(re.findall(DELIVERED, master.log)) >= len(good), 60, 'all to be delivered')
    delivered = collections.Counter(re.findall(DELIVERED, master.log))
    is_(sorted(delivered), sorted(good), 'each was delivered')
    is_([ident for ident, count in delivered.items() if count > 1], [], 'and none twice')
    is_(len(hop.messages), len(good), 'as the next hop has seen it')
    unlike(master.log, ' deferred id=|in doubt', 'at the first attempt')
    is_(master.stop(), 0, 'and it ends well')


def long_delivery(t):
    """In hand when its worker is told to end: it has reload_timeout, not drain_timeout."""
    go = []
    hop = NextHop(t, {'RCPT': lambda peer, line: wait_for(lambda: go, timeout=30, what='go') and None})
    master = t.master(config(hop, 1).replace('drain_timeout: 5', 'drain_timeout: 0.2'))
    submitted = []
    stopping = threading.Event()
    thread = threading.Thread(target=submit, args=(t, PAUSE_S, stopping, submitted))
    thread.start()
    wait_for(lambda: submitted, what='a message')
    stopping.set()
    thread.join()
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    sighup(master)
    # The clients' sessions end first; then the worker is told, and has more than its 0.2 s.
    master.wait_log(r'slimta-worker\[\d+\] process: began to drain because="another generation does its work"')
    time.sleep(1)
    go.append(True)
    master.wait_log('generation ended generation=1')
    like(master.log, f' delivered id={submitted[0]} .*attempts=1 ', 'it is delivered by the worker that began it')
    unlike(master.log, 'in doubt', 'without doubt')
    is_(master.stop(), 0, 'and it ends well')


def stopped_meanwhile(t):
    """A stop in the middle of a reload: what the old generation has left is bounded by drain_timeout again."""
    hop = NextHop(t, {'RCPT': SILENCE})
    master = t.master(config(hop, 1).replace('drain_timeout: 5', 'drain_timeout: 0.5'))
    submitted, stopping = [], threading.Event()
    thread = threading.Thread(target=submit, args=(t, PAUSE_S, stopping, submitted))
    thread.start()
    wait_for(lambda: submitted, what='a message')
    stopping.set()
    thread.join()
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    sighup(master)
    worker = master.wait_log(r'slimta-worker\[(\d+)\] process: began to drain because="another generation')[1]
    master.kill(signal.SIGTERM)
    is_(master.wait(), 0, 'the worker is not waited for by the bound of the reload')
    like(master.log, rf'slimta-worker\[{worker}\] process: drains sooner timeout_ms=\d+$', 'it is told')
    is_(queued(t), sorted(set(submitted)), 'and gives back what it could not deliver')
    ok('in doubt' not in master.log, 'without doubt')


run(under_mail, long_delivery, stopped_meanwhile)
