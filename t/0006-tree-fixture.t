#!/usr/bin/python3
# 0006-tree-fixture.t - the fixture itself: scripted peers, ports, readiness, and that it fails what it must
# SPDX-License-Identifier: MIT
import os
import re
import subprocess
import sys

from lib.fixture import TOP, dot_stuffed, is_, like, ok, run

BROKEN = '''
import os, subprocess, sys
sys.path.insert(0, {folder!r})
from lib.fixture import *
def test(t):
    {body}
run(test, timeout=20)
'''


def outcome(t, body):
    """Runs a test with this body as a program of its own; gives its exit status and output."""
    script = t.write('broken.py', BROKEN.format(folder=os.path.join(TOP, 't'), body=body))
    done = subprocess.run([sys.executable, script], capture_output=True, timeout=60,
        env=dict(t.env, TMPDIR=t.folder('inner')), check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def peers(t):
    def script(peer):
        peer.line('220 here')
        assert peer.read_line() == b'EHLO client.example'
        peer.send(b'250-here\r\n250 SIZE 10\r\n')
        assert peer.read_line() == b'DATA'
        peer.line('354 go on')
        received.append(peer.read_until(b'\r\n.\r\n'))
        peer.line('250 2.0.0 done')

    received = []
    server = t.server(script)
    with t.client(server.port) as client:
        reply = client.hello()
        is_(reply.lines[1], '250 SIZE 10', 'a reply of several lines is read whole')
        client.cmd('DATA', 354)
        client.send(dot_stuffed('.a\r\n..b\r\nc\r\n'))
        client.expect(250, r'^2\.0\.0')
        ok(client.at_end(), 'the end of the stream is seen')
    is_(received, [b'..a\r\n...b\r\nc\r\n.\r\n'], 'dots were stuffed')


def ports(t):
    found = {t.port(name) for name in 'abc'}
    is_(len(found), 3, 'three names are three ports')
    is_(t.port('a'), t.port('a'), 'a name keeps its port')
    like(open(t.config('x: @port:a@ @dir@\n'), encoding='utf-8').read(), f'^x: {t.port("a")} {t.dir}$',
        'a configuration is filled in')


def what_must_fail(t):
    status, output = outcome(t, 'ok(True, "fine")')
    is_((status, re.findall('^(?:not )?ok.*|^1[.].*', output, re.M)), (0, ['ok 1 - fine', '1..1']), 'a good one')
    for body, wanted in (
            ('pass', r'^1\.\.0'),
            ('ok(False, "x")', '^not ok 1 - x'),
            ('raise ValueError(3)', '^not ok 1 - .*ValueError'),
            ('ok(True, "x"); t.server(lambda peer: 1 / 0); t.client(t.servers[0].port).at_end()',
                '^not ok 2 - the server script'),
            ('ok(True, "x"); subprocess.Popen(["sh", "-c", "setsid sleep 60 &"]).wait()',
                r'^not ok 2 - no process is left behind \(sleep'),
            ('ok(True, "x"); t.write("sanitizer/asan.1", "leak")', '^not ok 2 - no sanitizer report'),
            ('ok(True, "x"); t.write("sanitizer/asan.1", "==1==Unable to get registers from thread 2.\\nleak")',
                '^not ok 2 - no sanitizer report'),
            ('wait_for(lambda: False, 0.1, "nothing")', '^not ok 1 - not within .*: nothing')):
        status, output = outcome(t, body)
        is_(status, 1, f'exit status of: {body}')
        like(output, wanted, 'and it says why')
    status, output = outcome(t, 'ok(True, "x"); t.write("sanitizer/asan.1", "==1==Unable to get registers from thread 2.\\n")')
    is_(status, 0, 'a leak checker that was killed at work has found nothing')
    status, output = outcome(t, 'skip_all("no such thing")')
    is_(status, 0, 'a skipped one is no failure')
    like(output, r'^1\.\.0 # skip no such thing', 'and it says why')
    is_([name for name in os.listdir(t.path('inner')) if name.startswith('slimta-t-')], [],
        'no scratch folder stayed behind')


run(peers, ports, what_must_fail)
