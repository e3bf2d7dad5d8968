#!/usr/bin/python3
# 5045-relay-sasl-gsasl.t - SCRAM-SHA-256, PLAIN and LOGIN against the server of GNU SASL
# SPDX-License-Identifier: MIT
import os
import subprocess

from lib.fixture import BUILD, is_, like, run


def start(*command):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'LC_ALL': 'C.UTF-8'})


def tokens(server):
    """What the server says each time that it wants an answer. What it ends with, in server.end."""
    token, server.end = '', ''
    for line in server.stdout:
        if line.startswith('Output from server:'):
            token = server.stdout.readline().strip()
        elif line.startswith('Enter base64'):
            yield token
        else:
            server.end += line


def tell(program, line):
    program.stdin.write(line + '\n')
    program.stdin.flush()


def authenticate(mechanism, name, password, known, *more):
    """What our client thinks of it, and what the server."""
    server = start('gsasl', '--server', '--no-cb', '-m', mechanism, '-a', name, '-p', known, *more)
    client = start(f'{BUILD}/t/lib/authenticate', mechanism, name, password)
    begun = False
    for token in tokens(server):
        said = ''                   # where it is content, too
        if token or not begun:
            if begun or mechanism == 'LOGIN':
                tell(client, token)
            said = client.stdout.readline().strip()
        tell(server, said)
        if begun and not said:
            break
        begun = True
    server.stdin.close()
    server.end += server.stdout.read()
    server.wait(60)
    rest, _ = client.communicate('end\n', 60)
    return rest.strip(), server.end


def right(t):
    del t
    for mechanism in ('SCRAM-SHA-256', 'PLAIN', 'LOGIN'):
        for name, password in (('user', 'pencil'), ('us=er,n=x', 'p,=n cil'), ('j\xfcrgen', 'p\xe4ss\xa0w\xf6rt\u20ac\xbd\xb2')):
            ours, theirs = authenticate(mechanism, name, password, password)
            is_(ours, 'satisfied, 0 slices:', f'{mechanism}: we are satisfied with {name}')
            like(theirs, r'authentication finished \(client trusted\)', 'so is the server')


def wrong(t):
    del t
    for mechanism in ('SCRAM-SHA-256', 'PLAIN', 'LOGIN'):
        ours, theirs = authenticate(mechanism, 'user', 'pencil', 'pencils')
        like(theirs, 'mechanism error: ', f'{mechanism}: the server wants another password')
        if mechanism == 'SCRAM-SHA-256':
            is_(ours, 'not satisfied, 0 slices:', 'and has proved nothing')


def iterations(t):
    del t
    ours, theirs = authenticate('SCRAM-SHA-256', 'user', 'pencil', 'pencil', '--iteration-count=70000')
    is_(ours, 'satisfied, 4 slices:', 'many iterations are made bit by bit')
    like(theirs, r'authentication finished \(client trusted\)', 'to the same end')


run(right, wrong, iterations)
