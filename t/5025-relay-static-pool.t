#!/usr/bin/python3
# 5025-relay-static-pool.t - connections are used again, few enough for all workers of the machine, and given to who waits
# SPDX-License-Identifier: MIT
import os
import time

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import SENDER, queued, send


def config(port, more='', instances=1):
    return f'''@process@
  edge: {{instances: 1}}
  worker: {{instances: {instances}}}
edge:
  main: {{type: smtp, queue: q, listener: {{port: @port:smtp@}}}}
  other: {{type: smtp, queue: p, listener: {{port: @port:other@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, retry: {{delay: 300, maximum: 9}}}}
  p: {{type: disk, relay: r, envelope_dir: @dir@/env2, meta_dir: @dir@/meta2, allow_volatile: yes, retry: {{delay: 300, maximum: 9}}}}
relay:
  r: {{type: static, host: 127.0.0.1, port: {port}{more}}}
'''


def send_to(t, port, count=1):
    with t.client(port) as client:
        client.hello()
        for _ in range(count):
            client.mail(SENDER, ['a@example.net'], 'Subject: x\r\n\r\nbody\r\n')


def used_again(t):
    hop = NextHop(t)
    master = t.master(config(hop.port, ', concurrent_connections: 1'))
    send_to(t, 'smtp', 30)
    wait_for(lambda: len(hop.messages) == 30, timeout=20, what='30 messages')
    is_(hop.connections, 1, '30 messages over one connection')
    master.stop()
    wait_for(lambda: hop.said[-1] == 'QUIT', what='QUIT at the end')


def given_up(t):
    hop = NextHop(t)
    master = t.master(config(hop.port, ', concurrent_connections: 1, idle_timeout: 60'))
    send_to(t, 'smtp')
    wait_for(lambda: len(hop.messages) == 1, what='a message')
    start = time.monotonic()
    send_to(t, 'other')
    wait_for(lambda: len(hop.messages) == 2, 30, 'a message of the other queue')
    ok(time.monotonic() - start < 30, 'an idle connection goes when another process waits for its slot')
    is_((hop.connections, hop.most), (2, 1), 'never two at a time')
    is_(os.stat(t.path('runtime', 'destinations')).st_size, 0, 'the table of slots has locks and no octets')
    master.stop()


def killed(t):
    """The slots of a worker that is killed are free at once."""
    hop = NextHop(t, {'.': lambda peer, line: wait_for(lambda: go, timeout=30, what='go') and None})
    go = []
    master = t.master(config(hop.port, ', concurrent_connections: 2'))
    send_to(t, 'smtp', 2)
    wait_for(lambda: hop.now == 2, what='two connections')
    worker = [pid for pid in master.children('slimta-worker')
        if b'p\0' not in open(f'/proc/{pid}/cmdline', 'rb').read()[-3:]]
    for pid in worker:
        os.kill(pid, 9)
    go.append(True)
    send_to(t, 'other')
    wait_for(lambda: len(hop.messages) >= 3, timeout=30, what='the message of the other worker')
    ok(hop.most <= 4, 'and others take them')
    wait_for(lambda: not queued(t), timeout=30, what='an empty queue')


def fewer_than_allowed(t):
    """The next hop takes one connection at a time, we would make five: no message suffers."""
    hop = NextHop(t, {'connect': lambda peer, line: '421 4.7.0 too many' if hop.now > 1 else None,
        '.': lambda peer, line: wait_for(lambda: hop.connections > 1, what='a second connection') and None})
    master = t.master(config(hop.port))
    send_to(t, 'smtp', 10)
    wait_for(lambda: len(hop.messages) == 10, timeout=20, what='10 messages')
    wait_for(lambda: not queued(t), what='an empty queue')
    unlike(master.log, ' deferred ', 'none had to wait for the next attempt')
    like(master.log, 'could not use a next hop .*421 4.7.0 too many', 'though connections were refused')
    master.stop()


run(fewer_than_allowed, used_again, given_up, killed)
