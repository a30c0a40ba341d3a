#!/usr/bin/env python3
"""Each check finds what is planted for it, and nothing beside it.

selftest/*.txt are small trees: "check NAME", then "==> path [mode]" before
each file. A line that must be found carries one "@rule" for each finding,
which is taken away before the check runs; "@repeat N text" stands for N lines,
"@cut" takes away the line feed before it.
"""
import glob
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import check_symbol  # noqa: E402
import lint  # noqa: E402
from lint_source import Tree  # noqa: E402

MARK = re.compile(r'[ \t]*@([a-z]+\.[a-z]+)')
SYMBOLS = {'_PG_init', 'Pg_magic_func', 'streamsql_there', 'there_too',
           'pg_finfo_there_too', 'pg_finfo_nobody', '_ZN1aE', 'sq_fdw_x'}


def read(path):
    """The name of the check, the files, their modes, what must be found."""
    with open(path, encoding='utf-8') as file:
        head, *parts = re.split(r'^==> (.*)\n', file.read(), flags=re.M)
    files, modes, wanted = {}, {}, []
    for spec, text in zip(parts[::2], parts[1::2]):
        name, *mode = spec.split()
        if mode:
            modes[name] = int(mode[0], 8)
        text = re.sub(r'@repeat (\d+) (.*\n)',
                      lambda m: int(m[1]) * m[2], text)
        text = text.replace('\n@cut\n', '')
        for number, line in enumerate(text.split('\n'), 1):
            wanted += [(name, number, rule) for rule in MARK.findall(line)]
        files[name] = MARK.sub('', text)
    return head.split()[1], files, modes, wanted


def planted_symbols(tree):
    return list(check_symbol.compare(tree, SYMBOLS, {'palloc', 'sq_base_x'}))


def on_disk(name, files):
    """clang-format wants files, and the style beside them."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)),
                        exist_ok=True)
            with open(os.path.join(root, path), 'w') as file:
                file.write(text)
        shutil.copy(os.path.join(HERE, '..', '..', '.clang-format'), root)
        return lint.run(Tree(files, root), [name])


def findings_of(name, files, modes):
    if name == 'symbol':
        return planted_symbols(Tree(files))
    if name == 'format':
        return on_disk(name, files)
    return lint.run(Tree(files, None, modes), [name])


def compare(path):
    """Differences between what is wanted and what was found."""
    name, files, modes, wanted = read(path)
    if name == 'symbol':
        wanted += [(check_symbol.LIBRARY, 1, 'symbol.exported')] * 3
        wanted += [(check_symbol.LIBRARY, 1, 'symbol.missing')]
    found = [(f.path, f.line, f.rule)
             for f in findings_of(name, files, modes)]
    case = os.path.basename(path)
    for place in sorted(set(wanted) | set(found)):
        if wanted.count(place) > found.count(place):
            yield f'{case}: not found: {place}'
        if wanted.count(place) < found.count(place):
            yield f'{case}: found without a cause: {place}'


def main():
    faults = []
    planted = 0
    for path in sorted(glob.glob(os.path.join(HERE, 'selftest', '*.txt'))):
        planted += len(read(path)[3])
        faults += compare(path)
    print('\n'.join(faults + [f'lint: {planted} planted faults, '
                              f'{len(faults)} checks that err']))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
