#!/usr/bin/python3
# 4011-queue-full-disk.t - a disk queue on a small file system that fills up: 452, nothing left behind, and on it goes
# SPDX-License-Identifier: MIT
# P6 P20
import os

from lib.fixture import is_, like, ok, run, wait_for
from lib.next_hop import NextHop
from lib.volume import Volume, namespace

CONFIG = '''@process@    spool_dir: @dir@/SPOOL
    spool_threshold: 4K
edge:
  main: {type: smtp, queue: q, max_size: 4M, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/queue/env, meta_dir: @dir@/queue/meta, min_free: FREE, scan_interval: 1,
    retry: {delay: 1, maximum: 1000}, policies: [{type: recipient_domain_split}]}
relay:
  r: {type: static, host: 127.0.0.1, port: PORT}
'''


def config(free='0', spool='spool', port=1):
    return CONFIG.replace('FREE', free).replace('SPOOL', spool).replace('PORT', str(port))


def on_volume(*options):
    """test(t, disk) with a small file system at @dir@/queue."""
    def decorate(test):
        def on_it(t):
            with Volume(t, 'queue', 24 << 20, '-m', '0', *options) as disk:
                t.folder('spool')
                t.folder('queue/tmp')
                test(t, disk)
        on_it.__name__ = test.__name__
        return on_it
    return decorate


def send(t, size, *recipients):
    """The last reply."""
    with t.client('smtp') as client:
        client.hello()
        client.line('MAIL FROM:<s@example.org>')
        reply = client.reply()
        if reply.code != 250:
            return reply
        for recipient in recipients or ('a@d.example',):
            client.cmd(f'RCPT TO:<{recipient}>', 250)
        client.cmd('DATA', 354)
        client.send('Subject: x\r\n\r\n' + ('x' * 76 + '\r\n') * (size // 78) + '.\r\n')
        reply = client.reply()
        client.cmd('NOOP', 250, '', 'the session lives')
        return reply


def refused(t, size, *recipients):
    reply = send(t, size, *recipients)
    is_((reply.code, reply.text), (452, '4.3.1 Insufficient system storage'), f'{size} octets do not fit')


@on_volume()
def at_mail(t, disk):
    edge = t.edge(config('6M'))
    is_(send(t, 100).code, 250, 'there is room')
    before, filler = disk.files(), disk.fill(5 << 20)
    reply = wait_for(lambda: [r for r in [send(t, 100)] if r.code != 250], 20, 'a refusal')[0]
    like(f'{reply.code} {reply.text}', r'^452 4\.3\.1 ', 'less than min_free: refused at MAIL')
    like(edge.log, 'rejected id=.* command=MAIL', 'so says the log')
    os.unlink(filler)
    wait_for(lambda: send(t, 100).code == 250, 20, 'room again')
    ok(set(before) <= set(disk.files()), 'what was there is there')
    edge.stop()


@on_volume()
def in_the_data(t, disk):
    for where, spool in (('arriving', 'queue/tmp'), ('being stored', 'spool')):
        edge = t.edge(config(spool=spool))
        is_(send(t, 100).code, 250, 'there is room')
        before, filler = disk.files(), disk.fill(1 << 20)
        refused(t, 3 << 20)
        is_(disk.files(), sorted([*before, 'filler']), f'full while it is {where}: nothing is left of it')
        refused(t, 700 << 10, 'a@d.example', 'b@e.example')
        is_(len(disk.files()), len(before) + 1, 'of two copies that do not both fit none is left')
        is_(send(t, 1000).code, 250, 'what fits is taken')
        os.unlink(filler)
        is_(send(t, 3 << 20).code, 250, 'and all when there is room')
        is_(edge.stop(), 0, 'the edge goes on to its end')


@on_volume()
def worked(t, disk):
    """A full disk can be worked off; what cannot be recorded is repeated until it can, not delivered again."""
    late = {'late@d.example': 1}

    def rcpt(_, line):
        address = line[line.index('<') + 1:line.rindex('>')]
        late[address] = late.get(address, 0) - 1
        return '451 4.2.1 later' if late[address] == 0 else None
    hop = NextHop(t, {'RCPT': rcpt})
    edge = t.edge(config(port=hop.port))
    for recipients in (['a@d.example'], ['late@d.example', 'b@d.example'], ['c@d.example']):
        is_(send(t, 5000, *recipients).code, 250, f'{recipients}')
    filler = disk.fill(0)
    is_(disk.room(), 0, 'not a block is left')
    worker = t.worker(config(port=hop.port), 'q')
    for name in 'abc':
        wait_for(lambda name=name: [m for m in hop.messages if f'{name}@d.example' in m['recipients']], 20, f'{name} to arrive')
    worker.wait_log('could not record')
    like(worker.log, 'disk call failed .*error="No space left on device"', 'a deferral needs room')
    os.unlink(filler)
    wait_for(lambda: not [name for name in disk.files() if name.endswith('.env')], 40, 'the queue to be empty')
    is_(sorted(a for m in hop.messages for a in m['recipients']),
        ['a@d.example', 'b@d.example', 'c@d.example', 'late@d.example'], 'each arrived once')
    for process in (edge, worker):
        is_(process.stop(), 0, f'{process.name} ends well')


@on_volume('-N', '400')
def inodes(t, disk):
    t.folder('queue/many')
    edge = t.edge(config('1M'))
    is_(send(t, 100).code, 250, 'there are inodes')
    while os.statvfs(disk.place).f_favail:
        t.write(f'queue/many/{os.statvfs(disk.place).f_favail}', '')
    reply = wait_for(lambda: [r for r in [send(t, 100)] if r.code == 452], 20, 'a refusal')[0]
    like(reply.text, r'^4\.3\.1 ', 'without inodes: 452')
    edge.stop()
    edge = t.edge(config())
    before = disk.files()
    refused(t, 100)
    refused(t, 100, 'a@d.example', 'b@e.example')
    is_(disk.files(), before, 'nothing is left of it')
    for name in os.listdir(t.path('queue', 'many'))[:5]:
        os.unlink(t.path('queue', 'many', name))
    is_(send(t, 100, 'a@d.example', 'b@e.example').code, 250, 'a few suffice for two copies')
    is_(edge.stop(), 0, 'the edge ends well')


namespace()
run(at_mail, in_the_data, worked, inodes)
