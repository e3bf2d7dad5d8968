#!/usr/bin/python3
# 5041-worker-deaths.t - what a worker held when it was killed: marked, named where it is in doubt, and delivered
# SPDX-License-Identifier: MIT
import glob
import os
import re
import signal

from lib.fixture import is_, like, run, unlike, wait_for
from lib.next_hop import SILENCE, NextHop
from lib.relay import config, queued, script, send

WAIT = 'echo $1 >>started; while [ ! -e go ]; do sleep 0.02; done; cat >/dev/null'


def begin(t, count, more=''):
    text = config(f'type: pipe, args: [{script(t, "wait", WAIT)}, "{{message_id}}"], concurrent_processes: {count}', worker=more)
    t.edge(text)
    worker = t.worker(text, 'q')
    idents = [send(t, 'r@example.net') for _ in range(count)]
    wait_for(lambda: os.path.exists(t.path('started')) and len(t.read('started').split()) == count, what='the commands')
    return text, worker, idents


def start(t, text):
    """Beside its spawner, which may be ready sooner."""
    worker = t.worker(text, 'q')
    worker.wait_log(r'slimta-worker\S+ process: ready')
    return worker


def files(t):
    return sorted(os.path.basename(path) for path in glob.glob(t.path('runtime', '*.now')))


def alone(t):
    text, worker, (ident,) = begin(t, 1)
    worker.kill()
    worker.wait()
    is_(files(t), ['q-0.now'], 'a killed worker leaves its file')
    again = start(t, text)
    like(again.log, rf'warn .* in doubt id={ident} queue=q relay=r since=\d{{4}}-\S+Z owner="?\S+/slimta-worker\[{worker.pid}\]"? ',
        'the message is in doubt')
    like(again.log, rf'gave a strike id={ident} queue=q', 'and gets a strike')
    again.wait_log(rf'handled alone id={ident} ')
    is_(files(t), ['q-1.now'], 'the file is seen to; who came next has its own')
    like(t.queuectl('show', ident), r'strikes +1\n', 'as is shown')
    t.write('go', '')
    again.wait_log(rf' delivered id={ident} ')
    is_(again.stop(), 0, 'it ends')
    is_(files(t), [], 'and leaves nothing')


def with_others(t):
    text, worker, idents = begin(t, 3)
    worker.kill()
    worker.wait()
    os.remove(t.path('started'))
    again = start(t, text)
    is_(sorted(re.findall(r' in doubt id=(\S+)', again.log)), sorted(idents), 'three that were in delivery are in doubt')
    is_(sorted(re.findall(r' made suspect id=(\S+)', again.log)), sorted(idents), 'and suspect')
    unlike(again.log, 'gave a strike', 'but nobody gets a strike')
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='a command')
    other = send(t, 'r@example.net')
    is_(len(t.read('started').split()), 1, 'one is handled')
    t.write('go', '')
    for ident in idents:
        again.wait_log(rf' delivered id={ident} ')
    again.wait_log(rf' delivered id={other} ')
    order = re.findall(r' (handled alone|delivered) id=(\S+)', again.log)
    is_([event for event, _ in order], ['handled alone', 'delivered'] * 3 + ['delivered'], 'each begins when the one before is done')
    is_(order[-1][1], other, 'and the work goes on')


def no_death(t):
    text, worker, (ident,) = begin(t, 1, ', drain_timeout: 0.2')
    worker.kill(signal.SIGTERM)
    is_(worker.wait(), 1, 'a worker that is not done at the bound of its drain')
    is_(files(t), [], 'takes its file away')
    again = start(t, text)
    unlike(again.log, 'gave a strike|made suspect|dead worker', 'nobody is struck for that')
    t.write('go', '')
    again.wait_log(rf' delivered id={ident} ')


def waiting(t):
    """Before the dot nothing is in doubt."""
    hop = NextHop(t, {'RCPT': SILENCE}, extensions=())
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}')
    t.edge(text)
    worker = t.worker(text, 'q')
    ident = send(t, 'r@example.net')
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    worker.kill()
    worker.wait()
    hop.at = {}
    again = start(t, text)
    again.wait_log(rf' delivered id={ident} ')
    like(again.log, rf'gave a strike id={ident}', 'one that had begun gets a strike')
    unlike(again.log, ' in doubt ', 'and is not in doubt')
    is_(len(hop.messages), 1, 'it is delivered once')


def under_master(t):
    master = t.master(config(f'type: pipe, args: [{script(t, "wait", WAIT)}, "{{message_id}}"], concurrent_processes: 1'))
    ident = send(t, 'r@example.net')
    for strikes in (1, 2):
        wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='a command')
        os.remove(t.path('started'))
        os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
        wait_for(lambda: len(re.findall(f'gave a strike id={ident} queue=q', master.log)) == strikes, what=f'strike {strikes}')
    wait_for(lambda: re.search(r'strikes +2\n', t.queuectl('show', ident)), what='two strikes')
    t.write('go', '')
    master.wait_log(rf' delivered id={ident} ')
    is_(len(re.findall(f' in doubt id={ident} queue=q', master.log)), 2, 'twice it was in doubt')
    is_(master.stop(), 0, 'and all is well again')


run(alone, with_others, no_death, waiting, under_master)
