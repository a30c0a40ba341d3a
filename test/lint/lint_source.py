"""The tree of files that is checked, and C source seen without its text.

A checker is a module with a function check(tree) that yields findings. What
it needs of C is little, because clang-format has fixed the style: a function
begins with "{" in column 0, and so on. Comments, strings and preprocessor
lines are blanked with spaces, so that every offset and line number of what
remains is that of the file.
"""
import os
import re
import subprocess
from bisect import bisect_right
from collections import namedtuple
from functools import cached_property

Finding = namedtuple('Finding', 'path line rule text')
Function = namedtuple('Function', 'name line end static params header body')
Call = namedtuple('Call', 'name offset args')

# faults on purpose
PLANTED = 'test/lint/selftest/'
C_ENDINGS = ('.c', '.h', '.cpp')

TOKEN = re.compile(r'''
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])+')
''', re.S | re.X)


def blank(text):
    return re.sub(r'[^\n]', ' ', text)


def quoted(text):
    """A string literal that keeps its quotes and loses what is in them."""
    return text[0] + blank(text[1:-1]) + text[-1]


class Source:
    """One C or C++ file."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split('\n')

    @cached_property
    def starts(self):
        return [0] + [m.end() for m in re.finditer('\n', self.text)]

    def line_of(self, offset):
        return bisect_right(self.starts, offset)

    @cached_property
    def uncommented(self):
        """Without comments; strings stay."""
        return TOKEN.sub(lambda m: blank(m[0]) if m['comment'] else m[0],
                         self.text)

    @cached_property
    def plain(self):
        """Without comments and the inside of strings; with preprocessor."""
        return TOKEN.sub(lambda m: blank(m[0]) if m['comment']
                         else quoted(m[0]), self.text)

    @cached_property
    def code(self):
        """Without preprocessor lines and their #else branches either, and
        without what is for C++ only in a C file."""
        result = []
        stack = []
        directive = False
        for line in self.plain.split('\n'):
            match = re.match(r'\s*#\s*(\w+)(.*)', line)
            if directive or match:
                if match and not directive:
                    self._condition(stack, match[1], match[2])
                directive = line.endswith('\\')
                result.append(' ' * len(line))
            else:
                result.append(' ' * len(line) if any(stack) else line)
        return '\n'.join(result)

    def _condition(self, stack, word, rest):
        if word in ('if', 'ifdef', 'ifndef'):
            stack.append('__cplusplus' in rest and word != 'ifndef' and
                         not self.path.endswith('.cpp'))
        elif word in ('elif', 'else') and stack:
            stack[-1] = True
        elif word == 'endif' and stack:
            stack.pop()

    @cached_property
    def functions(self):
        return list(self._find_functions())

    def _find_functions(self):
        for match in re.finditer(r'^\{', self.code, re.M):
            header_start = self._header_start(match.start())
            header = self.code[header_start:match.start()]
            name = re.search(r'([\w:~]+)\s*\(', header)
            if not name or not re.search(r'\)[\s\w()]*$', header) or \
               re.match(r'\s*(typedef|struct|union|enum)\b[^()]*$', header):
                continue
            body_end = matching(self.code, match.start())
            first = header_start + len(header) - len(header.lstrip())
            params = header[name.end() - 1:]
            params = params[:matching(params, 0) + 1]
            yield Function(name[1], self.line_of(first),
                           self.line_of(body_end),
                           bool(re.search(r'\bstatic\b', header)),
                           split_args(params[1:-1]), header.strip(),
                           (match.start(), body_end))

    def _header_start(self, brace):
        """Where the declaration that "{" ends begins: after the last ";" or
        "}" or "{" or blank line."""
        before = self.code[:brace]
        place = 0
        for end in re.finditer(r'[;{}]|\n[ \t]*\n|^\S[^\n]*\bnamespace\b',
                               before):
            place = end.end()
        return place

    def calls(self, names):
        """Calls of any of these names: their arguments as pairs of offset
        and text without comments, strings kept."""
        for match in re.finditer(r'\b(%s)\s*\(' % '|'.join(names), self.code):
            start = match.end() - 1
            end = matching(self.code, start)
            args = []
            offset = start + 1
            for part in split_args(self.code[start + 1:end]):
                args.append((offset, self.uncommented[offset:
                                                      offset + len(part)]))
                offset += len(part) + 1
            yield Call(match[1], match.start(), args)

    def comment_near(self, line, above=3):
        """The text of the lines just above a line, and the line itself."""
        return '\n'.join(self.lines[max(0, line - 1 - above):line])


def matching(code, start):
    """The offset of the bracket that closes the one at start."""
    depth = 0
    for match in re.compile(r'[()\[\]{}]').finditer(code, start):
        depth += 1 if match[0] in '([{' else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def split_args(text):
    """Split at the commas of the outermost level."""
    parts = []
    depth = 0
    last = 0
    for match in re.finditer(r'[()\[\]{},]', text):
        if match[0] in '([{':
            depth += 1
        elif match[0] in ')]}':
            depth -= 1
        elif depth == 0:
            parts.append(text[last:match.start()])
            last = match.end()
    parts.append(text[last:])
    return parts


class Tree:
    """Files by their path from the root. Tests of the checkers make one of
    strings, lint makes one of the work tree."""

    def __init__(self, files, root=None, modes=None):
        self.files = files
        self.root = root
        self.modes = modes or {}
        self.sources = {path: Source(path, text)
                        for path, text in files.items()
                        if path.endswith(C_ENDINGS)}

    def sources_under(self, *folders):
        for path, source in sorted(self.sources.items()):
            if path.split('/')[0] in folders:
                yield source

    @classmethod
    def load(cls, root):
        """Tracked files and new ones that are not ignored."""
        names = subprocess.run(
            ['git', '-c', 'safe.directory=*', '-C', root, 'ls-files', '-zco',
             '--exclude-standard'],
            check=True, stdout=subprocess.PIPE).stdout.decode().split('\0')
        files = {}
        modes = {}
        for name in sorted(set(filter(None, names))):
            path = os.path.join(root, name)
            if name.startswith(PLANTED) or os.path.islink(path) or \
               not os.path.isfile(path):
                continue
            with open(path, 'rb') as file:
                data = file.read()
            if b'\0' in data:
                continue
            files[name] = data.decode('utf-8', 'replace')
            modes[name] = os.stat(path).st_mode
        return cls(files, root, modes)


def room_of(path):
    """The room that a file lives in, '' for files directly in src."""
    parts = path.split('/')
    return parts[1] if parts[0] == 'src' and len(parts) > 2 else ''
