# certificates.py - authorities and certificates of the test's own, made by openssl
# SPDX-License-Identifier: MIT
import os
import ssl
import subprocess

from .fixture import Failure

NEW_KEY = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes')


class Certificates:
    """In the folder `name` of the test ca.crt and other.crt, of authorities, and by the first of them, each .crt and .key:
    good (for `names`), expired (the same, of yesterday), wrong (for another name), client; self-signed (by itself, for
    `names`). What is not asked for is not made."""

    def __init__(self, t, names='DNS:localhost,IP:127.0.0.1', name='tls'):
        self.t, self.names, self.name = t, names, name
        self.folder = t.folder(name)
        for authority in ('ca', 'other'):
            self._openssl('req', '-x509', *NEW_KEY, '-days', '2', '-keyout', f'{authority}.key', '-out', f'{authority}.crt',
                '-subj', f'/CN=test {authority}')
        self.ca = self.path('ca.crt')
        self.other = self.path('other.crt')

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        done = subprocess.run(['openssl', *args], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failure(f'openssl {args[0]}: {done.stderr[-400:]}')

    def make(self, who, names=None, curve=None):
        """Paths of the certificate and its key, which is of P-256 unless `curve` is given."""
        certificate, key = self.path(f'{who}.crt'), self.path(f'{who}.key')
        if os.path.exists(certificate):
            return certificate, key
        names = names or {'wrong': 'DNS:wrong.example', 'client': 'DNS:client.example'}.get(who, self.names)
        if who == 'self-signed':
            self._openssl('req', '-x509', *NEW_KEY, '-days', '2', '-keyout', key, '-out', certificate, '-subj', f'/CN={who}',
                '-addext', f'subjectAltName={names}')
        else:
            of_curve = ('-pkeyopt', f'ec_paramgen_curve:{curve}') if curve else ()
            self._openssl('req', *NEW_KEY, *of_curve, '-keyout', key, '-out', f'{who}.csr', '-subj', f'/CN={who}')
            self.t.write(f'{self.name}/{who}.ext', f'subjectAltName={names}\n')
            self._openssl('x509', '-req', '-in', f'{who}.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial',
                '-days', '-1' if who == 'expired' else '2', '-extfile', f'{who}.ext', '-out', certificate)
        os.chmod(key, 0o644)    # other users of the test's programs read it
        return certificate, key

    def server(self, who='good', minimum=None, maximum=None, asks_client=False):
        """An ssl.SSLContext for a server with this certificate; `asks_client`: for one by our authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.make(who))
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client(self, version=None):
        """An ssl.SSLContext for a client that trusts our authority; `version`: an ssl.TLSVersion, and no other."""
        context = ssl.create_default_context(cafile=self.ca)
        if version:
            context.minimum_version = context.maximum_version = version
        return context
