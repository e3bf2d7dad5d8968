#!/usr/bin/python3
# 5043-worker-poison.t - a message that kills each worker that delivers it (lesson P19)
# SPDX-License-Identifier: MIT
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import config, queued, send


def poison(t):
    """One message kills each worker that delivers it; the others go on."""
    workers = []
    hop = NextHop(t, {'RCPT': lambda peer, line: t.processes[-1].kill() if 'poison' in line else None}, extensions=())
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 5')
    t.edge(text)
    bad = send(t, 'poison@example.net')
    good = [send(t, 'good@example.net') for _ in range(4)]
    while len(workers) < 10:
        workers.append(t.worker(text, 'q'))
        wait_for(lambda: not workers[-1].running() or queued(t) == [bad] and ' (held: ' in t.queuectl('list'), timeout=20,
            what='its death, or the end of the work')
        if workers[-1].running():
            break
    log = ''.join(worker.log for worker in workers)
    is_(len(re.findall(f' gave a strike id={bad}', log)), 3, 'three deaths are its own')
    is_(len(re.findall(f'error slimta-worker.* message held id={bad} queue=q because="3 workers died in its delivery"', log)), 1,
        'that it is held is an error in the log, once')
    ok(3 <= len(workers) - 1 <= 4, 'it kills no more workers than that')
    is_(queued(t), [bad], 'all others are delivered')
    unlike(log, 'gave a strike id=(?!%s)' % bad, 'and get no strike')
    like(t.queuectl('list'), rf'{bad} held .* \(held: 3 workers died in its delivery', 'it is held, for a reason that is shown')
    like(t.queuectl('show', bad), r'strikes +3\n(.*\n)*waits +it is held: 3 workers died in its delivery', 'likewise by show')
    again = len(hop.messages) - len(good)
    ok(0 <= again <= len(re.findall(' in doubt id=', log)), 'once, but for those that were in doubt')
    is_({message['recipients'][0] for message in hop.messages}, {'good@example.net'}, 'and the other one never')


run(poison)
