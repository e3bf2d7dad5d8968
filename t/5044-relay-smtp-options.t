#!/usr/bin/python3
# 5044-relay-smtp-options.t - keys of relays that speak SMTP: what goes together, what does not, and how that is said
# SPDX-License-Identifier: MIT
from lib.fixture import IS_ROOT, is_, like, run, unlike
from lib.relay import config

ROOT = ['--allow-root'] if IS_ROOT else []
USER = 'credentials: {username: u, password: p}'


def check(t, relay):
    done = t.run('slimta-worker', *ROOT, '-c', t.config(config(relay)), '--check')
    return done.returncode, (done.stdout + done.stderr).decode()


def wrong(t, kind, cases):
    for keys, where, error in cases:
        code, text = check(t, f'{kind}, {keys}')
        is_(code, 1, f'{keys} is an error')
        like(text, rf'(?m)^\S+:\d+:\d+: relay\.r\.{where}: .*{error}', 'at its place')


def static_rules(t):
    wrong(t, 'type: static, host: h', (
        ('source_address: here', 'source_address', 'expected an IP address, not "here"'),
        ('source_address: []', 'source_address', 'expected an IP address'),
        ('source_address: [127.0.0.1, 127.0.0.2]', r'source_address\[1\]', 'at most one address of IPv4 and one of IPv6'),
        ('source_address: "::1", ipv4_only: yes', 'source_address', 'ipv4_only'),
        ('ipv4_only: maybe', 'ipv4_only', 'yes or no'),
        ('require_tls: yes', 'require_tls', 'expected tls with it'),
        ('tls_immediately: yes', 'tls_immediately', 'expected tls with it'),
        ('tls: ~', 'tls', 'expected a map'),
        ('tls: {cert_reqs: some}', r'tls\.cert_reqs', 'expected one of none, optional, required'),
        ('tls: {cert_reqs: required, ca_certs: /nowhere/at/all}', r'tls\.ca_certs', '/nowhere/at/all'),
        ('tls: {certfile: /nowhere/at/all}', r'tls\.certfile', '/nowhere/at/all'),
        ('tls: {ciphers: none-such}', r'tls\.ciphers', ''),
        ('tls: {ca_cert: x}', r'tls\.ca_cert', r'unknown key \(did you mean "ca_certs"'),
        (USER, 'credentials', 'expected tls with it'),
        (f'tls: {{}}, {USER.replace(", password: p", "")}', r'credentials\.password', 'required'),
        (f'tls: {{}}, {USER.replace("username: u, ", "")}', r'credentials\.username', 'required'),
        (f'tls: {{}}, {USER.replace(": u", ": chr()").replace("chr()", chr(34) * 2)}', r'credentials\.username', 'not empty'),
        (f'tls: {{}}, {USER.replace("password", "passwd")}', r'credentials\.passwd', 'did you mean "password"'),
        ('tls: {}, credentials: me', 'credentials', 'expected a map'), ('tls: {}, credentials: ~', 'credentials', 'expected a map'),
        ('tls: {}, credentials: {username: u, password_file: none}', r'credentials\.password_file', 'cannot read')))


def fine(t):
    password = t.write('password', 'geheim\n')
    for keys in ('tls: {}', f'tls: {{}}, {USER}', f'{USER}, auth_without_tls: yes', 'tls: {}, require_tls: yes, tls_immediately: yes',
            'tls: {cert_reqs: required, check_hostname: no, min_version: TLSv1.3, ciphers: "HIGH"}',
            'source_address: 127.0.0.2, ipv4_only: yes', 'source_address: [127.0.0.2, "::1"]',
            f'tls: {{}}, credentials: {{username: u, password_file: {password}}}'):
        code, text = check(t, f'type: static, host: h, {keys}')
        is_(code, 0, f'{keys} is right')
        unlike(text, r'relay\.r', 'and nothing is said of it')
    for keys, where, warning in (
            ('tls: {ca_certs: /etc/ssl/certs}', r'tls\.ca_certs', 'cert_reqs none verifies nothing'),
            ('auth_without_tls: yes', 'auth_without_tls', 'without credentials')):
        code, text = check(t, f'type: static, host: h, {keys}')
        is_(code, 0, f'{keys} is no error')
        like(text, rf'warning: .*relay\.r\.{where}: .*{warning}|relay\.r\.{where}: warning: .*{warning}', 'it is warned of')


run(static_rules, fine)
