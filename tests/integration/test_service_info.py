# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""gunicorn_info against real supervisords and gunicorns, started in every way that people do."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.service_support import (
    NEW,
    OLD,
    ROOT,
    Fleet,
    interpreters,
    new_python,
    old_python,
    run_module,
    wait_for,
)


@pytest.fixture
def fleet():
    fleet = Fleet()
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def ready():
    """A fleet that read-only tests share."""
    fleet = Fleet()
    fleet.link(fleet.release(NEW, new_python()))
    fleet.start()
    fleet.up()
    yield fleet
    fleet.close()


def signalled(pid, number):
    os.kill(pid, number)


def test_tells_versions_workers_and_listeners_of_an_ordinary_program(ready):
    found = ready.info()
    answer = ready.get()
    arbiter = found["arbiter"]
    assert found["changed"] is False
    assert arbiter["pid"] == answer["arbiter"] == found["program"]["pid"]
    assert (arbiter["gunicorn"], arbiter["python"]) == (NEW, answer["python"])
    assert arbiter["release"] == found["venv"]["release"] == f"{NEW}-py{new_python()}-00000000"
    assert arbiter["prefix"] == found["venv"]["target"] == os.path.realpath(ready.home / "venv")
    assert arbiter["workers_wanted"] == len(found["workers"]) == 2
    assert answer["worker"] in [each["pid"] for each in found["workers"]]
    assert found["listeners"] == [f"127.0.0.1:{ready.port}"]
    assert found["orphans"] == found["unmanaged"] == found["unread"] == []
    assert found["logs"] == [f"{ready.dir}/app.out.log", f"{ready.dir}/app.err.log"]
    assert abs(arbiter["started"] - os.stat(f"/proc/{arbiter['pid']}").st_ctime) < 2
    assert found["program"]["command"].startswith(str(ready.home))


WAYS = {
    "module": "{venv}/bin/python -u -m gunicorn {args}",
    "env": "env X=1 {venv}/bin/gunicorn {args}",
    "exec": "{home}/run.sh",
    "child": "{home}/child.sh",
    "path": "env PATH={venv}/bin:/usr/bin:/bin gunicorn {args}",
    "relative": "/bin/sh -c 'cd {home} && exec venv/bin/gunicorn {args}'",
}


@pytest.mark.parametrize("way", WAYS)
def test_finds_the_arbiter_however_it_was_started(fleet, way):
    name = fleet.release(NEW, new_python())
    fleet.link(name)
    args = f"-w 2 -b 127.0.0.1:{fleet.port} wsgi:app"
    fleet.script(f"#!/bin/sh\nsleep 0.1\nexec {fleet.home}/venv/bin/gunicorn {args}\n")
    fleet.script(f"#!/bin/sh\n{fleet.home}/venv/bin/gunicorn {args}\nexit $?\n", "child.sh")
    fleet.start(WAYS[way])
    answer = fleet.up()
    found = fleet.info()
    assert found["arbiter"]["pid"] == answer["arbiter"]
    assert found["arbiter"]["release"] == name
    assert len(found["workers"]) == 2
    assert found["listeners"] == [f"127.0.0.1:{fleet.port}"]
    settings = [each["setting"] for each in found["deviations"]]
    assert ("command" in settings) == (way == "child")
    assert (found["program"]["pid"] == answer["arbiter"]) == (way != "child")


def test_its_own_logs_are_found_by_what_it_has_open_and_requests_make_none_heard(fleet):
    """A relative -c, a chdir and a logging of its own: only the running arbiter knows its logs."""
    fleet.link(fleet.release(NEW, new_python()))
    (fleet.home / "conf").mkdir()
    (fleet.home / "src").mkdir()
    (fleet.home / "wsgi.py").rename(fleet.home / "src/wsgi.py")
    (fleet.home / "conf/g.py").write_text("""
chdir = "src"
accesslog = "-"
logconfig_dict = {
    "version": 1, "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["file"]},
    "formatters": {"own": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler", "filename": "../own-error.log",
            "formatter": "own", "maxBytes": 1000000, "backupCount": 2,
        },
    },
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["file"], "propagate": False}},
}
""")
    fleet.start("{venv}/bin/gunicorn -c conf/g.py {args}")
    fleet.up()
    found = fleet.info()
    own = str(fleet.home / "own-error.log")
    program = [f"{fleet.dir}/app.out.log", f"{fleet.dir}/app.err.log"]
    assert found["logs"] == [*program, own]
    assert {each["kind"] for each in found["sinks"] if not each["why"]} == {"file", "pipe"}
    who = {"arbiter_pid": found["arbiter"]["pid"], "since": str(found["arbiter"]["started"])}
    assert run_module("log_check", {"paths": found["logs"], **who})["tells"] == "start"
    assert run_module("log_check", {"paths": program, **who})["tells"] == ""


