# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One `server` of an upstream in the text: out, with another weight, and byte for byte as before.

What was changed is said in a comment behind the directive, so that it is known whoever looks, after
a reboot and without any other file: whose hand it was, and which weight to go back to. No I/O.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.syntax import (
    Directive,
)

_COMMENT = re.compile(
    r" # fleetops\.gunicorn:(?P<down> (?:down|drain))?(?P<weight> weight was (?P<was>\d+|none))?\n"
)


class Mark(NamedTuple):
    """What was changed here. ``was``: the weight of before as it was written, empty if none was;
    None if the weight was left as it is."""

    down: bool
    was: Optional[str]


NONE = Mark(False, None)
# What takes a server out, the second for all but the users that `sticky` binds to it.
OUT = ("down", "drain")
Splice = Tuple[int, int, str]


class Entry(NamedTuple):
    """What a `server` says."""

    address: str
    down: bool
    backup: bool
    weight: int
    max_fails: int
    mark: Mark
    word: str = ""
    """Of `OUT`, which nginx heeds; empty if it is in."""

    @property
    def full(self) -> int:
        """Its weight in the operator's own configuration."""
        return self.weight if self.mark.was is None else int(self.mark.was or 1)

    @property
    def out(self) -> int:
        """0: in, 1: `down`, 2: `drain`."""
        return OUT.index(self.word) + 1 if self.word else 0

    @property
    def own(self) -> bool:
        """Whether it was taken out from here."""
        return self.down and self.mark.down


def read(text: str, found: Directive) -> Entry:
    """A `server` of an upstream, with the comment behind it."""
    comment = _COMMENT.match(text, found.end)
    mark = NONE
    if comment:
        was = comment.group("was")
        mark = Mark(bool(comment.group("down")), "" if was == "none" else was)
    values = found.values
    word = next((value for value in reversed(values[1:]) if value in OUT), "")
    return Entry(
        address=values[0] if values else "",
        down=bool(word),
        backup="backup" in values[1:],
        weight=_number(values, "weight", 1),
        max_fails=_number(values, "max_fails", 1),
        mark=mark,
        word=word,
    )


def _number(values: List[str], name: str, default: int) -> int:
    for value in values[1:]:
        key, _equals, number = value.partition("=")
        if key == name and number.isdigit():
            return int(number)
    return default


def splices(
    text: str, found: Directive, down: bool, weight: int = 0, word: str = "down"
) -> List[Splice]:
    """What to replace so that the server is out (or not), at a weight; 0 leaves the weight alone.

    ``word``: of `OUT`; `drain` may become `down`, never the other way. What somebody else's hand
    took out is left as it is.
    """
    entry = read(text, found)
    mark = entry.mark
    made: List[Splice] = []
    words = found.words
    last = words[-1].end
    ours = entry.word if entry.own else ""
    place = max((i for i, each in enumerate(words) if i > 1 and each.value in OUT), default=0)
    if down and not entry.down:
        made.append((last, last, f" {word}"))
        ours = word
    elif down and ours == "drain" and word == "down":
        made.append((words[place].start, words[place].end, word))
        ours = word
    elif not down and entry.own:
        made.append((words[place - 1].end, words[place].end, ""))
        ours = ""
    was = mark.was
    goal = None if weight == entry.full else weight
    if weight and not (goal is None and mark.was is None):
        made += _weighed(found, entry, goal)
        was = None if goal is None else (mark.was if mark.was is not None else _written(found))
    comment = _COMMENT.match(text, found.end)
    told = _told(ours, was)
    end = comment.end() if comment else found.end
    if text[found.end : end] != told:
        made.append((found.end, end, told))
    return made


def _written(found: Directive) -> str:
    """The weight as it is written; empty without."""
    said = [value for value in found.values[1:] if value.startswith("weight=")]
    return said[0][len("weight=") :] if said else ""


def _weighed(found: Directive, entry: Entry, goal: Optional[int]) -> List[Splice]:
    words = found.words
    place = next(
        (i for i, word in enumerate(words) if i > 1 and word.value.startswith("weight=")), 0
    )
    # Back to what was there: no weight at all, or that number.
    wanted = str(goal or "") or (_written(found) if entry.mark.was is None else entry.mark.was)
    if place and not wanted:
        return [(words[place - 1].end, words[place].end, "")]
    if place:
        return [(words[place].start, words[place].end, f"weight={wanted}")]
    if wanted:
        return [(words[1].end, words[1].end, f" weight={wanted}")]
    return []


def _told(word: str, was: Optional[str]) -> str:
    if not word and was is None:
        return ""
    out = f" {word}" if word else ""
    weight = "" if was is None else f" weight was {was or 'none'}"
    return f" # fleetops.gunicorn:{out}{weight}\n"


def spliced(text: str, made: List[Splice]) -> str:
    """The text with all of them; none overlap."""
    for start, end, new in sorted(made, key=lambda one: (one[0], one[1]), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def plain_splices(text: str, found: Directive) -> List[Splice]:
    """What to replace so that nothing of ours is left."""
    entry = read(text, found)
    return splices(text, found, False, 0 if entry.mark.was is None else entry.full)
