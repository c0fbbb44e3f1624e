# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's syntax: directives, blocks, and where in the text each word is. No I/O.

Text is decoded as Latin-1, so that a place in it is a byte in the file, whatever it is written in.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

_SPACE = " \t\r\n"
# What nests deeper is no configuration, and would be no end.
_DEEP = 64
# Lua's own quotes: [[ ]], [=[ ]=]
_LONG = re.compile(r"\[(=*)\[")
_LUA = "_by_lua_block"


class Wrong(FleetError):
    """The text is not nginx's syntax, as far as it is known here."""


class Word(NamedTuple):
    """One word: what it means, and where it stands (its quotes included)."""

    value: str
    start: int
    end: int


class Directive(NamedTuple):
    """One directive; ``block`` is None without one. ``end`` is behind its `;` or `}`."""

    words: Tuple[Word, ...]
    block: Optional[Tuple["Directive", ...]]
    start: int
    end: int

    @property
    def name(self) -> str:
        return self.words[0].value

    @property
    def values(self) -> List[str]:
        """Its arguments."""
        return [word.value for word in self.words[1:]]


def parse(text: str, path: str = "") -> Tuple[Directive, ...]:
    """All directives of a file; an error names the line."""
    return _Parser(text, path).whole()


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.at = 0

    def whole(self) -> Tuple[Directive, ...]:
        found = self._block(0)
        if self.at < len(self.text):
            raise self._wrong("a } too many", self.at)
        return found

    def _wrong(self, what: str, at: int) -> Wrong:
        where = f"{self.path or 'the text'}, line {line_of(self.text, at)}"
        return Wrong(
            f"{where}: {what}. nginx itself says with `nginx -t` whether the file is right; if it"
            " is, it has something that is not known here, and nothing was touched."
        )

    def _block(self, depth: int) -> Tuple[Directive, ...]:
        """Directives until the end, or until a `}` that is left where it is."""
        if depth > _DEEP:
            raise self._wrong("blocks nest too deep", self.at)
        found: List[Directive] = []
        while True:
            self._skip()
            if self.at >= len(self.text) or self.text[self.at] == "}":
                return tuple(found)
            found.append(self._directive(depth))

    def _directive(self, depth: int) -> Directive:
        start = self.at
        words: List[Word] = []
        while True:
            self._skip()
            if self.at >= len(self.text):
                raise self._wrong("a directive has no end", start)
            char = self.text[self.at]
            if char == ";":
                self.at += 1
                if not words:
                    raise self._wrong("a ; too many", start)
                return Directive(tuple(words), None, start, self.at)
            if char == "{":
                self.at += 1
                if not words:
                    raise self._wrong("a block has no name", start)
                if words[0].value.endswith(_LUA):
                    self._lua(start)
                    block: Tuple[Directive, ...] = ()
                else:
                    block = self._block(depth + 1)
                    if self.at >= len(self.text):
                        raise self._wrong("a block has no end", start)
                    self.at += 1
                return Directive(tuple(words), block, start, self.at)
            if char == "}":
                raise self._wrong("a directive ends with }", start)
            words.append(self._word())

    def _skip(self) -> None:
        """Over spaces and comments. Only where a word could begin is # a comment."""
        text = self.text
        while self.at < len(text):
            if text[self.at] in _SPACE:
                self.at += 1
            elif text[self.at] == "#":
                line = text.find("\n", self.at)
                self.at = len(text) if line < 0 else line + 1
            else:
                return

    def _word(self) -> Word:
        quote = self.text[self.at]
        return self._quoted(quote) if quote in "\"'" else self._bare()

    def _quoted(self, quote: str) -> Word:
        text, start = self.text, self.at
        self.at += 1
        while self.at < len(text) and text[self.at] != quote:
            self.at += 2 if text[self.at] == "\\" else 1
        if self.at >= len(text):
            raise self._wrong("a quote has no end", start)
        self.at += 1
        return Word(_meant(text[start + 1 : self.at - 1]), start, self.at)

    def _bare(self) -> Word:
        text, start = self.text, self.at
        variable = False
        while self.at < len(text):
            char = text[self.at]
            if char == "{" and variable:
                self.at += 1
                variable = False
                continue
            if char in _SPACE or char in ";{":
                break
            variable = char == "$"
            self.at += 2 if char == "\\" else 1
        self.at = min(self.at, len(text))
        return Word(_meant(text[start : self.at]), start, self.at)

    def _lua(self, start: int) -> None:
        """To behind the `}` of a block of Lua, which has strings and comments of its own."""
        text, depth = self.text, 1
        while self.at < len(text):
            char = text[self.at]
            comment = text.startswith("--", self.at)
            long = _LONG.match(text, self.at + 2 if comment else self.at)
            if long:
                self._to(f"]{long.group(1)}]", long.end(), start)
            elif comment:
                line = text.find("\n", self.at)
                self.at = len(text) if line < 0 else line + 1
            elif char in "\"'":
                self._quoted(char)
            else:
                depth += {"{": 1, "}": -1}.get(char, 0)
                self.at += 1
                if not depth:
                    return
        raise self._wrong("a block of Lua has no end", start)

    def _to(self, what: str, begin: int, start: int) -> None:
        found = self.text.find(what, begin)
        if found < 0:
            raise self._wrong("a block of Lua has no end", start)
        self.at = found + len(what)


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANS = {"t": "\t", "r": "\r", "n": "\n"}


def _meant(text: str) -> str:
    """What a word with backslashes means: nginx takes out those before a few characters only."""

    def one(found: "re.Match[str]") -> str:
        char = found.group(1)
        if char in "\"'\\":
            return char
        return _MEANS.get(char, found.group(0))

    return _ESCAPED.sub(one, text)
