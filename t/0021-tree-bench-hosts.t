#!/usr/bin/python3
# 0021-tree-bench-hosts.t - the sink of make bench is many next hops, and load writes to many domains, each with a host
# SPDX-License-Identifier: MIT
import socket

from bench.cases import Clock
from bench.destinations import A, MX, answer
from bench.tools import Tools
from lib.fixture import is_, ok, run
from lib.next_hop import NextHop


def many_hosts(t):
    tools, port = Tools(t.build, Clock(100)), t.port('sink')
    with tools.sink(port, '-m', 40, '-F', 2, '-S', 1, '-Z', 1, '-g', 700) as sink:
        tools.all_accepted(port, '-m', 20)
        tools.all_accepted(port, '-m', 20, '-c', 0, '-i', 100, address='127.0.0.2')
        is_(sink.figures(30)['messages'], 40, 'the fast hosts have all')
        figures = tools.all_accepted(port, '-m', 3, '-c', 0, '-i', 200, address='127.0.0.3')
        ok(figures['latency_ms']['max'] >= 700, 'another greets late')
        with socket.socket() as sock:
            sock.settimeout(0.3)
            try:
                sock.connect(('127.0.0.4', port))
                ok(False, 'the last answers nobody')
            except TimeoutError:
                ok(True, 'the last answers nobody')
        seen = sink.end()
    is_([[seen[kind][key] for key in ('messages', 'connections', 'most_to_a_host')] for kind in ('fast', 'slow')],
        [[40, 21, 1], [3, 1, 1]], 'each kind is counted')


def many_domains(t):
    hop = NextHop(t)
    Tools(t.build, Clock(60)).all_accepted(hop.port, '-m', 4, '-N', 3, '-t', 'x@a.example')
    is_([mail['recipients'][0] for mail in hop.messages], [f'x@d{number}.a.example' for number in (0, 1, 2, 0)], 'a domain each')
    names = [('d7.bench.example', MX), ('mx.d7.bench.example', A), ('d7.bench.example', A), ('mx.d7.bench.example', MX)]
    is_([[record[-1] for record in answer(*name).records] for name in names],
        [[(10, 'mx.d7.bench.example')], ['127.1.0.8'], [], []], 'whose host has an address of its own')
    is_([answer(name, MX).rcode for name in ('d7.example', 'bench.example', 'x.mx.d7.bench.example', 'dx.bench.example')], [3] * 4,
        'and others are unknown')


run(many_hosts, many_domains)
