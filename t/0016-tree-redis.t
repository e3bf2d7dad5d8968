#!/usr/bin/python3
# 0016-tree-redis.t - the fixture's redis: starts, keeps, is killed, has replicas and a proxy in front
# SPDX-License-Identifier: MIT
import socket
import ssl

from lib.fixture import ok, is_, like, run, wait_for
from lib.redis import Redis, certificates, replicated
from lib.resp import Resp, RespError
from lib.tcp_proxy import TcpProxy


def test_alone(t):
    tls = certificates(t)
    redis = Redis(t, aof='always', password='s3cret', tls=tls, acl=['queue on >other ~slimta:* &* +@all -@dangerous'])
    redis('SET', 'a', b'b\r\n\0')
    redis.kill()
    redis.start()
    is_(redis('GET', 'a'), b'b\r\n\0', 'what was written under AOF is there after kill -9')
    is_(redis.calls()['get'], 1, 'calls are counted')
    with Resp(redis.socket, password='other', username='queue') as client:
        client.send('GET', 'a')
        like(str(client.read()), '^NOPERM', 'a user of the ACL, by unix socket')
    context = ssl.create_default_context(cafile=f'{tls}/ca.crt')
    with socket.create_connection(('127.0.0.1', redis.tls_port)) as plain:
        with context.wrap_socket(plain, server_hostname='localhost') as sock:
            is_(Resp(sock, password='s3cret')('PING'), b'PONG', 'and TLS')
    redis.pause()
    with redis.connect(timeout=0.3) as client:
        client.send('PING')
        try:
            client.read()
            ok(False, 'one that is paused is silent')
        except OSError:
            ok(True, 'one that is paused is silent')
    redis.resume()
    return redis


def test_proxy(t, redis):
    proxy = TcpProxy(t, redis.port)
    with Resp(('127.0.0.1', proxy.port), password='s3cret') as client:
        is_(client('GET', 'a'), b'b\r\n\0', 'the proxy passes')
        proxy.cut_on = b'b\r\n\0'
        try:
            client('GET', 'a')
            ok(False, 'and cuts an answer in its middle')
        except OSError:
            ok(True, 'and cuts an answer in its middle')
    is_(proxy.cuts, 1, 'once')
    with Resp(('127.0.0.1', proxy.port), password='s3cret', timeout=0.3) as client:
        proxy.hole = True
        client.send('PING')
        try:
            client.read()
            ok(False, 'a hole swallows')
        except OSError:
            ok(True, 'a hole swallows')
    proxy.hole = False
    try:
        with Resp(('127.0.0.1', proxy.port)) as client:
            client('GET', 'a')
    except RespError as error:
        like(str(error), '^NOAUTH', 'and lets go')


def test_fail_over(t):
    (master, replica), sentinels = replicated(t)
    is_(sentinels[0].master(), ('127.0.0.1', master.port), 'a sentinel knows the master')
    master('SET', 'kept', '1')
    is_(master('WAIT', '1', '5000'), 1, 'the replica follows')
    master.kill()
    wait_for(lambda: sentinels[0].master()[1] == replica.port, 30, 'the fail-over')
    replica.wait_role('master')
    is_(replica('GET', 'kept'), b'1', 'and the replica takes its place')


def test(t):
    test_proxy(t, test_alone(t))
    test_fail_over(t)


run(test)
