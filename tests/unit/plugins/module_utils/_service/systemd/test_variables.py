# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import variables


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ('A=1 "B=two words" SECRET_KEY=x', ["A=1", "B=two words", "SECRET_KEY=x"]),
        ('"A=say \\"hi\\" for \\$5"', ['A=say "hi" for $5']),
        ("'A=x\\y' \"\"", ["A=x\\y", ""]),
    ],
)
def test_words(text, words):
    assert variables.words(text) == words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB = 2 \n", {"A": "1", "B": "2"}),
        ("# A=1\n; B=2\n\nC=3", {"C": "3"}),
        ("A=\"two  words\" \nB='$x\\'\n", {"A": "two  words", "B": "$x\\"}),
        ("A=one \\\n two\nB=x", {"A": "one  two", "B": "x"}),
        ('A="line\nline"\n', {"A": "line\nline"}),
        ('A="\\$5 \\n"', {"A": "$5 \\n"}),
        ("A=\\$5", {"A": "$5"}),
        ("no assignment\nA=1", {"A": "1"}),
        ("1A=x\nA-B=x\nexport C=1\nD=", {"D": ""}),
        ("A=b=c#d", {"A": "b=c#d"}),
        ("A=1\nA=2", {"A": "2"}),
        ("# goes on \\\nA=1\nB=2", {"B": "2"}),
        ("A=x\\", {"A": "x"}),
    ],
)
def test_environment_files(text, found):
    assert variables.parse_file(text) == found


def test_what_is_written_is_read_back():
    given = {"A": "", "B": ' x "y" $z `w` \\ \n\n # ;', "C": "'", "D": "ü=ü"}
    assert variables.parse_file(variables.write_file(given)) == given


def test_a_file_wins_over_the_unit_and_a_later_one_over_it():
    there = {"/a": "X=a\nY=a", "/b": "Y=b"}
    files = ["/a (ignore_errors=no)", "/no (ignore_errors=yes)", "/b (ignore_errors=no)"]
    found = variables.coming("X=0 Z=0", files, "LANG Q", there.get, "app.service")
    assert found == ({"X": "a", "Y": "b", "Z": "0"}, ["LANG", "Q"])


def test_a_file_that_must_be_there_is_missed():
    with pytest.raises(FleetError, match="EnvironmentFile=/no, which is not there"):
        variables.coming("", ["/no (ignore_errors=no)"], "", lambda _path: None, "app.service")


def test_what_belongs_to_one_life_is_not_handed_on():
    own = {"INVOCATION_ID": "x", "NOTIFY_SOCKET": "/x", "CREDENTIALS_DIRECTORY": "/run/c", "A": "1"}
    assert variables.inherited(own) == {"A": "1"}
