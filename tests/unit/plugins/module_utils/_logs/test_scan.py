# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding literals: the same places with every engine, whatever the bytes and however they come."""

import itertools
import random
import re

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import scan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.scan import Scanner

LITERALS = [b"abcad", b"abd", b"Worker (pid:", b"--- Logging error ---", b"b\0a"]
CHUNK = 8192


def feed(data, piece):
    """A readinto that yields at most ``piece`` bytes at a time."""
    position = 0

    def readinto(view):
        nonlocal position
        part = data[position : position + min(len(view), piece)]
        view[: len(part)] = part
        position += len(part)
        return len(part)

    return readinto


def places(data, use_ctypes, piece=1 << 20, chunk=CHUNK):
    found = []
    scanner = Scanner(
        LITERALS,
        lambda kind, at: found.append((scanner.base + at, kind)),
        use_ctypes=use_ctypes,
        chunk=chunk,
    )
    total = scanner.read(feed(data, piece))
    assert total == len(data)
    scanner.search_rest()
    return found


def truth(data):
    """Each literal for itself, not overlapping itself, in order."""
    return sorted(
        (match.start(), kind)
        for kind, literal in enumerate(LITERALS)
        for match in re.finditer(re.escape(literal), data)
    )


def samples():
    dice = random.Random(3)
    for seed in range(12):
        alphabet = [b"a", b"b", b"c", b"d", *LITERALS, b"\n"]
        if seed % 3 == 1:
            alphabet += [b"\0", b"\xff\xfe"]
        if seed % 3 == 2:
            # Lines that are longer than what is read at once.
            alphabet.remove(b"\n")
        yield b"".join(dice.choice(alphabet) for _turn in range(9000))


@pytest.mark.parametrize("use_ctypes", [True, False])
def test_every_literal_is_found_at_its_place(use_ctypes):
    for data in samples():
        for piece in (1 << 20, 1000):
            assert sorted(places(data, use_ctypes, piece)) == truth(data)


def test_both_engines_report_in_the_same_order():
    for data in samples():
        assert places(data, True) == places(data, False)


def test_libc_is_what_is_used_here():
    """The figures of docs/log-gate.md are those of libc; every CPython on Linux has it."""
    assert scan.libc_search(bytearray(64)) is not None


def test_a_python_without_ctypes_finds_the_same(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ctypes", None)
    assert scan.libc_search(bytearray(64)) is None
    data = next(samples())
    assert sorted(places(data, True)) == truth(data)


def test_a_libc_that_finds_the_wrong_place_is_not_used(monkeypatch):
    import ctypes

    class Libc:
        def __init__(self, _name):
            self.memmem = self.strstr = Wrong()

    class Wrong:
        restype = argtypes = None

        def __call__(self, *_arguments):
            return 12345

    monkeypatch.setattr(ctypes, "CDLL", Libc)
    assert scan.libc_search(bytearray(64)) is None


@pytest.mark.parametrize("use_ctypes", [True, False])
def test_memory_is_the_same_for_a_line_of_any_length(use_ctypes):
    """A line of 100 MB, with something in it."""
    piece = b"x" * 65536
    middle = b"y" * 1000 + LITERALS[3] + b"z" * 1000
    parts = itertools.chain([piece] * 800, [middle], [piece] * 800, [b"\n"])

    def readinto(view):
        part = next(parts, b"")
        view[: len(part)] = part
        return len(part)

    found = []
    scanner = Scanner(LITERALS, lambda kind, at: found.append(scanner.base + at), None, use_ctypes)
    size = len(scanner.buffer)
    scanner.read(readinto)
    scanner.search_rest()
    assert found == [800 * 65536 + 1000]
    assert len(scanner.buffer) == size < 1 << 20


def test_an_unfinished_line_waits():
    found = []
    scanner = Scanner(LITERALS, lambda kind, at: found.append(scanner.base + at))
    scanner.read(feed(b"one abd\ntwo ab", 5))
    assert found == [4]
    assert (scanner.rest(), scanner.position()) == (b"two ab", 8)
    scanner.read(feed(b"d\n", 5))
    assert found == [4, 12]
    assert scanner.rest() == b""