def test_finds_the_arbiter_under_newrelic_admin(fleet):
    name = fleet.release(NEW, new_python(), "newrelic")
    fleet.link(name)
    fleet.start(
        "{venv}/bin/newrelic-admin run-program {venv}/bin/gunicorn {args}",
        environment=',NEW_RELIC_MONITOR_MODE="false",NEW_RELIC_LICENSE_KEY="0123456789"',
    )
    answer = fleet.up()
    found = fleet.info()
    assert (found["arbiter"]["pid"], found["arbiter"]["release"]) == (answer["arbiter"], name)
    assert "0123456789" not in str(found)


def test_finds_the_arbiter_behind_a_rewritten_title(fleet):
    name = fleet.release(NEW, new_python(), "setproctitle")
    fleet.link(name)
    fleet.start()
    answer = fleet.up()
    wait_for(lambda: b"worker" in Path(f"/proc/{answer['worker']}/cmdline").read_bytes())
    found = fleet.info()
    assert found["arbiter"]["cmdline"][0].startswith("gunicorn: master")
    assert (found["arbiter"]["pid"], found["arbiter"]["release"]) == (answer["arbiter"], name)
    assert found["arbiter"]["workers_wanted"] == 2
    assert len(found["workers"]) == 2


def test_tells_several_addresses_and_options_of_a_config_file(fleet):
    fleet.link(fleet.release(OLD, old_python()))
    (fleet.home / "gunicorn.conf.py").write_text(
        f"bind = ['127.0.0.1:{fleet.port}', 'unix:{fleet.dir}/app.sock']\nworkers = 3\n"
        "threads = 2\nraw_env = ['API_TOKEN=hunter2']\n"
    )
    fleet.start(
        "{venv}/bin/gunicorn -c gunicorn.conf.py --error-logfile own.log wsgi:app",
        environment=',GUNICORN_CMD_ARGS="--graceful-timeout 50 --workers 1"',
    )
    fleet.up()
    found = fleet.info()
    assert found["listeners"] == [f"127.0.0.1:{fleet.port}", f"unix:{fleet.dir}/app.sock"]
    # GUNICORN_CMD_ARGS overrules the file, in gunicorn as here.
    assert found["arbiter"]["workers_wanted"] == len(found["workers"]) == 1
    assert str(fleet.home / "own.log") in found["logs"]
    advice = {each["setting"]: each for each in found["deviations"]}
    assert (advice["stopwaitsecs"]["value"], advice["stopwaitsecs"]["wanted"]) == ("35", "55")
    assert found["settings"]["names"]["threads"] == 2
    assert (found["settings"]["whole"], found["settings"]["error"]) == (True, "")
    assert "hunter2" not in str(found)


def test_reports_each_setting_that_makes_a_stop_unsafe(fleet):
    fleet.link(fleet.release(NEW, new_python()))
    fleet.start(settings="stopsignal=QUIT\nstopasgroup=true\nstartsecs=10")
    fleet.up()
    found = fleet.info()
    assert {each["setting"] for each in found["deviations"]} == {"stopsignal", "stopasgroup"}
    assert found["program"]["stopasgroup"] is True
    assert all(each["why"] for each in found["deviations"])


def test_reports_a_stopped_program(fleet):
    fleet.directory_venv(OLD, old_python())
    fleet.start(settings="autostart=false")
    found = fleet.info()
    assert (found["program"]["state"], found["arbiter"]) == ("STOPPED", None)
    assert (found["venv"]["kind"], found["venv"]["gunicorn"]) == ("directory", OLD)
    assert found["venv"]["adopt_as"].startswith(f"adopted-{OLD}-py{old_python()}-")


def test_a_flipped_link_does_not_change_what_an_old_process_is(fleet):
    """Through the link it seems to run the new release; it is younger files, older process."""
    old, new = fleet.release(OLD, old_python()), fleet.release(NEW, new_python())
    fleet.link(old)
    fleet.start("{venv}/bin/python {venv}/bin/gunicorn {args}")
    fleet.up()
    assert fleet.info()["arbiter"]["release"] == old
    time.sleep(0.2)
    (fleet.home / "next").symlink_to(f"releases/{new}")
    (fleet.home / "next").rename(fleet.home / "venv")
    found = fleet.info()
    assert found["venv"]["release"] == new
    assert found["arbiter"]["prefix"] is None
    assert found["arbiter"]["gunicorn"] is None
    assert found["arbiter"]["python"].startswith(old_python())


