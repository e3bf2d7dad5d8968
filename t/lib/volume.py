# volume.py - a small file system of a test's own, in a mount namespace that ends with it
# SPDX-License-Identifier: MIT
import ctypes
import fcntl
import os
import struct
import subprocess

from lib.fixture import IS_ROOT, wait_for
from lib.tap import skip_all

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
EXT4_IOC_SHUTDOWN, WITHOUT_JOURNAL = 0x8004587d, 2


def namespace():
    """What is mounted from here on is seen by this process and its children alone."""
    if not IS_ROOT:
        skip_all('not root')
    if LIBC.unshare(CLONE_NEWNS) or LIBC.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None):
        skip_all('no mount namespaces here')


def mount(source, place, kind, options):
    return LIBC.mount(source.encode(), place.encode(), kind.encode(), 0, options.encode()) == 0


def call(*args):
    return subprocess.run(args, capture_output=True, check=False, timeout=60)


class Volume:
    """ext4 of `size` octets on t.path(name), through a loop device."""

    def __init__(self, t, name, size, *options):
        self.image, self.place = t.path(name + '.img'), t.folder(name)
        with open(self.image, 'wb') as image:
            image.truncate(size)
        try:
            made = call('mkfs.ext4', '-q', '-F', *options, self.image).returncode == 0
        except FileNotFoundError:
            made = False
        if not made or not self.mount():
            skip_all('no file system can be made and mounted here')

    def mount(self, options='commit=300'):
        return call('mount', '-o', f'loop,{options}', self.image, self.place).returncode == 0

    def unmount(self):
        wait_for(lambda: call('umount', self.place).returncode == 0, 20, f'{self.place} to be unmounted')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """At once where nobody has anything open there, else when they have ended."""
        call('umount', '-l', self.place)

    def remount(self, options):
        """False while files are open that would have to be closed."""
        return call('mount', '-o', f'remount,{options}', self.place).returncode == 0

    def cut(self):
        """From now on all calls fail; what is not in the journal's own place by now is lost."""
        fd = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack('I', WITHOUT_JOURNAL))
        os.close(fd)

    def room(self):
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

    def fill(self, left):
        """A file that leaves so many octets; gives its path."""
        path = os.path.join(self.place, 'filler')
        with open(path, 'wb') as filler:
            while self.room() > left:
                try:
                    os.write(filler.fileno(), bytes(min(1 << 20, self.room() - left)))
                except OSError:
                    break
                os.fsync(filler.fileno())
        return path

    def files(self):
        """Paths of all files that a queue keeps there, but those that wait to be used again."""
        found = []
        for folder, _, names in os.walk(self.place):
            if os.path.basename(folder) != '.free':
                found += [os.path.relpath(os.path.join(folder, name), self.place) for name in names]
        return sorted(found)
