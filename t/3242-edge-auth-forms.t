#!/usr/bin/python3
# 3242-edge-auth-forms.t - passwords as other programs store them: passlib, openssl, gsasl, crypt(3)
# SPDX-License-Identifier: MIT
import base64
import hashlib
import os
import secrets
import subprocess
import warnings

from lib.edge import config, plain, users
from lib.fixture import is_, ok, run

with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import crypt

    from passlib import hash as forms

WORD = 'pä=n,c il€'


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True,
        env={**os.environ, 'LC_ALL': 'C.UTF-8'}).stdout.strip()


def digest(name, salt=b''):
    return base64.b64encode(hashlib.new(name, WORD.encode() + salt).digest() + salt).decode()


def stored():
    found = {f'crypt{method.ident}': crypt.crypt(WORD, crypt.mksalt(method))
        for method in (crypt.METHOD_SHA256, crypt.METHOD_SHA512)}
    found |= {
        'bcrypt': crypt.crypt(WORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)),
        'yescrypt': crypt.crypt(WORD, '$y$j75$saltsaltsalt'),
        'in braces': '{CRYPT}' + tool('openssl', 'passwd', '-6', WORD),
        'openssl': tool('openssl', 'passwd', '-5', WORD),
        'gsasl': tool('gsasl', '--mkpasswd', '--mechanism', 'SCRAM-SHA-256', '--iteration-count', '4096', '--password', WORD),
        'plain': '{PLAIN}' + WORD,
    }
    for form in (forms.pbkdf2_sha256, forms.pbkdf2_sha512, forms.ldap_pbkdf2_sha256, forms.ldap_pbkdf2_sha512):
        found[form.name] = form.using(rounds=1000).hash(WORD)
    for form in (forms.ldap_sha1, forms.ldap_salted_sha1, forms.ldap_salted_sha256, forms.ldap_salted_sha512):
        found[form.name] = form.hash(WORD)
    for name in ('sha256', 'sha512'):
        found[name] = f'{{{name.upper()}}}{digest(name)}'
        found[f's{name}'] = f'{{S{name.upper()}}}{digest(name, secrets.token_bytes(9))}'
    return found


def test(t):
    found = stored()
    edge = t.edge(config(', auth_without_tls: yes' + users(found)))
    for name in found:
        with t.client('smtp') as c:
            c.hello()
            c.cmd('AUTH PLAIN ' + plain(name, WORD), 235, what=f'{name}: {found[name][:24]}')
    ok(WORD not in edge.log, 'not in the log')
    is_(edge.stop(), 0, 'it ends')


run(test)
