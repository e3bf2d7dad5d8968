#!/usr/bin/python3
# 2014-master-reload.t - SIGHUP: a new generation takes over, or the old one stays and says why
# SPDX-License-Identifier: MIT
import os
import signal

from lib.fixture import is_, like, ok, run, unlike
from lib.master import CONFIG, begin_data, end_data, gone, sighup, status, with_keys


def takes_over(t):
    master = t.master(CONFIG)
    first = master.children()
    busy, idle = begin_data(t), t.client('smtp')
    idle.hello()
    t.config(CONFIG.replace('type: smtp,', 'type: smtp, hostname: second.example,'))
    sighup(master)
    t.wait_notified(master, rb'^RELOADING=1\nMONOTONIC_USEC=\d+$')
    idle.expect(421)
    with t.client('smtp') as client:
        client.expect(220, 'second.example', 'new connections meet the new configuration')
    lines = status(t.path('runtime/master'))
    is_(lines[0]['generation'], 2, 'the second generation serves')
    edges = {(line['generation'], line['state']) for line in lines[1:-1] if line['process'] == 'edge'}
    is_(sorted(edges - {(1, 'gone')}), [(1, 'draining'), (2, 'ready')], 'and the first one has a session to end')
    busy.send(b'Subject: x\r\n\r\nx\r\n.\r\n')
    busy.expect(250, '', 'which is served to its end')
    busy.expect(421)
    busy.close()
    gone(first)
    master.wait_log('master: generation ended generation=1')
    like(master.log, 'process: began to drain because="another generation does its work" timeout_ms=(600000|599\d\d\d)$', 'it drained')
    is_(sorted(os.listdir(t.path('runtime')))[-1], 'spawner-2', 'the spawner has a socket of its own')
    ok('spawner-1' not in os.listdir(t.path('runtime')), 'and that of the first one is gone')
    lines = status(t.path('runtime/master'))
    is_(len(lines), 6, 'as are its lines')
    is_(lines[-1]['counters']['edge_messages_total'], 1, 'what it has counted stays')
    is_(master.stop(), 0, 'and it ends well')


def refused(t):
    """Wrong in the eyes of each program, of the master, or not even YAML."""
    master = t.master(with_keys('    reload_timeout: 60\n'))
    pids = sorted(master.children())
    good = t.read('slimta.conf').decode()
    for text, pattern in (
            (good.replace('type: smtp', 'type: smtp, bad_key: 1'), r'slimta\.conf:\d+:\d+: edge\.main\.bad_key'),
            (good.replace('type: blackhole', 'type: blackhole, bad_key: 1'), r'slimta\.conf:\d+:\d+: relay\.r\.bad_key'),
            (good.replace('relay: r,', 'relay: none,'), r'slimta\.conf:\d+:\d+: queue\.q\.relay'),
            (good.replace('process:', 'process: ['), r'slimta\.conf:\d+:\d+'),
            (good.replace('listener: {', 'listener: {interface: 192.0.2.1, '), r'edge\.main cannot listen on 192\.0\.2\.1'),
            (good.replace('listener: {', 'listener: {interface: no.such.host.invalid, '), r'cannot find the address'),
            (good.replace('runtime_dir: ', 'pid_file: /x/y\n    runtime_dir: '), 'master.pid_file cannot be changed by a'),
            (good.replace('/runtime', '/elsewhere'), r'worker\.runtime_dir cannot be changed by a reload'),
            (good.replace('edge: {instances: 2}', 'edge: {instances: 1000}').replace('worker: {instances: 1}',
                'worker: {instances: 1000}'), 'processes are too many beside those that run')):
        t.write('slimta.conf', text)
        sighup(master, f'error .*master: reload refused error=".*{pattern}')
        t.wait_notified(master, rb'^STATUS=running: 4 of 4 processes ready; reload refused: .*$')
    t.write('slimta.conf', good.replace('type: smtp', 'type: smtp, proxy_from: [10.0.0.0/8]')
        .replace('relay: r,', 'relay: nosuch,'))
    since = len(master.log)
    sighup(master, 'warn .*master: configuration warning warning=".*proxy_from: warning: of no use')
    t.wait_notified(master, rb'^STATUS=running: .*; reload refused: \S+: queue\.q\.relay: .*nosuch')
    unlike(master.log[since:], 'reload refused error=.*: warning: ', 'what is only warned of did not refuse it')
    os.unlink(t.path('slimta.conf'))
    sighup(master, 'reload refused error=".*slimta.conf: .*No such file')
    is_(sorted(master.children()), pids, 'the old processes stay')
    ok(not os.path.exists(t.path('elsewhere')), 'nothing was made for the others')
    t.write('slimta.conf', good)
    sighup(master, 'reloaded generation')
    is_(t.client('smtp').reply().code, 220, 'and a right one is taken then')
    is_(master.stop(), 0, 'and it ends well')


def reload_and_kill(master):
    """True if the worker of the new generation died before that was ready."""
    since = len(master.log)
    master.kill(signal.SIGHUP)
    new = int(master.wait_log(r'started child child=worker .*child_pid=(\d+) generation=2', since=since)[1])
    os.kill(new, signal.SIGKILL)
    over = master.wait_log('reloaded generation|reload refused error="the worker of queue q 0 of the new configuration '
        'killed by signal 9', since=since)
    return 'refused' in over[0]


def not_ready(t):
    """A new generation whose children die at once does not replace anybody."""
    text = CONFIG.replace('listener: {port: @port:smtp@}', 'listeners: [{port: @port:smtp@}, {port: @port:more@}]')
    for _ in range(20):
        master = t.master(CONFIG)
        pids = master.children()
        busy = begin_data(t)
        t.config(text)
        if reload_and_kill(master):
            break
        end_data(busy)	# it was faster than we are: once more
        master.stop()
    master.wait_log('master: generation ended generation=2')
    ok(set(pids) <= set(master.children()) and len(master.children()) == 4, 'the old one stays')
    is_(t.client('smtp').reply().code, 220, 'and serves')
    sighup(master, 'reloaded generation=3')
    is_(t.client('more').reply().code, 220, 'the next reload is as good as a first one')
    end_data(busy)
    is_(master.stop(), 0, 'and it ends well')


run(takes_over, refused, not_ready)
