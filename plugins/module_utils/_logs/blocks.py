# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is a block that Python's logging prints, what is its trace, and of which program it tells.

A client can have the words of a block logged, but no line that is one: each of them fills its line,
and frames hold a quote, which access lines escape.
"""

import re
from typing import Any, List

# An exception's own line, the repr in the fatal error of a dying interpreter, or gunicorn's last
# words ("Error: ..."). Nothing follows but the name of the stream.
PHRASE_LINE = re.compile(
    rb"(?:[ |+-]*(?:\w+\.)*\w*Error: "
    rb"|object repr     : RuntimeError\([\"'])?"
    rb"reentrant call inside (?:<[^\"\n]{0,300}[>)\"']+|<_io\.\w+)[\s>)\"']*$",
    re.MULTILINE,
)
# Which of them an access line can never be: a quote that no escape stands before.
REPR = b"object repr     : RuntimeError("
TRACEBACK = b"Traceback (most recent call last):"
FRAME = re.compile(rb"  File (\\?)\"([^\"\\\n]+)\\?\", line \d+")
# Before a frame that a shipper has packed: the key of the text, in a quote that is not escaped.
PACKED = re.compile(rb"(?<!\\)\"(?:log|MESSAGE|message|msg|text)\" ?: ?\"[ |+-]*$")
OWN_FILE = re.compile(rb"(?:/gunicorn/(?:arbiter|glogging|__main__|app/\w+)\.py|/bin/gunicorn)$")
# A file of an installed program or of the application: not of Python itself, and a whole path, as
# a torn trace has some of Python's own frames only.
OTHER_FILE = re.compile(
    rb"/(?!.*/site-packages/gunicorn/)(?:.*/(?:site|dist)-packages/|(?!.*/lib(?:64)?/python\d))"
)
QUOTES = b"'\""
# The last line of a block; what is too long is not looked at to its end.
ARGUMENTS_WHOLE = re.compile(rb"Arguments: (?:[({][^\n]*[)}]\s*$|[({][^\n]{4000})")


class Trace:
    """What has been seen of the trace of a block."""

    def __init__(self) -> None:
        self.traced = False
        self.own = False
        self.other = False
        # What stands before it in its first line, digits as 0: the words of a shipper, or nothing.
        self.before = b""
        # Up to where the stream was looked at.
        self.looked = 0

    def read(self, buffer: Any, begin: int, end: int) -> None:
        """Look at more of the stream, which may hold anything else as well."""
        if end <= begin:
            return
        at = -1 if self.traced else traceback_at(buffer, begin, end)
        if at >= 0:
            self.traced, self.before = True, _before(buffer, at)
        if self.own:
            return
        for found in FRAME.finditer(buffer, begin, end):
            line = buffer.rfind(b"\n", max(0, found.start() - 2000), found.start()) + 1
            before = bytes(buffer[line : found.start()])
            # A client's words are never the first in a line that have a quote behind them.
            if found.group(1) and not PACKED.search(before):
                continue
            if not found.group(1) and b'"' in before:
                continue
            name = found.group(2)
            if OWN_FILE.search(name):
                self.own = True
                return
            # Of somebody else's frames only those count that stand where the trace stands: in the
            # middle of another line, such as a path that was not found, a client has written it.
            if OTHER_FILE.match(name) and _before(buffer, found.start()) == self.before:
                self.other = True

    def state(self) -> List[Any]:
        return [self.traced, self.own, self.other, self.before.decode("latin-1")]

    def restore(self, state: List[Any]) -> None:
        self.traced, self.own, self.other = (bool(value) for value in state[:3])
        self.before = str(state[3]).encode("latin-1", "replace") if len(state) > 3 else b""

    @property
    def elsewhere(self) -> bool:
        """Is it certain that gunicorn had no part in it? A trace that is torn is no proof."""
        return self.other and not self.own


def has_traceback(buffer: Any, begin: int, end: int) -> bool:
    """Does a line say that a traceback follows, with nothing of its own behind it?"""
    return traceback_at(buffer, begin, end) >= 0


def traceback_at(buffer: Any, begin: int, end: int) -> int:
    """Where that is said; -1 if nowhere."""
    at = buffer.find(TRACEBACK, begin, end)
    while at >= 0:
        after = bytes(buffer[at + len(TRACEBACK) : at + len(TRACEBACK) + 2])
        if after[:1] in (b"", b"\n", b"\r") or after in (b"\\n", b'",', b'"}'):
            return int(at)
        at = buffer.find(TRACEBACK, at + 1, end)
    return -1


def _before(buffer: Any, at: int) -> bytes:
    """What stands before that place in its line, at most 2000 bytes of it, with digits as 0."""
    line = buffer.rfind(b"\n", max(0, at - 2000), at) + 1
    return re.sub(rb"\d", b"0", bytes(buffer[max(line, at - 2000) : at]))
