# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plan says of trials: how often, as whom, with what; and of a start that cannot be."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.trials import (
    stale_problems,
    trial_text,
    trials_of,
)

NEW = {"there": False, "packages": False}


@pytest.mark.parametrize(
    ("test", "steps", "boots", "imports"),
    [
        ("boot", [NEW, NEW], 3, 3),
        ("boot", [NEW, {"there": True, "packages": None}], 2, 2),
        ("import", [NEW, NEW], 0, 2),
        ("none", [NEW, NEW], 0, 0),
        ("boot", [], 0, 0),
    ],
)
def test_the_trials_are_counted(test, steps, boots, imports):
    told = trials_of(test, [], "app", steps)
    assert (told["boots"], told["imports"]) == (boots, imports)


def test_a_trial_is_told_with_its_user_its_environment_and_its_data():
    told = trial_text(trials_of("boot", ["DB", "CACHE"], "app", [NEW]))
    assert told == (
        "import and boot the application 2 times at most, beside the live one, as app, with its own"
        " environment and CACHE, DB of release_boot_environment: ON LIVE DATA, unless that points"
        " elsewhere"
    )


@pytest.mark.parametrize("packages", [True, None])
def test_packages_that_move_are_told_louder(packages):
    told = trials_of("import", [], "", [{"there": False, "packages": packages}])
    assert "as its own user" in trial_text(told)
    assert trial_text(told).endswith("(a migration) it does then, and no way back undoes it")


def test_no_trial_is_told_too():
    assert trial_text(trials_of("none", [], "app", [NEW])).startswith("nothing (release_boot_test)")


@pytest.mark.parametrize(("test", "refused"), [("boot", 1), ("import", 1), ("none", 0)])
def test_a_start_from_the_old_pythons_directory_is_a_problem_of_its_stage(test, refused):
    lib = "/srv/app/venv/lib/python3.6/site-packages/web"
    found = {"stages": [{"stage": 1, "vital": []}, {"stage": 2, "vital": [lib]}]}
    problems = stale_problems(found, test)
    assert len(problems) == refused
    assert all(each.startswith("stage 2: ") and lib in each for each in problems)


@pytest.mark.parametrize("found", [{}, None, {"skipped": True}, {"stages": [{"stage": 1}]}])
def test_what_is_not_known_is_no_problem(found):
    assert stale_problems(found, "boot") == []
