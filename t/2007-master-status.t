#!/usr/bin/python3
# 2007-master-status.t - what runtime_dir/master answers, to whom, and to what it is not asked
# SPDX-License-Identifier: MIT
import re
import socket

from lib.fixture import is_, like, ok, run
from lib.master import CONFIG, begin_data, end_data, sighup, status


def answers(t):
    master = t.master(CONFIG)
    lines = status(t.path('runtime/master'))
    is_([line.get('process') for line in lines], ['master', 'spawner', 'worker', 'edge', 'edge', None], 'a line each')
    is_({line['state'] for line in lines[:-1]}, {'ready'}, 'all are ready')
    is_(lines[0]['pid'], master.pid, 'the master\'s own')
    is_(sorted(line['pid'] for line in lines[1:-1]), sorted(master.children()), 'and its children')
    is_([line.get('queue') for line in lines[:-1]], [None, None, 'q', None, None], 'a worker has a queue')
    is_([line['instance'] for line in lines[1:-1]], [0, 0, 0, 1], 'instances are numbered')
    ok(all(re.fullmatch(r'\d{4}-\d\d-\d\dT[\d:.]+Z', line['since']) for line in lines[:-1]), 'since when')
    ok('edge_connections_total' in lines[-1]['counters'], 'the last line has the counters')
    like(str(lines[0]['version']), r'^\d', 'and the version is said')


def refuses(t):
    master = t.master(CONFIG)
    path = t.path('runtime/master')
    for request, error in ((b'{}\n', 'expected a line'),
            (b'nonsense\n', 'expected a line'), (b'[1]\n', 'expected a line'), (b'\n', 'expected a line'),
            (b'x' * 5000, 'too long')):
        like(status(path, request)[0].get('error', ''), error, f'{request[:20]} is refused')
    quiet = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
    for sock in quiet:
        sock.connect(path)
    for sock in quiet:
        sock.close()
    for request in (b'{"op":"status"}\n', b'{"op":"status"}\n' * 50):
        is_(len(status(path, request)), 6, 'one question is answered on a connection')
    halves = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(10)]
    for sock in halves:
        sock.connect(path)
        sock.sendall(b'{"op":"sta')
    is_(len(status(path)), 6, 'whoever asks slowly keeps nobody waiting')
    for sock in halves:
        sock.close()
    is_(master.stop(), 0, 'and it still stops well')


def waiting_for_reload(t):
    """However many wait for an old generation to end, status is answered."""
    master = t.master(CONFIG)
    busy = begin_data(t)
    sighup(master)
    askers = []
    for _ in range(20):
        askers.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        askers[-1].connect(t.path('runtime/master'))
        askers[-1].sendall(b'{"op":"reload"}\n')
    for asker in askers[16:]:
        like(asker.recv(100).decode(), 'too many wait for a reload already', 'the seventeenth is refused')
    ok(len(status(t.path('runtime/master'))) > 6, 'status is answered')
    end_data(busy)
    is_([b'"generation":3' in asker.recv(1000).replace(b' ', b'') for asker in askers[:16]], [True] * 16,
        'the others get their answer')
    for asker in askers:
        asker.close()
    is_(master.stop(), 0, 'and it still stops well')


run(answers, refuses, waiting_for_reload)
