# next_hop.py - an SMTP or LMTP server for relays, well-behaved but where a test says otherwise
# SPDX-License-Identifier: MIT
import re
import socket
import ssl
import struct
import threading

from .next_hop_auth import exchange

CLOSE = object()        # the connection is closed instead of a reply
RESET = object()        # so that the client gets a reset
SILENCE = object()      # nothing is said; the connection stays until the client ends it


class Raw(bytes):
    """A reply to which no CR LF is added; `code` where it is not all of it."""
    code = None


class Session:
    """One connection, as the next hop saw it. `peer` is what functions of `at` are called with."""

    def __init__(self, number, peer):
        self.number, self.peer = number, peer
        peer.address = self.address = peer.sock.getsockname()[0] if peer.sock.family != socket.AF_UNIX else ''
        peer.session = self
        self.said, self.transactions = [], 0
        self.tls = self.cipher = self.server_name = self.certificate = self.user = None
        self.resumed = False    # by the ticket of another connection
        self.greeted, self.mail = False, None


class NextHop:
    """`at` maps a step to what happens instead of its good reply: a reply's text or octets, CLOSE, RESET, SILENCE, a function
    of (peer, line) that gives one of these, or a list of these, one a time, None for the good reply; after the list all is
    good. (REPLY, CLOSE or RESET): one after the other.
    Steps: 'connect'; a verb; 'data' for the first line of mail data; 'chunk' when BDAT was said and its octets were not read;
    'BDAT' for a chunk that is not the last; '.' for the end of the data, by DATA or BDAT, in LMTP for each recipient, who is
    `line`; 'handshake' instead of one; 'auth' for a line that answers a challenge. With 'tls ' before it a step is only
    meant within TLS, (ADDRESS, STEP) only on that address.

    `addresses`: all with one port. `path`: a Unix socket instead. `tls`: an ssl.SSLContext, for STARTTLS or, with
    `tls_immediately`, from the start. `credentials`: {user: password}; AUTH is offered with `mechanisms`, in TLS alone where
    there is TLS and `auth_in_clear` is not said. REQUIRETLS among `extensions` is offered in TLS alone. LIMITS there is kept
    to: beyond RCPTMAX 452, beyond MAILMAX 421; `wrong` says that it was tried.

    `messages` has a dictionary for each message taken: sender, parameters, recipients, recipient_parameters (a list for
    each), data, connection (its number), address, tls, chunks (sizes; None by DATA); in LMTP `taken_for`. `sessions` has all
    connections; `data_ended` counts final dots and last chunks, `wrong` what no client may do, `auths` (mechanism, user,
    whether it went well, TLS version)."""

    def __init__(self, t, at=None, extensions=('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8'), address=('127.0.0.1', 0), *,
            addresses=None, path=None, tls=None, tls_immediately=False, credentials=None,
            mechanisms=('SCRAM-SHA-256', 'PLAIN', 'LOGIN'), auth_in_clear=False, lmtp=False):
        self.at = {step: list(what) if isinstance(what, list) else what for step, what in (at or {}).items()}
        self.extensions, self.tls, self.tls_immediately, self.lmtp = extensions, tls, tls_immediately, lmtp
        self.credentials, self.mechanisms, self.auth_in_clear = credentials, mechanisms, auth_in_clear
        self.messages, self.said, self.lock, self.peers = [], [], threading.Lock(), set()
        self.sessions, self.auths, self.wrong, self.tls_errors = [], [], [], []
        self.connections = self.now = self.most = self.data_ended = 0
        if tls:
            tls.sni_callback = self._named
        self.servers = [t.server(self._serve, path=path)] if path else self._listen(t, addresses or [address[0]], address[1])
        self.server, self.port = self.servers[0], self.servers[0].port

    def _listen(self, t, addresses, port):
        for attempt in range(20):
            servers = []
            try:
                for address in addresses:
                    servers.append(t.server(self._serve, address=(address, servers[0].port if servers else port)))
                return servers
            except OSError:     # the port is taken on another address
                for server in servers:
                    server.close()
                if attempt == 19 or port:
                    raise

    @property
    def transactions(self):
        return sum(session.transactions for session in self.sessions)

    @property
    def resumed(self):
        """Connections whose TLS session was one of before."""
        return sum(session.resumed for session in self.sessions)

    def connections_of(self, address):
        return sum(session.address == address for session in self.sessions)

    def took(self, mail):
        """Before the good reply to its data is said; under the lock, as `heard` is."""
        self.messages.append(mail)

    def heard(self, line):
        self.said.append(line)

    def hang_up(self):
        """Says no more on what connections there are; the client has to close them."""
        with self.lock:
            for peer in self.peers:
                try:
                    socket.socket.shutdown(peer.sock, socket.SHUT_WR)
                except OSError:
                    pass

    # ---- a connection

    def _serve(self, peer):
        with self.lock:
            self.connections += 1
            self.now += 1
            self.most = max(self.most, self.now)
            session = Session(self.connections, peer)
            self.sessions.append(session)
            self.peers.add(peer)
        try:
            self._session(session)
        except ConnectionError:
            pass
        except ssl.SSLError as error:
            with self.lock:
                self.tls_errors.append(str(error))
        finally:
            with self.lock:
                self.now -= 1
                self.peers.discard(peer)

    def _planned(self, session, step):
        steps = [step] if not session.tls else [f'tls {step}', step]
        for key in (*((session.address, step) for step in steps), *steps):
            with self.lock:
                what = self.at.get(key)
                if isinstance(what, list):
                    what = what.pop(0) if what else None
            if what is not None:
                return what
        return None

    def _happens(self, session, step, line, good, taken=None):
        """Whether the session goes on; the code of what was said. `taken` is a message that a good reply takes."""
        peer, what = session.peer, self._planned(session, step)
        if callable(what):
            what = what(peer, line)
        what, then = what if isinstance(what, tuple) else (what, None)
        if RESET in (what, then):
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        if what in (CLOSE, RESET):
            return False, 0
        if what is SILENCE:
            peer.read_until(b'\0never\0')
            return False, 0
        if what is None:
            what = good
        text = what.encode() if isinstance(what, str) else what
        code = getattr(text, 'code', None) or (int(text[:3]) if text[:3].isdigit() else 0)
        if taken and code // 100 == 2:
            with self.lock:
                self.took(taken)
        if text:
            peer.send(text if text.endswith(b'\r\n') or isinstance(text, Raw) else text + b'\r\n')
        return not then, code

    def _did_wrong(self, what):
        with self.lock:
            self.wrong.append(what)

    def _session(self, session):
        if self.tls_immediately and not self._handshake(session):
            return
        going, _ = self._happens(session, 'connect', '', '220 mx ESMTP')
        while going:
            line = session.peer.read_line().decode('utf-8', 'surrogateescape')
            if not line:
                return
            with self.lock:
                self.heard(line)
                session.said.append(line)
            verb = line.split(' ')[0].upper()
            going, code = self._happens(session, verb, line, self._good(session, verb, line)) \
                if verb not in ('BDAT', 'AUTH') else (True, 0)
            if verb == 'QUIT' or code == 421:
                return
            run = getattr(self, f'_run_{verb.lower()}', None)
            if going and run:
                going = run(session, line, code)

    def _good(self, session, verb, line):
        if verb in ('EHLO', 'LHLO') and (verb == 'LHLO') == self.lmtp:
            words = ['mx', *self._offered(session)]
            return ''.join(f'250-{word}\r\n' for word in words[:-1]) + f'250 {words[-1]}\r\n'
        if verb == 'HELO' and not self.lmtp:
            return '250 mx'
        if verb == 'DATA' and self.lmtp and not (session.mail and session.mail['recipients']):
            return '503 5.5.1 no recipients'
        if verb == 'STARTTLS' and self.tls and not session.tls:
            return '220 2.0.0 go on'
        if verb in ('MAIL', 'RCPT'):
            return self._beyond(session, verb) or ('250 2.1.0 ok' if verb == 'MAIL' else '250 2.1.5 ok')
        return {'DATA': '354 go', 'RSET': '250 2.0.0 ok', 'QUIT': '221 2.0.0 bye', 'NOOP': '250 2.0.0 ok'}.get(verb, '500 5.5.1 what')

    def _offered(self, session):
        words = [word for word in self.extensions if word != 'REQUIRETLS' or session.tls]
        if self.tls and not session.tls and 'STARTTLS' not in words:
            words.append('STARTTLS')
        if self.credentials and (session.tls or self.auth_in_clear or not self.tls):
            words.append('AUTH ' + ' '.join(self.mechanisms))
        return words

    def _limit(self, name):
        for word in self.extensions:
            found = word.startswith('LIMITS ') and re.search(rf'\b{name}=(\d+)', word)
            if found:
                return int(found[1])
        return None

    def _beyond(self, session, verb):
        if verb == 'MAIL' and self._limit('MAILMAX') == session.transactions:
            self._did_wrong(f'connection {session.number}: more than MAILMAX')
            return '421 4.7.0 no more here'
        if verb == 'RCPT' and session.mail and self._limit('RCPTMAX') == len(session.mail['recipients']):
            self._did_wrong(f'connection {session.number}: more than RCPTMAX')
            return '452 4.5.3 too many recipients'
        return None

    # ---- verbs

    def _run_ehlo(self, session, *_):
        session.greeted = True
        return True

    _run_helo = _run_lhlo = _run_ehlo

    def _run_mail(self, session, line, code):
        if not session.greeted:
            self._did_wrong(f'connection {session.number}: MAIL before EHLO')
        session.mail = {'sender': line[line.index('<') + 1:line.rindex('>')], 'parameters': line[line.rindex('>') + 1:].split(),
            'recipients': [], 'recipient_parameters': [], 'connection': session.number, 'address': session.address,
            'tls': session.tls, 'user': session.user, 'chunks': None}
        session.transactions += code // 100 == 2
        return True

    def _run_rcpt(self, session, line, code):
        if code // 100 == 2 and session.mail:
            session.mail['recipients'].append(line[line.index('<') + 1:line.rindex('>')])
            session.mail['recipient_parameters'].append(line[line.rindex('>') + 1:].split())
        return True

    def _run_data(self, session, _, code):
        if code != 354 or not session.mail:
            return True
        peer = session.peer
        data = peer.read_until(b'\r\n')
        if self._planned_at(session, 'data') and not self._happens(session, 'data', '', b'')[0]:
            return False
        if data != b'.\r\n':
            peer.pending = data + peer.pending
            data = peer.read_until(b'\r\n.\r\n')
            if not data.endswith(b'\r\n.\r\n'):
                return False
        session.mail['raw'] = data
        session.mail['data'] = b'\r\n'.join(line[1:] if line[:1] == b'.' else line for line in data[:-3].split(b'\r\n'))
        return self._taken(session)

    def _run_bdat(self, session, line, _):
        words = line.upper().split()[1:]
        if 'CHUNKING' not in self.extensions or not words or not words[0].isdigit() or words[1:] not in ([], ['LAST']):
            self._did_wrong(f'connection {session.number}: {line}')
            return self._happens(session, 'BDAT', line, '500 5.5.1 what')[0]
        if self._planned_at(session, 'chunk') and not self._happens(session, 'chunk', line, b'')[0]:
            return False
        size, mail = int(words[0]), session.mail
        octets = session.peer.read_octets(size)
        if len(octets) < size:
            return False
        if not mail or not mail['recipients']:
            session.mail = None
            return self._goes_on(session, 'BDAT', line, '503 5.5.1 no recipients')
        mail['chunks'] = [*(mail['chunks'] or []), size]
        mail['data'] = mail['raw'] = mail.get('data', b'') + octets
        if words[1:]:
            return self._taken(session)
        going, code = self._happens(session, 'BDAT', line, f'250 2.0.0 {size} octets')
        if code // 100 != 2:
            session.mail = None
        return going and code != 421

    def _taken(self, session):
        mail, session.mail = session.mail, None
        with self.lock:
            self.data_ended += 1
        if not self.lmtp:
            return self._goes_on(session, '.', '', '250 2.6.0 taken', mail)
        mail['taken_for'] = []
        for recipient in mail['recipients']:
            going, code = self._happens(session, '.', recipient, f'250 2.1.5 <{recipient}> taken',
                None if mail['taken_for'] else mail)
            if code // 100 == 2:
                mail['taken_for'].append(recipient)
            if not going or code == 421:
                return False
        return True

    def _run_rset(self, session, *_):
        session.mail = None
        return True

    def _run_starttls(self, session, _, code):
        if code != 220:
            return True
        if session.peer.pending:
            self._did_wrong(f'connection {session.number}: said behind STARTTLS: {session.peer.pending!r}')
        session.greeted, session.mail = False, None
        return self._handshake(session)

    def _run_auth(self, session, line, _):
        if not self.credentials:
            return self._goes_on(session, 'AUTH', line, '502 5.5.1 no AUTH')
        if self.tls and not session.tls and not self.auth_in_clear:
            self._did_wrong(f'connection {session.number}: AUTH in clear')
        if self._planned_at(session, 'AUTH'):
            going, code = self._happens(session, 'AUTH', line, b'')
            if not going or code:
                return going and code != 421
        mechanism, user, why = exchange(line, self.credentials, lambda text: self._challenge(session, text))
        if why is None:
            return False
        with self.lock:
            self.auths.append((mechanism, user, not why, session.tls))
        session.user = None if why else user
        return self._goes_on(session, 'authenticated', line, why or '235 2.7.0 welcome')

    # ---- helpers of these

    def _planned_at(self, session, step):
        return any(key in self.at for key in (step, f'tls {step}', (session.address, step), (session.address, f'tls {step}')))

    def _goes_on(self, *what):
        going, code = self._happens(*what)
        return going and code != 421

    def _challenge(self, session, text):
        """Says it and gives the answer; None where the connection is over."""
        session.peer.line('334 ' + text)
        octets = session.peer.read_until(b'\n')     # an empty line is an answer
        line = octets.decode('latin-1').rstrip('\r\n')
        if not octets or (self._planned_at(session, 'auth') and not self._goes_on(session, 'auth', line, b'')):
            return None
        with self.lock:
            self.heard(line)
            session.said.append(line)
        return line

    def _named(self, connection, name, _):
        connection.server_name_said = name

    def _handshake(self, session):
        if self._planned_at(session, 'handshake') and not self._happens(session, 'handshake', '', b'')[0]:
            return False
        peer = session.peer
        peer.pending = b''
        peer.sock = self.tls.wrap_socket(peer.sock, server_side=True)
        session.tls, session.cipher, session.resumed = peer.sock.version(), peer.sock.cipher()[0], peer.sock.session_reused
        session.certificate, session.server_name = peer.sock.getpeercert(), getattr(peer.sock, 'server_name_said', None)
        return True
