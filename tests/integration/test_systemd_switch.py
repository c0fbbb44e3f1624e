# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""active_release and gunicorn_info against a real systemd, as process 1 of a container."""

import pytest

from tests.integration.service_support import NEW, OLD, new_python
from tests.integration.systemd_support import SETTINGS, UnitFleet, links_to, with_both


@pytest.fixture
def pair(host):
    with with_both(UnitFleet(host)) as fleet:
        yield fleet


def findings(fleet):
    return {each["setting"]: each for each in fleet.info()["deviations"]}


# --- the way there and back -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["notify", "simple", "exec", "forking"])
def test_switches_and_goes_back(pair, kind):
    command = ""
    if kind == "forking":
        command = (
            f"{pair.home}/venv/bin/gunicorn --daemon --error-logfile {pair.log} -w 2"
            f" -b 127.0.0.1:{pair.port} --pid {pair.dir}/app.pid wsgi:app"
        )
    pair.start(kind, more=f"PIDFile={pair.dir}/app.pid\n" if command else "", command=command)
    before = pair.up()
    plan = pair.activate(pair.new, check=True)
    assert plan["changed"] and links_to(pair) == f"releases/{pair.old}", plan
    done = pair.activate(pair.new, gunicorn=NEW, python=new_python())
    assert done["changed"], done
    answer = pair.get()
    assert (answer["gunicorn"], answer["arbiter"]) == (NEW, pair.pid())
    assert done["generation"]["pid"] == answer["arbiter"] != before["arbiter"]
    assert pair.activate(pair.new)["changed"] is False
    back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
    assert (back["changed"], back["previous"]) == (True, pair.new), back
    assert pair.get()["gunicorn"] == OLD


def test_an_instance_of_a_template_and_its_sister_is_left_alone(pair):
    text = f"{pair.home}/venv/bin/gunicorn -w 2 -b 127.0.0.1:%i wsgi:app"
    pair.port = 8001
    pair.url = "http://127.0.0.1:8001/healthz"
    pair.start(unit="app@1.service", command=text.replace("%i", "800%i"))
    pair.host.systemctl("start", "app@2.service")
    pair.up()
    sister = pair.host.show("app@2.service", "MainPID")
    done = pair.activate(pair.new, gunicorn=NEW)
    assert done["changed"], done
    assert pair.get()["gunicorn"] == NEW
    assert pair.host.show("app@2.service", "MainPID") == sister != "0"
    assert findings(pair)["virtualenv"]["value"] == "app@2.service of systemd"


def test_a_sandbox_is_looked_into(pair):
    """Its processes see other files than we do, and are no container's."""
    sandbox = (
        "PrivateTmp=yes\nProtectSystem=strict\nPrivateDevices=yes\nNoNewPrivileges=yes\n"
        f"ReadWritePaths={pair.dir}\n"
    )
    pair.start(more=sandbox)
    pair.up()
    done = pair.activate(pair.new, gunicorn=NEW)
    assert done["changed"], done
    info = pair.info()
    assert (info["orphans"], info["unmanaged"], info["unread"]) == ([], [], [])
    assert info["logs"] == [str(pair.log)]


# --- a release that does not stay up --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["notify", "simple"])
def test_a_release_that_dies_at_once_is_found_and_taken_back(pair, kind):
    """systemctl start answers 0, and says active for a moment; systemd goes on starting it."""
    pair.start(
        kind,
        settings=SETTINGS + "RestartSec=100ms\n",
        section="StartLimitIntervalSec=300\nStartLimitBurst=3",
    )
    pair.up()
    pair.trouble(NEW, "import")
    done = pair.activate(pair.new)
    assert done["failed"], done
    assert "did not stay up" in done["msg"] or "was not proved" in done["msg"], done["msg"]
    assert "RuntimeError: api_key=*** cannot start on this Python" in done["msg"]
    # Until systemd gives up: the way back must not be refused for that.
    pair.host.run(
        "sh", "-c", "for n in $(seq 300); do systemctl is-failed -q app && break; sleep .1; done"
    )
    refused = pair.host.run("systemctl", "start", "app", check=False)
    assert refused.returncode, "the start limit has not been hit"
    back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
    assert back["changed"], back
    assert pair.get()["gunicorn"] == OLD


