# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real gunicorns suffer, and the incidents found are compared with what was done to them.

The truth is the pids that were killed here and the exit code of the arbiter: never another search
of the same log. `make log-matrix` runs all versions and treatments and prints the table of
docs/log-gate.md; without LOG_MATRIX one old, one affected and one cured gunicorn are enough.
"""

import os
import signal
import time

import pytest

from tests.integration.log_support import (
    APP,
    Gunicorn,
    Venvs,
    alive_children,
    answers,
    as_done,
    check,
    kill,
    logs_in_handler,
    row,
    table,
)
from tests.integration.service_support import (
    Fleet,
    interpreters,
    new_python,
    old_python,
    run_module,
    unavailable,
    wait_for,
)

FULL = os.environ.get("LOG_MATRIX") == "1"
ROWS = []
MATRIX = [
    ("20.0.2", "3.6"),
    ("20.1.0", "3.6"),
    ("20.1.0", "3.11"),
    ("21.2.0", "3.6"),
    ("21.2.0", "3.11"),
    ("23.0.0", "3.11"),
    ("23.0.0", "3.13"),
    ("24.1.1", "3.12"),
    ("27.0.1", "3.13"),
]
TREATMENTS = ("calm", "one", "blocked", "burst")


def cases():
    if FULL:
        return [(*who, how) for who in MATRIX for how in TREATMENTS]
    return [("21.2.0", "old", "one"), ("23.0.0", "new", "one"), ("24.1.1", "newest", "one")]


def chosen(python):
    if python == "old":
        return old_python()
    if python == "new":
        return new_python()
    if python == "newest":
        fit = [v for v in interpreters() if 10 <= int(v.split(".")[1]) <= 13]
        return (
            max(fit, key=lambda v: int(v.split(".")[1]))
            if fit
            else unavailable("no Python 3.10 or newer found")
        )
    return python


@pytest.fixture(scope="module", name="venvs")
def _venvs():
    venvs = Venvs()
    yield venvs
    venvs.close()
    if FULL:
        table(ROWS)


def treat(server, how, rounds=3):
    """Returns how often the error was provoked for certain, each time by one death."""
    provoked = 0
    if how == "blocked":
        server.blocked()
    elif how == "burst":
        server.burst()
    elif how == "one":
        for _turn in range(rounds):
            server.blocked(victims=1)
            provoked += 1
            if server.settle(0.3) is not None:
                break
            wait_for(lambda: len(server.children()) >= server.workers)
    return provoked


@pytest.mark.parametrize(("gunicorn", "python", "how"), cases())
def test_incidents_are_what_was_done(venvs, tmp_path, gunicorn, python, how):
    python = chosen(python)
    log = tmp_path / "app.err.log"
    log.touch()
    small = how in ("blocked", "one")
    server = Gunicorn(venvs.get(gunicorn, python), log, pipe_size=4096 if small else 0)
    try:
        server.wait_until_up()
        provoked = treat(server, how)
        died = server.settle()
    finally:
        server.stop()
    result = check(log, max_excerpts=0, arbiter_pid=server.pid, since=server.began)
    ROWS.append(row(gunicorn, python, how, server.killed, died, result))
    as_done(gunicorn, how, result, server.killed, provoked, died)


def test_what_cures_it(venvs, tmp_path):
    """PYTHONUNBUFFERED: no buffer, no error; the deaths are told all the same."""
    python = chosen("old")
    log = tmp_path / "app.err.log"
    log.touch()
    server = Gunicorn(
        venvs.get("21.2.0", python), log, pipe_size=4096, env={"PYTHONUNBUFFERED": "1"}
    )
    try:
        server.wait_until_up()
        server.blocked(victims=1)
        server.settle()
    finally:
        server.stop()
    result = check(log)
    assert result["counts"] == {"worker_killed": 1}
    assert {i["worker_pid"] for i in result["incidents"]} == server.killed


@pytest.fixture(name="fleet")
def _fleet():
    fleet = Fleet()
    (fleet.home / "wsgi.py").write_text(APP)
    yield fleet
    fleet.close()


def make_noise(fleet, size):
    """Fill the log until supervisord rotates it."""
    wait_for(lambda: answers(fleet.port, f"/noise/{size}", timeout=30))


def workers(fleet, wanted):
    arbiter = fleet.pid()
    wait_for(lambda: len(alive_children(arbiter)) >= wanted)
    return alive_children(arbiter)


def shown(log):
    """For a failure: what stands at the beginning of lines, without the frames of tracebacks."""
    paths = sorted(log.parent.glob("app.err.log*"), key=lambda path: -path.stat().st_mtime)
    lines = [line for path in paths[:3] for line in path.read_text().splitlines()]
    return "\n".join(line[:160] for line in lines if not line.startswith((" ", "noise")))


def jam(fleet, arbiter, victim):
    """supervisord reads no pipe any more, the pipe is full, and a worker dies."""
    os.kill(fleet.daemon.pid, signal.SIGSTOP)
    try:
        answers(fleet.port, "/noise/200000", timeout=0.5)
        kill(arbiter, signal.SIGTTIN)
        time.sleep(0.5)
        kill(victim)
        time.sleep(0.5)
    finally:
        os.kill(fleet.daemon.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("gunicorn", "python", "deaths"),
    [(*who, 20) for who in MATRIX[1:]] if FULL else [("21.2.0", "old", 6)],
)
def test_under_supervisord_with_rotation(fleet, gunicorn, python, deaths):
    """Deaths one by one, noise that rotates the log, looks with a cursor: each told once."""
    python = chosen(python)
    fleet.link(fleet.release(gunicorn, python))
    fleet.start(
        command="{venv}/bin/gunicorn -w 3 -b 127.0.0.1:{port} wsgi:app",
        settings="stderr_logfile_maxbytes=8KB\nstderr_logfile_backups=10\nstartsecs=0",
        other=False,
    )
    wait_for(lambda: answers(fleet.port))
    log = fleet.dir / "app.err.log"
    options = {
        "program": "app",
        "supervisor_url": f"unix://{fleet.socket}",
        "cursor": str(fleet.dir / "cursor"),
        "max_excerpts": 0,
    }
    first = run_module("log_check", options)
    assert first["verdict"] == "clean", first
    arbiter, killed, told, looks = fleet.pid(), [], [], []

    def look():
        result = run_module("log_check", options)
        looks.append(result["verdict"])
        told.extend(i["worker_pid"] for i in result["incidents"] if i["event"] == "worker_killed")
        return result

    for number in range(deaths):
        victim = workers(fleet, 3)[-1]
        kill(victim)
        killed.append(victim)
        wait_for(lambda pid=victim: pid not in alive_children(arbiter))
        workers(fleet, 3)
        make_noise(fleet, 7000)
        if number % 3 == 1:
            look()
    wait_for(lambda: os.path.exists(f"{log}.3"))
    wait_for(lambda: look() and set(killed) <= set(told), timeout=30)
    assert sorted(told) == sorted(killed)
    assert "gap" not in looks

    # And now with nobody reading the pipe.
    victim = workers(fleet, 3)[-1]
    jam(fleet, arbiter, victim)
    reentrant = 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (reentrant or victim in told):
        reentrant += look()["counts"].get("reentrant", 0)
    if logs_in_handler(gunicorn):
        assert reentrant == 1, shown(log)
    else:
        assert reentrant == 0
        assert victim in told
    assert "gap" not in looks
    found = f"{len(told)} worker_killed, {reentrant} reentrant"
    done = (len(killed) + 1, "lived" if fleet.pid() == arbiter else "died")
    ROWS.append((gunicorn, python, "supervisord", *done, found, f"{len(looks)} looks, no gap"))
