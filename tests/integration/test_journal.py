# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real gunicorns under a real systemd that log to a real journal alone, and suffer.

The truth is what was done to them here, never another look at the same journal.
"""

import re
import time

import pytest

from tests.integration.service_support import (
    NEW,
    OLD,
    build_venv,
    interpreters,
    new_python,
    old_python,
    wait_for,
)
from tests.integration.systemd_support import UnitFleet
from tests.integration.test_log_real import FULL, MATRIX, chosen

APP = """
import json, os, sys, time, urllib.parse
import gunicorn

here = os.path.dirname(os.path.abspath(__file__))
if os.path.exists(os.path.join(here, "trouble-" + gunicorn.__version__)):
    raise RuntimeError("cannot start")


def fail():
    raise MemoryError("no room")


def app(environ, start_response):
    path = urllib.parse.unquote(environ["PATH_INFO"])
    if path.startswith("/slow/"):
        time.sleep(float(path[6:]))
    if path.startswith("/noise/"):
        for _ in range(int(path[7:])):
            sys.stderr.write("n" * 4000 + chr(10))
            sys.stderr.flush()
    if path.startswith("/say/"):
        sys.stderr.write(urllib.parse.unquote(environ["QUERY_STRING"]) + chr(10))
        sys.stderr.flush()
    if path == "/trace":
        import traceback
        try:
            fail()
        except MemoryError:
            for line in traceback.format_exc().splitlines():
                sys.stderr.write(line + chr(10))
                sys.stderr.flush()
                time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"arbiter": os.getppid(), "worker": os.getpid(),
                        "gunicorn": gunicorn.__version__}).encode()]