def test_what_systemd_cannot_execute_is_told(pair):
    pair.start("exec")
    pair.up()
    (pair.releases / pair.new / "bin/gunicorn").unlink()
    done = pair.activate(pair.new)
    assert "systemd could not execute its command (203/EXEC)" in done["msg"], done["msg"]
    assert pair.activate(pair.old, reason="rollback")["changed"]


def test_a_stop_that_overruns_changes_nothing_and_starts_again(pair):
    pair.start(settings="KillMode=mixed\nTimeoutStopSec=6\n")
    pair.up()
    pair.host.run(
        "sh", "-c", f"curl -s -m 60 http://127.0.0.1:{pair.port}/slow/50 >/dev/null & sleep 1"
    )
    done = pair.activate(pair.new, stop_timeout=2)
    assert "after 2 s these processes still run" in done["msg"], done["msg"]
    assert "The old program was started again." in done["msg"]
    assert links_to(pair) == f"releases/{pair.old}"
    assert pair.up()["gunicorn"] == OLD


# --- findings, and what is refused ----------------------------------------------------------------


def test_settings_that_make_a_switch_less_safe_are_told(pair):
    pair.start(
        settings="Restart=no\nKillMode=control-group\nTimeoutStopSec=5\nWatchdogSec=1h\n"
        "KillSignal=SIGQUIT\n"
    )
    pair.up()
    found = findings(pair)
    assert {name: each["value"] for name, each in found.items() if name != "virtualenv"} == {
        "Restart": "no",
        "KillMode": "control-group",
        "TimeoutStopSec": "5",
        "WatchdogSec": "1h",
        "KillSignal": "QUIT",
    }
    drop_in = f"/etc/systemd/system/{pair.unit}.d/more.conf"
    pair.write(drop_in, "[Service]\nKillMode=mixed\n")
    pair.host.systemctl("daemon-reload")
    assert "KillMode" not in findings(pair)
    pair.write(drop_in, "[Service]\nKillMode=process\n")
    assert findings(pair)["NeedDaemonReload"]["value"] == "yes"
    pair.host.systemctl("daemon-reload")
    found = findings(pair)
    assert "NeedDaemonReload" not in found and found["KillMode"]["value"] == "process", found


def test_a_good_unit_has_no_findings(pair):
    pair.start()
    pair.up()
    assert findings(pair) == {}
    assert pair.info()["refusals"] == []


def test_a_unit_that_logs_nowhere_has_no_log_that_is_read(pair):
    """Never taken for a clean one: preflight refuses a server without a log."""
    pair.start(more="StandardOutput=null\nStandardError=null\n")
    pair.up()
    info = pair.info()
    assert info["logs"] == []
    assert "/dev/null" in info["sinks"][0]["to"] and info["sinks"][0]["why"]
    done = pair.host.module("log_check", {"paths": info["logs"]})
    assert "there is no log to look at" in done["msg"]
    done = pair.host.module("log_check", pair.options())
    assert "systemd names no log that can be read. Set StandardError=append:" in done["msg"], done


def refused(pair, text):
    before = (links_to(pair), pair.pid())
    assert any(text in each for each in pair.info()["refusals"]), pair.info()["refusals"]
    done = pair.activate(pair.new)
    assert done["msg"].startswith("Nothing was stopped: ") and text in done["msg"], done
    assert (links_to(pair), pair.pid()) == before


def test_a_unit_that_others_stop_with_is_refused(pair):
    pair.write(
        "/etc/systemd/system/worker.service",
        "[Unit]\nPartOf=app.service\n[Service]\nExecStart=/bin/sleep 9999\n",
    )
    pair.start(section="Wants=worker.service")
    pair.up()
    refused(pair, "systemd stops worker.service whenever app.service is stopped")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nosuch", "'nosuch' of systemd is not-found"),
        ("app.socket", "is no service of systemd"),
        ("app@", "is a template"),
    ],
)
def test_a_name_that_is_no_unit_is_told(pair, name, text):
    pair.unit = name
    assert text in pair.info()["msg"]
