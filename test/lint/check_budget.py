"""The budgets of the house style: lengths, nesting, parameters, columns."""
import re

from lint_source import Finding, matching

FILE_LINES = 1000
FUNCTION_LINES = 150
MEDIAN_LINES = 20
P95_LINES = 80
NESTING = 4
PARAMETERS = 6
COLUMNS = 80

KEYWORD_LOOPS = ('for', 'while', 'switch')
WORD = re.compile(r'\w+|[^\s\w]')


# a callback: its parameters are PostgreSQL's choice
CALLBACK = re.compile(r'(?:(?:->|\.)\w+|\w+_hook)\s*=\s*&?(\w+)\s*[;,]')


def check(tree):
    callbacks = {m[1] for source in tree.sources_under('src')
                 for m in CALLBACK.finditer(source.code)}
    for folder in ('src', 'test'):
        functions = []
        for source in tree.sources_under(folder):
            yield from check_lines(source)
            for function in source.functions:
                functions.append((function.end - function.line + 1, source,
                                  function))
                yield from check_function(source, function, callbacks)
        yield from check_spread(folder, functions)


def check_lines(source):
    count = len(source.lines) - 1
    if count > FILE_LINES:
        yield Finding(source.path, count, 'budget.file',
                      f'{count} lines, at most {FILE_LINES}')
    for number, line in enumerate(source.lines, 1):
        if len(line.expandtabs(4)) > COLUMNS:
            yield Finding(source.path, number, 'budget.column',
                          f'{len(line.expandtabs(4))} columns, '
                          f'at most {COLUMNS}')


def check_function(source, function, callbacks):
    length = function.end - function.line + 1
    if length > FUNCTION_LINES:
        yield Finding(source.path, function.line, 'budget.function',
                      f'{function.name} has {length} lines, '
                      f'at most {FUNCTION_LINES}')
    if len(function.params) > PARAMETERS and function.name not in callbacks:
        yield Finding(source.path, function.line, 'budget.parameters',
                      f'{function.name} has {len(function.params)} '
                      f'parameters, at most {PARAMETERS}')
    depth, offset = Nesting(source.code, *function.body).deepest()
    if depth > NESTING:
        yield Finding(source.path, source.line_of(offset), 'budget.nesting',
                      f'{depth} levels in {function.name}, '
                      f'at most {NESTING}')


def check_spread(folder, functions):
    """Median and 95th percentile, said at the function that stands there.
    A handful of functions has no spread."""
    if len(functions) < 20:
        return
    functions.sort(key=lambda entry: entry[0])
    for share, limit, name in ((0.5, MEDIAN_LINES, 'median'),
                               (0.95, P95_LINES, '95th percentile')):
        length, source, function = functions[int(share *
                                                 (len(functions) - 1))]
        if length > limit:
            yield Finding(source.path, function.line, 'budget.spread',
                          f'{name} of function lengths in {folder} is '
                          f'{length}, at most {limit}')


class Nesting:
    """How deep statements stand in a body: one level for each if, loop,
    switch or bare block around them; "else if" goes on at the same level."""

    def __init__(self, code, start, end):
        self.code = code
        self.tokens = [m for m in WORD.finditer(code, start, end + 1)]
        self.at = 0
        self.best = (0, start)

    def deepest(self):
        self.block(0)
        return self.best

    def peek(self, ahead=0):
        place = self.at + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ''

    def skip_parens(self):
        """Over ( … ), if one stands here."""
        if self.peek() == '(':
            self.skip_to(matching(self.code, self.tokens[self.at].start()))

    def skip_to(self, offset):
        while self.at < len(self.tokens) and \
              self.tokens[self.at].start() <= offset:
            self.at += 1

    def block(self, depth):
        self.at += 1
        while self.peek() not in ('}', ''):
            self.statement(depth)
        self.at += 1

    def inner(self, depth):
        """The statement that a control statement governs."""
        if self.at < len(self.tokens) and depth > self.best[0]:
            self.best = (depth, self.tokens[self.at].start())
        if self.peek() == '{':
            self.block(depth)
        else:
            self.statement(depth)

    def statement(self, depth):
        word = self.peek()
        if word == '{':
            self.inner(depth + 1)
        elif word == 'if':
            self.if_statement(depth)
        elif word == 'do':
            self.at += 1
            self.inner(depth + 1)
            self.expression()
        elif word in KEYWORD_LOOPS or self.is_macro_loop():
            self.at += 1
            self.skip_parens()
            if self.peek() == ';':
                self.at += 1
            else:
                self.inner(depth + 1)
        elif word in ('case', 'default') or self.peek(1) == ':':
            self.label()
        else:
            self.expression()

    def is_macro_loop(self):
        """name(…) before "{", or a foreach before a statement."""
        if not re.match(r'[A-Za-z_]\w*$', self.peek()) or \
           self.peek(1) != '(':
            return False
        if re.search(r'for_?each', self.peek(), re.I):
            return True
        end = matching(self.code, self.tokens[self.at + 1].start())
        return bool(re.match(r'\s*\{', self.code[end + 1:]))

    def if_statement(self, depth):
        self.at += 1
        self.skip_parens()
        self.inner(depth + 1)
        if self.peek() == 'else':
            self.at += 1
            if self.peek() == 'if':
                self.if_statement(depth)
            else:
                self.inner(depth + 1)

    def label(self):
        while self.peek() not in (':', ''):
            self.at += 1
        self.at += 1

    def expression(self):
        while self.peek() not in (';', '}', ''):
            if self.peek() in '({[':
                self.skip_to(matching(self.code,
                                      self.tokens[self.at].start()))
            else:
                self.at += 1
        if self.peek() == ';':
            self.at += 1
