#!/usr/bin/python3
# 5060-relay-pool-dead.t - a host that cannot be used costs its backlog one connection, and is left alone, longer each time
# SPDX-License-Identifier: MIT
# P12 P23
import re
import threading
import time

from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, SILENCE, NextHop
from lib.relay import config, queued, rested, send


def start(t, hop, more='', delay=3000, retry='maximum: 1000'):
    return t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}{more}', delay=delay, retry=retry, bounces=True))


def outcome(master, ident):
    return master.wait_log(rf' (delivered|deferred|failed) id={ident} .* reply="([^"]*)" attempts=(\d+) ', 30).groups()


def backlog(t):
    """Of a host that takes connections and says nothing: one time-out, not one a message."""
    waits = []
    hop = NextHop(t, {'connect': lambda peer, line: waits.append(peer) or SILENCE})
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}, command_timeout: {2 * SLOW}', delay=3000)
    t.edge(text)
    idents = [send(t, 'a@example.net') for _ in range(40)]
    begun = time.monotonic()
    worker = t.worker(text, 'q')
    for ident in idents:
        event, reply, attempts = outcome(worker, ident)
        is_((event, attempts), ('deferred', '1'), 'it waits for its next attempt')
        like(reply, r'^421 4\.4\.2 Connection timed out(?: \(left alone until \S+Z\))?$', 'told why')
    took = time.monotonic() - begun
    ok(took < 20 * SLOW, f'40 messages in {took:.1f} s')
    ok(hop.connections <= 2, f'{hop.connections} connections')
    like(worker.log, rf'relay: leaves a next hop alone relay=r host=127\.0\.0\.1 port={hop.port} ms=1000', 'and the log says so')


def longer_each_time(t):
    hop = NextHop(t, {'connect': '421 4.3.2 down'})
    master = start(t, hop, delay=1)
    idents = [send(t, 'a@example.net') for _ in range(3)]
    rests = wait_for(lambda: (found := re.findall(r'leaves a next hop alone .* ms=(\d+)', master.log)) and len(found) >= 3 and
        found, 30, 'three failures')
    is_(rests[:3], ['1000', '2000', '4000'], 'twice as long each time')
    ok(hop.connections <= len(rests) + 1, f'one connection each: {hop.connections}')
    hop.at = {}
    for ident in idents:
        master.wait_log(f' delivered id={ident} ', 30)
    for said, told in ('421 4.3.2 once', '421 4.3.2 once'), (CLOSE, '451 4.4.2 Connection lost: .*'):
        hop.hang_up()
        wait_for(lambda: hop.now == 0, what='no connection')
        hop.at = {'connect': said}
        before = hop.connections
        ident = send(t, 'a@example.net')
        line = master.wait_log(rf' deferred id={ident} .* reply="([^"]*)"')
        like(line[1], f'^{told}$', 'the first to meet it')
        is_(re.findall(r'leaves a next hop alone .* ms=(\d+)', master.log)[-1], '1000', 'after a success it begins with 1 s again')
        is_(hop.connections, before + 1, 'one connection')
        hop.at = {}
        master.wait_log(f' delivered id={ident} ', 30)


def at_once(t):
    """Within the rest no connection is made, and the reply is there at once, as an attempt."""
    hop = NextHop(t, {'EHLO': '450 4.7.1 later', 'connect': [None, '421 4.3.2 down', '421 4.3.2 down']})
    master = start(t, hop)
    is_(outcome(master, send(t, 'a@example.net')), ('deferred', '450 4.7.1 later', '1'), 'EHLO refused')
    told = outcome(master, send(t, 'a@example.net'))
    if not rested(told[1]):
        like(told[1], r'^450 4\.7\.1 later \(left alone until \d{4}-\d\d-\d\dT[0-9:.]+Z\)$', 'the next one is told until when')
        is_((told[0], told[2]), ('deferred', '1'), 'which is an attempt')
        is_(hop.connections, 1, 'without a connection')
    hop.at = {}
    wait_for(lambda: outcome(master, send(t, 'a@example.net'))[0] == 'delivered', 30, 'a message that is delivered')
    ok(True, 'after that it is used again')


def tried_again(t):
    """One message waits for a host that has failed; others for a moment."""
    go = threading.Event()
    hop = NextHop(t, {'connect': [CLOSE, lambda peer, line: go.wait(60 * SLOW) and None]})
    master = start(t, hop, ', command_timeout: 60')
    failed = outcome(master, send(t, 'a@example.net'))
    like(failed[1], '^451 4.4.2 Connection lost', 'it failed')
    time.sleep(1.2)         # its rest
    first = send(t, 'a@example.net')
    wait_for(lambda: hop.connections == 2, 20, 'the second connection')
    for _ in range(3):
        is_(outcome(master, send(t, 'a@example.net')), failed, 'who comes while it is tried is told what was wrong')
    go.set()
    master.wait_log(f' delivered id={first} ')
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    is_(hop.connections, 2, 'all by the one connection')


def for_good(t):
    """What a greeting says for good is each message's own, and is not remembered."""
    hop = NextHop(t, {'connect': ['554 5.7.1 go away'] * 3})
    master = start(t, hop)
    for count in range(1, 4):
        is_(outcome(master, send(t, 'a@example.net')), ('failed', '554 5.7.1 go away', '1'), 'refused')
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    unlike(master.log, 'leaves a next hop alone', 'nobody is left alone')
    ok(hop.connections >= 4, 'each had a connection')


def beside_others(t):
    """One connection too many is no failure of a host that works."""
    hop = NextHop(t, {'connect': lambda peer, line: '421 4.7.0 too many' if hop.now > 1 else None,
        '.': lambda peer, line: wait_for(lambda: hop.connections > 1, 20, 'a second connection') and None})
    master = start(t, hop)
    idents = [send(t, 'a@example.net') for _ in range(12)]
    for ident in idents:
        is_(outcome(master, ident)[0], 'delivered', 'it is delivered')
    unlike(master.log, 'leaves a next hop alone', 'it is used on')
    is_(queued(t), [], 'and all is gone')


run(backlog, longer_each_time, at_once, tried_again, for_good, beside_others)
