# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.rollback_target import (
    named_release,
)

STAGES = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]


def release(name, gunicorn, python="3.6.15"):
    return {"release": name, "gunicorn": gunicorn, "python": python}


YEAR_AGO = release("adopted-19.9.0-py3.6", "19.9.0")
ADOPTED = release("adopted-20.0.1-py3.6", "20.0.1")
ONE = release("21.2.0-py3.6-1", "21.2.0")
TWO = release("23.0.0-py3.11-2", "23.0.0", "3.11.7")


def first(active, *earlier):
    return named_release({**active, "earlier": list(earlier)}, "first", STAGES)


def test_a_name_is_itself():
    assert named_release({}, "x-1", STAGES) == "x-1"
    assert named_release(None, "", STAGES) == ""


@pytest.mark.parametrize("active", [(TWO, ONE), (ONE,)])
def test_first_is_what_ran_before_the_stages(active):
    now, *earlier = active
    assert first(now, *earlier, ADOPTED, YEAR_AGO) == ADOPTED["release"]


def test_a_server_that_runs_no_stage_stays():
    """The same command again, and a server that was not upgraded."""
    assert first(ADOPTED) == ADOPTED["release"]
    assert first(ADOPTED, YEAR_AGO) == ADOPTED["release"]
    other_python = release("23.0.0-py3.10-3", "23.0.0", "3.10.1")
    assert first(other_python, ADOPTED) == other_python["release"]


def test_what_was_removed_is_not_replaced_by_another():
    assert first(TWO, ONE) == ""


def test_nothing_is_known():
    assert first(TWO) == ""
    assert named_release({"release": None, "earlier": []}, "first", STAGES) == ""
    assert named_release(None, "first", STAGES) == ""
