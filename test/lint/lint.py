#!/usr/bin/env python3
"""Check the tree against the rules of the house.

	lint.py [--root FOLDER] [CHECK...]

Prints "file:line: [rule] what is wrong" and ends with 1 if anything is.
Checks: budget format include message name symbol text; without any, all.
A rule that must be broken is broken in the open: write "lint: rule" and the
reason in a comment on the line or just above it.
"""
import argparse
import importlib
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lint_source import Tree  # noqa: E402

CHECKS = ('format', 'budget', 'include', 'name', 'message', 'text', 'symbol')


def excused(tree, finding):
    source = tree.sources.get(finding.path)
    if not source:
        return False
    near = source.comment_near(finding.line, above=2)
    return f'lint: {finding.rule}' in near


def run(tree, names=CHECKS):
    """All findings, each once, in the order of files."""
    found = set()
    for name in names:
        checker = importlib.import_module('check_' + name)
        found.update(f for f in checker.check(tree) if not excused(tree, f))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument('--root', default=os.path.join(here, '..', '..'))
    parser.add_argument('checks', nargs='*', metavar='CHECK')
    options = parser.parse_args()
    tree = Tree.load(os.path.abspath(options.root))
    findings = run(tree, options.checks or CHECKS)
    for finding in findings:
        print(f'{finding.path}:{finding.line}: [{finding.rule}] '
              f'{finding.text}')
    functions = sum(len(s.functions) for s in tree.sources_under('src'))
    print(f'lint: {len(tree.files)} files, {functions} functions in src, '
          f'{len(findings)} findings')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
