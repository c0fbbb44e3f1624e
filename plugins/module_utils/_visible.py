# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one door for text of others: what would move a cursor or turn the writing is shown as a code.

An application chooses what it logs, what it is called and what it answers. On a terminal its text
must be nothing but text: no cleared screen, no window title, no line written over another.
"""

from typing import Any

# Spaces of other scripts, which Python does not count as printable.
_SPACES = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_KEPT = "\n\t" + _SPACES
_DEEPEST = 40


def visible(text: str) -> str:
    """The text with every character that is not printable as ``\\x1b`` or ``\\u202e``.

    Newlines and tabs stay; a carriage return stays only as part of a line's end, which becomes a
    newline. Text that is printable already comes back as it is, the same object.
    """
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in _KEPT else _as_code(c) for c in lines)


def _as_code(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_all(value: Any, depth: int = 0) -> Any:
    """The same for every text in dictionaries (keys included), lists and tuples."""
    if isinstance(value, str):
        return visible(value)
    if depth >= _DEEPEST:
        return value
    if isinstance(value, dict):
        return {
            visible_all(key, depth + 1): visible_all(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [visible_all(item, depth + 1) for item in value]
    return value
