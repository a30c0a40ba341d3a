"""Which room may include what: the table of the rooms, as code.

Other rooms see a room's door and nothing else of it. Pure rooms compile
without a server, so they see of PostgreSQL only what its frontend programs
see, and never throw.
"""
import os
import re
import subprocess

from lint_source import Finding, room_of

# room: the rooms whose doors it may include
MATRIX = {
    'base': '',
    'batch': 'base',
    'kafka': 'base',
    'format': 'base batch',
    'plan': 'base batch',
    'table': 'base batch',
    'expr': 'base batch plan',
    'exec': 'base batch kafka format table plan expr',
    'sink': 'base batch kafka format feed',
    'feed': 'base batch kafka format',
    'keyed': 'base batch kafka format feed table',
    'fdw': 'base batch kafka format feed table keyed plan expr exec sink',
    'meta': 'base plan table',
    'job': 'base plan sink meta monitor table kafka',
    'monitor': 'base',
}
# doors beside <room>/<room>.h
MORE_DOORS = {'base/base_version.h', 'base/base_hash.h'}
# settings are above the rooms; those that serve unit tests don't see them
SEES_SETTINGS = {'', 'feed', 'keyed', 'fdw', 'meta', 'job', 'monitor', 'sink', 'table'}

PURE_ROOMS = {'base', 'batch', 'kafka', 'format', 'plan', 'table', 'expr',
              'exec'}
# files of pure rooms that are for the server only
IMPURE_FILES = re.compile(r'src/(batch/\w*datum\w*'
                          r'|table/\w*(shmem|server)\w*)\.[ch]$')
# what PostgreSQL's frontend programs may include
FRONTEND = re.compile(r'(postgres(_fe)?|c|pg_config\w*)\.h$'
                      r'|(common|port|datatype)/'
                      r'|lib/(stringinfo|hyperloglog|ilist)\.h$'
                      r'|(mb/pg_wchar|utils/errcodes)\.h$|fe_utils/')
SERVER_CALL = re.compile(r'\b(ereport|elog|PG_TRY|PG_RE_THROW|'
                         r'CHECK_FOR_INTERRUPTS)\b')
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">]', re.M)

# folders of PostgreSQL's includes, in case pg_config is not there
POSTGRES_FOLDERS = set('''access archive backup bootstrap catalog commands
common datatype executor fe_utils foreign jit lib libpq mb nodes optimizer
parser partitioning pch port portability postmaster regex replication rewrite
snowball statistics storage tcop tsearch utils'''.split())


def check(tree):
    yield from check_room_names(tree)
    simdjson = []
    for source in tree.sources_under('src'):
        for match in INCLUDE.finditer(source.uncommented):
            line = source.line_of(match.start(1))
            name = match[2]
            if os.path.basename(name) == 'simdjson.h':
                simdjson.append((source.path, line))
            for rule, text in judge(tree, source, name, match.start()):
                yield Finding(source.path, line, rule, text)
        yield from check_words(source)
    yield from check_simdjson(simdjson)


def check_room_names(tree):
    taken = POSTGRES_FOLDERS | postgres_folders()
    seen = set()
    for path in sorted(tree.files):
        room = room_of(path)
        if not room or room in seen:
            continue
        seen.add(room)
        if room in taken:
            yield Finding(path, 1, 'include.room',
                          f'room {room} has the name of an include folder '
                          'of PostgreSQL')
        elif room not in MATRIX:
            yield Finding(path, 1, 'include.room',
                          f'room {room} is not in MATRIX of '
                          'test/lint/check_include.py')


def postgres_folders():
    try:
        folder = subprocess.run(
            [os.environ.get('PG_CONFIG', 'pg_config'),
             '--includedir-server'], check=True,
            stdout=subprocess.PIPE).stdout.decode().strip()
        return {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    except (OSError, subprocess.CalledProcessError):
        return set()


def judge(tree, source, name, offset):
    """The rules that one include breaks, as pairs of rule and text."""
    room = room_of(source.path)
    if 'src/' + name in tree.files:
        yield from judge_own(source.path, room, name)
    elif os.path.basename(name) in ('rdkafka.h', 'rdkafka_mock.h'):
        if room != 'kafka' or not source.path.endswith('.c'):
            yield 'include.rdkafka', f'{name} outside src/kafka/*.c'
    elif os.path.basename(name) == 'simdjson.h':
        if not source.path.endswith('.cpp'):
            yield 'include.simdjson', f'{name} outside a C++ file'
    elif name.startswith('optimizer/') or name == 'nodes/pathnodes.h':
        if room != 'fdw':
            yield 'include.planner', f'{name} outside src/fdw'
    elif is_pure(source.path) and source.uncommented[offset:].lstrip(
            ' \t#')[7:].lstrip()[0] == '"':
        if not FRONTEND.match(name):
            yield ('include.pure',
                   f'{name} is not for frontend programs, and room {room} '
                   'must compile without a server')


def judge_own(path, room, name):
    """An include of our own: by the matrix, and by doors only."""
    other = name.split('/')[0] if '/' in name else ''
    if other == room:
        return
    if not other:
        if room not in SEES_SETTINGS:
            yield 'include.matrix', f'room {room} may not include {name}'
    elif name != f'{other}/{other}.h' and name not in MORE_DOORS:
        yield 'include.door', f'{name} is not a door'
    elif room and other not in MATRIX.get(room, '').split():
        yield 'include.matrix', f'room {room} may not include {name}'


def is_pure(path):
    return room_of(path) in PURE_ROOMS and not IMPURE_FILES.match(path)


def check_words(source):
    """Words that belong into some rooms only."""
    for match in re.finditer(r'\bPG_VERSION_NUM\b', source.plain):
        if room_of(source.path) != 'base':
            yield Finding(source.path, source.line_of(match.start()),
                          'include.version', 'PG_VERSION_NUM outside src/base')
    if not is_pure(source.path):
        return
    for match in SERVER_CALL.finditer(source.code):
        yield Finding(source.path, source.line_of(match.start()),
                      'include.pure', f'{match[0]} in a room that must work '
                      'without a server')


def check_simdjson(places):
    for path, line in places[1:]:
        if path != places[0][0]:
            yield Finding(path, line, 'include.simdjson',
                          f'simdjson.h is already in {places[0][0]}')
