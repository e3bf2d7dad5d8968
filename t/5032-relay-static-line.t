#!/usr/bin/python3
# 5032-relay-static-line.t - who waits for a connection gets one: in turn between processes, and beside a line that never ends
# SPDX-License-Identifier: MIT
# P23
import os
import time

from lib.fixture import is_, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, SILENCE, NextHop


def config(relays):
    """A listener, a queue and a worker for each of (name, relay); relays by name."""
    queues = {queue: relay for queue, (relay, _) in relays.items()}
    return '\n'.join(['@process@  edge: {instances: 1}', '  worker: {instances: 1}', 'edge:',
        *(f'  {q}: {{type: smtp, queue: {q}, listener: {{port: @port:{q}@}}}}' for q in queues), 'queue:',
        *(f'  {q}: {{type: disk, relay: {r}, envelope_dir: @dir@/{q}.env, meta_dir: @dir@/{q}.meta, allow_volatile: yes, '
            'retry: {delay: 3000, maximum: 9}}' for q, r in queues.items()), 'relay:',
        *sorted({f'  {r}: {{type: static, host: 127.0.0.1, {options}}}' for r, options in relays.values()}), ''])


def send(t, queue, count):
    with t.client(queue) as client:
        client.reply()
        client.line('EHLO client.example')
        client.reply()
        for number in range(count):
            sender = f'{queue}{number}@example.org'
            for line in (f'MAIL FROM:<{sender}>', 'RCPT TO:<a@example.net>', 'DATA', 'Subject: x\r\n\r\nx\r\n.'):
                client.line(line)
                code = client.reply().code
            ok(code == 250, f'{queue}{number} is queued')


def somebody_waits(t):
    """A shared lock on the table of destinations."""
    inode = os.stat(t.path('runtime', 'destinations')).st_ino
    with open('/proc/locks', encoding='ascii') as locks:
        return any(f':{inode} ' in line and ' READ ' in line for line in locks)


def senders(hop):
    return [message['sender'].split('@')[0] for message in hop.messages]


def in_turn(t):
    """One worker has a line of 150: the other's messages do not wait for its end, and then it goes on."""
    hop = NextHop(t, {'.': [lambda peer, line: wait_for(lambda: somebody_waits(t), 30, 'another to wait') and None]})
    relay = ('r', f'port: {hop.port}, concurrent_connections: 1')
    master = t.master(config({'q': relay, 'p': relay}))
    send(t, 'q', 150)
    wait_for(lambda: 'DATA' in hop.said, what='DATA')
    send(t, 'p', 2)
    wait_for(lambda: len(hop.messages) == 152, 60, '152 messages')
    numbers = [message['connection'] for message in hop.messages]
    of_others = [index for index, sender in enumerate(senders(hop)) if sender[0] == 'p']
    ok(of_others[-1] <= 101, f'after 100 messages at the latest: {of_others}')
    is_(len({numbers[index] for index in of_others} & {numbers[0], numbers[-1]}), 0, 'over a connection of its own')
    is_(len(set(senders(hop))), 152, 'none twice')
    is_(hop.most, 1, 'never two at a time')
    master.stop()


def beside_a_line(t):
    """A message that needs a new connection, where there is room for one connection only and its line does not end."""
    lost = []

    def close_one(_, line):
        time.sleep(0.02)
        if hop.now == 2 and len(hop.messages) > 4 and not lost:
            lost.append(line.split('<')[1].split('@')[0])
            return CLOSE
        return None
    hop = NextHop(t, {'MAIL': close_one, 'connect': lambda peer, line: '421 4.7.0 too many' if lost and hop.now > 1 else None})
    master = t.master(config({'q': ('r', f'port: {hop.port}, concurrent_connections: 2')}))
    send(t, 'q', 80)
    wait_for(lambda: len(hop.messages) == 80, 20, '80 messages')
    behind = senders(hop).index(lost[0]) - int(lost[0][1:])
    ok(behind < 20, f'{lost[0]} did not wait for the end of the line: it is {behind} places behind its own')
    unlike(master.log, ' deferred | in doubt ', 'each was delivered in its first attempt')
    master.stop()


def slow_beside_fast(t):
    slow, fast = NextHop(t, {'MAIL': SILENCE}), NextHop(t)
    master = t.master(config({'p': ('s', f'port: {slow.port}, concurrent_connections: 1'),
        'q': ('f', f'port: {fast.port}, concurrent_connections: 1')}))
    send(t, 'p', 3)
    wait_for(lambda: any(line.startswith('MAIL') for line in slow.said), what='the slow one to be at work')
    send(t, 'q', 20)
    wait_for(lambda: len(fast.messages) == 20, what='20 messages of the fast one')
    is_((slow.messages, slow.connections), ([], 1), 'while the slow one still is')
    slow.hang_up()
    slow.at = {}
    wait_for(lambda: len(slow.messages) == 3, what='3 messages of the slow one')
    master.stop()


def never_more(t):
    """Four workers of two queues share three places, while connections are lost all the time."""
    count = [0]

    def sometimes(_, line):
        count[0] += 1
        return CLOSE if count[0] % 7 == 0 else None
    hop = NextHop(t, {'MAIL': sometimes})
    relay = ('r', f'port: {hop.port}, concurrent_connections: 3')
    text = config({'q': relay, 'p': relay}).replace('worker: {instances: 1}', 'worker: {instances: 2}')
    master = t.master(text.replace('delay: 3000', 'delay: 1'))
    for _ in range(3):
        send(t, 'q', 20)
        send(t, 'p', 20)
    wait_for(lambda: len(hop.messages) == 120, 60, '120 messages')
    ok(hop.most <= 3, f'never more than three connections ({hop.most})')
    unlike(master.log, ' in doubt ', 'nothing is in doubt')
    master.stop()


def goodbye(t):
    """One that does not answer QUIT, nor closes, is not waited for."""
    hop = NextHop(t, {'QUIT': SILENCE})
    master = t.master(config({'q': ('r', f'port: {hop.port}, concurrent_connections: 1, idle_timeout: 0.1')}))
    for count in range(1, 3):
        send(t, 'q', 1)
        wait_for(lambda: len(hop.messages) == count and hop.said[-1] == 'QUIT', what='a message and QUIT')
        is_(hop.connections, count, 'over a connection of its own')
    master.stop()


run(in_turn, beside_a_line, slow_beside_fast, never_more, goodbye)
