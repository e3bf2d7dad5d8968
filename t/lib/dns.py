# dns.py - a DNS server on loopback that answers as a test says
# SPDX-License-Identifier: MIT
import ipaddress
import socket
import struct
import threading

A, CNAME, MX, TXT, AAAA = 1, 5, 15, 16, 28
NXDOMAIN, SERVFAIL = 3, 2


def encode_name(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.rstrip('.').split('.') if label) + b'\0'


class Answer:
    """`records`: (type, data) of the name asked for, or (name, type, data); data of A and AAAA is text, of CNAME a name,
    of MX (preference, name)."""

    def __init__(self, *records, rcode=0, ttl=60):
        self.records, self.rcode, self.ttl = records, rcode, ttl

    def packet(self, query, name):
        out = b''
        for record in self.records:
            owner, kind, data = record if len(record) == 3 else (name, *record)
            if kind in (A, AAAA):
                data = ipaddress.ip_address(data).packed
            elif kind == CNAME:
                data = encode_name(data)
            elif kind == MX:
                data = struct.pack('>H', data[0]) + encode_name(data[1])
            out += encode_name(owner) + struct.pack('>HHIH', kind, 1, self.ttl, len(data)) + data
        return header(query, len(self.records), self.rcode) + question(query) + out


def header(query, answers, rcode=0):
    return query[:2] + struct.pack('>HHHHH', 0x8180 | rcode, 1, answers, 0, 0)


def question(query):
    at = 12
    while query[at]:
        at += query[at] + 1
    return query[12:at + 5]


class DnsServer:
    """`answer(name, type)` gives an Answer, octets to be sent behind the id, None for silence. Names are in lower case,
    without the dot at the end. `asked` is a list of (name, type)."""

    def __init__(self, answer, port=0):
        self.answer, self.asked, self.errors = answer, [], []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', port))
        self.address = f'127.0.0.1@{self.socket.getsockname()[1]}'
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            query, client = self.socket.recvfrom(65535)
            if client == self.socket.getsockname():
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += query[at] + 1
            name, kind = '.'.join(labels).lower(), struct.unpack('>H', query[at + 1:at + 3])[0]
            self.asked.append((name, kind))
            try:
                answer = self.answer(name, kind)
            except Exception as error:
                self.errors.append(repr(error))
                continue
            if isinstance(answer, Answer):
                answer = answer.packet(query, name)
            elif answer is not None:
                answer = query[:2] + answer
            if answer is not None:
                self.socket.sendto(answer, client)

    def close(self):
        self.socket.sendto(b'', self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()
