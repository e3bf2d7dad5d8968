#!/usr/bin/python3
# 4022-queue-bounce-queue.t - the queue of the bounces: its policies, its own retries, away for a while; deaths in between
# SPDX-License-Identifier: MIT
import os

from lib.fixture import is_, like, ok, run
from lib.notified import config, send, told, wait_gone

REFUSES = 'type: pipe, args: [/bin/sh, -c, "cat >/dev/null; echo 5.1.1 No such user; exit 67"]'
RETRY = ', retry: {maximum: 3}'


def policies(t):
    master = t.master(config(REFUSES, RETRY, ', policies: [{type: forward, mapping: {"^s@": "owner@"}}, '
        '{type: add_received_header}]'))
    ident = send(t, ['a@d.example'])
    wait_gone(t, ident)
    one, = told(t, master, ident)
    is_(one.to, 'owner@b.example', 'its policies run: another address')
    like(one.octets, rb'^Received: .*\r\n'.decode(), 'and a header')
    is_(one.message['To'], 's@b.example', 'the bounce is what it was')


def away(t):
    """The storage of the bounces is away while mail fails: other mail is delivered, and the bounce comes when it is back."""
    relay = 'type: pipe, args: [/bin/sh, -c, "cat >/dev/null; case {recipient} in ok*) exit 0;; esac; echo 5.1.1 No; exit 67"]'
    text = config(relay, RETRY).replace('@dir@/benv', '@dir@/there/env').replace('@dir@/bmeta', '@dir@/there/meta')
    t.folder('there')
    t.config(text)
    os.rename(t.path('there'), t.path('gone'))
    edge, worker = t.edge(text), t.worker(text, 'q')
    worker.wait_log(r' error .* could not open the queue of its bounces queue=bounces reply="451 ')
    ident = send(t, ['a@d.example', 'ok@d.example'])
    worker.wait_log(rf' error .* could not notify id={ident} queue=bounces reply="451 ')
    like(t.queuectl('-q', 'q', 'show', ident), r'(?m)^waits +all recipients are settled; its sender is being told, .* by \S+ for ',
        'that it waits for this is shown')
    other = send(t, ['ok@d.example'])
    wait_gone(t, other)
    ok(True, 'other mail is delivered meanwhile')
    os.rename(t.path('gone'), t.path('there'))
    written(t, worker, ident)
    ok(True, 'when it is back, the same worker writes it')

    is_(worker.stop(), 0, 'stopped')
    os.rename(t.path('there'), t.path('gone'))
    worker = t.worker(text, 'q')
    ident = send(t, ['a@d.example', 'ok@d.example'])
    worker.wait_log(rf' error .* could not notify id={ident} queue=bounces reply="451 ')
    is_(worker.stop(), 0, 'a worker that ends keeps nothing')
    shown = t.queuectl('-q', 'q', 'show', ident)
    like(shown, r'a@d\.example> failed', 'but the failure is recorded')
    like(shown, r'ok@d\.example> delivered', 'with what was delivered')
    like(shown, r'(?m)^waits +all recipients are settled; its sender has yet to be told', 'and why it is still there')
    os.rename(t.path('gone'), t.path('there'))
    worker = t.worker(text, 'q')
    written(t, worker, ident)
    ok(f'delivered id={ident}' not in worker.log and f'failed id={ident}' not in worker.log,
        'the next one writes the bounce, and tries nobody again')
    is_((worker.stop(), edge.stop()), (0, 0), 'all end well')


def written(t, worker, ident):
    bounce = worker.wait_log(rf' bounced id={ident} notification=(\w+) .*recipient=a@d.example', timeout=20)[1]
    wait_gone(t, ident)
    ok(os.path.exists(t.path('there', 'env', f'{bounce}.env')), 'the bounce is there')


def same_again(t):
    """A message that comes back from before its failure was recorded: its bounce has the same id, so there is one."""
    text = config(REFUSES, RETRY)
    edge = t.edge(text)
    ident = send(t, ['a@d.example', 'b@d.example'])
    is_(edge.stop(), 0, 'accepted')
    message = t.read(f'env/{ident}.env')
    for life in range(2):
        if life:
            t.write(f'env/{ident}.env', message, 0o600)
        worker = t.worker(text, 'q')
        worker.wait_log(rf' bounced id={ident} .*recipients=2 ')
        wait_gone(t, ident)
        is_(worker.stop(), 0, f'life {life}')
        is_(len([name for name in os.listdir(t.path('benv')) if name.endswith('.env')]), 1, 'one bounce')


def fails(t):
    """The bounce itself cannot be delivered."""
    text = config(REFUSES, RETRY, double_bounce := ', double_bounce: postmaster@mx.example')
    text = text.replace('relay: save,', 'relay: r,').replace(f'maximum: 100}}{double_bounce}', f'maximum: 0}}{double_bounce}')
    master = t.master(text)
    ident = send(t, ['a@d.example'])
    first = master.wait_log(rf' bounced id={ident} notification=(\w+) to=s@b.example queue=bounces ')[1]
    second = master.wait_log(rf' bounced id={first} notification=(\w+) to=postmaster@mx.example queue=bounces ')[1]
    master.wait_log(rf' error .* bounce could not be delivered id={second} recipient=postmaster@mx.example ')
    wait_gone(t, second, 'benv')
    is_(master.log.count('notification='), 2, 'a bounce, one of the bounce, and no more')


def in_a_ring(t):
    """P18: two queues, each the other's bounce queue, with an address each for what their bounces come to."""
    text = config(REFUSES, RETRY + ', double_bounce: one@mx.example', ', double_bounce: other@mx.example, bounce_queue: q')
    master = t.master(text.replace('relay: save,', 'relay: r,').replace('maximum: 100', 'maximum: 0'))
    ident = send(t, ['a@d.example'], '')
    double = master.wait_log(rf' bounced id={ident} notification=(\w+) to=one@mx.example queue=bounces ')[1]
    master.wait_log(rf' error .* bounce could not be delivered id={double} recipient=one@mx.example ')
    wait_gone(t, double, 'benv')
    is_(master.log.count('notification='), 1, 'what one is told of is not told to the other')


run(policies, away, same_again, fails, in_a_ring)