def test_reports_the_left_over_of_usr2(fleet):
    name = fleet.release(NEW, new_python())
    fleet.link(name)
    fleet.start(settings="autorestart=false")
    first = fleet.up()["arbiter"]
    signalled(first, signal.SIGUSR2)

    def with_unmanaged():
        info = fleet.info()
        return info if info["unmanaged"] else None

    found = wait_for(with_unmanaged)
    assert found["arbiter"]["pid"] == first
    assert len(found["workers"]) == 2
    second = found["unmanaged"][0]
    wait_for(lambda: fleet.info()["unmanaged"][0]["listeners"])
    assert second["ppid"] == first
    signalled(first, signal.SIGTERM)
    wait_for(lambda: fleet.ctl("status", "app").split()[1] == "EXITED")
    found = fleet.info()
    assert found["arbiter"] is None
    assert [each["pid"] for each in found["unmanaged"]] == [second["pid"]]
    assert found["unmanaged"][0]["listeners"] == [f"127.0.0.1:{fleet.port}"]
    assert found["unmanaged"][0]["program"] is None


def test_reports_orphans_and_what_they_hold(fleet):
    fleet.link(fleet.release(NEW, new_python()))
    fleet.start(
        "{venv}/bin/gunicorn -w 1 -t 600 -b 127.0.0.1:{port} wsgi:app",
        settings="autorestart=false",
    )
    answer = fleet.up()
    threading.Thread(target=fleet.get, args=("/slow/20",), daemon=True).start()
    time.sleep(0.5)
    signalled(answer["arbiter"], signal.SIGKILL)
    wait_for(lambda: not fleet.pid())
    found = fleet.info()
    assert [(o["pid"], o["listeners"]) for o in found["orphans"]] == [
        (answer["worker"], [f"127.0.0.1:{fleet.port}"])
    ]
    assert found["unmanaged"] == []


def test_another_program_of_the_same_home_is_not_a_left_over(fleet):
    fleet.link(fleet.release(NEW, new_python()))
    second = f"{fleet.home}/venv/bin/gunicorn -w 1 -b unix:{fleet.dir}/two.sock wsgi:app"
    fleet.start(settings=f"[program:two]\ncommand={second}\ndirectory={fleet.home}")
    fleet.up()
    wait_for((fleet.dir / "two.sock").exists)
    found = fleet.info()
    assert found["unmanaged"] == []
    (two,) = found["beside"]
    assert (two["program"], two["gunicorn"]) == ("two:two", True)
    assert two["listeners"] == [f"unix:{fleet.dir}/two.sock"]
    assert "two:two" in [each["value"] for each in found["deviations"]]


# --- errors ---------------------------------------------------------------------------------------


def test_names_the_programs_that_exist(ready):
    found = ready.info(program="web")
    assert found["failed"]
    assert "has no program 'web'. It has: app, other" in found["msg"]


def test_a_group_of_several_must_be_told_apart(fleet):
    fleet.directory_venv(NEW, new_python())
    fleet.start(settings="autostart=false\nnumprocs=2\nprocess_name=app_%(process_num)d")
    assert "several processes of supervisord: app:app_0, app:app_1" in fleet.info()["msg"]
    assert fleet.info(program="app:app_1")["program"]["name"] == "app_1"


def test_says_that_there_is_no_socket(ready):
    found = ready.info(supervisor_url="unix:///nowhere/s.sock")
    assert "there is no such socket" in found["msg"]


def test_says_that_nobody_listens(ready):
    stale = ready.dir / "stale.sock"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(stale))
    sock.close()
    assert "left-over" in ready.info(supervisor_url=f"unix://{stale}")["msg"]


def test_does_not_hang_on_a_supervisord_that_does(ready):
    path = ready.dir / "hung.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(1)
        found = ready.info(supervisor_url=f"unix://{path}")
    assert "no complete answer within 10 s" in found["msg"]


def test_http_with_a_password(fleet):
    port = fleet.port + 1 if fleet.port < 65000 else fleet.port - 1
    fleet.directory_venv(NEW, new_python())
    fleet.start(
        http=f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=op\npassword=s3cret\n",
        settings="autostart=false",
    )
    url = f"http://127.0.0.1:{port}"
    found = fleet.info(supervisor_url=url)
    assert "wants a user name and a password. Set" in found["msg"]
    found = fleet.info(supervisor_url=url, supervisor_username="op", supervisor_password="wrong-1")
    assert "other than those given" in found["msg"]
    assert "wrong-1" not in str(found)
    found = fleet.info(supervisor_url=url, supervisor_username="op", supervisor_password="s3cret")
    assert found["program"]["state"] == "STOPPED"
    assert "s3cret" not in str(found)


