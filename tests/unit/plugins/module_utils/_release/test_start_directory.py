# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.start_directory import (
    starting_place,
    told_chdir,
)

NOW, APP = "/srv/app/src", "/srv/app"
G = "/srv/app/conf/g.py"


@pytest.mark.parametrize(
    "directory, parent, now, wanted",
    [(APP, "/", NOW, APP), ("", "/opt/sup", NOW, "/opt/sup"), ("", "", APP, APP)],
)
def test_the_service_manager_starts_it(directory, parent, now, wanted):
    assert starting_place(directory, parent, True, {"PWD": "/root"}, now) == wanted


@pytest.mark.parametrize(
    "told, noted, directory, parent, now, files, wanted",
    [
        # A shell has noted where it went.
        ("-c conf/g.py --chdir src", APP, "", "/", NOW, [G], APP),
        ("-c conf/g.py", APP, "", "/", NOW, [G], APP),
        ("-c conf/g.py --chdir /opt/code", APP, "", "/", "/opt/code", [G], APP),
        ("--config=conf/g.py --chdir=src", APP, "", "/", NOW, [G], APP),
        # The note is of who started the service manager.
        ("-c conf/g.py --chdir src", "/root", APP, "/", NOW, [G], APP),
        ("-c conf/g.py --chdir src", "/root", "/srv", APP, NOW, [G], APP),
        ("app:app", "/root", "", "/", APP, [], APP),
        ("app:app", "/", "", "/", APP, [], APP),
        ("--chdir /opt/code", "/root", "", "/", "/opt/code", [], "/opt/code"),
        # Nobody says; what it was told is found in one place.
        ("--chdir src", "", "", "/", NOW, [], APP),
        ("-c conf/g.py --chdir src", "", "", "/", NOW, [G], APP),
        ("-c conf/g.py", "", "", "/", NOW, [G], APP),
        ("-c file:conf/g.py", "", "", "/", NOW, [G], APP),
        # No word of a chdir, and the file that gunicorn reads unasked.
        ("app:app", "", "", "/", NOW, ["/srv/app/gunicorn.conf.py"], NOW),
        ("app:app", APP, "", "/", NOW, ["/srv/app/gunicorn.conf.py"], APP),
        # It has not moved.
        ("-c conf/g.py", "", "/srv", "/", APP, [G], APP),
        ("--chdir .", "", "/srv", "/", APP, [], APP),
        ("app:app", "relative", "/srv", "/elsewhere", APP, [], APP),
        ("-c /etc/g.py", "/root", "", "/", APP, ["/etc/g.py"], APP),
        ("-c /etc/g.py", APP, "", "/", NOW, ["/etc/g.py"], APP),
        ("-c python:conf.g", APP, "", "/", NOW, [], APP),
        # Nothing fits: then where it is.
        ("-c gone.py", "/root", "/srv", "/", APP, [], APP),
    ],
)
def test_a_script_starts_it(told, noted, directory, parent, now, files, wanted):
    place = starting_place(
        directory, parent, False, {"PWD": noted}, now, told.split(), files.__contains__
    )
    assert place == wanted


def test_what_the_environment_tells_gunicorn_counts_too():
    variables = {"GUNICORN_CMD_ARGS": "-c conf/g.py --chdir src"}
    assert starting_place("", "/", False, variables, NOW, ["app"], [G].__contains__) == APP


@pytest.mark.parametrize(
    "words, chdir",
    [
        ("--chdir a app", "a"),
        ("--chdir=a --chdir b app", "b"),
        ("--chd a", "a"),
        ("-- --chdir a", None),
        ("--chdir", None),
        ("--ch a app", None),
    ],
)
def test_the_directory_of_the_arguments(words, chdir):
    assert told_chdir(words.split()) == chdir
