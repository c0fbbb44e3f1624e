# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `service` as the rollout uses it, by Ansible itself."""

import json
import os
import subprocess

import pytest

from tests.integration.service_support import BIN, NEW, OLD, ROOT, Fleet, new_python, old_python


@pytest.fixture
def fleet():
    fleet = Fleet()
    yield fleet
    fleet.close()


def play(fleet, *actions, check=False):
    """Run the role once per action; returns the registered results and the whole output."""
    out = fleet.dir / "result.json"
    tasks = []
    for action in actions:
        role = {"name": "fleetops.gunicorn.service"}
        tasks.append({"name": "Act", "ansible.builtin.include_role": role, "vars": action})
    content = "{{ {'info': _service_info | default({}), 'result': _service_result | default({})} }}"
    tasks.append({
        "name": "Tell", "ansible.builtin.copy": {"content": content, "dest": str(out)},
        "check_mode": False,
    })  # fmt: skip
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "app_home": str(fleet.home),
        "app_program": "app",
        "app_health_url": fleet.url,
        "service_supervisor_url": f"unix://{fleet.socket}",
    }
    book = fleet.dir / "play.yml"
    book.write_text(json.dumps([{
        "name": "Play", "hosts": "web1", "gather_facts": False, "vars": variables, "tasks": tasks,
    }]))  # fmt: skip
    command = [BIN / "ansible-playbook", "-i", "web1,", "--diff", book]
    done = subprocess.run(
        command + ["--check"] * check, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        check=False,
    )  # fmt: skip
    found = json.loads(out.read_text()) if done.returncode == 0 else {}
    return done.returncode, found, done.stdout + done.stderr


def test_looks_plans_switches_and_goes_back(fleet):
    fleet.directory_venv(OLD, old_python())
    new = fleet.release(NEW, new_python())
    fleet.start()
    fleet.up()
    switch = {
        "service_action": "activate",
        "service_release": new,
        "service_expect_gunicorn": NEW,
        "service_expect_python": new_python(),
        "service_adopt_as": "adopted-before",
    }
    code, _found, said = play(fleet, switch, check=True)
    assert code == 0, said
    assert f'+    "gunicorn": "{NEW}"' in said
    assert fleet.get()["gunicorn"] == OLD

    code, found, said = play(fleet, {"service_action": "info"}, switch)
    assert code == 0, said
    # Neither action overwrites what the other one found.
    assert found["info"]["arbiter"]["gunicorn"] == OLD
    assert (found["result"]["changed"], found["result"]["adopted"]) == (True, "adopted-before")
    assert fleet.get()["arbiter"] == found["result"]["generation"]["pid"]

    code, found, said = play(fleet, switch, {"service_action": "info"})
    assert code == 0, said
    assert found["result"]["changed"] is False
    assert found["info"]["venv"]["previous"] == "adopted-before"

    back = {
        "service_action": "activate",
        "service_release": "adopted-before",
        "service_reason": "rollback",
        "service_kill_after": 3,
    }
    code, found, said = play(fleet, back, {"service_action": "info"})
    assert code == 0, said
    assert found["info"]["arbiter"]["gunicorn"] == OLD
    assert found["info"]["venv"]["previous"] is None


def test_an_error_is_kept_or_raised_as_asked(fleet):
    fleet.directory_venv(NEW, new_python())
    fleet.socket = fleet.dir / "nothing.sock"
    code, _found, said = play(fleet, {"service_action": "info"})
    assert code == 2 and "there is no such socket" in said
    code, found, said = play(fleet, {"service_action": "info", "service_keep_errors": True})
    assert code == 0, said
    assert "there is no such socket" in found["info"]["msg"]


def test_a_mistyped_action_is_refused(fleet):
    code, _found, said = play(fleet, {"service_action": "reload"})
    assert code == 2 and "service_action" in said
