#!/usr/bin/python3
# 2004-master-stop.t - SIGTERM drains, a second one and the end of drain_timeout do not wait
# SPDX-License-Identifier: MIT
import signal

from lib.fixture import IS_ROOT, is_, like, ok, run
from lib.master import CONFIG, gone


def in_a_transaction(t):
    """A session that has its transaction open, and one that is idle."""
    busy, idle = t.client('smtp'), t.client('smtp')
    busy.hello()
    busy.cmd('MAIL FROM:<a@example.com>', 250)
    busy.cmd('RCPT TO:<b@example.com>', 250)
    busy.cmd('DATA', 354)
    idle.hello()
    return busy, idle


def drains(t):
    master = t.master(CONFIG)
    busy, idle = in_a_transaction(t)
    master.kill(signal.SIGTERM)
    idle.expect(421)
    ok(idle.at_end(), 'an idle session ends at once')
    like(master.log, r'process: began to drain because="the master said so" timeout_ms=(5000|4[5-9]\d\d)$', 'edges were told')
    busy.send(b'Subject: x\r\n\r\nx\r\n.\r\n')
    busy.expect(250)
    is_(master.wait(), 0, 'the other one is served before the end')
    like(master.log, r'child ended child=worker .*exited with status 0', 'and the worker ended by itself')


def second_signal(t):
    master = t.master(CONFIG.replace('drain_timeout: 5', 'drain_timeout: 100'))
    pids = master.children()
    busy, _ = in_a_transaction(t)
    master.kill(signal.SIGTERM)
    master.wait_log('began to stop because=SIGTERM')
    master.kill(signal.SIGINT)
    is_(master.wait(), 1, 'a second signal ends it at once')
    like(master.log, r'killed child child=edge .*because="a second signal came"', 'with its edges')
    gone(pids)
    ok(busy.at_end(), 'and the session')


def same_signal_twice(t):
    """As `timeout make run` does it: to the process group, and passed on by make."""
    master = t.master(CONFIG)
    busy, idle = in_a_transaction(t)
    master.kill(signal.SIGTERM)
    master.kill(signal.SIGTERM)
    idle.expect(421)
    busy.send(b'Subject: x\r\n\r\nx\r\n.\r\n')
    busy.expect(250)
    is_(master.wait(), 0, 'the same signal twice at once is one')


def time_is_over(t):
    master = t.master(CONFIG.replace('drain_timeout: 5', 'drain_timeout: 0.2'))
    pids = master.children()
    in_a_transaction(t)
    master.kill(signal.SIGTERM)
    master.wait(20)
    gone(pids)
    like(master.log, r'process: began to drain .*timeout_ms=(200|1[5-9]\d)', 'a session that does not end')
    like(master.log, 'child ended child=spawner', 'keeps nobody for long')


def while_starting(t):
    """Before all is ready: a worker that dies keeps the master from being so."""
    master = t.start('slimta-master', '-c', t.config(CONFIG), *(['--allow-root'] if IS_ROOT else []),
        ready='master: started child')
    master.kill(signal.SIGTERM)
    is_(master.wait(), 0, 'a stop in the middle of the start')
    like(master.log, 'master: ended', 'is a stop like any other')


run(drains, second_signal, same_signal_twice, time_is_over, while_starting)
