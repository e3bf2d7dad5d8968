#!/usr/bin/python3
# 7007-queuectl-reload.t - reload waits for its outcome, and says all that is wrong in the order of the file
# SPDX-License-Identifier: MIT
import json
import re
import signal
import subprocess

from lib.fixture import is_, like, ok, run, wait_for
from lib.master import CONFIG, begin_data, end_data, with_keys

WRONG = '''@process@
    reload_timeout: 60
  edge: {instances: 2}
  worker: {instances: 1}
edge: {main: {type: smtp, queue: q, max_size: tiny, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, relay: r, retry: {delay: x +}}}
relay: {r: {type: blackhole, bad_key: 1}}
'''


def reload(t, *args):
    return t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *args, 'reload')


def outcome(t):
    master = t.master(with_keys('    reload_timeout: 60\n'))
    done = reload(t)
    is_(done.returncode, 0, 'a right configuration')
    like(done.stdout.decode(), r'^reloaded: generation 2 serves since \d+ ms after it was asked for\n$', 'is taken')
    like(master.log, 'reloaded generation=2', 'before that is said')
    like(t.queuectl('status'), r'(?m)^edge +\d+ +ready +\d+ +\S+ +2 +-$', 'status has the generation')
    t.config(WRONG)
    done = reload(t)
    is_(done.returncode, 1, 'a wrong one')
    lines = done.stderr.decode().splitlines()
    is_([re.match(r'\S+/slimta\.conf:(\d+):\d+: ([\w.]+):', line).groups() for line in lines[:-1] if 'warning' not in line],
        [('8', 'edge.main.max_size'), ('9', 'queue.q.retry.delay'), ('10', 'relay.r.bad_key')], 'is said in file order')
    is_(lines[-1], 'slimta-queuectl: not reloaded: what ran before goes on', 'and not taken')
    done = reload(t, '--json')
    is_(done.returncode, 1, 'the same')
    is_(len([line for line in json.loads(done.stdout)['refused'] if 'warning' not in line]), 3, 'as JSON')
    t.config(WRONG.replace('max_size', '[max_size'))
    done = reload(t)
    is_((done.returncode, len(re.findall(r'slimta\.conf:', done.stderr.decode()))), (1, 1), 'what is no YAML is said once')
    t.config(CONFIG)
    is_(json.loads(reload(t, '--json').stdout)['generation'], 3, 'a right one again')
    is_(master.stop(), 0, 'and it ends well')
    done = reload(t)
    is_(done.returncode, 1, 'nobody there')
    like(done.stderr.decode(), r'/runtime/master: No such file or directory \(no slimta-master is running here\)', 'is said')
    is_(reload(t, '-q', 'q').returncode, 2, 'it is not for a queue')


def waits(t):
    """Those who ask while an old generation ends are answered when their own reload is done; or the master stops."""
    master = t.master(CONFIG)
    busy = begin_data(t)
    reload(t)
    since = len(master.log)
    askers = [subprocess.Popen([t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), 'reload'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=t.env) for _ in range(3)]
    wait_for(lambda: len(re.findall('reload waits for="the old generation to end"', master.log[since:])) == 3, what='them')
    askers[0].kill()
    askers[0].communicate()
    ok(all(asker.poll() is None for asker in askers[1:]), 'they wait')
    like(t.queuectl('status'), r'(?m)^edge +\d+ +draining +\d+ +\S+ +1 draining +-$', 'status says for whom')
    end_data(busy)
    for asker in askers[1:]:
        like(asker.communicate(timeout=20)[0].decode(), 'reloaded: generation 3 ', 'each is told')
    is_(len(re.findall('reload began', master.log)), 2, 'of one reload for both')
    master.wait_log('generation ended generation=2')
    busy = begin_data(t)
    reload(t)
    asker = subprocess.Popen([t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), 'reload'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=t.env)
    since = len(master.log)
    master.wait_log('reload waits')
    wait_for(lambda: len(re.findall('reload waits', master.log)) == 4, what='one more')
    master.kill(signal.SIGTERM)
    like(asker.communicate(timeout=20)[0].decode(), 'the master stops', 'a stop ends the waiting')
    is_(asker.returncode, 1, 'without a reload')
    end_data(busy)
    is_(master.wait(), 0, 'and it ends well')


run(outcome, waits)
