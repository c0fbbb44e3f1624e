# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables that a unit's next start will have: Environment=, EnvironmentFile=. No I/O.

What runs was started with the files as they were then.
"""

import re
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_FILE = re.compile(r"^(?P<path>.*) \(ignore_errors=(?P<ignore>yes|no)\)$")
# Of one life of a unit, not of the next.
_OWN = re.compile(
    r"^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MAINPID|MANAGERPID|NOTIFY_SOCKET|WATCHDOG_\w+"
    r"|CREDENTIALS_DIRECTORY|EXIT_\w+|SERVICE_RESULT|LISTEN_\w+|MEMORY_PRESSURE_\w+)$"
)
_ESCAPED = '"\\`$'


class File(NamedTuple):
    """One EnvironmentFile=; ``optional`` if it may be missing."""

    path: str
    optional: bool


def inherited(environment: Mapping[str, str]) -> Dict[str, str]:
    """A running process's variables without those of its own life."""
    return {name: value for name, value in environment.items() if not _OWN.match(name)}


def words(text: str) -> List[str]:
    """``A=1 "B=two words"``, as systemctl shows Environment=."""
    found, word, quote, at = [], "", "", 0
    begun = False
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'" and at + 1 < len(text):
            at += 1
            word += text[at]
        elif quote:
            quote = "" if char == quote else quote
            word += "" if not quote else char
        elif char in "'\"":
            quote, begun = char, True
        elif char.isspace():
            if begun or word:
                found.append(word)
            word, begun = "", False
        else:
            word += char
        at += 1
    return found + ([word] if begun or word else [])


def pairs(assignments: List[str]) -> Dict[str, str]:
    split = (each.partition("=") for each in assignments)
    return {name: value for name, equals, value in split if equals and _NAME.match(name)}


def files(values: List[str]) -> List[File]:
    """``/etc/app.env (ignore_errors=no)``, as systemctl shows each EnvironmentFile=."""
    matches = (_FILE.match(each) for each in values)
    return [File(each.group("path"), each.group("ignore") == "yes") for each in matches if each]


def parse_file(text: str) -> Dict[str, str]:
    """An environment file: assignments, quotes, ``#`` and ``;`` for comments, ``\\`` to go on."""
    found: Dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        while at < end and text[at] in " \t\r\n":
            at += 1
        if at < end and text[at] in "#;":
            while at < end and text[at] != "\n":
                at += 2 if text[at] == "\\" else 1
            continue
        stop = at
        while stop < end and text[stop] not in "=\n":
            stop += 1
        name = text[at:stop].strip()
        if stop >= end or text[stop] == "\n":
            at = stop + 1
            continue
        value, at = _value(text, stop + 1)
        if _NAME.match(name):
            found[name] = value
    return found


def _value(text: str, at: int) -> Tuple[str, int]:
    """The value that begins there, and where the next line does."""
    value, kept, quote, end = "", 0, "", len(text)
    while at < end and text[at] in " \t":
        at += 1
    while at < end:
        char = text[at]
        following = text[at + 1] if at + 1 < end else ""
        if char == "\\" and quote != "'":
            at += 2
            if following == "\n":
                continue
            # In double quotes only some may be escaped.
            value += following if not quote or following in _ESCAPED else char + following
            kept = len(value)
            continue
        at += 1
        if quote:
            if char == quote:
                quote = ""
            else:
                value += char
            kept = len(value)
        elif char == "\n":
            break
        elif char in "'\"":
            quote = char
        else:
            value += char
            kept = kept if char in " \t\r" else len(value)
    return value[:kept], at


def write_file(environment: Mapping[str, str]) -> str:
    """An environment file that `parse_file` and systemd read as these variables."""
    lines = []
    for name, value in sorted(environment.items()):
        escaped = "".join("\\" + char if char in _ESCAPED else char for char in value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)


def coming(
    environment: str,
    environment_files: List[str],
    unset: str,
    read: Callable[[str], Optional[str]],
    unit: str,
) -> Tuple[Dict[str, str], List[str]]:
    """What a unit adds to its environment, and the names that it takes away.

    ``read`` returns the text of a file, None if it is not there.
    """
    found = pairs(words(environment))
    for each in files(environment_files):
        text = read(each.path)
        if text is None and not each.optional:
            raise FleetError(
                f"{unit} has EnvironmentFile={each.path}, which is not there or may not be read:"
                " the next start would fail. Put it back."
            )
        found.update(parse_file(text or ""))
    return found, words(unset)
