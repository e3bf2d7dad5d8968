#!/usr/bin/python3
# 3030-edge-memory.t - what a session costs in memory, and an octet in time, whatever its client sends
# SPDX-License-Identifier: MIT
# P8
# The peak is that of the process, so it counts what was held for a moment too. LONG=1: more sessions, more octets.
import os

from lib.edge import config
from lib.fixture import SLOW, diag, ok, run
from lib.flood import begin, connect, deaf, finish, spread
from lib.process import cpu_ms, memory_kb

LONG = bool(os.environ.get('LONG'))
SESSIONS = 50 if LONG else 10
MESSAGE = 20_000_000 if LONG else 4_000_000
RECIPIENTS = 1000			# max_recipients as it is by default
LINE = b'x' * 76 + b'\r\n'

# What a session may need at the most, in KB.
COMMANDS = 60		# replies that nobody reads, as long as they are answered
DATA = 900		# the header in memory (256 KB, its buffer doubled), two pieces on their way to the file
CHUNKS = 500		# what is answered of one read of the smallest chunks
ENVELOPE = 900		# a thousand recipients of 300 octets

CONFIG = config(f', max_size: {2 * MESSAGE}', '    spool_dir: @dir@/spool\n').replace('level: debug',
    'levels: {smtp: warn, edge: warn}')


def half_a_line(clients):
    sent = spread(clients, b'x' * 1000, 100_000)
    finish(clients, b'\r\n')
    return sent


def message(clients):
    for c in clients:
        begin(c)
    sent = spread(clients, b'Subject: x\r\n\r\n', 1) + spread(clients, LINE * 800, MESSAGE)
    finish(clients, b'.\r\n')
    return sent


def long_header(clients):
    for c in clients:
        begin(c)
    sent = spread(clients, b'X-Long: ' + LINE, MESSAGE // 2)
    finish(clients, b'.\r\n')
    return sent


def endless_line(clients):
    for c in clients:
        begin(c)
    sent = spread(clients, b'x' * 65536, MESSAGE)
    finish(clients, b'\r\n.\r\n')
    return sent


def nobody_reads(clients):
    return deaf(clients, b'VRFY x\r\n' * 1000, MESSAGE)


def nobody_reads_errors(clients):
    return deaf(clients, b'\r\n' * 3000, MESSAGE)


def chunk(clients):
    for c in clients:
        begin(c, 2)
    sent = spread(clients, b'BDAT %d LAST\r\n' % (MESSAGE // len(LINE) // 800 * 800 * len(LINE)), 1)
    sent += spread(clients, LINE * 800, MESSAGE // len(LINE) // 800 * 800 * len(LINE))
    finish(clients, b'')
    return sent


def chunks_of_an_octet(clients):
    for c in clients:
        begin(c, 2)
    return deaf(clients, b'BDAT 1\r\nx' * 4000, MESSAGE)


def discarded_chunks(clients):
    sent = spread(clients, b'BDAT 60000\r\n' + b'x' * 60000, 600_000)
    finish(clients, b'')
    return sent


def recipients(clients):
    for c in clients:
        begin(c, 1)
    sent = 0
    for number in range(RECIPIENTS):
        line = b'RCPT TO:<%b%d@%b.example>\r\n' % (b'l' * 50, number, b'd' * 60)
        sent += spread(clients, line, 1)
        for c in clients:
            c.reply()
    return sent


def deaf_recipients(clients):
    for c in clients:
        begin(c, 1)
    return deaf(clients, b'RCPT TO:<%b@%b.example>\r\n' % (b'l' * 60, b'd' * 60), 100_000 * 140 if LONG else 1_400_000)


def refused_recipients(clients):
    for c in clients:
        begin(c, 1)
    line = b'RCPT TO:<x@y.example>\r\n'
    return deaf(clients, line * 1000, 100_000 * len(line))


def test(what, most_kb):
    def measure(t):
        t.folder('spool')
        edge = t.edge(CONFIG)
        what([connect(t)])				# what is loaded once is loaded
        clients = [connect(t) for _ in range(SESSIONS)]
        with open(f'/proc/{edge.pid}/clear_refs', 'w', encoding='ascii') as peak:
            peak.write('5')
        before, spent = memory_kb(edge.pid, 'VmRSS'), cpu_ms(edge.pid)
        sent = what(clients)
        grown = (memory_kb(edge.pid, 'VmHWM') - before) / SESSIONS
        spent = cpu_ms(edge.pid) - spent
        diag(f'{what.__name__}: {sent / 1e6:.1f} MB, {grown:.0f} KB a session, {spent / sent * 1e6:.1f} ms of CPU a MB')
        ok(SLOW > 1 or grown < most_kb, f'{what.__name__}: less than {most_kb} KB a session')
        with t.client('smtp') as c:
            c.hello()
    measure.__name__ = what.__name__
    return measure


run(test(half_a_line, 40), test(message, DATA), test(long_header, DATA), test(endless_line, DATA), test(chunk, DATA),
    test(chunks_of_an_octet, CHUNKS), test(discarded_chunks, COMMANDS),
    test(nobody_reads, COMMANDS), test(nobody_reads_errors, COMMANDS), test(recipients, ENVELOPE),
    test(deaf_recipients, ENVELOPE), test(refused_recipients, ENVELOPE), timeout=600 if LONG else 120)
