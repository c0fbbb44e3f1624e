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
        # Up to where the stream was looked at.
        self.looked = 0

    def read(self, buffer: Any, begin: int, end: int) -> None:
        """Look at more of the stream, which may hold anything else as well."""
        if end <= begin:
            return
        self.traced = self.traced or has_traceback(buffer, begin, end)
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
            self.other = self.other or OTHER_FILE.match(name) is not None

    def state(self) -> List[bool]:
        return [self.traced, self.own, self.other]

    def restore(self, state: List[Any]) -> None:
        self.traced, self.own, self.other = (bool(value) for value in state[:3])

    @property
    def elsewhere(self) -> bool:
        """Is it certain that gunicorn had no part in it? A trace that is torn is no proof."""
        return self.other and not self.own


def has_traceback(buffer: Any, begin: int, end: int) -> bool:
    """Does a line say that a traceback follows, with nothing of its own behind it?"""
    at = buffer.find(TRACEBACK, begin, end)
    while at >= 0:
        after = bytes(buffer[at + len(TRACEBACK) : at + len(TRACEBACK) + 2])
        if after[:1] in (b"", b"\n", b"\r") or after in (b"\\n", b'",', b'"}'):
            return True
        at = buffer.find(TRACEBACK, at + 1, end)
    return False
