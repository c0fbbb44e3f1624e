# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import (
    visible,
    visible_all,
)

# What a hostile application would send to a terminal, and what is to be read instead.
HOSTILE = {
    "\x1b[2J\x1b[HDone.": "\\x1b[2J\\x1b[HDone.",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x1b]8;;http://h\x1b\\text": "\\x1b]8;;http://h\\x1b\\text",
    "\x1bP$q\x1b\\": "\\x1bP$q\\x1b\\",
    "\x9b2J": "\\x9b2J",
    "\x85": "\\x85",
    "failed\rDone.": "failed\\x0dDone.",
    "abc\x08\x08\x08": "abc\\x08\\x08\\x08",
    "\x0b\x0c": "\\x0b\\x0c",
    "\u202egpj.exe": "\\u202egpj.exe",
    "\u2066a\u2069": "\\u2066a\\u2069",
    "\u2028x\u2029": "\\u2028x\\u2029",
    "a\u200bb\ufeff": "a\\u200bb\\ufeff",
    "\udc9b2J": "\\udc9b2J",
    "\U000e0041": "\\U000e0041",
    "\x00\x7f": "\\x00\\x7f",
}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_moves_a_cursor_or_turns_the_writing_is_a_code(text):
    assert visible(text) == HOSTILE[text]
    assert visible(HOSTILE[text]) == HOSTILE[text]


@pytest.mark.parametrize(
    "text",
    ["", "plain", "two\nlines\tand a tab", "Größe 你好 \U0001f600", "a\u00a0b\u3000c", "\\x1b"],
)
def test_what_people_write_stays(text):
    assert visible(text) == text


def test_an_end_of_line_of_windows_is_one():
    assert visible("a\r\nb") == "a\nb"


def test_every_text_in_a_value_is_reached():
    told = {"a\x1b": ["\r", {"b": ("\x9b", 1, None, True)}], "c": 1.5}
    assert visible_all(told) == {"a\\x1b": ["\\x0d", {"b": ["\\x9b", 1, None, True]}], "c": 1.5}


def test_what_is_endlessly_deep_is_no_traceback():
    deep: list = []
    deep.append(deep)
    assert visible_all(deep)
