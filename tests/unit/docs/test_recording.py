# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from docs.recording import PAUSE, PLAYS, ROWS, Said, picture, played, record

SVG = "{http://www.w3.org/2000/svg}"


def test_a_pause_is_cut_short_and_the_whole_is_short_enough() -> None:
    at = [line.at for line in played([Said(0, "$ x"), Said(1, "a"), Said(100, "b")])]
    assert at == [0, 1, 1 + PAUSE]
    many = played([Said(number, str(number)) for number in range(200)])
    assert many[-1].at == pytest.approx(PLAYS)
    assert [line.at for line in many] == sorted(line.at for line in many)


def test_a_picture_holds_every_line_and_ends_with_the_last_in_sight() -> None:
    said = [Said(number / 10, f"line {number} <&>") for number in range(ROWS + 5)]
    tree = ElementTree.fromstring(picture(said))
    assert [each.text for each in tree.iter(f"{SVG}text")] == [line.text for line in said]
    style = tree.find(f"{SVG}style")
    assert style is not None and style.text is not None
    assert f"transform:translateY({-17 * 5}px)" in style.text
    assert style.text.count("%{transform") == 1 + 5


def test_what_only_a_terminal_understands_is_left_out() -> None:
    assert played([Said(0, "\x1b[1;32mok\x1b[0m\r")])[0].text == "ok"


def test_a_command_that_fails_is_not_recorded() -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        record([sys.executable, "-c", "raise SystemExit(3)"])
    said = record([sys.executable, "-c", "print('a'); print('b')"])
    assert [line.text for line in said[1:]] == ["a", "b"]
