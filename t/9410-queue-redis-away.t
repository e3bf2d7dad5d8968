#!/usr/bin/python3
# 9410-queue-redis-away.t - redis not there yet, restarted, silent, loading: no 250 for what is not stored, nothing lost (P19)
# SPDX-License-Identifier: MIT
import random
import signal
import threading

from lib.crash import Hop, Sender, report
from lib.fixture import SLOW, is_, like, ok, run, wait_for
from lib.operator import left_in_queues
from lib.redis import Redis
from lib.resp import RespError
from lib.redis_path import attempt, config, delivered, is_said_once, log, wait_delivered

QUICK = ', socket_timeout: 1'


def refused(t, pattern=r'^4\.3\.0 '):
    """MAIL is, and nobody is told 250."""
    verb, reply = attempt(t)
    is_((verb, reply.code), ('MAIL', 451), 'refused at MAIL')
    like(reply.text, pattern, 'as a fault of ours')


def at_mail(t):
    with t.client('smtp') as client:
        client.hello()
        client.line('MAIL FROM:<s@example.org>')
        return client.reply().code


def accepted(t):
    """Once it is there again: a message goes through."""
    def goes():
        verb, reply = attempt(t)
        return verb == '.' and reply.code == 250 and reply.text.split()[-1]
    ident = wait_for(goes, 15, 'mail to be accepted')
    wait_delivered(t, [ident], 15)


def down_at_start(t):
    server = Redis(t, aof='always')
    server.stop()
    t.master(config(server.keys() + QUICK, workers=2))
    for _ in range(5):
        refused(t)
    is_said_once(t, 'each process says once that it is away')
    server.start()
    accepted(t)
    is_said_once(t, 'and no more')
    since = len(log(t))
    server.kill()
    wait_for(lambda: at_mail(t) == 451, what='a refusal')
    refused(t)
    server.start()
    accepted(t)
    is_said_once(t, 'an outage later: once again', log(t)[since:])


def silent(t):
    """Longer than socket_timeout, with mail on its way to it."""
    server = Redis(t, aof='always')
    t.master(config(server.keys() + QUICK, workers=2))
    accepted(t)
    since, results = len(log(t)), []
    clients = [t.client('smtp') for _ in range(4)]
    for client in clients:
        client.hello()
        client.cmd('MAIL FROM:<s@example.org>', 250)
        client.cmd('RCPT TO:<r@example.net>', 250)
        client.cmd('DATA', 354)
    server.pause()
    for client in clients:
        client.send('Subject: x\r\n\r\n.\r\n')
    threads = [threading.Thread(target=lambda client=client: results.append(client.reply())) for client in clients]
    for thread in threads:
        thread.start()
    wait_for(lambda: at_mail(t) == 451, 20, 'the edge to know')
    is_(results, [], 'what is under way is told nothing yet')
    server.resume()
    for thread in threads:
        thread.join(60 * SLOW)
    is_([reply.code for reply in results], [250] * 4, 'then that it is stored')
    idents = [reply.text.split()[-1] for reply in results]
    wait_delivered(t, idents)
    is_([sum(one == ident for one, _ in delivered(t)) for ident in idents], [1] * 4, 'and each is delivered once')
    is_said_once(t, 'one line of each process', log(t)[since:])


def is_loading(server):
    try:
        return server('PING') == b'PONG' and False
    except RespError as error:
        return str(error).startswith('LOADING')
    except OSError:
        return False


def loading(t):
    """A redis that reads its files answers -LOADING, to those who start and to those who come back."""
    server = Redis(t, conf='appendonly yes\nkey-load-delay 20000\nloading-process-events-interval-bytes 1024')
    for n in range(150):
        server('SET', f'other:{n}', 'x' * 1000)
    server('BGREWRITEAOF')      # it listens while it reads what this wrote
    wait_for(lambda: (said := server.info('persistence'))['aof_rewrite_in_progress'] == '0' == said['aof_rewrite_scheduled'],
        what='its files to be written')
    masters = []
    for _ in range(2):
        server.kill()
        server.start(wait=False)
        wait_for(lambda: is_loading(server), what='it to read its files')
        if not masters:
            masters.append(t.master(config(server.keys() + QUICK)))
            like(masters[0].wait_log('LOADING')[0], 'LOADING', 'which the log says')
        ok(is_loading(server), 'it does')
        refused(t)
        accepted(t)
    is_(masters[0].stop(), 0, 'and it ends well')


def restarted(t):
    """Under load, by SIGTERM and SIGKILL."""
    server = Redis(t, aof='always')
    dice = random.Random(1)
    hop = Hop(t, random.Random(2))
    text = config(server.keys(), f'type: static, host: 127.0.0.1, port: {hop.port}', retry='delay: 0.3, maximum: 1000', workers=2,
        queue=', policies: [{type: add_received_header}]', process='@process@    logging: {format: json, output: @dir@/log}')
    t.master(text)
    senders = [Sender(t.port('smtp'), 'q', n, random.Random(dice.random()), 0.02 * SLOW) for n in range(3)]
    for sender in senders:
        sender.start()
    for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        before = sum(sender.answered for sender in senders)
        wait_for(lambda before=before: sum(sender.answered for sender in senders) > before + 30, 60, 'mail to be accepted')
        server.process.stop(end)
        server.start()
    for sender in senders:
        sender.stop()
    wait_for(lambda: left_in_queues(t) == {'q': 0}, 60, 'an empty queue')
    messages = [message for sender in senders for message in sender.messages]
    verdict = report(t, messages, hop.takes, [])
    ok(True, verdict.summary)
    is_((verdict.lost, verdict.wrong), ([], []), 'nothing is lost, doubled, or taken against our word')


run(down_at_start, silent, loading, restarted, timeout=240)
