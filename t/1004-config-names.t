#!/usr/bin/python3
# 1004-config-names.t - {hostname} and {fqdn}: the system's, or what process.* says; defaults of process.slimta
# SPDX-License-Identifier: MIT
import socket

from lib.fixture import is_, like, run

CONFIG = '''@process@    %s
  worker: {instances: 0}
  edge: {%s}
edge: {main: {type: smtp, queue: q, hostname: "{hostname}/{fqdn}", listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes}}
'''


def banner(t, *names):
    edge = t.edge(CONFIG % names)
    with t.client('smtp') as client:
        text = client.expect(220).text
    is_(edge.stop(), 0, 'the edge ends')
    return text


def names(t):
    like(banner(t, '', ''), rf'{socket.gethostname()}/{socket.gethostname()}', 'the names of the system')
    like(banner(t, '', 'hostname: mx1, fqdn: mx1.example.net'), 'mx1/mx1.example.net', 'those of the program')
    like(banner(t, 'fqdn: all.example.net', 'hostname: mx2'), 'mx2/all.example.net', 'defaults for all programs')
    like(banner(t, 'fqdn: all.example.net', 'fqdn: one.example.net'), '/one.example.net', 'its own wins')


run(names)