def test_what_is_not_supervisord_is_said_to_be_none(ready):
    said = ready.info(supervisor_url=f"http://127.0.0.1:{ready.port}")["msg"]
    assert "did not answer in XML-RPC" in said


def test_a_missing_home_is_named(ready):
    found = run_module("gunicorn_info", ready.options(home="/nowhere/app"))
    assert "home /nowhere/app is no directory" in found["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_another_user_says_what_could_not_be_read(fleet):
    """The socket is open to all, /proc of root's processes is not."""
    fleet.link(fleet.release(NEW, new_python()))
    fleet.start()
    fleet.up()
    for path in (fleet.dir, fleet.socket):
        os.chmod(path, 0o777)
    become = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    found = report_from(sys.executable, fleet, become)
    pid = found["arbiter"]["pid"]
    assert found["listeners"] == []
    assert {f"/proc/{pid}/fd", f"/proc/{pid}/exe"} <= set(found["unread"])
    assert found["arbiter"]["gunicorn"] == NEW


def test_the_oldest_python_can_run_the_code(ready):
    """What Ansible would do on a managed host with nothing newer."""
    oldest = min(interpreters(), key=lambda v: int(v.split(".")[1]))
    assert report_from(interpreters()[oldest], ready)["arbiter"]["gunicorn"] == NEW


def report_from(python, fleet, first=""):
    """What the code of gunicorn_info finds without Ansible around it."""
    service = "ansible_collections.fleetops.gunicorn.plugins.module_utils._service.managers"
    code = (
        "import json, sys\n"
        f"from {service} import open_site\n"
        f"{first}\n"
        "site = open_site(json.loads(sys.argv[1]), lambda command: None)\n"
        "print(json.dumps(site.report(site.observe())))\n"
    )
    options = {
        **fleet.options(),
        "supervisor_username": None,
        "supervisor_password": None,
        "manager": "supervisord",
    }
    done = subprocess.run(
        [python, "-c", code, json.dumps(options)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_several_questions_in_one_call_are_answered_as_one_by_one(ready):
    health = {"url": ready.url}
    stages = [
        {"stage": 1, "gunicorn": OLD, "python": new_python()},
        {"stage": 2, "gunicorn": NEW, "python": new_python()},
        {"stage": 3, "gunicorn": "99.0.0", "python": ""},
        {"stage": 4, "gunicorn": "99.0.0", "python": "3.99"},
    ]
    preview = {"stages": stages, "keep": 2}
    told = run_module("server_info", ready.options(health=health, log={}, preview=preview))
    service = ready.info()
    assert told["service"]["arbiter"] == service["arbiter"]
    assert told["service"]["settings"] == service["settings"]
    assert told["health"]["answers"] == run_module("http_health", health)["answers"] == 1
    arbiter = service["arbiter"]
    asked = {"since": str(arbiter["started"]), "arbiter_pid": arbiter["pid"]}
    log = run_module("log_check", {"paths": service["logs"], **asked})
    assert (told["log"]["verdict"], told["log"]["tells"]) == (log["verdict"], log["tells"])
    # What it is past, or on, is not looked at; what names no Python keeps the one before it.
    assert [each["stage"] for each in told["preview"]["stages"]] == [3, 4]
    assert [each["found"] for each in told["pythons"]] == [True, False]
    assert told["prune"]["removed"] == []


def test_an_answer_that_cannot_be_had_keeps_nobody_from_the_others(ready):
    asked = {"health": {"url": "http://127.0.0.1:1/", "timeout": 0.1}, "log": {}}
    told = run_module("server_info", ready.options(**asked))
    assert told["health"]["failed"] and "127.0.0.1:1" in told["health"]["msg"]
    assert told["log"]["verdict"] == "clean"
    nobody = {"stages": []}
    told = run_module("server_info", ready.options(program="nobody", log={}, preview=nobody))
    assert told["service"]["failed"] and "nobody" in told["service"]["msg"]
    assert "log" not in told and "preview" not in told


def test_of_the_options_what_is_secret_is_hidden_and_nothing_else(ready):
    headers = {"Authorization": "Bearer s3cr3t-4711", "Host": "app.example"}
    told = run_module("server_info", ready.options(health={"url": ready.url, "headers": headers}))
    assert "s3cr3t-4711" not in json.dumps(told)
    assert told["invocation"]["module_args"]["health"]["url"] == ready.url
    wrong = run_module("server_info", ready.options(health={"url": ready.url, "timout": 3}))
    assert wrong["failed"] and "timout" in wrong["msg"] and "health" in wrong["msg"]
