# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles ask by name is there, and what is there is asked for."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.filter.internal import internal
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal.table import (
    SUBJECTS,
    TABLE,
)

ROOT = Path(__file__).resolve().parents[3]
FILTERS = "ansible_collections.fleetops.gunicorn.plugins.filter"
ASKED = re.compile(r"fleetops\.gunicorn\.internal'?[(,]\s*'(\w+)'")


def asked() -> set[str]:
    files = [*ROOT.glob("roles/**/*.yml"), *ROOT.glob("playbooks/*.yml")]
    return {name for path in files for name in ASKED.findall(path.read_text())}


def test_roles_ask_for_what_there_is_and_for_all_of_it() -> None:
    assert asked() == set(TABLE)


def test_every_mention_is_one_that_this_test_understands() -> None:
    for path in [*ROOT.glob("roles/**/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        text = path.read_text()
        assert text.count("fleetops.gunicorn.internal") == len(ASKED.findall(text)), path


def test_no_name_stands_for_two_decisions() -> None:
    names = Counter(name for subject in SUBJECTS for name in subject.INTERNAL)
    assert max(names.values()) == 1


def test_every_subject_is_in_the_table() -> None:
    room = ROOT / "plugins/plugin_utils/_internal"
    files = {path.stem for path in room.glob("*.py")} - {"__init__", "table"}
    assert {subject.__name__.rpartition(".")[2] for subject in SUBJECTS} == files


def test_each_file_of_filters_has_the_one_that_it_documents() -> None:
    for path in sorted((ROOT / "plugins/filter").glob("*.py")):
        filters = importlib.import_module(f"{FILTERS}.{path.stem}").FilterModule().filters()
        assert list(filters) == [path.stem], "put it behind `internal`, or into a file of its own"


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AnsibleFilterError, match="no decision 'fewer'.* of one version"):
        internal([], "fewer")


def test_what_follows_the_name_is_given_on() -> None:
    assert internal(["web2", "web1"], "few") == TABLE["few"](["web2", "web1"])
