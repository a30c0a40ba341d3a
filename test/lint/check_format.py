"""clang-format has the last word on layout."""
import os
import re
import shutil
import subprocess

from lint_source import Finding

PROGRAMS = ('clang-format-14', 'clang-format')


def check(tree):
    paths = [s.path for s in tree.sources_under('src', 'test')]
    if not tree.root or not paths:
        return
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        yield Finding('.clang-format', 1, 'format.program',
                      'clang-format is missing: apt-get install clang-format')
        return
    run = subprocess.run([program, '--dry-run', '-Werror'] + paths,
                         cwd=tree.root, stderr=subprocess.PIPE,
                         env=dict(os.environ, LC_ALL='C'))
    yield from findings(run.stderr.decode('utf-8', 'replace'))


def findings(output):
    """One for each place, from what clang-format says."""
    for match in re.finditer(r'^(\S+?):(\d+):\d+: (?:error|warning): '
                             r'code should be clang-formatted', output, re.M):
        yield Finding(match[1], int(match[2]), 'format.layout',
                      'not as clang-format has it')
