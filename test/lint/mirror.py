#!/usr/bin/env python3
"""Copy files and folders of sources, keeping times and dropping what is gone.

	mirror.py FROM TO NAME...

Objects that a build has made in the copy stay; those in the origin are not
copied.
"""
import os
import shutil
import sys

SOURCES = ('.c', '.h', '.cpp', '.sql', '.control', 'Makefile')


def sources(top, names):
    """Paths of source files under top."""
    for name in names:
        if os.path.isfile(os.path.join(top, name)):
            yield name
        for folder, _, files in os.walk(os.path.join(top, name)):
            for file in files:
                if file.endswith(SOURCES):
                    yield os.path.relpath(os.path.join(folder, file), top)


def same(one, two):
    if not os.path.exists(two):
        return False
    a, b = os.stat(one), os.stat(two)
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def main(origin, copy, *names):
    wanted = set(sources(origin, names))
    for path in set(sources(copy, names)) - wanted:
        os.remove(os.path.join(copy, path))
        for ending in ('.o', '.d'):
            derived = os.path.splitext(os.path.join(copy, path))[0] + ending
            if os.path.exists(derived):
                os.remove(derived)
    for path in wanted:
        target = os.path.join(copy, path)
        if not same(os.path.join(origin, path), target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(origin, path), target)


main(*sys.argv[1:])
