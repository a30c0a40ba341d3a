"""Names: files after their room, functions sq_<room>_<verb>, types Sq...,
macros SQ_..."""
import os
import re

from lint_source import Finding, matching, room_of

# prefixes beside sq_<room>_
MORE_PREFIXES = {
    'base': ('sq_error_', 'sq_arena_', 'sq_slice_', 'sq_hash_'),
    'batch': ('sq_column_', 'sq_bit_'),
}
PROTOTYPE = re.compile(r'^extern\b[^;{}()]*?\b(\w+)\s*\(', re.M)
TYPEDEF = re.compile(r'^typedef\b[^;{}]*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})?'
                     r'[^;{}]*;', re.M)


def check(tree):
    yield from check_files(tree)
    for source in tree.sources_under('src'):
        sql = set(re.findall(r'\bPG_FUNCTION_INFO_V1\s*\(\s*(\w+)',
                             all_text(tree)))
        yield from check_functions(source, sql)
        if source.path.endswith('.h'):
            yield from check_macros(source)
            yield from check_types(source)


def all_text(tree):
    if not hasattr(tree, 'all_code'):
        tree.all_code = '\n'.join(s.code for s in tree.sources_under('src'))
    return tree.all_code


def check_files(tree):
    seen = {}
    for source in tree.sources_under('src'):
        base = os.path.basename(source.path)
        stem = base.rsplit('.', 1)[0]
        room = room_of(source.path)
        if room and not re.match(re.escape(room) + r'(_|$)', stem):
            yield Finding(source.path, 1, 'name.file',
                          f'does not begin with the name of room {room}')
        if base in seen:
            yield Finding(source.path, 1, 'name.file',
                          f'{seen[base]} has the same name')
        seen.setdefault(base, source.path)


def prefixes(source):
    room = room_of(source.path)
    if room:
        return (f'sq_{room}_',) + MORE_PREFIXES.get(room, ())
    stem = os.path.basename(source.path).rsplit('.', 1)[0]
    return (f'sq_{stem}_', '_PG_init')


def check_functions(source, sql):
    names = [(f.name, f.line) for f in source.functions
             if not f.static and '::' not in f.name]
    names += [(m[1], source.line_of(m.start(1)))
              for m in PROTOTYPE.finditer(source.code)]
    if source.path.endswith('.cpp'):
        names = [n for n in names if not in_namespace(source, n[1])]
    for name, line in names:
        if name not in sql and name != 'PG_FUNCTION_INFO_V1' and \
           not name.startswith(prefixes(source)):
            yield Finding(source.path, line, 'name.function',
                          f'{name} does not begin with '
                          f'{prefixes(source)[0]}')


def in_namespace(source, line):
    """Inside an anonymous namespace, C++'s static."""
    before = '\n'.join(source.code.split('\n')[:line - 1])
    return any(matching(source.code, m.end() - 1) > len(before)
               for m in re.finditer(r'^namespace\s*\{', before, re.M))


def check_macros(source):
    """Room base may also supply names that PostgreSQL lacks somewhere."""
    if room_of(source.path) == 'base' and source.path != 'src/base/base.h':
        return
    for match in re.finditer(r'^#\s*define\s+(\w+)', source.plain, re.M):
        if not match[1].startswith('SQ_'):
            yield Finding(source.path, source.line_of(match.start()),
                          'name.macro',
                          f'{match[1]} does not begin with SQ_')


def check_types(source):
    for match in TYPEDEF.finditer(source.code):
        text = match[0]
        pointer = re.search(r'\(\s*\*\s*(\w+)\s*\)', text)
        name = pointer if pointer and not match[1] else \
            re.search(r'(\w+)\s*(\[[^\]]*\]\s*)?;$', text)
        if name and not name[1].startswith('Sq'):
            yield Finding(source.path, source.line_of(match.end() - 1),
                          'name.type', f'{name[1]} does not begin with Sq')
