#!/usr/bin/python3
# 8004-path-first-minutes.t - make run starts it, and the commands that it prints do what they say
# SPDX-License-Identifier: MIT
import glob
import os
import re
import shutil
import subprocess

from lib.fixture import TOP, diag, is_, like, ok, run, wait_for


def tree(t):
    """A folder like this one, but with a conf/ and a run/ of its own, and a port that is free."""
    top = t.folder('tree')
    for name in os.listdir(TOP):
        if name not in ('conf', 'run', '.git'):
            os.symlink(os.path.join(TOP, name), os.path.join(top, name))
    shutil.copytree(f'{TOP}/conf', f'{top}/conf')
    with open(f'{TOP}/conf/slimta.conf', encoding='utf-8') as sample:
        text = sample.read()
    like(text, 'interface: 127.0.0.1, port: 1025', 'the sample listens on 127.0.0.1:1025')
    t.write('tree/conf/slimta.conf', text.replace('1025', str(t.port('smtp'))))
    return top


def printed(output, what):
    """The command printed for `what`, with lines that end in a backslash joined."""
    match = re.search(rf'^  {what} +((?:.*\\\n)*.*)$', output, re.M)
    return re.sub(r' {2,}\(or:.*|.*, or: ', '', match[1]) if match else 'false'


def first_minutes(t):
    top = tree(t)
    env = {key: value for key, value in t.env.items() if not key.startswith(('MAKE', 'MFLAGS'))}
    log = t.path('make.log')
    with open(log, 'ab') as out:
        process = subprocess.Popen(['make', 'run'], cwd=top, stdin=subprocess.DEVNULL, stdout=out,
            stderr=out, env=env)

    def output():
        with open(log, encoding='utf-8', errors='replace') as text:
            return text.read()
    try:
        pid_file = os.path.join(top, 'run/slimta.pid')
        wait_for(lambda: os.path.exists(pid_file) or process.poll() is not None, 60, 'make run to be ready')
        send = printed(output(), 'send').replace('1025', str(t.port('smtp')))
        like(send, 'curl', 'it prints how to send a message')

        def shell(command):
            done = subprocess.run(['bash', '-c', command], cwd=top, capture_output=True, text=True, env=env,
                timeout=30, check=False)
            if not is_(done.returncode, 0, command.replace('\n', ' ')[:70]):
                diag(done.stdout + done.stderr)
            return done.stdout
        shell(send)
        folder = os.path.join(top, 'run/mail/you@example.net')
        name = wait_for(lambda: glob.glob(f'{folder}/*.eml'), 15, 'the message to be saved')[0]
        with open(name, 'rb') as message:
            text = message.read()
        like(text, rb'(?s)^Received: .*\r\nDate: .*Hello\.\r\n\Z'.decode(), 'the message has its new fields')
        like(text, r'^Message-I[dD]: <.*@.*>\r$', 'and an id')
        like(text, r'^Subject: hello\r$', 'and what was sent')
        is_(shell(printed(output(), 'read')).split(), [os.path.basename(name)], 'it is where it was said')
        shell(printed(output(), 'look'))
        like(shell('build/default/slimta-queuectl -c conf/slimta.conf status'), 'local', 'the status has the queue')
        shell(printed(output(), 'stop'))
        is_(process.wait(30), 0, 'it ends well')
        ok(not os.path.exists(pid_file), 'its pid file is gone')
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        if process.returncode:
            diag(output())


run(first_minutes)
