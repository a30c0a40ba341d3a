"""What streamsql.so shows to the outside: the entry points that PostgreSQL
looks up, and nothing else, so that no other library can meet our names."""
import os
import re
import subprocess

from lint_source import Finding

LIBRARY = os.path.join('build', 'lint', 'tree', 'streamsql.so')
FIXED = {'_PG_init', 'Pg_magic_func'}
FUNCTION = re.compile(r'CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+'
                      r'([\w.@"]+)(.*?);', re.S | re.I)
WORKER = re.compile(r'bgw_function_name,\s*"(\w+)"')
LINK = re.compile(r"'MODULE_PATHNAME'(?:\s*,\s*'(\w+)')?")


def check(tree):
    library = os.path.join(tree.root or '', LIBRARY)
    if tree.root and os.path.exists(library):
        yield from compare(tree, names_of(library, '--defined-only'),
                           names_of(library, '--undefined-only'))


def names_of(library, which):
    lines = subprocess.run(['nm', '-D', '-P', which, library], check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    return {line.split()[0].split('@')[0] for line in lines.splitlines()}


def compare(tree, defined, undefined):
    """Findings for three lists: SQL's functions, symbols that are there and
    symbols that are missing."""
    wanted = sql_functions(tree)
    allowed = FIXED | set(wanted) | worker_functions(tree) | {'pg_finfo_' + name for name in wanted}
    for name in sorted(defined - allowed):
        yield Finding(LIBRARY, 1, 'symbol.exported',
                      f'{name} is exported and no SQL function')
    for name, (path, line) in sorted(wanted.items()):
        if name not in defined:
            yield Finding(path, line, 'symbol.missing',
                          f'{name} is not exported')
    for name in sorted(undefined):
        if name.startswith('sq_'):
            yield Finding(LIBRARY, 1, 'symbol.missing',
                          f'{name} is used and nowhere defined')


def worker_functions(tree):
    """Functions that background workers begin with, found by their name."""
    return {m[1] for source in tree.sources_under('src')
            for m in WORKER.finditer(source.text)}


def sql_functions(tree):
    """C functions that the extension scripts name, and where."""
    result = {}
    for path, text in tree.files.items():
        if not re.match(r'sql/streamsql--[\w.-]+\.sql$', path):
            continue
        for match in FUNCTION.finditer(text):
            link = LINK.search(match[2])
            if link:
                name = link[1] or match[1].split('.')[-1].strip('"')
                result[name] = (path, text.count('\n', 0, match.start()) + 1)
    return result
