# relay.py - what tests of relays share: one edge, one queue, one relay, and scripts for it to run
# SPDX-License-Identifier: MIT
import os
import re
from datetime import datetime, timezone

from .fixture import wait_for

SENDER = 's@example.org'


def config(relay, more='', delay=1, worker='', queue='', retry='maximum: 1000', bounces=False):
    """A configuration whose queue `q` goes to `relay`, the inside of a YAML mapping. `bounces`: what senders are told
    is swallowed by another queue."""
    other = '''  bounces: {type: disk, relay: nothing, envelope_dir: @dir@/benv, meta_dir: @dir@/bmeta, allow_volatile: yes,
    retry: {maximum: 1}}
''' if bounces else ''
    nothing = '  nothing: {type: blackhole}\n' if bounces else ''
    queue += ', bounce_queue: bounces' if bounces else ''
    return f'''@process@
  edge: {{instances: 1}}
  worker: {{instances: 1{worker}}}
edge:
  main: {{type: smtp, queue: q, listener: {{port: @port:smtp@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes,
    retry: {{delay: {delay}, {retry}}}{queue}}}
{other}relay:
  r: {{{relay}}}
{nothing}{more}'''


def script(t, name, text):
    """A shell script in the test's folder that may be run by anybody; gives its path."""
    return t.write(name, f'#!/bin/sh\ncd {t.dir}\n{text}\n', 0o755)


def send(t, *recipients, data='Subject: x\r\n\r\nbody\r\n', parameters=''):
    """Sends one message; gives its id."""
    with t.client('smtp') as client:
        client.hello()
        reply = client.mail(SENDER, recipients, data, parameters)
    return re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]


def queued(t):
    """Ids of the messages that the queue holds."""
    return sorted(name[:-4] for name in os.listdir(t.path('env')) if re.fullmatch(r'[0-9a-z]{26}\.env', name))


def rested(reply):
    """Whether the host was not left alone, which is said in the reply; else waits until it may be tried again."""
    match = re.search(r' \(left alone until (\S+)Z\)$', reply)
    if match:
        until = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
        wait_for(lambda: datetime.now(timezone.utc) > until, 90, 'the host not to be left alone')
    return not match


def outcome(master, ident, recipient='a@example.net'):
    """What became of it: (delivered, failed or deferred, the reply that was told), once that is logged."""
    match = master.wait_log(rf' (delivered|failed|deferred) id={ident} recipient={re.escape(recipient)} .*reply="([^"]*)"')
    return match[1], match[2]


def clean(t, master):
    """Stops it, and takes its queue away, for another."""
    master.stop()
    t.run('rm', '-r', t.path('env'), t.path('meta'))
