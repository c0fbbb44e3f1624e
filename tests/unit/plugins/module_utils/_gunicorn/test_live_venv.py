# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn import live_venv
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader

from tests.unit.plugins.module_utils._host.paper_machine import dist, make_venv


def test_versions_of_a_virtualenv(tmp_path):
    site = make_venv(tmp_path / "v", "20.0.1", "3.11.7", "version_info")
    reader = Reader(str(tmp_path))
    assert live_venv.gunicorn_version(reader, "/v") == "20.0.1"
    assert live_venv.python_version(reader, "/v") == "3.11.7"
    # An interrupted pip leaves the metadata of two: the code is what runs.
    dist(site, "gunicorn", "1.0")
    assert live_venv.gunicorn_version(reader, "/v") == "20.0.1"
    (site / "gunicorn/__init__.py").unlink()
    assert live_venv.gunicorn_version(reader, "/v") == "1.0"
    assert live_venv.gunicorn_version(reader, "/nothing") is None
    assert live_venv.python_version(reader, "/nothing") is None


@pytest.mark.parametrize(
    "found, wanted, matches",
    [
        ("3.11.7", "3.11", True),
        ("23.0.0.rc1", "23.0.0", False),
        ("23.0.0rc1", "23.0.0", False),
        ("23.0", "23.0.0", True),
        ("20.0.4+local.7", "20.0.4", False),
        ("3.11.7", "3.1", False),
        ("3.1.7", "3.11", False),
        ("23.0.0", "23.0.0", True),
        (None, "23.0.0", False),
        (None, None, True),
        ("1", "", True),
    ],
)
def test_versions(found, wanted, matches):
    assert live_venv.version_matches(found, wanted) is matches


def test_freeze_is_pips_and_tells_no_password(tmp_path):
    site = make_venv(tmp_path / "v")
    dist(site, "Flask", "2.0.3")
    dist(site, "pip", "21.3.1")
    dist(site, "mine", "1", {"url": "https://bob:pw@host/mine.whl", "archive_info": {}})
    vcs = {"vcs": "git", "commit_id": "abc"}
    dist(site, "other", "1", {"url": "https://host/o.git", "vcs_info": vcs})
    (site / "broken-1.dist-info").mkdir()
    assert live_venv.freeze(Reader(str(tmp_path)), "/v") == [
        "Flask==2.0.3",
        "gunicorn==20.0.4",
        "mine @ https://***@host/mine.whl",
        "other @ git+https://host/o.git@abc",
    ]


def test_what_stands_at_venv(tmp_path):
    reader = Reader(str(tmp_path))
    home = tmp_path / "h"
    (home / "releases").mkdir(parents=True)
    assert live_venv.read_venv(reader, "/h").kind == "absent"
    make_venv(home / "venv")
    found = live_venv.read_venv(reader, "/h")
    assert (found.kind, found.target, found.release) == ("directory", None, None)
    assert (found.gunicorn, found.python) == ("20.0.4", "3.6.15")
    (home / "venv").rename(home / "releases/a")
    make_venv(home / "releases/b", "23.0.0", "3.11.7")
    os.symlink("releases/b", str(home / "venv"))
    (home / "releases/.history.json").write_text('{"b": "a"}')
    found = live_venv.read_venv(reader, "/h")
    assert (found.kind, found.target, found.release) == ("symlink", "/h/releases/b", "b")
    assert (found.gunicorn, found.previous) == ("23.0.0", "a")
    (home / "releases/a").rename(home / "gone")
    assert live_venv.read_venv(reader, "/h").previous is None
    (home / "releases/.history.json").write_text("[rubbish")
    assert live_venv.read_venv(reader, "/h").previous is None


def test_a_foreign_release_is_known_by_its_record(tmp_path):
    make_venv(tmp_path / "elsewhere")
    reader = Reader(str(tmp_path))
    assert live_venv.release_id(reader, "/home", "/elsewhere") is None
    (tmp_path / "elsewhere/release.json").write_text('{"id": "x"}')
    assert live_venv.release_id(reader, "/home", "/elsewhere") == "x"
    assert live_venv.release_id(reader, "/home", None) is None


def test_history_grows_forward_only():
    history = live_venv.add_history({}, "a", "b")
    history = live_venv.add_history(history, "b", "c")
    assert history == {"b": "a", "c": "b"}
    assert live_venv.add_history(history, "c", "a") == history
    assert live_venv.add_history(history, "c", "b") == history
    assert live_venv.add_history(history, None, "d") == history
    assert live_venv.add_history(history, "c", "c") == history
    # A direct way over a stage replaces the long one.
    assert live_venv.add_history(history, "a", "c") == {"b": "a", "c": "a"}
    assert live_venv.add_history({"a": "b", "b": "a"}, "a", "z")["z"] == "a"


def test_the_name_of_an_adopted_one_depends_on_its_content():
    name = live_venv.name_adopted("20.0.1", "3.6.15", ["a==1"])
    assert name.startswith("adopted-20.0.1-py3.6-") and len(name) == 29
    assert name == live_venv.name_adopted("20.0.1", "3.6.15", ["a==1"])
    assert name != live_venv.name_adopted("20.0.1", "3.6.15", ["a==2"])
    assert live_venv.name_adopted(None, None, []).startswith("adopted-unknown-pyunknown-")


def test_what_ran_earlier_as_far_as_it_is_there(tmp_path):
    for name, gunicorn in (("a", "20.0.4"), ("c", "23.0.0")):
        make_venv(tmp_path / "home/releases" / name, gunicorn)
    history = {"d": "c", "c": "b", "b": "a", "a": "c"}
    (tmp_path / "home/releases/.history.json").write_text(json.dumps(history))
    found = live_venv.read_earlier(Reader(str(tmp_path)), "/home", "d")
    assert [(each["release"], each["gunicorn"]) for each in found] == [
        ("c", "23.0.0"),
        ("a", "20.0.4"),
    ]
    assert live_venv.read_earlier(Reader(str(tmp_path)), "/home", None) == []
