# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Socket activation by a real systemd: clients that come in the middle of a switch wait."""

import sys

import pytest

from tests.integration.service_support import NEW, OLD, ROOT
from tests.integration.socket_support import SocketFleet
from tests.integration.systemd_support import SETTINGS, links_to, with_both
from tests.integration.test_systemd_role import play


@pytest.fixture
def pair(host):
    with with_both(SocketFleet(host)) as fleet:
        yield fleet


def nothing_lost(told):
    assert told["lost"] == [] and told["sent"] > 100, told


def test_who_comes_in_the_middle_waits_and_no_old_release_is_started(pair):
    pair.serve()
    with pair.clients() as told:
        done = pair.activate(pair.new, gunicorn=NEW)
        assert done.get("changed"), done.get("msg", done)
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {NEW}
    assert pair.get()["gunicorn"] == NEW
    assert pair.gates() == ""
    # There is nothing more to do, and the way back is as quiet.
    assert pair.activate(pair.new)["changed"] is False
    with pair.clients() as told:
        back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
        assert back.get("changed"), back
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {OLD}


def test_several_sockets_and_a_network_of_its_own(pair):
    """One of each kind; gunicorn sees no interface, and serves by what systemd listens on."""
    pair.keep("FileDescriptorName=web\n")
    pair.keep(
        "SocketMode=0666\nService=app.service\n", "app-unix.socket", f"ListenStream={pair.path}"
    )
    other = pair.port + 1
    pair.keep("Service=app.service\n", "app-6.socket", f"ListenStream={other}")
    sandbox = f"ProtectSystem=strict\nPrivateTmp=yes\nReadWritePaths={pair.dir}\n"
    pair.serve(more=f"PrivateNetwork=yes\n{sandbox}")
    places = sorted([f"127.0.0.1:{pair.port}", f"[::]:{other}", f"unix:{pair.path}"])
    assert pair.info()["listeners"] == places
    with pair.clients(pair.port, pair.path, other) as told:
        done = pair.activate(pair.new, gunicorn=NEW, url=f"unix:{pair.path}:/healthz")
        assert done.get("changed"), done.get("msg", done)
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {NEW}
    assert pair.info()["listeners"] == places


# --- what others do in the middle, and a run that is killed ---------------------------------------


@pytest.mark.parametrize(
    "shell",
    ["systemctl daemon-reload", "systemctl restart --no-block app", "systemctl stop app"],
)
def test_what_others_do_to_it_meanwhile(pair, shell):
    pair.serve()
    with pair.clients() as told:
        said = pair.activate_and("control.stop", shell, pair.new)
        assert '"changed": true' in said.stdout, said
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {NEW}


BOUNDARIES = {
    "activation._hold": OLD,
    "manager.stop": OLD,
    "control.stop": OLD,
    "link.flip": NEW,
    "systemctl.reset_failed": NEW,
    "systemctl.order": None,
    "control.start": NEW,
    "prover.prove": NEW,
}


@pytest.mark.parametrize("point", BOUNDARIES)
def test_a_run_that_is_killed_leaves_nobody_waiting(pair, point):
    """Whoever waits is let in as soon as the run is gone; the next one goes on from there."""
    pair.serve()
    with pair.clients() as told:
        said = pair.activate_and(point, "kill -9 $PPID", pair.new)
        assert said.returncode == 137, said
        answer = pair.get()
        assert answer["gunicorn"] in (BOUNDARIES[point] or (OLD, NEW)), answer
        done = pair.activate(pair.new, gunicorn=NEW)
        assert "changed" in done and not done.get("failed"), done
        assert pair.get()["gunicorn"] == NEW
    nothing_lost(told)
    assert told["slowest"] < 20
    assert pair.gates() == ""


def test_a_run_that_stands_still_holds_nobody_up_for_ever(pair):
    """The gate is bounded, and a switch that comes too late is none."""
    pair.serve()
    with pair.clients() as told:
        gates = "$(systemctl show --property=Id --value 'fleetops-gate-*')"
        said = pair.activate_and("control.stop", f"systemctl stop {gates}; sleep 2", pair.new)
    assert "did not keep others from starting app.service any more" in said.stdout, said
    assert "The old program was started again." in said.stdout
    assert links_to(pair) == f"releases/{pair.old}"
    nothing_lost(told)
    code = (
        "from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import"
        " gate, systemctl\nimport time\n"
        "each = gate.Gate(systemctl.ask(False), False, 'app.service', 'x')\n"
        "each.close(1)\nassert each.holds()\ntime.sleep(6)\nassert not each.holds()\n"
    )
    path = f"PYTHONPATH={ROOT}/.collections"
    pair.host.run(sys.executable, "-c", code, variables=[path])


