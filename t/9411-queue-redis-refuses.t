#!/usr/bin/python3
# 9411-queue-redis-refuses.t - a redis that answers with errors: read-only, full, unable to save, by ACL, password, or a wrong key
# SPDX-License-Identifier: MIT
import os
import re

from lib.fixture import is_, like, ok, run, wait_for
from lib.next_hop import NextHop
from lib.operator import left_in_queues
from lib.redis import Redis
from lib.redis_path import attempt, config, delivered, is_said_once, log, mail, static, wait_delivered


def refused(t, code=451, verb='MAIL', pattern=r'^4\.3\.0 ', name=''):
    """Waits until mail is: the first one may be so at its dot. Nothing that is refused is stored."""
    wait_for(lambda: attempt(t)[0] == verb, 20, f'{name} to be refused at {verb}')
    for _ in range(3):
        got, reply = attempt(t)
        is_((got, reply.code), (verb, code), f'{name}: refused')
        like(reply.text, pattern, 'and why')


def accepted(t, name=''):
    def goes():
        verb, reply = attempt(t)
        return verb == '.' and reply.code == 250 and reply.text.split()[-1]
    wait_delivered(t, [wait_for(goes, 20, f'{name}: mail to be accepted')], 20)


def spell(t, server, name, make, unmake):
    """Mail goes, does not, goes; with one line of each process on what is wrong, and no message that was refused."""
    before = len(delivered(t))
    since = len(log(t))
    make()
    refused(t, name=name)
    unmake()
    accepted(t, name)
    is_(len(delivered(t)), before + 1, f'{name}: what was refused is not there')
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')
    is_said_once(t, f'{name}: one line of each process', log(t)[since:])
    like(log(t)[since:], rf'(?m) (warn|error) .*redis.*\b{name}\b', 'which names it')


def errors(t):
    server, other = Redis(t, aof='always'), Redis(t, 'other')
    t.master(config(server.keys() + ', socket_timeout: 2', workers=2))
    accepted(t)
    spell(t, server, 'READONLY', lambda: server('REPLICAOF', '127.0.0.1', other.port), lambda: server('REPLICAOF', 'NO', 'ONE'))
    spell(t, server, 'NOPERM', lambda: server('ACL', 'SETUSER', 'default', '-evalsha', '-eval'),
        lambda: server('ACL', 'SETUSER', 'default', '+@all'))
    server('DEL', 'slimta:queue')
    spell(t, server, 'WRONGTYPE', lambda: server('SET', 'slimta:queue', 'x'), lambda: server('DEL', 'slimta:queue'))
    cannot_save = os.path.join(server.dir, 'dump.rdb')
    if os.path.exists(cannot_save):
        os.unlink(cannot_save)
    spell(t, server, 'MISCONF', lambda: (os.mkdir(cannot_save), save(server, 'err')),
        lambda: (os.rmdir(cannot_save), save(server, 'ok')))


def save(server, result):
    server('CONFIG', 'SET', 'save', '3600 1')
    server('BGSAVE')
    wait_for(lambda: (said := server.info('persistence'))['rdb_last_bgsave_status'] == result
        and said['rdb_bgsave_in_progress'] == '0', what=f'a save: {result}')


def password(t):
    """Wrong at start, set right on the server: nobody has to restart anything."""
    server = Redis(t, aof='always', password='secret')
    t.master(config(server.keys().replace('secret', 'letmein'), workers=2))
    refused(t, name='WRONGPASS')
    is_said_once(t, 'one line of each process')
    like(log(t), '(warn|error) .*redis.*WRONGPASS', 'which names it')
    ok('letmein' not in log(t), 'without the password')
    server.set('requirepass', 'letmein')
    accepted(t)


def full(t):
    """New mail is refused (452); what is queued can be worked until there is room again."""
    server = Redis(t, aof='always')
    hop = NextHop(t, {'RCPT': lambda peer, line: None if may else '450 4.2.0 later'})
    may = []
    t.master(config(server.keys(), static(hop.port), workers=2))
    large = b'x' * 78 + b'\r\n'
    old = [mail(t, data=large * 700) for _ in range(40)]
    wait_for(lambda: len(set(re.findall(r' deferred id=(\S+)', log(t)))) == 40, what='all to be tried')
    server.set('maxmemory', int(server.info('memory')['used_memory']) - 200000)
    verb, reply = wait_for(lambda: (got := attempt(t))[1].code != 250 and got, 20, 'a refusal')
    is_(reply.code, 452, f'a redis that is full: 452 (at {verb})')
    like(reply.text, r'^4\.3\.1 ', 'for want of room')
    refused(t, 452, 'MAIL', r'^4\.3\.1 ', 'OOM')
    is_said_once(t, 'one line of each process')
    may.append(True)
    wait_delivered(t, old, 20)
    is_(sum(len(one['recipients']) for one in hop.messages), 40, 'what is queued is delivered, each once')
    accepted(t, 'OOM')
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')


run(errors, password, full, timeout=240)
