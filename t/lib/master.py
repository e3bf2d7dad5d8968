# master.py - what the tests of the master have in common
# SPDX-License-Identifier: MIT
import json
import os
import signal
import socket

from .fixture import process_stat, wait_for

CONFIG = '''@process@
    drain_timeout: 5
  edge: {instances: 2}
  worker: {instances: 1}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, relay: r, retry: {delay: 60, maximum: 9}}}
relay: {r: {type: blackhole}}
'''
NAMES = ('slimta-spawner', 'slimta-worker', 'slimta-edge')


def with_keys(keys, config=CONFIG):
    """The configuration with more lines in process.slimta."""
    return config.replace('    drain_timeout: 5\n', f'    drain_timeout: 5\n{keys}')


def status(path, request=b'{"op":"status"}\n'):
    """The lines that runtime_dir/master answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(path)      # with a time-out, it would not wait for room in the backlog
        sock.settimeout(10)
        sock.sendall(request)
        text = b''
        while True:
            more = sock.recv(65536)
            if not more:
                return [json.loads(line) for line in text.splitlines()]
            text += more


def gone(pids, timeout=15):
    """Waits until none of the processes is there, zombies not counted."""
    wait_for(lambda: all((process_stat(pid) or ('Z',))[0] == 'Z' for pid in pids), timeout, f'the end of {pids}')


def mode(path):
    return os.stat(path).st_mode & 0o7777


def sighup(master, pattern='master: reloaded generation'):
    """Sends it and waits for the outcome in the log."""
    since = len(master.log)
    master.kill(signal.SIGHUP)
    return master.wait_log(pattern, since=since)


def begin_data(t, port='smtp'):
    """A client in the middle of a message."""
    client = t.client(port)
    client.hello()
    client.cmd('MAIL FROM:<a@example.com>', 250)
    client.cmd('RCPT TO:<b@example.com>', 250)
    client.cmd('DATA', 354)
    return client


def end_data(client, body='x'):
    """The rest of its message; a client that stays would be given its time to read."""
    client.send(f'Subject: x\r\n\r\n{body}\r\n.\r\n')
    client.expect(250)
    client.close()
