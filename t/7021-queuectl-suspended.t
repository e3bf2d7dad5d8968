#!/usr/bin/python3
# 7021-queuectl-suspended.t - which messages wait for a suspension is listed; in every storage, by a worker that runs
# SPDX-License-Identifier: MIT
import re
import time

from lib.fixture import is_, like, run, wait_for
from lib.mail import send
from lib.queues import listed, on_every_storage, wait_listed

CONFIG = '''@process@
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {SECTION, relay: r, retry: {delay: 3600, maximum: 9}}
relay:
  r: {type: pipe, args: [/bin/sh, -c, 'cat >/dev/null; case {recipient} in later@*) exit 75;; esac']}
'''
BODY = b'Subject: x\r\n\r\nx\r\n'


def lines(t, *args):
    """What `list` says in parentheses at the end of its lines, by id."""
    found = [re.match(r'(\w{26}) .*?(?: \((.*)\))?$', line) for line in t.queuectl('list', *args).splitlines()]
    return {match[1]: match[2] for match in found if match}


def message(*recipients):
    return 's@example.org', list(recipients), BODY


def shown(t, section):
    master = t.master(CONFIG.replace('SECTION', section))
    ids = send(t, 'smtp', message('later@a.example', 'done@b.example'), message('later@c.example'), message('later@d.example'))
    wait_listed(t, 3, '--state', 'deferred', '--attempts', '1')
    is_([line['suspended'] for line in listed(t)], [[]] * 3, 'as JSON: none')
    t.queuectl('suspend', 'b.example', 'c.example', '.example.net', 'www.example.net', '--for', '1h')
    time.sleep(2.1)     # from then on all workers know
    ids += send(t, 'smtp', message('x@c.example'), message('x@www.example.net', 'x@mail.example.net', 'y@mail.example.net', 'x@C.example'))
    ids += send(t, 'smtp', message('y@c.example', 'later@d.example'))
    t.queuectl('hold', ids[3])
    wait_listed(t, 1, ids[5], '--attempts', '1')
    wait_for(lambda: lines(t)[ids[4]].startswith('suspended: ') and lines(t)[ids[5]].startswith('suspended: '), what='them to be put aside')
    said = lines(t)
    like(said[ids[0]], '^450 ', 'of one that the suspended recipient has already: the reply')
    like(said[ids[1]], r'^suspended: c\.example; 450 ', 'one that was tried before')
    like(said[ids[2]], '^450 ', 'another destination')
    like(said[ids[3]], r'^held: operator \w+$', 'one that is held too')
    is_(said[ids[4]], 'suspended: www.example.net +2', 'several, each once')
    like(said[ids[5]], r'^suspended: c\.example; 450 ', 'one that was tried for the others')
    wanted = [[], ['c.example'], [], ['c.example'], ['www.example.net', '.example.net', 'c.example'], ['c.example']]
    is_([line['suspended'] for line in sorted(listed(t), key=lambda line: ids.index(line['id']))], wanted, 'as JSON: all of them')
    is_(lines(t, '--sort', 'size'), said, 'sorted, too')
    like(t.queuectl('hold', ids[1], '--dry-run'), r'(?m)^' + ids[1] + r' .*\(suspended: c\.example; 450 ', 'and by --dry-run')
    t.queuectl('resume', 'c.example', '.example.net')
    wait_for(lambda: lines(t).get(ids[4]) == 'suspended: www.example.net', what='one to be left')
    is_([line['suspended'] for line in listed(t, ids[3])], [[]], 'what was resumed is not said any more')
    is_(master.stop(), 0, 'the master ends')


run(*on_every_storage(shown))
