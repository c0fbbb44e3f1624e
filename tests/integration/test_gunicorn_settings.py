"""The table of changed settings against the published packages.

It installs twenty versions of gunicorn, so it runs nightly, with
``FLEETOPS_GUNICORN_SETTINGS_IN=directory`` to keep what it installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.settings import CHANGES

from tests.gunicorn_settings import derive, install

# What is found and is no row of the table, and why not.
NOT_TOLD = {
    ("strip_header_spaces", "20.0.0", "removed"): "20.0.0 alone lacks it",
    ("ciphers", "20.0.0", "default"): "of TLS in gunicorn itself, from 19.x",
    ("config", "20.1.0", "default"): "20.0 read ./gunicorn.conf.py as well",
    ("logconfig_dict", "20.1.0", "option"): "no text was ever taken for a dictionary",
    ("proxy_protocol", "24.1.0", "default"): "False and off are the same",
    ("control_socket", "25.2.0", "default"): "the hazard control-socket tells it",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    named = os.environ.get("FLEETOPS_GUNICORN_SETTINGS_IN")
    return Path(named) if named else tmp_path_factory.mktemp("gunicorns")


def test_the_table_is_all_that_changed(directory):
    found = {(each.setting, each.since, each.kind) for each in derive(directory)}
    assert NOT_TOLD.keys() <= found
    told = {(change.setting, version_key(change.since), change.kind) for change in CHANGES}
    assert {(s, version_key(v), k) for s, v, k in found - NOT_TOLD.keys()} == told


@pytest.mark.parametrize(
    ("works", "fails", "arguments"),
    [
        ("22.0.0", "23.0.0", ["--tolerate-dangerous-framing", "app:app"]),
        ("24.0.0", "24.1.0", ["--proxy-protocol", "app:app"]),
    ],
)
def test_what_is_said_to_be_an_error_is_one(directory, tmp_path, works, fails, arguments):
    (tmp_path / "app.py").write_text("def app(environ, start_response): return []\n")
    asked = [check(install(directory, version), tmp_path, arguments) for version in (works, fails)]
    assert asked[0] == ""
    assert asked[1] != ""


def test_what_is_said_to_be_ignored_is_ignored(directory, tmp_path):
    (tmp_path / "app.py").write_text("def app(environ, start_response): return []\n")
    (tmp_path / "c.py").write_text("tolerate_dangerous_framing = True\n")
    assert check(install(directory, "23.0.0"), tmp_path, ["-c", "c.py", "app:app"]) == ""


def check(place, directory, arguments) -> str:
    """What ``--check-config`` says; empty if it is content."""
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--check-config", *arguments]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(place), "HOME": str(directory)}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