def test_a_stop_that_overruns_lets_them_in_again(pair):
    pair.serve(settings="KillMode=mixed\nTimeoutStopSec=6\n")
    with pair.clients() as told:
        pair.host.run("sh", "-c", f"curl -s -m 60 {pair.url[:-8]}/slow/50 >/dev/null & sleep 1")
        done = pair.activate(pair.new, stop_timeout=2)
    assert "The old program was started again." in done["msg"], done
    nothing_lost(told)
    assert pair.boots(told["begin"]) <= {OLD}
    assert pair.gates() == ""


# --- a release that does not start ----------------------------------------------------------------


def test_a_release_that_takes_its_socket_with_it_is_taken_back(pair):
    """A unit that cannot be started any more fails its socket, too: then there are no listeners."""
    pair.serve(
        settings=SETTINGS + "RestartSec=100ms\n",
        section="StartLimitIntervalSec=300\nStartLimitBurst=3\n",
        kind="simple",
    )
    pair.trouble(NEW, "import")
    done = pair.activate(pair.new)
    assert done["failed"], done
    pair.host.run(
        "sh", "-c", "for n in $(seq 300); do systemctl is-failed -q app.socket && break; sleep .1;"
        f" curl -s -m 1 {pair.url}; done",
    )  # fmt: skip
    assert pair.host.show("app.socket", "Result") == "service-start-limit-hit"
    assert "app.socket" in [each["setting"] for each in pair.info()["deviations"]]
    back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
    assert back.get("changed"), back
    assert pair.get()["gunicorn"] == OLD
    with pair.clients() as told:
        assert pair.activate(pair.old, restart=True)["changed"]
    nothing_lost(told)


def test_a_unit_that_listens_elsewhere_because_its_socket_was_down_is_put_right(pair):
    """gunicorn without listeners of systemd takes 127.0.0.1:8000, and answers systemctl with 0."""
    pair.serve(section="Description=without Requires=\n")
    drop_in = f"/etc/systemd/system/{pair.unit}.d/never.conf"
    pair.write(drop_in, "[Unit]\nConditionPathExists=/nosuch\n")
    pair.host.systemctl("daemon-reload")
    pair.host.systemctl("stop", "app.service")
    pair.host.run("sh", "-c", f"for n in $(seq 9); do curl -s -m 1 {pair.url}; done", check=False)
    assert pair.host.show("app.socket", "Result") == "trigger-limit-hit"
    pair.host.run("rm", drop_in)
    pair.host.systemctl("daemon-reload")
    pair.host.run("systemctl", "start", "app.service")
    assert pair.get() is None
    assert pair.info()["listeners"] == ["127.0.0.1:8000"]
    # The wanted release runs, but does not serve.
    done = pair.activate(pair.old, url=None)
    assert done.get("changed"), done.get("msg", done)
    assert pair.info()["listeners"] == [f"127.0.0.1:{pair.port}"]
    assert pair.get()["gunicorn"] == OLD


# --- the boot test, findings, and what is refused -------------------------------------------------


def test_a_trial_does_not_take_the_sockets(pair):
    pair.serve(more=f"PrivateTmp=yes\nProtectSystem=strict\nReadWritePaths={pair.dir}\n")
    with pair.clients() as told:
        info = pair.info()
        done = pair.host.module("release", {
            "state": "checked", "home": str(pair.home), "path": str(pair.releases / pair.new),
            "like_pid": info["arbiter"]["pid"], "command": info["program"]["command"],
            "directory": info["program"]["directory"], "user": info["program"]["user"],
            "unit": info["program"]["name"],
        })  # fmt: skip
        assert done.get("checks", {}).get("boot"), done
    nothing_lost(told)
    assert pair.info()["arbiter"]["pid"] == info["arbiter"]["pid"]


def findings(fleet):
    return {each["setting"]: each["value"] for each in fleet.info()["deviations"]}


