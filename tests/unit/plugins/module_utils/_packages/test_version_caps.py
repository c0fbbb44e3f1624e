# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packages do not allow a stage."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import Dist
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.version_caps import (
    caps,
    ranges_for,
    refusal,
)

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}
MLFLOW = Dist("mlflow", "2.9.2", ("Flask<4", "gunicorn (<22) ; platform_system != 'Windows'"))
PINS = {"mlflow": "2.9.2"}


@pytest.mark.parametrize(
    "requires, ranges",
    [
        (("gunicorn<22",), "<22"),
        (("gunicorn (>=19, <22)",), ">=19,<22"),
        (("gunicorn[gevent] < 22",), "<22"),
        (("gunicorn<22; sys_platform == 'win32'",), ""),
        (("gunicorn<22; sys_platform != 'win32'",), "<22"),
        (("gunicorn<22", "gunicorn>=20"), "<22,>=20"),
        (("gunicorn", "gunicorn-extra<2", "flask<3"), ""),
        (("Gunicorn~=20.0",), "~=20.0"),
        (("gunicorn @ https://host/x.whl",), ""),
    ],
)
def test_ranges(requires, ranges):
    assert ranges_for(requires, "gunicorn", MARKERS) == ranges


def test_an_application_that_caps_gunicorn_is_named_with_its_range():
    found = caps([MLFLOW], PINS, frozenset(), "23.0.0", MARKERS, True)
    assert [str(cap) for cap in found] == ["mlflow 2.9.2 wants gunicorn<22"]
    text = refusal(found, "carried over from /srv/app/venv")
    assert "gunicorn 23.0.0 is not allowed by what the application runs on: mlflow 2.9.2" in text
    assert "requirements file with a version of mlflow that allows it" in text
    assert not caps([MLFLOW], PINS, frozenset(), "21.2.0", MARKERS, True)


def test_only_what_will_be_installed_with_the_metadata_that_are_known():
    assert not caps([MLFLOW], {}, frozenset(), "23.0.0", MARKERS, True)
    assert not caps([MLFLOW], {"mlflow": "2.10.0"}, frozenset(), "23.0.0", MARKERS, True)


def test_a_pin_that_may_move_is_told_and_is_no_refusal():
    (found,) = caps([MLFLOW], PINS, {"mlflow"}, "23.0.0", MARKERS, True)
    assert not found.firm
    assert refusal([found], "x") == ""


def test_a_python_beyond_a_range_is_refused_where_the_installer_heeds_it():
    numba = Dist("numba", "0.56.4", (), "", ">=3.7, <3.11")
    new = Dist("new", "1.0", (), "", ">=3.12")
    pins = {"numba": "0.56.4", "new": "1.0"}
    strict = caps([numba, new], pins, frozenset(), "23.0.0", MARKERS, True)
    lax = caps([numba, new], pins, frozenset(), "23.0.0", MARKERS, False)
    assert [cap.firm for cap in strict] == [True, True]
    assert [cap.firm for cap in lax] == [False, True]
    assert "Python 3.11.7 is not allowed" in refusal(strict, "x")
    assert "numba 0.56.4 wants Python >=3.7,<3.11" in refusal(strict, "x")


def test_ranges_that_cannot_be_read_cap_nothing():
    odd = Dist("odd", "1.0", ("gunicorn<banana",), "", "whatever")
    assert not caps([odd], {"odd": "1.0"}, frozenset(), "23.0.0", MARKERS, True)
