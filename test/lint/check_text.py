"""Files of every kind: heads, leftovers, paths and hosts of one machine,
scripts that parse and can be run."""
import hashlib
import os
import re
import stat
import subprocess

from lint_source import Finding, room_of

LEFTOVER = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX)\b')
MACHINE_PATH = re.compile(r'(?<![\w.$})])/(wo' r'rk|ro' r'ot)/')
TEMPORARY = re.compile(r'"/(var/)?t' r'mp/')
HOST = re.compile(r'https?://([\w.-]+)')
# hosts that a reader of this project may be sent to
HOSTS = {'localhost', '127.0.0.1', 'www.postgresql.org', 'kafka.apache.org',
         'maven.apache.org', 'www.w3.org', 'github.com', 'json.org',
         'www.json.org', 'www.apache.org', 'www.rfc-editor.org',
         'simdjson.org', 'docs.confluent.io', 'wiki.debian.org'}
HOST_ENDINGS = ('.example', '.example.com', '.example.org', '.invalid')
# Words that say how a file was written instead of what it is, by the start
# of their SHA-1: a list in clear would break its own rule.
BANNED = set('''f1dda22f6c87 c03a8d10174d ab0ddc029a7e 7d3bbb5cbbc4
9b794bcc23cd b84ab73df222 468da084e995 4cddc093d54b
575964e711b0 4a78d263f34e b2c9fd9e3927 8341873a8883
00d78bf41eba d688ae4face9'''.split())
WORD = re.compile(r'[A-Za-z]+')


def check(tree):
    for source in tree.sources_under('src', 'test'):
        if not source.path.endswith('.h'):
            yield from check_head(source)
    for path, text in sorted(tree.files.items()):
        for number, line in enumerate(text.split('\n'), 1):
            yield from check_line(path, number, line)
        yield from check_script(tree, path, text)
        if text and not text.endswith('\n'):
            yield Finding(path, text.count('\n') + 1, 'text.end',
                          'no line feed at the end of the file')


def check_head(source):
    """What the file does, its memory, its locks."""
    head = re.match(r'/\*.*?\*/', source.text, re.S)
    base = os.path.basename(source.path)
    if not head or base not in head[0] or len(head[0].split()) < 8:
        yield Finding(source.path, 1, 'text.head',
                      'does not open with a comment that names the file and '
                      'says what it does')
    elif room_of(source.path):
        for word in ('memory', 'lock'):
            if not re.search(word, head[0], re.I):
                yield Finding(source.path, 1, 'text.head',
                              f'the head comment says nothing of {word}')


def check_line(path, number, line):
    match = LEFTOVER.search(line)
    if match:
        yield Finding(path, number, 'text.leftover', match[0])
    match = MACHINE_PATH.search(line)
    if match:
        yield Finding(path, number, 'text.path', f'{match[0]} is a path of '
                      'one machine')
    if path.startswith('src/') and TEMPORARY.search(line):
        yield Finding(path, number, 'text.path', 'a fixed temporary path')
    for host in HOST.findall(line):
        host = host.rstrip('.')
        if host not in HOSTS and not host.endswith(HOST_ENDINGS) and \
           '.' in host:
            yield Finding(path, number, 'text.host', f'{host} is not in '
                          'HOSTS of test/lint/check_text.py')
    for word in set(WORD.findall(line)):
        if is_banned(word):
            yield Finding(path, number, 'text.word',
                          'names a tool or a session')


KNOWN = {}


def is_banned(word):
    word = word.lower()
    if word not in KNOWN:
        KNOWN[word] = hashlib.sha1(word.encode()).hexdigest()[:12] in BANNED
    return KNOWN[word]


def check_script(tree, path, text):
    first = text.split('\n', 1)[0]
    shebang = first.startswith('#!')
    mode = tree.modes.get(path)
    if mode is not None and bool(mode & stat.S_IXUSR) != shebang:
        yield Finding(path, 1, 'text.mode', 'has a #! line but cannot be run'
                      if shebang else 'can be run but has no #! line')
    if path.endswith('.sh') or shebang and re.search(r'\b(ba)?sh\b', first):
        run = subprocess.run(['bash', '-n'], input=text.encode(),
                             stderr=subprocess.PIPE)
        for line in run.stderr.decode().splitlines():
            number = re.search(r'line (\d+)', line)
            yield Finding(path, min(int(number[1]) if number else 1,
                                    text.count('\n')),
                          'text.shell', line)
    if path.endswith('.py') or shebang and 'python' in first:
        try:
            compile(text, path, 'exec')
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, 'text.python', error.msg)
