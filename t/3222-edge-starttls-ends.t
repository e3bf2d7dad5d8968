#!/usr/bin/python3
# 3222-edge-starttls-ends.t - handshakes that stall, fail or are overtaken by a drain
# SPDX-License-Identifier: MIT
# S7 P19
import random
import signal
import socket
import ssl
import struct
import time
import warnings

from lib.certificates import Certificates
from lib.edge import secure, with_tls
from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for

warnings.simplefilter('ignore', DeprecationWarning)     # of old protocols, which are to be refused
HOW = ('', ', tls_immediately: yes')


def wanting(t, immediately):
    """A client whom the edge waits for to begin a handshake."""
    c = t.client('smtp')
    if not immediately:
        c.hello()
        c.cmd('STARTTLS', 220)
    return c


def client_hello(context):
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname='localhost').do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def stalled(t):
    """Silence, half a ClientHello, an octet now and then, a client that ends behind its first half: bounded in time."""
    certificates = Certificates(t)
    hello = client_hello(certificates.client())
    for immediately in HOW:
        edge = t.edge(with_tls(certificates, f', command_timeout: 1{immediately}'))
        clients = [wanting(t, immediately) for _ in range(4)]
        clients[1].send(hello[:40])
        clients[2].send(hello)
        began = time.monotonic()
        try:
            for octet in hello:
                clients[3].send(bytes([octet]))
                time.sleep(0.05)
        except OSError:
            pass
        ok(time.monotonic() - began < 8 * SLOW, 'who sends octet by octet has no more time')
        for client in clients[:3]:
            while client._more():
                client.pending = b''
            client.close()
        wait_for(lambda: edge.log.count(' disconnected ') == 4, 10, 'all to be gone')
        is_(edge.log.count('reason="TLS handshake: it took too long"'), 3, 'the log says why')
        is_(edge.log.count('it took too long, and the client said nothing"'), 1, 'and of whom nothing came')
        unlike(edge.log, '421 4.4.2', 'nothing was said in clear')
        edge.stop()


def failed(t):
    """Ends, resets, clear text, noise, a protocol that is too old: closed at once, with the reason in the log."""
    certificates = Certificates(t)
    hello = client_hello(certificates.client())
    noise = random.Random(3)
    sent = [b'', hello[:100], b'EHLO c.example\r\n', b'\r\n', b'GET / HTTP/1.1\r\n\r\n', noise.randbytes(1), b'\x16\x03\x01\xff\xff' + noise.randbytes(100),
        hello[:-60] + noise.randbytes(60), b'\x80\x2e\x01\x00\x02' + noise.randbytes(41), *(noise.randbytes(noise.randrange(5, 3000)) for _ in range(20))]
    for immediately in HOW:
        edge = t.edge(with_tls(certificates, f', command_timeout: 5{immediately}'))
        for data in sent:
            with wanting(t, immediately) as c:
                c.send(data)
                c.sock.shutdown(socket.SHUT_WR)
                c.read_until(b'never')
        with wanting(t, immediately) as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        with wanting(t, immediately) as c:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers('ALL:@SECLEVEL=0')
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            try:
                context.wrap_socket(c.sock)
                ok(False, 'TLS 1.1 is spoken')
            except (ssl.SSLError, OSError) as error:
                ok(True, f'TLS 1.1 is not spoken ({error})')
        wait_for(lambda: edge.log.count(' disconnected ') == len(sent) + 2, 10, 'all to be gone')
        is_(edge.log.count(' edge: TLS failed '), len(sent) + 2, 'each is in the log')
        like(edge.log, r'reason="TLS handshake: unsupported protocol"', 'with its reason')
        unlike(edge.log, r' disconnected .*Protocol error', 'which no errno repeats')
        with wanting(t, immediately) as c:
            secure(c, certificates.client(), starttls=False)
            if immediately:
                c.expect(220)
            c.cmd('EHLO c.example', 250)
            c.cmd('QUIT', 221)
            ok(c.at_end(), 'the next one is served to the end')
        edge.stop()


def draining(t):
    """A handshake under way may end, then comes 421 in TLS; one that stalls ends with the time for draining."""
    certificates = Certificates(t)
    for immediately in HOW:
        edge = t.edge(with_tls(certificates, immediately, process='    drain_timeout: 2\n'))
        with wanting(t, immediately) as idle, wanting(t, immediately) as slow, wanting(t, immediately) as stuck:
            secure(idle, certificates.client(), starttls=False)
            if immediately:
                idle.expect(220)
            idle.cmd('EHLO c.example', 250)
            edge.kill(signal.SIGTERM)
            idle.expect(421, r'^4\.3\.2 ', 'an idle session is told within TLS')
            ok(idle.at_end(), 'and closed')
            secure(slow, certificates.client(), starttls=False)
            if immediately:
                slow.expect(220)
            slow.expect(421, r'^4\.3\.2 ', 'one whose handshake ended later, too')
            is_(stuck.read_until(b'never'), b'', 'one that has none is told nothing')
            is_(edge.wait(), 0, 'the program ends')


run(stalled, failed, draining)
