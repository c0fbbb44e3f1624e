# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scenario that would test nothing fails. Runs molecule itself, without a container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent for path in (ROOT / "molecule").glob("*/molecule.yml"))

ONLY_CONVERGE = "scenario: {converge_sequence: [converge]}\n"
NO_GROUPS = "platforms: [{name: web1}, {name: web2}, {name: lb1}]\n"
EMPTY_GROUP = """
platforms: [{name: lb1, groups: [lb]}]
provisioner: {inventory: {hosts: {web: {hosts: {}}}}}
"""
NO_BALANCER = "platforms: [{name: web1, groups: [web]}, {name: web2, groups: [web]}]\n"

GUARDED = "- ansible.builtin.import_playbook: ../fleet/guard.yml\n"
UNGUARDED = "- hosts: web\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {}}]\n"


def converge(project: Path, scenario: str, playbook: str, *options: str) -> tuple[int, str]:
    """Run `molecule converge` on a scenario of that text; its exit code and its words."""
    molecule = project / "molecule"
    (molecule / "situation").mkdir(parents=True)
    (molecule / "fleet").symlink_to(ROOT / "molecule" / "fleet")
    (molecule / "config.yml").symlink_to(ROOT / "molecule" / "config.yml")
    (molecule / "situation" / "molecule.yml").write_text("---\n" + scenario + ONLY_CONVERGE)
    (molecule / "situation" / "converge.yml").write_text(playbook)
    tools = os.path.dirname(sys.executable)
    done = subprocess.run(
        [f"{tools}/molecule", *options, "converge", "-s", "situation"],
        cwd=project,
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(project),
            "ANSIBLE_HOME": str(project / "home"),
            "COLUMNS": "400",
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", [NO_GROUPS, EMPTY_GROUP, NO_BALANCER])
def test_the_guard_refuses_an_inventory_with_an_empty_group(tmp_path, scenario):
    code, said = converge(tmp_path, scenario, GUARDED, "-c", "molecule/config.yml")
    assert code != 0
    assert "would test nothing" in said


def test_ansible_itself_lets_an_empty_group_pass(tmp_path):
    # Why there is a guard. When this fails, Ansible has learnt it and the guard may go.
    code, _output = converge(tmp_path, EMPTY_GROUP, UNGUARDED, "-c", "molecule/config.yml")
    assert code == 0


def test_a_play_without_the_guard_fails_when_its_group_does_not_exist(tmp_path):
    code, said = converge(tmp_path, NO_GROUPS, UNGUARDED, "-c", "molecule/config.yml")
    assert code != 0
    assert "Could not match supplied host pattern" in said


def test_a_scenario_fails_without_what_all_share(tmp_path):
    code, said = converge(tmp_path, "", GUARDED)
    assert code != 0
    assert "would test nothing" in said


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_every_scenario_begins_with_the_guard_and_ends_with_tests(scenario):
    # Molecule skips a missing playbook with a warning and missing tests with another.
    plays = (scenario / "converge.yml").read_text().split("\n- ")
    assert "ansible.builtin.import_playbook: ../fleet/guard.yml" in plays[1]
    assert any("def test_" in path.read_text() for path in scenario.glob("tests/test_*.py"))


def test_there_are_scenarios():
    assert {path.name for path in SCENARIOS} >= {
        "default",
        "canary",
        "failing_gate",
        "legacy_python",
    }
