#!/usr/bin/python3
# 1002-config-pyyaml.t - random documents mean the same to us and to PyYAML
# SPDX-License-Identifier: MIT
import json
import os
import random
import re
import subprocess
import sys

from lib.fixture import BUILD, diag, is_, ok, plan, skip_all

try:
    import yaml
except ImportError:
    skip_all('python3-yaml is not installed')

DUMP = os.path.join(BUILD, 't/lib/config-dump')
PLAIN = ['a', 'b c', 'x-y', 'yes', 'No', 'oN', 'TRUE', 'y', 'null', '~', 'Null', '0', '007', '08', '0x1F', '0b11',
    '0b12', '1_000', '-5', '+7', '1:30', '1:60', '190:20:30', '1.5', '1.', '.5', '-.5', '1e5', '1.0e+5', '1.0e5',
    '.inf', '-.INF', '.NaN', '1:30.25', '2001-12-14', '10s', '5M', '1.2.3.4', "it's", 'a:b', 'x#y', 'http://x/y',
    'a\n{i}  b', '-', '0o17', '1__0', '0_', '_1', 'é', '日本', '12e03', '4:5.', '+.inf', '0.0', '1,000', '*', '<']
QUOTED = ['', 'x', ' lead', 'trail ', 'yes', '12', 'two\nlines', 'tab\there', '"', "'", '\\', 'é', '# no', ': ', '<<']


class Loader(yaml.SafeLoader):
    """Keys are text, given once; dates are text, as for us."""
    yaml_implicit_resolvers = {first: [(tag, regex) for tag, regex in pairs
        if not tag.endswith((':timestamp', ':value'))] for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()}

    def map(self, node):
        own = [key.value for key, _ in node.value]
        if any(not isinstance(key, yaml.ScalarNode) or key.tag.endswith(':null') for key, _ in node.value):
            raise yaml.YAMLError('key')
        if len(set(own)) != len(own):
            raise yaml.YAMLError('doubles')
        self.flatten_mapping(node)
        return ['map', {key.value: self.construct_object(value, deep=True) for key, value in node.value}]

    def list(self, node):
        return ['list', [self.construct_object(value, deep=True) for value in node.value]]


Loader.add_constructor('tag:yaml.org,2002:map', Loader.map)
Loader.add_constructor('tag:yaml.org,2002:seq', Loader.list)
for tag, kind, convert in (('str', 'text', str), ('bool', 'bool', bool), ('int', 'int', int),
        ('float', 'float', lambda value: re.sub('e-?0+$', '', f'{value:.12g}'))):
    Loader.add_constructor(f'tag:yaml.org,2002:{tag}', lambda self, node, k=kind, c=convert, t=tag:
        [k, c(getattr(yaml.SafeLoader, f'construct_yaml_{t}')(self, node))])
Loader.add_constructor('tag:yaml.org,2002:null', lambda self, node: ['null'])


class Writer:
    """Documents of random shape; some of them are wrong."""

    def __init__(self, seed):
        self.random, self.anchors, self.maps = random.Random(seed), [], []

    def quoted(self, text):
        if self.random.random() < 0.5 and '\n' not in text:
            return "'" + text.replace("'", "''") + "'"
        return json.dumps(text, ensure_ascii=self.random.random() < 0.5)

    def scalar(self, indent, flow):
        choice = self.random.random()
        if choice < 0.6:
            text = self.random.choice(PLAIN)
            return text.replace('{i}', ' ' * indent) if not flow else re.sub(r'[\n,{}]', '', text)
        if choice < 0.9 or flow:
            text = self.random.choice(QUOTED)
            return self.random.choice(['', '', '!!str ', '! ' if text != '<<' else '']) + self.quoted(text)
        head = self.random.choice('|>') + self.random.choice(['', '-', '+'])
        body = self.random.choice(['one', 'one\ntwo', 'one\n\ntwo\n', 'a\n  deep\nb', '\nlate'])
        return head + ''.join('\n' + (' ' * (indent + 1) + line if line else '') for line in body.split('\n'))

    def anchor(self, is_map):
        if self.random.random() > 0.3:
            return ''
        name = f'n{len(self.anchors)}'
        self.anchors.append(name)
        if is_map:
            self.maps.append(name)
        return f'&{name} '

    def merge(self):
        if self.random.random() < 0.6 or len(self.maps) == 1:
            return '*' + self.random.choice(self.maps)
        return '[' + ', '.join('*' + self.random.choice(self.maps) for _ in range(self.random.randint(1, 3))) + ']'

    def pairs(self, indent, depth, flow):
        known = list(self.maps)
        for key in self.random.sample('abcdefg', self.random.randint(1, 4)):
            yield self.random.choice([key, key, f'"{key}"', f"'{key}'"]), self.value(indent + 1, depth + 1, flow)
        if self.random.random() < 0.02:
            yield 'a', 'double'
        if known and self.random.random() < 0.5:
            names, self.maps = self.maps, known
            yield '<<', self.merge()
            self.maps = names

    def value(self, indent, depth, flow=False):
        if self.anchors and self.random.random() < 0.15:
            return '*' + self.random.choice(self.anchors) + ' '
        kind = self.random.random() if depth < 4 else 1
        if kind > 0.6:
            return self.scalar(indent, flow)
        is_map, flow = kind < 0.4, flow or self.random.random() < 0.3
        pairs = list(self.pairs(indent, depth, flow)) if is_map else [
            ('', self.value(indent + 1, depth + 1, flow)) for _ in range(self.random.randint(1, 4))]
        anchor, pad = self.anchor(is_map), '\n' + ' ' * indent
        if flow:
            inner = ', '.join(f'{key}: {value}' if is_map else value for key, value in pairs)
            return anchor + ('{' if is_map else '[') + inner + ('}' if is_map else ']')
        return anchor + ''.join(pad + (f'{key}: {value}' if is_map else f'- {value}') for key, value in pairs)


def by_pyyaml(text):
    try:
        return yaml.load(text, Loader)  # nosec: a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return ['error', str(error)]


seed = int(os.environ.get('SEED') or random.randrange(1 << 32))
documents = [Writer(seed + number).value(0, 0).lstrip('\n') + '\n' for number in range(3000)]
dumped = subprocess.run([DUMP], input='\n'.join(map(json.dumps, documents)), capture_output=True, text=True,
    timeout=120, check=False)
is_(dumped.returncode, 0, 'all documents are read')
ours = [json.loads(line) for line in dumped.stdout.splitlines()]
is_(len(ours), len(documents), 'one answer each')
accepted = 0
for text, mine in zip(documents, ours):
    theirs = by_pyyaml(text)
    accepted += theirs[0] != 'error'
    if mine != theirs and not mine[0] == theirs[0] == 'error':
        diag(f'SEED={seed}\n{text}\nslimta: {mine}\nPyYAML: {theirs}')
        ok(False, 'the same meaning')
        break
else:
    ok(True, 'the same meaning')
if not ok(accepted > len(documents) / 3, 'most of them are no errors'):
    diag(f'{accepted} of {len(documents)}')
sys.exit(plan())
