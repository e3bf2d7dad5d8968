#!/usr/bin/python3
# 8005-path-redis-hosts.t - the samples for hosts that share a queue on redis work, as what slimta-queue(5) says of redis does
# SPDX-License-Identifier: MIT
import os
import re
import shlex
import signal
import subprocess

from lib.fixture import IS_ROOT, TOP, diag, is_, like, ok, run, unlike, wait_for
from lib.mail import send
from lib.next_hop import NextHop
from lib.redis import Redis
from lib.redis_manual import between, user

ROOT = ['--allow-root'] if IS_ROOT else []


def samples(t, redis, hop):
    """Copies of those of conf/, with the addresses of this test in place of theirs."""
    for name in ('redis-queue.yaml', 'redis-edge.conf', 'redis-worker.conf'):
        with open(f'{TOP}/conf/{name}', encoding='utf-8') as sample:
            text = sample.read()
        host = name.split('-')[1].split('.')[0]
        for old, new in (('host: redis.example.net ', f'host: 127.0.0.1\nport: {redis.port}\npassword: s3cret\n'),
                ('# username:', 'username:'), ('prefix: "outbound:"', 'prefix: "slimta:"'),
                ('process:\n  slimta:\n', f'process:\n  slimta:\n    runtime_dir: {t.dir}/run-{host}\n'),
                ('spool_dir: /var/spool/slimta', f"spool_dir: {t.folder('spool', 'mail')}"),
                ("interface: '*', port: 25", f"interface: 127.0.0.1, port: {t.port('smtp')}"),
                ('host: mail.example.net', f'host: 127.0.0.1\n    port: {hop.port}')):
            if old in text:
                text = text.replace(old, new)
        if not IS_ROOT:
            text = re.sub(r'\n    (user|group): mail.*', '', text)
        t.write(name, text)


def deliver(t, hop, *processes, body=b'body\r\n'):
    count = len(hop.messages)
    ident = send(t, 'smtp', ('s@example.org', ['r@example.net'], b'Subject: x\r\n\r\n' + body))[0]
    wait_for(lambda: len(hop.messages) > count, 15, 'the message at the next hop')
    wait_for(lambda: any(f' delivered id={ident} ' in process.log for process in processes), what='its line in the log')
    return ident


def hosts(t):
    redis = Redis(t, aof='always', acl=[user()])
    hop = NextHop(t)
    samples(t, redis, hop)
    edges = t.start('slimta-master', '-c', t.path('redis-edge.conf'), notify=True)
    is_((len(edges.children('slimta-edge')) > 0, edges.children('slimta-worker')), (True, []), 'a host that only accepts')
    workers = t.start('slimta-master', '-c', t.path('redis-worker.conf'), notify=True)
    is_((workers.children('slimta-edge'), len(workers.children('slimta-worker'))), ([], 2), 'and one that only delivers')
    deliver(t, hop, workers)
    deliver(t, hop, workers, body=b'%064d\r\n' % 0 * 8000)
    is_(workers.stop(), 0, 'which ends well')

    alone = t.start('slimta-worker', '-c', t.path('redis-worker.conf'), '--queue', 'outbound', ready=r'\bready\b')
    deliver(t, hop, alone)
    # A master's instances do not count for one that is started by hand.
    other = t.start('slimta-worker', '-c', t.path('redis-worker.conf'), '--queue', 'outbound', ready=r'\bready\b')
    is_(alone.stop(signal.SIGTERM), 0, 'a worker alone delivers, and ends')
    deliver(t, hop, other)
    is_(other.stop(), 0, 'so does another')
    operator(t, redis)
    is_(edges.stop(), 0, 'the edges end well')
    is_(redis('ACL', 'LOG'), [], 'the user of the manual may do all that was done')
    for process in (edges, workers, alone, other):
        unlike(process.log, 'NOPERM', f'{process.name} was refused nothing')


def operator(t, redis):
    """While nobody delivers; queuectl runs on any host."""
    idents = [send(t, 'smtp', ('s@example.org', [f'r{n}@example.net'], b'Subject: x\r\n\r\nbody\r\n'))[0] for n in range(3)]
    conf = t.path('redis-edge.conf')
    like(t.queuectl('status', conf=conf), r'outbound +3 +0 +0 +0 ', 'three wait')
    t.queuectl('hold', '--yes', '--reason', 'disk change', idents[1], conf=conf)
    t.queuectl('retry', '--yes', idents[2], conf=conf)
    t.queuectl('suspend', 'example.com', conf=conf)
    looks(redis, idents[2])
    for ident in idents:
        t.queuectl('show', ident, conf=conf)
    t.queuectl('remove', '--yes', '--all', conf=conf)
    is_(redis('ZCARD', 'slimta:index'), 0, 'all are removed')


def looks(redis, ident):
    """Each command that the manual shows works here."""
    commands = re.findall(r'(?m)^\$ (redis-cli .*)$', between('recorded', 'end of what was recorded'))
    ok(len(commands) > 4, f'{len(commands)} commands are recorded')
    for command in commands:
        command = re.sub(r'slimta:[0-9a-z]{26}', f'slimta:{ident}', command)
        done = subprocess.run(['redis-cli', '-p', str(redis.port), *shlex.split(command)[1:]], capture_output=True, text=True,
            timeout=20, check=False)
        if not ok(done.returncode == 0 and not done.stderr and not re.match(r'\(error|[A-Z]+ ', done.stdout), command):
            diag(done.stdout + done.stderr)


def refusals(t):
    conf = os.path.join(TOP, 'conf/redis-worker.conf')
    for args, code, said in (
            (['-c', conf], 2, '--queue is missing'),
            (['-c', conf, '--queue', 'outbond', *ROOT], 1, r'no queue is named "outbond" \(did you mean "outbound"\?\)'),
            (['-c', conf, '--queue', 'else', *ROOT], 1, r'no queue is named "else"$'),
            (['-c', os.path.join(TOP, 'conf/redis-edge.conf'), '--queue', 'outbound', *ROOT], 1, 'expected a `relay`')):
        done = t.run('slimta-worker', *args)
        is_(done.returncode, code, f"refused: {' '.join(args[2:])}")
        like(done.stderr.decode(), rf'(?m){said}', 'with a word on it')
    done = t.run('slimta-worker', '-c', conf, '--check', *ROOT)
    is_((done.returncode, 'error' in done.stderr.decode()), (0, False), 'the sample is good')


run(hosts, refusals)
