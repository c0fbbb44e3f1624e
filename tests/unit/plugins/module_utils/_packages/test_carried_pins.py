# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a live venv goes to another Python."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    Dist,
    carry,
    exact_text,
    marker_holds,
    moved,
    relaxed_text,
)


def env(version):
    return {
        "python_version": ".".join(version.split(".")[:2]),
        "python_full_version": version,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


OLD, NEW = env("3.6.15"), env("3.11.7")

# As Flask 2.0.3 installs on Python 3.6.
FLASK = [
    Dist(
        "flask", "2.0.3", ("Werkzeug (>=2.0)", "Jinja2>=3.0", "itsdangerous>=2.0", "click>=7.1.2")
    ),
    Dist("werkzeug", "2.0.3", ('dataclasses ; python_version < "3.7"',)),
    Dist(
        "click",
        "8.0.4",
        ("colorama; platform_system == 'Windows'", "importlib-metadata ; python_version < '3.8'"),
    ),
    Dist("importlib-metadata", "4.8.3", ("zipp>=0.5", "typing-extensions; python_version<'3.8'")),
    Dist("zipp", "3.6.0"),
    Dist("typing-extensions", "4.1.1"),
    Dist("dataclasses", "0.8"),
    Dist("jinja2", "3.0.3", ("MarkupSafe>=2.0",)),
    Dist("markupsafe", "2.0.1"),
    Dist("itsdangerous", "2.0.1"),
    Dist("gunicorn", "20.0.1", ("setuptools>=3.0",)),
    Dist("setuptools", "40.6.2"),
    Dist("pip", "21.3.1"),
]


def names(carried):
    return [name for name, _rest in carried.pins]


def test_the_same_python_keeps_every_pin():
    carried = carry(FLASK, OLD, OLD, "venv")
    assert len(carried.pins) == 10
    assert carried.dropped == ()
    assert carried.setuptools
    assert not {"gunicorn", "pip", "setuptools"} & set(names(carried))


def test_backports_stay_behind_with_what_only_they_need():
    carried = carry(FLASK, OLD, NEW, "venv")
    assert names(carried) == ["click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"]
    assert carried.dropped == (
        "dataclasses==0.8",
        "importlib-metadata==4.8.3",
        "typing-extensions==4.1.1",
        "zipp==3.6.0",
    )


def test_a_backport_that_the_application_asked_for_stays_unless_the_library_has_it():
    direct = [
        Dist("importlib-metadata", "4.8.3"),
        Dist("dataclasses", "0.8"),
        Dist("contextvars", "2.4", ("immutables>=0.9",)),
        Dist("immutables", "0.19"),
    ]
    carried = carry(direct, OLD, NEW, "venv")
    assert names(carried) == ["importlib-metadata"]


def test_what_gunicorn_asks_for_there_keeps_its_pin():
    dists = [
        Dist("gunicorn", "21.2.0", ("packaging", "importlib-metadata; python_version<'3.8'")),
        Dist("packaging", "21.3"),
        Dist("importlib-metadata", "4.8.3"),
    ]
    carried = carry(dists, OLD, NEW, "venv")
    assert carried.pins == (("packaging", "21.3"),)
    assert carried.direct == ()


def test_packages_in_a_ring_are_kept():
    dists = [Dist("a", "1", ("b",)), Dist("b", "1", ("a",))]
    assert names(carry(dists, OLD, NEW, "venv")) == ["a", "b"]


@pytest.mark.parametrize("origin", ["editable file:///srv/x", "git+https://h/r@abc", "file:///x"])
def test_what_no_index_has_is_named(origin):
    with pytest.raises(FleetError) as error:
        carry([Dist("mine", "1", (), origin), Dist("flask", "2")], OLD, NEW, "/srv/venv")
    assert "/srv/venv" in str(error.value)
    assert f"mine ({origin})" in str(error.value)
    assert "requirements file" in str(error.value)


def test_a_gunicorn_from_a_file_is_no_obstacle():
    assert carry([Dist("gunicorn", "20.0.1", (), "file:///x")], OLD, NEW, "v").pins == ()


def test_only_what_is_free_moves_and_only_within_its_major():
    carried = carry(FLASK, OLD, NEW, "venv")
    assert "markupsafe==2.0.1\n" in exact_text(carried)
    text = relaxed_text(carried, {"markupsafe"})
    assert "markupsafe>=2.0.1,<3\n" in text
    assert text.replace("markupsafe>=2.0.1,<3", "markupsafe==2.0.1") == exact_text(carried)
    assert moved(carried, {"markupsafe": "2.1.5", "flask": "2.0.3"}) == {
        "markupsafe": "2.0.1 -> 2.1.5"
    }


def test_what_nobody_asked_for_is_the_applications_own():
    assert carry(FLASK, OLD, NEW, "venv").direct == ("flask",)


@pytest.mark.parametrize(
    "marker, holds",
    [
        ('python_version < "3.8"', False),
        ('python_version < "3.12"', True),
        ("python_version >= '3.9' and python_version < '3.10'", False),
        ("python_version == '3.11'", True),
        ("python_version == '3.*'", True),
        ("python_version != '3.11.*'", False),
        ("python_version ~= '3.6'", True),
        ("python_full_version <= '3.11.0a6'", False),
        ("'linux' in sys_platform", True),
        ("python_version not in '2.7, 3.1'", True),
        ('(python_version<"3.7" or os_name=="posix") and platform_system!="Windows"', True),
        ('platform_python_implementation == "PyPy"', False),
        ("extra == 'async'", False),
        # What cannot be read is taken to hold: a pin too many is seen, one too few is not.
        ("platform_release >= '5'", True),
        ("this is no marker (", True),
    ],
)
def test_markers(marker, holds):
    assert marker_holds(marker, dict(NEW, extra="")) is holds
