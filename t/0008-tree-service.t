#!/usr/bin/python3
# 0008-tree-service.t - the units in conf/ are good ones that give draining its time
# SPDX-License-Identifier: MIT
import os
import re
import shutil
import subprocess

from lib.fixture import IS_ROOT, TOP, is_, like, ok, run, skip


def read(name):
    with open(f'{TOP}/conf/{name}', encoding='utf-8') as service:
        return service.read()


def verify(t, name, text):
    program = shutil.which('systemd-analyze')
    if not program:
        skip('systemd-analyze is not here', 'systemd-analyze verify')
        return
    # The programs are where `make install` puts them; here they only have to exist.
    instance = name.replace('@', '@out.bound_1-a')
    path = t.write(instance, re.sub(r'/usr/sbin/slimta-\w+', '/bin/true', text))
    done = subprocess.run([program, 'verify', '--man=no', path], capture_output=True, text=True,
        env=t.env, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if instance in line]
    ok(done.returncode == 0 and not complaints, f'systemd-analyze verify {instance}: '
        + ' '.join(complaints or ['no complaint']))


def drains(t, name):
    text = read(name)
    with open(f'{TOP}/master/runtime.c', encoding='utf-8') as source:
        kept = re.search(r'kept\[\] = \{(.*?)\}', source.read(), re.S)[1].replace(',', ' ').split()
    allowed = re.search('^CapabilityBoundingSet=(.*)$', text, re.M)[1].split()
    is_(sorted(set(kept) - set(allowed)), [], f'{name}: the master has the capabilities that it keeps')
    like(text, '^KillMode=mixed$', f'{name}: the others are ended by the first process')
    longest = max(int(number) for number in re.findall(r'^TimeoutStopSec=(\d+)$', text, re.M))
    ok(longest > 30 + 600, 'TimeoutStopSec is above drain_timeout and the longest data_timeout')
    verify(t, name, text)
    return text


def master(t):
    text = drains(t, 'slimta.service')
    like(text, '^Type=notify$', 'systemd waits for READY=1')
    like(text, '^ExecReload=/usr/sbin/slimta-queuectl .* reload$', 'a reload waits for its outcome')
    before = re.search("^ExecStartPre=-/bin/sh -c '(.*)'$", text, re.M)[1].replace('/var/spool/slimta', t.path('spool'))
    os.mkdir(t.path('spool'), 0o750)
    is_(t.run('sh', '-c', before).returncode, 0, 'the spool is made')
    is_(os.stat(t.path('spool')).st_mode & 0o777, 0o750, 'but one that is there is left alone')


def worker(t):
    text = drains(t, 'slimta-worker@.service')
    like(text, r'^ExecStart=/usr/sbin/slimta-worker -c \$\{SLIMTA_CONF\} --queue %i$', 'the instance is the queue')
    like(text, '^Environment=SLIMTA_CONF=/etc/slimta/slimta.conf$', 'of the usual file')
    like(text, '^EnvironmentFile=-/etc/slimta/worker-%i.env$', 'or another, and with secrets by !env')
    # What stands behind the program's name is a command line that it understands.
    line = re.search('^ExecStart=/usr/sbin/slimta-worker (.*)$', text, re.M)[1]
    path = t.write('slimta.conf', 'queue: {other: {type: memory, relay: r}}\nrelay: {r: {type: blackhole}}\n')
    done = t.run('slimta-worker', *line.replace('${SLIMTA_CONF}', path).replace('%i', 'out').split(),
        *(['--allow-root'] if IS_ROOT else []))
    is_((done.returncode, 'no queue is named "out"' in done.stderr.decode()), (1, True), 'it looks for that queue')


run(master, worker)
