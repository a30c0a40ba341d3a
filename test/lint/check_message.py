"""PostgreSQL's message style.

A message begins in lower case and has no final period; detail and hint are
sentences; an error has an errcode. Names and acronyms may begin a message in
upper case. elog(ERROR) is for what nobody can reach: either its text says so
in one of the usual ways, or a comment just above it says why.
"""
import re

from lint_source import Finding

# function: (kind, index of the format argument)
TEXTS = {
    'errmsg': ('message', 0),
    'errmsg_internal': ('message', 0),
    'errmsg_plural': ('message', 0),
    'errdetail': ('sentence', 0),
    'errdetail_internal': ('sentence', 0),
    'errdetail_log': ('sentence', 0),
    'errdetail_plural': ('sentence', 0),
    'errhint': ('sentence', 0),
    'sq_error_set': ('message', 2),
    'sq_error_detail': ('sentence', 1),
    'sq_error_hint': ('sentence', 1),
}
NAMES = {'Kafka', 'PostgreSQL', 'Apache', 'Java', 'Unicode', 'Avro'}
LOWER_NAMES = {'librdkafka', 'simdjson', 'streamsql'}
INTERNAL = re.compile(r'cache lookup failed|unrecognized|unexpected|'
                      r'could not find')
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')


def check(tree):
    for source in tree.sources_under('src'):
        for call in source.calls(TEXTS):
            kind, index = TEXTS[call.name]
            if index < len(call.args) and not is_definition(source, call):
                plural = call.name.endswith('_plural')
                for arg in call.args[index:index + 1 + plural]:
                    yield from check_text(source, kind, arg)
        yield from check_reports(source)
        yield from check_elogs(source)


def is_definition(source, call):
    return re.match(r'^|\bextern\b', source.lines[
        source.line_of(call.offset) - 1]) and call.offset == \
        source.starts[source.line_of(call.offset) - 1]


def texts_of(arg):
    """The literals of an argument, those that stand side by side as one;
    a choice of two has two."""
    offset, text = arg
    for part in re.finditer(r'(?:"(?:\\.|[^"\\\n])*"\s*(?:(?:U?INT64_FORMAT|'
                            r'PRI[du]64)\s*)?)+', text):
        yield offset + part.start(), ''.join(LITERAL.findall(
            re.sub(r'U?INT64_FORMAT|PRI[du]64', '"%d"', part[0])))


def check_text(source, kind, arg):
    for offset, text in texts_of(arg):
        rule = 'message.' + kind
        for fault in (faults_of_message(text) if kind == 'message'
                      else faults_of_sentence(text)):
            yield Finding(source.path, source.line_of(offset), rule,
                          f'{fault}: "{text}"')
        if re.search(r"\w(n't|'ll|'re)\b", text):
            yield Finding(source.path, source.line_of(offset), rule,
                          f'contraction: "{text}"')


def first_word(text):
    word = re.match(r'[A-Za-z][\w.+-]*', text)
    return word[0] if word else ''


def is_name(word):
    """Names, acronyms, SQL words."""
    return word.rstrip('s') in NAMES or word in NAMES or \
        sum(c.isupper() for c in word) > 1 or len(word) == 1


def faults_of_message(text):
    word = first_word(text)
    if word[:1].isupper() and not is_name(word):
        yield 'begins in upper case'
    if re.search(r'[.!]$', text) and not text.endswith('...'):
        yield 'ends with a period'
    if '\\n' in text:
        yield 'holds a line feed'


def faults_of_sentence(text):
    if first_word(text)[:1].islower() and \
       first_word(text) not in LOWER_NAMES:
        yield 'does not begin in upper case'
    if text and not re.search(r'(\.|\?|%s|:)$', text):
        yield 'does not end with a period'
    if text.endswith('\\n'):
        yield 'ends with a line feed'


def check_reports(source):
    for call in source.calls(['ereport']):
        level = call.args[0][1].strip()
        rest = ','.join(text for _, text in call.args[1:])
        if level in ('ERROR', 'FATAL', 'PANIC') and \
           not re.search(r'\berrcode\w*\s*\(', rest):
            yield Finding(source.path, source.line_of(call.offset),
                          'message.errcode', 'ereport without errcode')
    for call in source.calls(['sq_error_set']):
        if len(call.args) > 1 and call.args[1][1].strip() == '0':
            yield Finding(source.path, source.line_of(call.offset),
                          'message.errcode', 'sq_error_set without sqlstate')


def check_elogs(source):
    for call in source.calls(['elog']):
        line = source.line_of(call.offset)
        text = ''.join(t for _, t in texts_of(call.args[1])) \
            if len(call.args) > 1 else ''
        if call.args[0][1].strip() in ('ERROR', 'FATAL', 'PANIC') and \
           not INTERNAL.match(text) and \
           '*/' not in source.comment_near(line):
            yield Finding(source.path, line, 'message.elog',
                          f'elog without a comment why nobody comes here: '
                          f'"{text}"')
