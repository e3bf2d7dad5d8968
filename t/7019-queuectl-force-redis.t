#!/usr/bin/python3
# 7019-queuectl-force-redis.t - a message on redis is taken from the worker that delivers it
# SPDX-License-Identifier: MIT
import os

from lib.fixture import is_, like, ok, run, wait_for
from lib.mail import send
from lib.queues import listed, wait_listed
from lib.redis import Redis

CONFIG = '''@process@
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {type: redis, port: PORT, relay: r, retry: {delay: 3600, maximum: 9}}
relay:
  r: {type: pipe, args: [/bin/sh, -c, 'cat >/dev/null; : >@dir@/begun; while [ -e @dir@/begun ]; do sleep 0.05; done; exit 75']}
'''


def begun(t):
    return os.path.exists(t.path('begun'))


def end_attempt(t):
    os.unlink(t.path('begun'))


def taken(t):
    redis = Redis(t, aof='always')
    master = t.master(CONFIG.replace('PORT', str(redis.port)))
    message, other = (send(t, 'smtp', ('a@example.org', [to], b'x\r\n'))[0] for to in ('x@example.net', 'y@example.net'))
    wait_for(lambda: begun(t) and len(listed(t, '--state', 'leased')) == 2, what='both deliveries to begin')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'hold', message, '--force')
    is_((done.returncode, done.stdout.decode()), (0, 'held 1 of 1 message\n'), 'it is held while its delivery is under way')
    is_([line['id'] for line in listed(t, '--state', 'held')], [message], 'as the list says')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'remove', other, '--force')
    is_((done.returncode, done.stdout.decode()), (0, 'removed 1 of 1 message\n'), 'another is removed')
    is_(len(listed(t)), 1, 'and gone')
    end_attempt(t)
    wait_for(lambda: f'could not record id={other}' in master.log and f'deferred id={message}' in master.log,
        what='the worker to hear of it')
    is_([(line['id'], line['state']) for line in listed(t)], [(message, 'held')], 'what came of those deliveries changes nothing')
    like(t.queuectl('release', message), 'released 1 of 1', 'released')
    wait_for(lambda: begun(t), what='it to be tried again')
    ok(wait_listed(t, 1, '--state', 'leased'), 'by one worker')
    end_attempt(t)
    wait_listed(t, 1, '--state', 'deferred')
    is_(master.stop(), 0, 'the master ends')


run(taken)