"""
UNLIMITED = "LogRateLimitIntervalSec=0\n"
JOURNAL = "StandardError=journal\n"


class Logged(UnitFleet):
    """A fleet of one whose words go to the journal alone."""

    def __init__(self, host):
        super().__init__(host)
        (self.home / "wsgi.py").write_text(APP)
        self.cursor = str(self.dir / "cursor")

    def begin(self, gunicorn=NEW, python=None, workers=2, more=UNLIMITED, options=""):
        python = python or new_python()
        pin = ["setuptools<81"] if gunicorn.startswith("20.") else []
        if not (self.home / "venv").exists():
            build_venv(self.home / "venv", python, f"gunicorn=={gunicorn}", *pin)
        self.start(
            more=JOURNAL + more,
            command=f"{self.home}/venv/bin/gunicorn -w {workers} {options}"
            f" -b 127.0.0.1:{self.port} wsgi:app",
        )
        if "trouble" not in " ".join(each.name for each in self.home.iterdir()):
            wait_for(self.get)
            wait_for(lambda: len(self.children()) >= workers)
        return self

    def sh(self, text, **more):
        return self.host.run("sh", "-c", text, **more).stdout

    def children(self):
        pid = self.pid()
        text = self.sh(f"cat /proc/{pid}/task/{pid}/children", check=False)
        return [int(each) for each in text.split()]

    def kill(self, *pids, number="KILL"):
        self.host.run("kill", f"-{number}", *pids, check=False)

    def look(self, check=False, words=(), **more):
        options = {"paths": [f"journal:{self.unit}"], "cursor": self.cursor, **more}
        return self.host.module("log_check", options, check, words)

    def whole(self, **more):
        """What the generation that runs has written, as a gate asks."""
        info = self.info()
        arbiter = info["arbiter"]
        return self.host.module(
            "log_check",
            {"paths": info["logs"], "since": str(arbiter["started"]), "arbiter_pid": arbiter["pid"],
             "max_excerpts": 3, **more},
        )  # fmt: skip

    def jam(self, victim):
        """journald reads nothing, the arbiter hangs in the write of a line, and a worker dies."""
        journald = self.host.show("systemd-journald.service", "MainPID")
        arbiter = self.pid()
        self.sh(
            f"kill -STOP {journald}; trap 'kill -CONT {journald}' EXIT;"
            f" curl -s -m 4 http://127.0.0.1:{self.port}/noise/3000 >/dev/null & sleep 2;"
            f" kill -TTIN {arbiter}; sleep 0.5; kill -KILL {victim}; sleep 0.5;"
            f" kill -CONT {journald}; sleep 1"
        )


@pytest.fixture
def fleet(host):
    fleet = Logged(host)
    yield fleet
    fleet.close()


def dead(result):
    return sorted(i["worker_pid"] for i in result["incidents"] if i["event"] == "worker_killed")


# --- the same incidents from the same failures ----------------------------------------------------


def test_a_calm_gunicorn_is_clean_and_heard(fleet):
    fleet.begin()
    info = fleet.info()
    assert info["logs"] == ["journal:app.service"], info["sinks"]
    assert {(each["kind"], each["path"], each["why"]) for each in info["sinks"]} >= {
        ("journal", "journal:app.service", "")
    }
    result = fleet.whole()
    assert (result["verdict"], result["tells"], result["counts"]) == ("clean", "start", {}), result


def newest():
    return max(
        (v for v in interpreters() if 10 <= int(v.split(".")[1]) <= 13),
        key=lambda v: int(v.split(".")[1]),
    )


@pytest.mark.parametrize(
    ("gunicorn", "python", "handler"),
    [("21.2.0", old_python, True), (NEW, new_python, True), ("24.1.1", newest, False)],
)
def test_deaths_are_what_was_done(fleet, gunicorn, python, handler):
    """The matrix of test_log_real: a death while the arbiter writes, then deaths one by one."""
    fleet.begin(gunicorn, python(), workers=3)
    fleet.jam(fleet.children()[-1])
    result = fleet.whole()
    if handler:
        # On a busy machine the arbiter hangs long enough to be caught by another signal as well.
        assert result["counts"].get("reentrant", 0) >= 1, result
        assert result["verdict"] == "dirty"
    else:
        assert result["counts"] == {"worker_killed": 1}, result
    caught = result["counts"].get("reentrant", 0)
    before = set(dead(result))
    killed = []
    for _turn in range(3):
        victim = fleet.children()[-1]
        fleet.kill(victim)
        killed.append(victim)
        wait_for(lambda pid=victim: pid not in fleet.children())
        wait_for(lambda: len(fleet.children()) >= 3)
    result = wait_for(lambda: told if set(killed) <= set(dead(told := fleet.whole())) else None, 20)
    assert sorted(set(dead(result)) - before) == sorted(killed), result
    assert result["counts"].get("reentrant", 0) == caught


@pytest.mark.parametrize(
    ("gunicorn", "python"), [("21.2.0", old_python), (NEW, new_python), ("24.1.1", newest)]
)
def test_a_burst_of_deaths(fleet, gunicorn, python):
    """Nobody is told to be dead who was not killed, and no dead arbiter goes without a reason."""
    fleet.begin(gunicorn, python(), workers=8, more=UNLIMITED + "Restart=no\n")
    arbiter, began = fleet.pid(), time.time() - 30
    killed = fleet.sh(
        f"for turn in 1 2 3 4 5 6 7 8 9 10; do p=$(cat /proc/{arbiter}/task/{arbiter}/children);"
        " echo $p; kill -KILL $p; sleep 0.1; done; sleep 2",
        check=False,
    )
    killed = {int(each) for each in killed.split()}
    result = fleet.look(since=str(began), arbiter_pid=arbiter)
    counts = result["counts"]
    assert set(dead(result)) <= killed and counts.get("worker_killed", 0) <= len(killed), result
    assert counts.get("reentrant", 0) <= len(killed)
    if gunicorn == "24.1.1":
        assert set(counts) == {"worker_killed"} and fleet.pid() == arbiter, counts
    if fleet.pid() != arbiter:
        assert counts.get("reentrant") or counts.get("main_loop_exception"), result


def test_a_worker_timeout_is_told(fleet):
    fleet.begin(options="--timeout 2")
    fleet.get("/slow/20", timeout=10)
    wait_for(lambda: fleet.whole()["counts"].get("worker_timeout") == 1, 20)


def test_a_release_that_cannot_boot_is_told(fleet):
    fleet.trouble(NEW, "import")
    began = time.time()
    fleet.begin(more="Restart=no\n")
    wait_for(lambda: fleet.host.show(fleet.unit, "ActiveState") == "failed")
    result = fleet.look(since=str(began))
    assert result["counts"].get("boot_failure") == 1, result
    assert "worker_exception" in result["counts"] and result["verdict"] == "dirty"


def test_tracebacks_of_several_workers_are_not_mixed_up(fleet):
    fleet.begin(workers=4)
    urls = " ".join([f"http://127.0.0.1:{fleet.port}/trace"] * 4)
    fleet.sh(f"for url in {urls}; do curl -s $url >/dev/null & done; wait")
    text = fleet.sh("journalctl -o cat _SYSTEMD_UNIT=app.service | grep '^MemoryError: no room'")
    assert text.count("\n") == 4, text
    result = fleet.whole()
    assert result["counts"].get("memory_error") == 4, result


def test_a_generation_is_told_by_its_start_alone(fleet):
    fleet.begin()
    victim = fleet.children()[-1]
    fleet.kill(victim)
    wait_for(lambda: fleet.whole()["counts"] == {"worker_killed": 1})
    fleet.host.run("systemctl", "restart", fleet.unit)
    wait_for(fleet.get)
    result = fleet.whole()
    assert (result["verdict"], result["counts"], result["tells"]) == ("clean", {}, "start"), result


# --- whose words ----------------------------------------------------------------------------------


def test_what_strangers_write_is_not_read(fleet):
    fleet.begin()
    line = "[2099-01-01 00:00:00 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:77)"
    before = fleet.look()
    fleet.host.run("logger", "-t", "app.service", line)
    fleet.host.run("logger", "--journald=/dev/stdin", check=False)
    fleet.sh(f"echo '{line}' | systemd-cat -t gunicorn")
    fleet.sh(
        "printf 'MESSAGE=%s\\nUNIT=app.service\\nOBJECT_SYSTEMD_UNIT=app.service\\n"
        "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\\nN_DROPPED=7\\n' x | logger --journald"
    )
    assert "a596d6fe" in fleet.sh("journalctl -o export N_DROPPED=7")
    result = fleet.look()
    assert (before["verdict"], result["counts"], result["doubtful"]) == ("clean", {}, 0), result
    assert result["scanned"]["bytes"] == 0 and result["verdict"] == "no_data", result


def test_a_worker_does_not_speak_for_its_arbiter(fleet):
    """A client whose words an application writes with their line ends."""
    fleet.begin()
    fleet.look()
    forged = (
        f"x%0A[2099-01-01 00:00:00 %2B0000] [{fleet.pid()}] [ERROR] Worker (pid:"
        f"{fleet.children()[0]}) was sent SIGKILL! Perhaps out of memory?"
    ).replace(" ", "%20")
    fleet.get(f"/say/?{forged}")
    result = fleet.look()
    assert "was sent SIGKILL" in fleet.sh("journalctl -o cat -u app.service")
    assert (result["counts"], result["doubtful"]) == ({}, 1), result
    # The same words of the arbiter itself are believed.
    victim = fleet.children()[-1]
    fleet.kill(victim)
    wait_for(lambda: dead(fleet.look(check=True)) == [victim])


# --- exactly once ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    # 20.0 says nothing of dead workers.
    ("gunicorn", "python"),
    MATRIX[1:] if FULL else [(NEW, "new")],
)
def test_each_death_is_told_once_over_looks_rotations_and_restarts(fleet, gunicorn, python):
    fleet.begin(gunicorn, chosen(python), workers=3)
    killed, told, looks = [], [], []

    def look():
        result = fleet.look()
        told.extend(dead(result))
        looks.append(result["verdict"])

    look()
    for number in range(8):
        victim = fleet.children()[-1]
        fleet.kill(victim)
        killed.append(victim)
        wait_for(lambda pid=victim: pid not in fleet.children())
        wait_for(lambda: len(fleet.children()) >= 3)
        fleet.get("/noise/50")
        if number == 2:
            fleet.host.run("journalctl", "--rotate")
        if number == 4:
            fleet.host.run("systemctl", "restart", "systemd-journald")
        if number == 6:
            fleet.host.run("systemctl", "kill", "--signal=KILL", "systemd-journald")
            wait_for(lambda: fleet.host.show("systemd-journald", "ActiveState") == "active")
        if number % 2:
            look()
    wait_for(lambda: look() or set(killed) <= set(told), 20)
    look()
    assert sorted(told) == sorted(killed)
    assert "gap" not in looks and looks[-1] == "no_data", looks


def test_lines_alike_in_one_moment_are_all_read_once(fleet):
    fleet.begin()
    pattern = [{"name": "alike", "regex": "ALIKE", "tolerance": "unlimited"}]
    fleet.look(patterns=pattern)
    total = 0
    for _turn in range(4):
        fleet.get("/say/?" + "%0A".join(["ALIKE"] * 25))
        total += fleet.look(patterns=pattern)["counts"].get("alike", 0)
    total += fleet.look(patterns=pattern)["counts"].get("alike", 0)
    assert total == 100


def test_a_soak_goes_on_where_it_was(fleet):
    fleet.begin()
    first = fleet.whole(keep_progress=True)
    assert first["progress"] and first["verdict"] == "clean", first
    victim = fleet.children()[-1]
    fleet.kill(victim)
    wait_for(lambda: victim not in fleet.children())
    time.sleep(0.5)
    second = fleet.whole(keep_progress=True, progress=first["progress"])
    assert dead(second) == [victim] and second["verdict"] == "dirty", second
    assert second["scanned"]["bytes"] < first["scanned"]["bytes"], (first, second)
    third = fleet.whole(progress=second["progress"])
    assert dead(third) == [victim] and third["verdict"] == "dirty", third


def test_a_long_line_is_one(fleet):
    fleet.begin()
    pattern = [{"name": "end", "regex": "THEEND", "tolerance": "unlimited"}]
    fleet.look(patterns=pattern)
    fleet.sh(
        f'python3 -c "import urllib.request as u;'
        f" u.urlopen('http://127.0.0.1:{fleet.port}/say/?' + 'x' * 3000 + 'THEEND')\"",
        check=False,
    )
    assert fleet.look(patterns=pattern)["counts"] == {"end": 1}


# --- what is lost is told -------------------------------------------------------------------------


def test_what_was_vacuumed_between_two_looks_is_a_gap_once(fleet):
    fleet.begin()
    assert fleet.look()["verdict"] == "clean"
    # Farther from the start than the clocks of /proc and of a log may differ.
    time.sleep(6)
    fleet.get("/noise/200")
    fleet.host.run("journalctl", "--rotate")
    fleet.host.run("journalctl", "--vacuum-size=1", "--vacuum-files=1")
    fleet.get("/noise/10")
    result = fleet.look()
    assert result["verdict"] == "gap" and "vacuumed" in result["reasons"][0], result
    fleet.get("/noise/10")
    assert fleet.look()["verdict"] == "clean"
    # A gate that asks for all of the generation cannot have it any more.
    result = fleet.whole()
    assert result["verdict"] == "gap" and "the journal begins at" in result["reasons"][0], result


def test_what_was_rotated_is_no_gap(fleet):
    fleet.begin()
    fleet.look()
    fleet.host.run("journalctl", "--rotate")
    fleet.get("/noise/10")
    assert fleet.look()["verdict"] == "clean"


def test_suppressed_messages_are_a_gap_once(fleet):
    fleet.begin(more="LogRateLimitIntervalSec=2s\nLogRateLimitBurst=50\n")
    fleet.look()
    fleet.get("/noise/500")
    # journald says so with the next message after its interval.
    time.sleep(3)
    fleet.get("/noise/1")
    result = fleet.look()
    assert result["verdict"] == "gap", result
    assert re.search(r"journald has suppressed \d+ messages of app", result["reasons"][0])
    fleet.get("/noise/1")
    assert fleet.look()["verdict"] == "clean"


def test_a_journal_of_another_boot_is_a_gap(fleet):
    """A volatile journal that is gone: what the cursor names is nowhere."""
    fleet.begin()
    fleet.look()
    path = fleet.dir / "cursor"
    text = path.read_text()
    boots = re.sub(r"s=[0-9a-f]{32};i=[0-9a-f]+;b=[0-9a-f]{32};m=", "s=" + "0" * 32 + ";i=1;b="
                   + "1" * 32 + ";m=", text)  # fmt: skip
    assert boots != text
    path.write_text(boots)
    result = fleet.look()
    assert result["verdict"] == "gap", result


# --- what cannot be read --------------------------------------------------------------------------


def test_without_rights_it_says_what_to_do(fleet):
    fleet.begin()
    fleet.sh(f"cp -r {fleet.cursor} /tmp/c 2>/dev/null; true")
    words = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    result = fleet.look(words=words, cursor="")
    assert "group systemd-journal" in result["msg"], result
    group = fleet.sh("getent group systemd-journal | cut -d: -f3").strip()
    words = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}")
    assert fleet.look(words=words, cursor="")["verdict"] == "clean"


def test_a_unit_of_a_user(host):
    """Its lines may be read without the group, but not what journald has suppressed."""
    host.run("useradd", "-m", "-u", "1500", "joe")
    path = "/home/joe/.config/systemd/user/app.service"
    line = "[2026-11-28 15:00:00 +0000] [$$$$] [INFO] Starting gunicorn 23.0.0"
    host.write(path, f"[Service]\nExecStart=/bin/sh -c 'echo \"{line}\"; exec sleep 1000'\n")
    host.run("chown", "-R", "joe", "/home/joe")
    host.run("systemctl", "start", "user@1500.service")
    group = host.run("sh", "-c", "getent group systemd-journal | cut -d: -f3").stdout.strip()
    joe = ("env", "XDG_RUNTIME_DIR=/run/user/1500", "setpriv", "--reuid=1500", "--regid=1500")
    options = {"program": "app", "manager": "systemd", "systemd_scope": "user"}
    host.run(*joe, "--clear-groups", "systemctl", "--user", "start", "app")
    try:
        refused = host.module("log_check", options, words=(*joe, "--clear-groups"))
        assert "group systemd-journal" in refused["msg"], refused
        read = host.module("log_check", options, words=(*joe, f"--groups={group}"))
        assert (read["verdict"], read["scanned"]["files"]) == (
            "clean",
            ["journal-user:app.service"],
        ), read
    finally:
        host.run("systemctl", "stop", "user@1500.service")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("StandardOutput=null\nStandardError=null\n", ""),
        ("LogLevelMax=warning\n", "LogLevelMax="),
        ("LogNamespace=other\n", "LogNamespace=other"),
    ],
)
def test_what_does_not_get_there_is_not_taken_for_read(fleet, more, why):
    fleet.begin(more=more)
    info = fleet.info()
    assert info["logs"] == [], info["logs"]
    assert any(each["why"] and why in each["why"] for each in info["sinks"]), info["sinks"]


@pytest.mark.parametrize("more", ["SyslogIdentifier=other\n", "StandardError=inherit\n"])
def test_other_names_and_ways_make_no_difference(fleet, more):
    fleet.begin(more=more)
    result = fleet.whole()
    assert (result["verdict"], result["tells"]) == ("clean", "start"), result


def test_a_unit_whose_standard_error_is_a_file_is_read_there(fleet):
    fleet.begin(more=f"StandardOutput=journal\nStandardError=append:{fleet.log}\n")
    assert fleet.info()["logs"] == [str(fleet.log)]


def test_beside_an_error_log_the_journal_is_read_too(fleet):
    """What logging itself cannot write (the reentrant error) goes to standard error alone."""
    fleet.begin(options=f"--error-logfile {fleet.log}")
    assert fleet.info()["logs"] == ["journal:app.service", str(fleet.log)]
    assert fleet.whole()["tells"] in ("start", "line")


def test_a_switch_is_judged_by_the_journal(fleet):
    fleet.old, fleet.new = fleet.release(OLD, old_python()), fleet.release(NEW, new_python())
    fleet.link(fleet.old)
    fleet.begin()
    done = fleet.activate(fleet.new, gunicorn=NEW)
    assert done["changed"], done
    result = fleet.whole(gunicorn=NEW, begin=done["generation"]["logs"])
    assert (result["verdict"], result["tells"], result["counts"]) == ("clean", "start", {}), result
    assert fleet.get()["gunicorn"] == NEW
