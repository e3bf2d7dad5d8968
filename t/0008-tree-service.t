#!/usr/bin/python3
# 0008-tree-service.t - conf/slimta.service is a good unit that gives draining its time
# SPDX-License-Identifier: MIT
import re
import shutil
import subprocess

from lib.fixture import TOP, like, ok, run, skip


def unit(t):
    with open(f'{TOP}/conf/slimta.service', encoding='utf-8') as service:
        text = service.read()
    like(text, '^Type=notify$', 'systemd waits for READY=1')
    like(text, '^ExecReload=/usr/sbin/slimta-queuectl .* reload$', 'a reload waits for its outcome')
    like(text, '^KillMode=mixed$', 'the children are ended by the master')
    longest = max(int(number) for number in re.findall(r'^TimeoutStopSec=(\d+)$', text, re.M))
    ok(longest > 30 + 600, 'TimeoutStopSec is above drain_timeout and the longest data_timeout')
    verify = shutil.which('systemd-analyze')
    if not verify:
        skip('systemd-analyze is not here', 'systemd-analyze verify')
        return
    # The programs are where `make install` puts them; here they only have to exist.
    path = t.write('slimta.service', re.sub(r'/usr/sbin/slimta-\w+', '/bin/true', text))
    done = subprocess.run([verify, 'verify', '--man=no', path], capture_output=True, text=True,
        env=t.env, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if 'slimta.service' in line]
    ok(done.returncode == 0 and not complaints, 'systemd-analyze verify: ' + ' '.join(complaints or ['no complaint']))


run(unit)
