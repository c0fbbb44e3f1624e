# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What helps where something is missing in a new release, and what must not change meanwhile."""

from collections import namedtuple

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import (
    Entry,
    content_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import build
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import (
    local_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import Launch

from tests.unit.plugins.module_utils._packages.paper_site import make_site, write

Plan = namedtuple("Plan", "order prepared left local inputs files")
Order = namedtuple("Order", "requirements_source requirements_file")
Prepared = namedtuple("Prepared", "text")
BOOT = (
    "boot test: gunicorn 23.0.0 ended at once. Its log ends:\nModuleNotFoundError: No module named"
)


def plan(text="flask==2\n", left=(), local=(), inputs=None, files=()):
    return Plan(Order("r.txt", ""), Prepared(text), left, local, inputs or {}, files)


@pytest.mark.parametrize(
    "missing", ["'pkg_resources'", "'pkg_resources.extern'", "pkg_resources", "'distutils'"]
)
def test_pkg_resources_has_its_hint_with_a_requirements_file_too(missing):
    told = build.hint_of(f"{BOOT} {missing}", plan())
    assert "add a line `setuptools<81` to the requirements (r.txt)" in told
    assert build.hint_of(f"{BOOT} {missing}", plan("flask==2\nsetuptools<81\n")) == ""


def test_what_was_left_behind_is_named_when_a_module_is_missing():
    left = (Entry("mine.pth", ("/srv/code",)), Entry("config_local.py"))
    told = build.hint_of(f"{BOOT} 'mine.deep'", plan(left=left))
    assert "mine.pth (leads to /srv/code), config_local.py" in told
    assert "If mine.deep came from there, name it in release_carry_files" in told
    assert build.hint_of(f"{BOOT} 'mine'", plan()) == ""
    assert build.hint_of("boot test: answers 500", plan(left=left)) == ""


def test_a_source_that_changes_while_it_is_built_from_is_refused(tmp_path):
    write(tmp_path, "src/a.py", "1\n")
    places = [str(tmp_path / "src")]
    made = plan(local=tuple(places), inputs={"local": local_sha256(places)})
    build.refuse_changed_sources(made)
    write(tmp_path, "src/a.py", "2\n")
    with pytest.raises(FleetError, match="changed while the release was being built"):
        build.refuse_changed_sources(made)


def test_what_is_carried_over_must_be_what_the_name_says_and_replace_nothing(tmp_path):
    site, new = make_site(tmp_path / "venv"), make_site(tmp_path / "new")
    write(site, "config_local.py", "1\n")
    inputs = {"files": {"config_local.py": content_sha256(str(site / "config_local.py"))}}
    made = plan(inputs=inputs, files=((str(site), Entry("config_local.py")),))
    build.carry_files(made, str(tmp_path / "new"))
    assert (new / "config_local.py").read_text() == "1\n"
    with pytest.raises(FleetError, match="is in the new release already"):
        build.carry_files(made, str(tmp_path / "new"))
    (new / "config_local.py").unlink()
    write(site, "config_local.py", "2\n")
    with pytest.raises(FleetError, match="changed while it was carried over"):
        build.carry_files(made, str(tmp_path / "new"))


def _homed(tmp_path, *words):
    """The prefix of a home whose link names release ``a``, for a command of these words."""
    for name in ("a", "b"):
        (tmp_path / "releases" / name / "lib/python3.10/site-packages/app").mkdir(parents=True)
        (tmp_path / "releases" / name / "bin").mkdir()
    (tmp_path / "venv").symlink_to("releases/a")
    argv = tuple(word.replace("HOME", str(tmp_path)) for word in words)
    paths = build.old_prefix(str(tmp_path), Launch(argv, {}, "/", 0, 0, (), "")).paths
    return [path.replace(str(tmp_path), "HOME") for path in paths]


@pytest.mark.parametrize(
    "words",
    [
        ("gunicorn", "--chdir", "HOME/venv/lib/python3.10/site-packages/app", "app:app"),
        ("gunicorn", "--chdir", "HOME/venv/lib/python3.10/site-packages", "app:app"),
        ("gunicorn", "-c", "HOME/venv/bin/conf/gunicorn.py", "app:app"),
        ("HOME/venv/lib/python3.10/site-packages/app/start", "gunicorn", "app:app"),
        ("HOME/venv/bin/python", "HOME/venv/bin/gunicorn", "app:app"),
    ],
)
def test_no_directory_inside_a_virtualenv_is_taken_for_it(tmp_path, words):
    assert _homed(tmp_path, *words) == ["HOME/venv", "HOME/releases/a"]


@pytest.mark.parametrize("script", ["HOME/releases/b/bin/gunicorn", "HOME/releases/b/bin/python"])
def test_what_runs_may_be_another_release_than_the_link_names(tmp_path, script):
    assert _homed(tmp_path, script, "app:app") == [
        "HOME/venv",
        "HOME/releases/a",
        "HOME/releases/b",
    ]
