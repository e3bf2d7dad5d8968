#!/usr/bin/python3
# 4012-queue-disk-away.t - a disk queue whose file system becomes read-only, fails, is not there yet, or is the network's
# SPDX-License-Identifier: MIT
# P6 P20
import os
import struct
import threading

from lib.fixture import is_, like, ok, run, skip, wait_for
from lib.next_hop import NextHop
from lib.power_ext4 import Client
from lib.power_load import CONFIG
from lib.volume import Volume, call, mount, namespace

REFUSED = '451 4.3.0 Error queuing message'


def say(t):
    """What the edge says to MAIL, or else to the message."""
    with t.client('smtp') as client:
        client.hello()
        for line in ('MAIL FROM:<s@example.org>', 'RCPT TO:<a@d.example>', 'DATA', 'Subject: x\r\n\r\n.'):
            client.line(line)
            reply = client.reply()
            if reply.code // 100 > 3:
                break
        return f'{reply.code} {reply.text}'


def arrived(hop, wanted):
    with hop.lock:
        return wanted <= {address for message in hop.messages for address in message['recipients']}


def read_only(t):
    """Under mail, and back again: what was answered 250 arrives, and nothing else lies about."""
    hop = NextHop(t)
    with Volume(t, 'queue', 64 << 20) as disk:
        t.folder('queue/tmp')
        # What a worker could not open it finds again by a scan.
        config = CONFIG.replace('@hop@', str(hop.port)).replace('retry:', 'scan_interval: 1, retry:')
        edge, worker = t.edge(config), t.worker(config, 'q')
        clients = [Client(t, f'{number}', 0.02) for number in range(2)]
        for _ in range(2):
            before = [len(client.accepted) for client in clients]
            wait_for(lambda before=before: all(len(c.accepted) > n for c, n in zip(clients, before)), 20, 'mail to go on')
            wait_for(lambda: disk.remount('ro'), 20, 'a moment without open files')
            is_(say(t), REFUSED, 'read-only: refused')
            ok(disk.remount('rw'), 'writable again')
        for client in clients:
            client.ended = True
            client.join(30)
        accepted = {address for client in clients for address in client.accepted}
        wait_for(lambda: arrived(hop, accepted), 30, f'all {len(accepted)} to arrive')
        wait_for(lambda: not [name for name in disk.files() if name.endswith('.env')], 20, 'the queue to be empty')
        is_([name for name in disk.files() if not name.endswith('.meta')], [], 'nothing is left')
        like(edge.log, 'error="Read-only file system"', 'the log says why')
        for process in (edge, worker):
            is_(process.stop(), 0, f'{process.name} ends well')


def failing(t):
    """Every call fails: 451, and nobody dies of it."""
    hop = NextHop(t)
    with Volume(t, 'queue', 64 << 20) as disk:
        t.folder('queue/tmp')
        config = CONFIG.replace('@hop@', str(hop.port))
        edge, worker = t.edge(config), t.worker(config, 'q')
        like(say(t), '^250 ', 'accepted')
        disk.cut()
        is_(say(t), REFUSED, 'a file system that fails: refused')
        like(edge.log, 'error="Input/output error"', 'the log says why')
        for process in (edge, worker):
            is_(process.stop(), 0, f'{process.name} ends well')


def not_yet(t):
    """The folder's place is mounted later."""
    hop = NextHop(t)
    config = CONFIG.replace('@hop@', str(hop.port)).replace('@dir@/queue/tmp', t.folder('spool'))
    edge, worker = t.edge(config), t.worker(config, 'q')
    is_(say(t), REFUSED, 'no storage yet: refused at MAIL')
    like(edge.log, r'directory not usable path=\S*/queue/env error="No such file or directory" queue=q uid=\d+ '
        'expected="the directory above it, which this uid may write"$', 'the log says which, and what to make for whom')
    t.folder('queue')
    edge.wait_log('storage opened', 20)
    like(say(t), '^250 ', 'it is opened when it is there')
    wait_for(lambda: arrived(hop, {'a@d.example'}), 20, 'the mail to arrive')
    ok(True, 'and the worker finds it too')
    for process in (edge, worker):
        is_(process.stop(), 0, f'{process.name} ends well')


def serve_fuse(fd):
    """An empty root directory; ends with the mount."""
    attributes = struct.pack('<6Q10I', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40700, 2, 0, 0, 0, 4096, 0)
    answers = {
        26: struct.pack('<4I2H2I2H8I', 7, 31, 65536, 0, 8, 8, 65536, 1, 0, 0, *[0] * 8)[:64],   # INIT
        3: struct.pack('<Q2I', 1, 0, 0) + attributes,                                           # GETATTR
        17: struct.pack('<5Q10I', 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, *[0] * 7),     # STATFS
        27: struct.pack('<Q2I', 1, 0, 0),                                                       # OPENDIR
    }
    while True:
        try:
            request = os.read(fd, 1 << 18)
        except OSError:
            return
        _, opcode, unique = struct.unpack_from('<IIQ', request)
        answer = answers.get(opcode, b'')
        error = 0 if opcode in answers or opcode in (25, 29) else -38
        if opcode not in (2, 36, 42):       # those that want no answer
            try:
                os.write(fd, struct.pack('<IiQ', 16 + len(answer), error, unique) + answer)
            except OSError:
                pass


def network(t):
    """FUSE may be anything: its locks need not hold between hosts."""
    place = t.folder('queue/env')
    try:
        fd = os.open('/dev/fuse', os.O_RDWR)
    except OSError:
        skip('no FUSE here')
        return
    if not mount('none', place, 'fuse', f'fd={fd},rootmode=40000,user_id=0,group_id=0'):
        os.close(fd)
        skip('no FUSE here')
        return
    thread = threading.Thread(target=serve_fuse, args=(fd,), daemon=True)
    thread.start()
    config = CONFIG.replace('@hop@', '1').replace('@dir@/queue/tmp', t.folder('spool'))
    for program in (['slimta-edge'], ['slimta-worker', '--queue', 'q'], ['slimta-master', '--check']):
        done = t.run(program[0], '-c', t.config(config), '--allow-root', *program[1:])
        is_(done.returncode, 1, f'{program[0]} refuses it')
        like(done.stderr, r'envelope_dir: .* network file system \(fuse\).* allow_network: true', 'and names the key')
    call('umount', '-l', place)
    thread.join(20)
    os.close(fd)


namespace()
run(read_only, failing, not_yet, network)