def test_a_good_unit_has_no_findings(pair):
    pair.serve()
    info = pair.info()
    assert (info["deviations"], info["refusals"]) == ([], [])


def test_what_makes_it_less_safe_is_told(pair):
    pair.keep("FlushPending=yes\n[Unit]\nPartOf=app.service\n")
    pair.serve(section="Description=without Requires=\n")
    assert findings(pair) == {
        "FlushPending of app.socket": "yes",
        "PartOf or BindsTo of app.socket": "app.service",
        "Requires": "",
    }
    # It stops with the service, and is started with it.
    done = pair.activate(pair.new, gunicorn=NEW)
    assert done.get("changed"), done.get("msg", done)
    pair.host.systemctl("stop", "app.socket")
    assert findings(pair)["app.socket"] == "inactive"
    assert pair.activate(pair.old, gunicorn=OLD, reason="rollback").get("changed")
    assert pair.host.show("app.socket", "ActiveState") == "active"


def test_only_root_may_let_clients_wait(pair):
    pair.host.run("sh", "-c", "id app || useradd --system --home-dir / app")
    pair.host.run("chown", "-R", "app:", pair.dir)
    pair.serve(more="User=app\n")
    options = pair.switch_options(pair.new)
    del options["state_directory"]
    before = pair.pid()
    done = pair.host.module("active_release", options, words=("runuser", "-u", "app", "--"))
    assert "Nothing was stopped: app.service is started by its clients (app.socket)" in done["msg"]
    assert pair.pid() == before


def test_a_socket_of_two_services_is_refused(pair):
    pair.keep("Service=other.service\n")
    pair.write("/etc/systemd/system/other.service", "[Service]\nExecStart=/bin/sleep 999\n")
    pair.serve(more="Sockets=app.socket\n")
    (refused,) = pair.info()["refusals"]
    assert "app.socket starts other.service as well" in refused
    assert pair.activate(pair.new)["msg"].startswith("Nothing was stopped: ")


def test_a_gunicorn_that_does_not_take_its_listeners_is_refused(pair):
    """The wrapper has them, and gunicorn sees that they are not meant for it."""
    pair.keep(listen=f"ListenStream={pair.path}")
    command = f"/bin/sh -c '{pair.home}/venv/bin/gunicorn -b 127.0.0.1:{pair.port} wsgi:app; true'"
    pair.serve(kind="exec", command=command)
    (refused,) = pair.info()["refusals"]
    before = pair.pid()
    assert f"the listeners of app.socket, but for process {before}" in refused
    assert refused in pair.activate(pair.new)["msg"]
    assert pair.pid() == before


def test_a_socket_of_the_user_s_own_systemd(pair):
    host = pair.host
    host.run("sh", "-c", "id app || useradd --system --home-dir / app")
    host.run("chown", "-R", "app:", pair.dir)
    uid = host.run("id", "-u", "app").stdout.strip()
    host.run("systemctl", "start", f"user@{uid}.service")
    pair.write("/etc/systemd/user/app.socket", f"[Socket]\nListenStream=127.0.0.1:{pair.port}\n")
    pair.write(
        "/etc/systemd/user/app.service",
        f"[Unit]\nRequires=app.socket\n[Service]\nType=notify\nWorkingDirectory={pair.home}\n"
        f"ExecStart={pair.home}/venv/bin/gunicorn -w 2 wsgi:app\n"
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
        with pair.clients() as told:
            done = host.module("active_release", options, words=user)
            assert done.get("changed"), done.get("msg", done)
        nothing_lost(told)
        assert pair.boots(told["begin"]) == {NEW}
        assert pair.get()["gunicorn"] == NEW
    finally:
        host.run("systemctl", "stop", f"user@{uid}.service", check=False)


def test_the_role_switches_and_goes_back(pair):
    pair.serve()
    switch = {"service_action": "activate", "service_release": pair.new}
    with pair.clients() as told:
        found, said = play(pair, switch)
        assert found["result"]["changed"], said
        assert pair.get()["gunicorn"] == NEW
        back = {**switch, "service_release": pair.old, "service_reason": "rollback"}
        found, said = play(pair, {**back, "service_kill_after": 3})
        assert found["result"]["changed"], said
    nothing_lost(told)
    assert pair.get()["gunicorn"] == OLD
