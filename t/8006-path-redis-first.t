#!/usr/bin/python3
# 8006-path-redis-first.t - the first steps with a queue on redis: one machine, accepting alone, a worker alone, a dead redis
# SPDX-License-Identifier: MIT
import glob
import os
import re
import shutil
import signal

from lib.fixture import IS_ROOT, TOP, is_, like, run, skip, wait_for
from lib.redis import Redis

DEFAULT = '/var/spool/slimta'
ROOT = ['--allow-root'] if IS_ROOT else []


def send(t, code=250):
    """As README has it, by curl; gives the id of what was accepted."""
    done = t.run('curl', '-sSv', f"smtp://127.0.0.1:{t.port('smtp')}", '--mail-from', 'me@example.org', '--mail-rcpt',
        'you@example.net', '-T', '-', stdin=b'Subject: hello\r\n\r\nHello.\r\n')
    said = done.stderr.decode()
    is_(done.returncode == 0, code == 250, f'curl sends: {code}')
    like(said, rf'(?m)^< {code} ', 'by the reply of the edge')
    found = re.search(r'^< 250 2\.\S+ .*?([0-9a-z]{26})', said, re.M)
    return found and found[1]


def saved(t):
    return sorted(name.split('/')[-1] for name in glob.glob(t.path('run/mail/you@example.net/*.eml')))


def steps(t):
    redis = Redis(t, aof='always')
    shutil.copytree(f'{TOP}/conf', t.path('conf'))
    t.folder('run')
    text = t.read('conf/slimta-redis.conf').decode()
    like(text, 'host: 127.0.0.1', 'the sample has redis on this machine')
    text = text.replace('host: 127.0.0.1', f'host: 127.0.0.1\n    port: {redis.port}').replace('1025', str(t.port('smtp')))
    conf = t.write('conf/slimta-redis.conf', text)
    master = t.start('slimta-master', '-c', conf, *ROOT, notify=True)
    idents = [send(t)]
    wait_for(lambda: saved(t) == [f'{idents[0]}.eml'], what='the message in its file')
    is_(master.stop(), 0, 'it ends')

    only_edges = t.write('conf/edges.conf', re.sub(r'(worker:\n +instances:) \d+', r'\1 0', text))
    edges = t.start('slimta-master', '-c', only_edges, *ROOT, notify=True)
    is_(edges.children('slimta-worker'), [], 'with no workers')
    idents.append(send(t))
    like(t.queuectl('list', conf=conf), rf'(?m)^{idents[1]} new +0 ', 'it is listed')
    is_(redis('ZRANGE', 'slimta:index', 0, -1), [idents[1].encode()], 'and is in redis')
    redis.kill()
    send(t, 451)
    redis.start()
    worker = t.start('slimta-worker', '-c', conf, '--queue', 'local', *ROOT, ready=r'\bready\b')
    wait_for(lambda: saved(t) == [f'{ident}.eml' for ident in idents], what='that message in its file, after redis was killed')
    wait_for(lambda: redis('ZCARD', 'slimta:index') == 0, what='an empty queue')
    is_(worker.stop(signal.SIGTERM), 0, 'the worker ends')
    is_(edges.stop(), 0, 'as the edges do')


def no_spool(t):
    """A queue that is on no disk of this host has no place for large mail that arrives: who has made none hears so at once."""
    if os.access(DEFAULT, os.W_OK | os.X_OK):
        skip(f'there is a {DEFAULT} here', 'its absence is told')
        return
    redis = Redis(t, aof='always')
    edge = t.edge('@process@\nedge: {in: {type: smtp, queue: q, listener: {interface: 127.0.0.1, port: @port:smtp@}}}\n'
        f'queue: {{q: {{type: redis, relay: r, {redis.keys()}}}}}\nrelay: {{r: {{type: blackhole}}}}\n')
    like(edge.log, rf' error slimta-edge\S* edge: spool_dir not usable.* dir={DEFAULT} ', 'the place that it looked for')


run(steps, no_spool)
