#!/usr/bin/python3
# 5036-relay-hostile-replies.t - what a next hop says is text with a bound: logged, stored, shown, told
# SPDX-License-Identifier: MIT
# P8 P12
import email
import email.policy
import glob
import json
import re

from lib.fixture import is_, ok, run, unlike, wait_for
from lib.next_hop import NextHop, Raw
from lib.process import memory_kb
from lib.relay import config, rested, send

CONTROL = r'[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]'
TEXTS = {
    'escapes': b'\x1b[2J\x1b]0;x\x07\x1bP q\x1b\\', 'NUL': b'a\0b\0', 'bare CR': b'a\rFinal-Recipient: rfc822; evil@b.example\rb',
    'C1': b'\x9b2J\xc2\x9b2J\x85\xc2\x85', 'not UTF-8': b'\xff\xfe\xc3\xed\xa0\x80\xf8\x88\x80\x80\x80',
    'UTF-8': 'ä\u2028\u202e'.encode(), 'UTF-8 cut': 'ä'.encode() * 1000,
    'a line of a log': b'x"\\" reply="250 ok" id=00 event=delivered {"level":"error"}', 'formats': b'%s%n%1000000d',
    'fields': b'5.1.1\r\n550-Action: delivered\r\n550-Status: 2.0.0\r\n550-\r\n550-.\r\n550 --=_x',
    'dots': b'.\r\n550-.\r\n550 .', 'MIME': b'--=_0\r\n550-Content-Type: text/html\r\n550-\r\n550 <script>',
    'a status of another class': b'2.0.0 fine', 'a status without end': b'5.1.' + b'1' * 400,
    'white space': b' \t \t\r\n550-\r\n550-   \r\n550 \t', 'a long word': b'x' * 2000,
    'as much as can be': b'y' * 2030 + (b'\r\n550-' + b'z' * 2030) * 100 + b'\r\n550 end',
}
ENDLESS = {
    'a line of 1 MB': b'550 ' + b'x' * 1048576 + b'\r\n', 'no CR LF': b'550 ' + b'x' * 1048576,
    '10,000 lines': b'550-and so on\r\n' * 10000, '10,000 lines and an end': b'550-x\r\n' * 10000 + b'550 end\r\n',
    'only CR': b'550-a\r' * 100000, 'only NUL': b'\0' * 1048576, 'lines without a code': b'\r\n' * 500000,
    'codes that differ': b'550-a\r\n250 b\r\n', 'eight bits': b'\xff' * 1048576,
}


def told(t):
    """What the notifications to the sender have in them, by the name of the text."""
    found = {}
    for path in glob.glob(t.path('benv', '*.env')):
        with open(path, 'rb') as file:
            octets = file.read().split(b'\n', 2)[2]
        found[re.search(rb'<?([a-z0-9]+)@example\.net', octets)[1].decode()] = octets
    return found


def start(t, hop):
    """Notifications stay in their queue."""
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}, idle_timeout: 0', delay=300, bounces=True)
    return t.master(text.replace('nothing: {type: blackhole}', 'nothing: {type: static, host: 127.0.0.1, port: 1}'))


def names(texts):
    return {f'r{number}': what for number, what in enumerate(texts)}


def reply(code, text):
    """All lines but the last have a hyphen."""
    return b'%d%s' % (code, b'-' if b'\r\n' in text else b' ') + text.replace(b'\r\n550', b'\r\n%d' % code)


def check_text(text, what):
    unlike(text, CONTROL, f'{what}: no control character')


def refused(t):
    known = names(TEXTS)
    hop = NextHop(t, {'RCPT': lambda peer, line: reply(550, TEXTS[known[line[9:line.index('@')]]])})
    master = start(t, hop)
    for name in known:
        send(t, f'{name}@example.net')
    bounces = wait_for(lambda: len(told(t)) == len(known) and told(t), 30, 'the notifications')
    for name, octets in bounces.items():
        what = known[name]
        message = email.message_from_bytes(octets, policy=email.policy.SMTP)
        parts = message.get_payload()
        is_((len(parts), message.defects), (3, []), f'{what}: a report of three parts')
        blocks = parts[1].get_payload()
        fields = [field for block in blocks for field in block.keys()]
        is_(sorted(set(fields)), sorted(fields), 'no field stands there twice')
        is_((blocks[1]['Action'], blocks[1]['Status'][:2]), ('failed', '5.'), 'nor says it what we did not')
        text = parts[0].get_content().replace('\r\n', '\n')
        check_text(text, what)
        said = re.search('(?s)responded:\n(.*?)\n\nThe host was .*\nThe message was accepted', text)[1]
        is_([line for line in said.split('\n') if not re.match('550[- ]', line)], [], 'every line of it has its code')
        ok(len(octets) < 40000, f'{len(octets)} octets in all')
        unlike(octets.decode('utf-8').replace('\r\n', '\n'), CONTROL, 'no control character in any part')
    for line in master.log.splitlines():
        if ' failed id=' in line and not re.search(r' reply="550 5\.\d+\.\d+( .*)?" attempts=1 age_ms=\d+$', line):
            ok(False, f'a line is forged: {line}')
    check_text(master.log, 'the log')


def deferred(t):
    known = names(TEXTS)
    hop = NextHop(t, {'RCPT': lambda peer, line: reply(450, TEXTS[known[line[9:line.index('@')]]])})
    master = start(t, hop)
    idents = {send(t, f'{name}@example.net'): what for name, what in known.items()}
    for ident, what in idents.items():
        master.wait_log(rf' deferred id={ident} .*reply="450 4\.')
        wait_for(lambda ident=ident: glob.glob(t.path('meta', f'{ident}.meta')), what='the meta')
        meta = t.read(f'meta/{ident}.meta').decode()
        check_text(json.dumps(json.loads(meta), ensure_ascii=False).replace('\\n', ''), f'{what}, stored')
        ok(len(meta) < 20000, f'in {len(meta)} octets')
        for how in ('show', ident), ('--json', 'show', ident):
            check_text(t.run('slimta-queuectl', '-c', master.conf, *how).stdout.decode(), f'{what}, shown')
    check_text(t.queuectl('list'), 'the list')


def outcome(t, master):
    """Of a message for which the next hop was tried."""
    while True:
        match = master.wait_log(rf' (\w+) id={send(t, "a@example.net")} .*reply="([^"]*)"')
        if rested(match[2]):
            return match


def endless(t):
    hop = NextHop(t)
    master = start(t, hop)
    worker = master.wait_log(rf' slimta-worker\[(\d+)\] .*delivered id={send(t, "a@example.net")} ')[1]
    before = memory_kb(worker)
    for step in 'connect', 'EHLO', 'RCPT', '.':
        for what, octets in ENDLESS.items():
            hop.at = {step: Raw(octets)}
            match = outcome(t, master)
            is_(match[1], 'deferred', f'{what} at {step}')
            ok(re.match(r'451 4\.5\.0 |421 4\.4\.2 |451 4\.4\.2 ', match[2]), f'{match[2]}')
            check_text(match[0], what)
            hop.at = {}
            while outcome(t, master)[1] != 'delivered':
                pass
    grown = memory_kb(worker) - before
    ok(grown < 4096 or 'sanitize' in t.build, f'the worker grew by {grown} KB at most')


run(refused, deferred, endless)
