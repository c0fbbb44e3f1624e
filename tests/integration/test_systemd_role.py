# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `service` under systemd, by Ansible itself, and the rights that a user needs."""

import json
import os
import re

import pytest

from tests.integration.service_support import BIN, NEW, OLD, ROOT
from tests.integration.systemd_support import SETTINGS, UnitFleet, with_both


@pytest.fixture
def pair(host):
    with with_both(UnitFleet(host)) as fleet:
        yield fleet


def play(fleet, action, check=False):
    """Run the role once, in the container; returns what it registered, and the whole output."""
    out = fleet.dir / "result.json"
    out.unlink(missing_ok=True)
    content = "{{ {'info': _service_info | default({}), 'result': _service_result | default({})} }}"
    role = {"name": "fleetops.gunicorn.service"}
    tasks = [
        {"name": "Act", "ansible.builtin.include_role": role, "vars": action},
        {"name": "Tell", "ansible.builtin.copy": {"content": content, "dest": str(out)},
         "check_mode": False},
    ]  # fmt: skip
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "app_home": str(fleet.home),
        "app_program": "app",
        "app_health_url": fleet.url,
        "service_manager": "systemd",
    }
    book = fleet.dir / "play.yml"
    book.write_text(json.dumps([{
        "name": "Play", "hosts": "web1", "gather_facts": False, "vars": variables, "tasks": tasks,
    }]))  # fmt: skip
    words = [BIN / "ansible-playbook", "-i", "web1,", "--diff", book, *["--check"] * check]
    done = fleet.host.run(
        "env", f"--chdir={ROOT}", *words,
        variables=[f"PATH={os.environ['PATH']}", "ANSIBLE_FORCE_COLOR=0", "HOME=/tmp"],
        check=False,
    )  # fmt: skip
    return json.loads(out.read_text()) if out.exists() else {}, done.stdout + done.stderr


def test_the_role_looks_plans_switches_and_goes_back(pair):
    pair.start()
    pair.up()
    switch = {
        "service_action": "activate",
        "service_release": pair.new,
        "service_expect_gunicorn": NEW,
    }
    _found, said = play(pair, switch, check=True)
    assert f'+    "gunicorn": "{NEW}"' in said, said
    assert pair.get()["gunicorn"] == OLD
    found, said = play(pair, {"service_action": "info"})
    assert found["info"]["program"]["said"] == "active (running)", said
    found, said = play(pair, switch)
    assert found["result"]["changed"], said
    assert pair.get()["arbiter"] == found["result"]["generation"]["pid"]
    back = {"service_action": "activate", "service_release": pair.old}
    found, said = play(pair, {**back, "service_reason": "rollback", "service_kill_after": 3})
    assert found["result"]["changed"], said
    assert pair.get()["gunicorn"] == OLD


# --- rights ---------------------------------------------------------------------------------------


def polkit_rule():
    """The rule that docs/systemd.md tells to copy, as it stands there."""
    text = (ROOT / "docs/systemd.md").read_text()
    block = re.search(r"^    // (/etc/polkit-1/rules\.d/\S+)\n((?:    .*\n)+)", text, re.M)
    return block.group(1), re.sub(r"(?m)^    ", "", block.group(2))


def test_the_application_s_user_needs_the_rule_and_nothing_more(pair):
    """Without root: refused with what to do, and with the rule of the documentation it works."""
    host = pair.host
    if host.run("test", "-x", "/usr/lib/polkit-1/polkitd", check=False).returncode:
        pytest.fail("polkitd is not installed: run tests/setup_containers.sh as root")
    host.run("sh", "-c", "id app || useradd --system --home-dir / app")
    host.run("chown", "-R", "app:", pair.dir)
    pair.start(more="User=app\n")
    pair.up()
    options = pair.switch_options(pair.new)
    del options["state_directory"]
    user = ("runuser", "-u", "app", "--")
    done = host.module("active_release", options, words=user)
    assert "allow it to this user by a rule of polkit" in done["msg"], done
    assert pair.get()["gunicorn"] == OLD
    path, rule = polkit_rule()
    pair.write(path, rule)
    host.run("systemctl", "restart", "polkit", check=False)
    done = host.module("active_release", options, words=user)
    assert done.get("changed"), done
    assert pair.get()["gunicorn"] == NEW
    # Of this unit alone.
    other = host.run(*user, "systemctl", "--no-ask-password", "stop", "dbus.service", check=False)
    assert other.returncode


def test_a_unit_of_the_user_s_own_systemd(pair):
    host = pair.host
    host.run("sh", "-c", "id app || useradd --system --home-dir / app")
    host.run("chown", "-R", "app:", pair.dir)
    uid = host.run("id", "-u", "app").stdout.strip()
    host.run("systemctl", "start", f"user@{uid}.service")
    pair.write(
        "/etc/systemd/user/app.service",
        f"[Service]\nType=notify\nWorkingDirectory={pair.home}\n"
        f"ExecStart={pair.home}/venv/bin/gunicorn -w 2 -b 127.0.0.1:{pair.port} wsgi:app\n"
        f"StandardError=append:{pair.log}\n{SETTINGS}",
    )
    user = ("runuser", "-u", "app", "--")
    own = (*user, "env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "systemctl", "--user")
    try:
        host.run(*own, "daemon-reload")
        host.run(*own, "start", "app")
        pair.up()
        options = pair.switch_options(pair.new, systemd_scope="user")
        del options["state_directory"]
        done = host.module("active_release", options, words=user)
        assert done.get("changed"), done
        answer = pair.get()
        assert (answer["gunicorn"], answer["arbiter"]) == (NEW, done["generation"]["pid"])
        looked = {"home": str(pair.home), "program": "app", "manager": "systemd"}
        info = host.module("gunicorn_info", {**looked, "systemd_scope": "user"}, words=user)
        assert (info["program"]["user"], info["deviations"]) == ("app", [])
    finally:
        host.run("systemctl", "stop", f"user@{uid}.service", check=False)
