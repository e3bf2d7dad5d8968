#!/usr/bin/python3
# 1003-config-logging.t - what process.*.logging says about level, format, output and subsystems
# SPDX-License-Identifier: MIT
import json
import os
import re

from lib.fixture import IS_ROOT, is_, like, ok, run, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@
  worker: {instances: 0}
  edge: {logging: {%s}}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes}}
'''
MESSAGE = ('a@example.net', ['x@example.org'], b'x\r\n')
ROOT = ['--allow-root'] if IS_ROOT else []
LINE = r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) slimta-edge\[\d+\] (\w+): (.*)$'


def logged(text):
    """The lines of the log: what is said before the log is open is not in it."""
    return [line for line in text.splitlines() if 'warning: ' not in line]


def lines_of(text):
    return [re.match(LINE, line) for line in logged(text)]


def text_at_info(t):
    edge = t.edge(CONFIG % '')
    message, = send(t, 'smtp', MESSAGE)
    edge.wait_log(message)
    lines = lines_of(edge.log)
    ok(all(lines), 'text: time, level, program, subsystem, event')
    ok({line[1] for line in lines} <= {'info', 'warn', 'error'}, 'nothing below info')


def other_levels(t):
    edge = t.edge(CONFIG % 'level: debug')
    send(t, 'smtp', MESSAGE)
    names = {line[2] for line in lines_of(edge.log) if line}
    ok(len(names) > 1, 'several subsystems speak')
    is_(edge.stop(), 0, 'the edge ends')
    quiet = t.start('slimta-edge', '-c', t.config(CONFIG % 'level: error'), *ROOT)
    wait_for(lambda: listening(t), what='the port to be open')
    send(t, 'smtp', MESSAGE)
    is_(quiet.stop(), 0, 'the edge ends')
    is_(logged(quiet.log), [], 'level error: all was well')


def listening(t):
    try:
        t.client('smtp').close()
    except OSError:
        return False
    return True


def subsystems(t):
    edge = t.edge(CONFIG % '')
    message, = send(t, 'smtp', MESSAGE)
    edge.wait_log(message)
    spoken = {line[2] for line in lines_of(edge.log) if message in line[3]}
    is_(edge.stop(), 0, 'the edge ends')
    silent = sorted(spoken)[0]
    edge = t.edge(CONFIG % f'levels: {{{silent}: error}}') if len(spoken) > 1 else t.start('slimta-edge', '-c',
        t.config(CONFIG % f'levels: {{{silent}: error}}'), *ROOT)
    wait_for(lambda: listening(t), what='the port to be open')
    send(t, 'smtp', MESSAGE)
    is_(edge.stop(), 0, 'the edge ends')
    unlike(edge.log, rf'(?m)^\S+ info \S+ {silent}: ', f'levels: {silent} is silent')


def as_json(t):
    edge = t.edge(CONFIG % 'format: json')
    message, = send(t, 'smtp', MESSAGE)
    edge.wait_log(message)
    lines = [json.loads(line) for line in logged(edge.log)]
    ok(all(isinstance(line, dict) for line in lines), 'json: an object a line')
    ok([line for line in lines if line.get('id') == message], 'with the id as a member')


def into_a_file(t):
    edge = t.start('slimta-edge', '-c', t.config(CONFIG % 'output: ./edge.log'), *ROOT)
    wait_for(lambda: os.path.exists(t.path('edge.log')) and listening(t), what='the log')
    message, = send(t, 'smtp', MESSAGE)
    wait_for(lambda: message in t.read('edge.log').decode(), what='the message in the log')
    ok(all(lines_of(t.read('edge.log').decode())), 'output: a path, beside the configuration')
    is_(logged(edge.log), [], 'and nothing on stderr')
    is_(oct(os.stat(t.path('edge.log')).st_mode & 0o027), '0o0', 'that others cannot read')
    is_(edge.stop(), 0, 'the edge ends')
    bad = t.run('slimta-edge', '-c', t.config(CONFIG % 'output: ./none/edge.log'), *ROOT)
    is_(bad.returncode, 1, 'one that cannot be opened')
    like(bad.stderr.decode(), 'none/edge.log', 'is said')


run(text_at_info, other_levels, subsystems, as_json, into_a_file)
