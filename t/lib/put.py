# put.py - a message that stands in a disk queue as if put there by hand, whatever it holds
# SPDX-License-Identifier: MIT
import json
import os
import time

DIGITS = '0123456789abcdefghijklmnopqrstuv'
_TABLE = []
_count = [0]


def crc32c(data):
    if not _TABLE:
        for octet in range(256):
            for _ in range(8):
                octet = octet >> 1 ^ (0x82f63b78 if octet & 1 else 0)
            _TABLE.append(octet)
    value = 0xffffffff
    for octet in data:
        value = _TABLE[(value ^ octet) & 255] ^ value >> 8
    return value ^ 0xffffffff


def new_id():
    """Never one that a program makes."""
    _count[0] += 1
    now, digits = int(time.time() * 1000), ''
    for _ in range(10):
        digits = DIGITS[now & 31] + digits
        now >>= 5
    return f'{digits}0{os.getpid():07}{_count[0]:08}'


def stored_form(envelope, content):
    head = json.dumps(envelope).encode()
    return b'slimta 1 %d %d %08x\n' % (len(head), len(content), crc32c(head + b'\n' + content)) + head + b'\n' + content


def put(t, content, folder='env', **members):
    """A message in the folder of a queue, with these members of its envelope instead of ordinary ones; gives its id."""
    ident = new_id()
    envelope = {'version': 1, 'id': ident, 'sender': 's@example.org', 'timestamp': int(time.time() * 1000),
        'recipients': [{'address': 'a@example.net'}], 'receiver': 'mx.example.net', **members}
    os.rename(t.write(f'{folder}/.{ident}.put', stored_form(envelope, content)), t.path(folder, f'{ident}.env'))
    return ident
