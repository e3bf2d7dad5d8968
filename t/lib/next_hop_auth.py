# next_hop_auth.py - the server's side of AUTH: PLAIN, LOGIN and SCRAM-SHA-256
# SPDX-License-Identifier: MIT
import base64
import hashlib
import hmac
import os

CANCELLED, REFUSED, NONSENSE = '501 5.7.0 cancelled', '535 5.7.8 no', '501 5.5.2 not understood'


class Scram:
    """What the server says of itself; a test changes it to be a bad one."""
    iterations, salt = 4096, None           # salt None: by chance
    nonce = staticmethod(lambda client: client + base64.b64encode(os.urandom(15)).decode())
    verifier = staticmethod(lambda signature: 'v=' + base64.b64encode(signature).decode())


scram = Scram()


def plain(credentials, initial, ask):
    answer = initial if initial is not None else ask(b'')
    if answer.count(b'\0') != 2:
        return None, NONSENSE
    _, user, password = (part.decode('utf-8', 'replace') for part in answer.split(b'\0'))
    return user, '' if credentials.get(user) == password else REFUSED


def login(credentials, initial, ask):
    user = (initial if initial is not None else ask(b'Username:')).decode('utf-8', 'replace')
    password = ask(b'Password:').decode('utf-8', 'replace')
    return user, '' if credentials.get(user) == password else REFUSED


def scram_sha_256(credentials, initial, ask):
    first = (initial if initial is not None else ask(b'')).decode()
    header, bare = first[:3], first[3:]
    if header not in ('n,,', 'y,,') or not bare.startswith('n=') or ',r=' not in bare:
        return None, NONSENSE
    user, nonce = bare[2:].split(',r=', 1)
    user = user.replace('=2C', ',').replace('=3D', '=')
    salt = scram.salt or os.urandom(16)
    nonce = scram.nonce(nonce)
    server_first = f'r={nonce},s={base64.b64encode(salt).decode()},i={scram.iterations}'
    final = ask(server_first.encode()).decode()
    without_proof, proof = final.rsplit(',p=', 1)
    if without_proof != f'c={base64.b64encode(header.encode()).decode()},r={nonce}':
        return user, NONSENSE
    if user not in credentials:
        return user, REFUSED
    salted = hashlib.pbkdf2_hmac('sha256', credentials[user].encode(), salt, scram.iterations)
    said = ','.join((bare, server_first, without_proof)).encode()
    key = mac(salted, b'Client Key')
    signature = mac(hashlib.sha256(key).digest(), said)
    if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
        return user, REFUSED
    ask(scram.verifier(mac(mac(salted, b'Server Key'), said)).encode())
    return user, ''


def mac(key, text):
    return hmac.new(key, text, 'sha256').digest()


MECHANISMS = {'PLAIN': plain, 'LOGIN': login, 'SCRAM-SHA-256': scram_sha_256}


class Over(Exception):
    """The connection ended, or the client cancelled."""


def exchange(line, credentials, challenge):
    """`line` is the AUTH command; `challenge(text)` says a challenge in base64 and gives the answer. Gives the mechanism, the
    user, and the reply to refuse with: '' for success, None where the connection is over."""
    words = line.split(' ')
    mechanism = words[1].upper() if len(words) > 1 else ''

    def ask(text):
        answer = challenge(base64.b64encode(text).decode())
        if answer is None:
            raise Over(None)
        if answer == '*':
            raise Over(CANCELLED)
        return base64.b64decode(answer, validate=True)
    if mechanism not in MECHANISMS:
        return mechanism, None, '504 5.5.4 unknown mechanism'
    try:
        initial = None if len(words) < 3 else b'' if words[2] == '=' else base64.b64decode(words[2], validate=True)
        return mechanism, *MECHANISMS[mechanism](credentials, initial, ask)
    except Over as over:
        return mechanism, None, over.args[0]
    except ValueError:
        return mechanism, None, NONSENSE
