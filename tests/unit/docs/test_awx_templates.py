# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""extensions/awx/templates.yml says what roles/settings declares. When this fails: `make awx`."""

import pytest
import yaml

from docs import awx_templates
from docs.variables import ROOT, options

FILE = awx_templates.FILE.read_text()
DATA = yaml.safe_load(FILE)
JOBS = {job["name"]: job for job in DATA["controller_templates"]}
(WORKFLOW,) = DATA["controller_workflows"]


def test_the_file_is_made_of_what_is_declared():
    assert awx_templates.text(options()) == FILE, "run `make awx`"


def test_other_words_make_it_red():
    declared = options()
    declared["rollout_bake"]["description"] = "Other words."
    assert awx_templates.text(declared) != FILE


def test_every_playbook_is_there():
    for job in JOBS.values():
        assert (ROOT / job["playbook"]).exists(), job


def test_the_plan_changes_nothing():
    assert JOBS["gunicorn plan"]["job_type"] == "check"


def test_the_workflow_goes_from_plan_to_the_rest_and_asks_before_it():
    nodes = {node["identifier"]: node for node in WORKFLOW["workflow_nodes"]}
    way, name = [], "plan"
    while name:
        way.append(name)
        (name,) = [each["identifier"] for each in nodes[name]["related"]["success_nodes"]] or [""]
        assert len(way) <= len(nodes)
    assert way == ["plan", "canary", "bake", "approve", "rest"]
    for name, node in nodes.items():
        what = node["unified_job_template"]
        assert (what["type"] == "workflow_approval") == (name == "approve")
        assert name == "approve" or what["name"] in JOBS


def test_what_the_workflow_asks_its_jobs_of_an_upgrade_take():
    """AWX drops what a job template does not ask for."""
    asked = {each["variable"] for each in WORKFLOW["survey_spec"]["spec"]}
    for name in ("gunicorn plan", "gunicorn upgrade"):
        assert asked <= {each["variable"] for each in JOBS[name]["survey_spec"]["spec"]}


def test_only_the_bake_of_the_workflow_has_an_answer_that_wins_over_the_inventory():
    surveys = [WORKFLOW, *JOBS.values()]
    spec = [each for one in surveys if one["survey_enabled"] for each in one["survey_spec"]["spec"]]
    given = {each["variable"]: each["default"] for each in spec if each["default"]}
    assert given == {"rollout_bake": "2h"}


def test_a_list_is_no_question():
    with pytest.raises(ValueError, match="rollout_stages is a list"):
        awx_templates.question("rollout_stages", options())
