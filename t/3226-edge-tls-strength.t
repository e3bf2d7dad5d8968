#!/usr/bin/python3
# 3226-edge-tls-strength.t - old protocols and odd curves where they are allowed, and whose word a failed handshake was
# SPDX-License-Identifier: MIT
import ssl
import warnings

from lib.certificates import Certificates
from lib.edge import secure, with_tls
from lib.fixture import is_, like, ok, run, unlike

warnings.simplefilter('ignore', DeprecationWarning)     # of old protocols
WARNED = r'tls\.{}: warning: nothing before TLS 1\.2 is spoken at OpenSSL\'s security level \d'


def edge_with(t, certificates, keys):
    return t.edge(with_tls(certificates).replace('tls: {', f'tls: {{{keys}, '))


def old_client(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers('ALL:@SECLEVEL=0')
    context.minimum_version = context.maximum_version = version
    return context


def talks(t, context):
    """The version spoken, or the error."""
    with t.client('smtp') as c:
        c.hello()
        try:
            secure(c, context)
            c.cmd('EHLO c.example', 250)
            return c.sock.version()
        except (ssl.SSLError, OSError) as error:
            return error


def old(t):
    """They are spoken where both keys say so; else a key that says so is warned of."""
    certificates = Certificates(t)
    for key, value in ('min_version', 'TLSv1'), ('ssl_version', 'PROTOCOL_TLSv1_1'):
        edge = edge_with(t, certificates, f'{key}: {value}, ciphers: "DEFAULT:@SECLEVEL=0"')
        unlike(edge.log, WARNED.format(key), f'{key} {value}: all is said')
        is_(talks(t, old_client(ssl.TLSVersion.TLSv1_1)), 'TLSv1.1', 'an old client is served')
        is_(talks(t, old_client(ssl.TLSVersion.TLSv1)) == 'TLSv1', value == 'TLSv1', 'an older one where it may be')
        is_(talks(t, certificates.client()), 'TLSv1.3', 'others as ever')
        edge.stop()
        edge = edge_with(t, certificates, f'{key}: {value}, ciphers: "DEFAULT:@SECLEVEL=2"')
        like(edge.log, WARNED.format(key), f'{key} {value} alone does not do it')
        ok(isinstance(talks(t, old_client(ssl.TLSVersion.TLSv1_1)), OSError), 'as is true')
        edge.stop()


def curves(t):
    """A client's certificate may be of any curve that is in use, in both versions."""
    certificates = Certificates(t)
    edge = edge_with(t, certificates, f'cert_reqs: required, ca_certs: {certificates.ca}')
    for curve in 'P-256', 'P-384', 'P-521':
        certificate, key = certificates.make(curve, curve=curve)
        for version, name in (ssl.TLSVersion.TLSv1_2, 'TLSv1.2'), (ssl.TLSVersion.TLSv1_3, 'TLSv1.3'):
            context = certificates.client(version)
            context.load_cert_chain(certificate, key)
            is_(talks(t, context), name, f'{curve}')
            edge.wait_log(rf' encrypted .*version={name} .*peer="CN={curve}"$')


def whose(t):
    """What a client has against us is told apart from what we have against it."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        since = len(edge.log)
        strict = ssl.create_default_context()
        strict.minimum_version = strict.maximum_version = version
        ok(isinstance(talks(t, strict), ssl.SSLError), 'a client that does not trust us leaves')
        edge.wait_log(r'TLS failed .*reason="TLS( handshake)?: alert of the client: unknown ca"', since=since)
    ok(isinstance(talks(t, old_client(ssl.TLSVersion.TLSv1_1)), OSError), 'one that is too old')
    edge.wait_log(r'TLS failed .*reason="TLS handshake: unsupported protocol"')


run(old, curves, whose)
