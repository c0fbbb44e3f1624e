# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real gunicorns that write real errors, and the truth about what was done to them.

Why ``reentrant call`` happens: CPython runs signal handlers inside the flush of a log line. A
SIGCHLD that lands there and whose handler logs (gunicorn 20.1 to 23) fails. Two ways to make it
land there: a pipe that is full while workers die, and bursts of SIGKILL.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import Request, look
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window

from tests.integration.service_support import (
    build_venv,
    free_port,
    interpreters,
    unavailable,
    wait_for,
)

APP = """
import os, sys, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow/"):
        time.sleep(float(path[6:]))
    if path.startswith("/noise/"):
        sys.stderr.write("noise\\n" * (int(path[7:]) // 6))
        sys.stderr.flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok\\n"]
"""
F_SETPIPE_SZ = 1031
FILLER = b"#" + b"." * 62 + b"\n"


class Venvs:
    """One virtualenv per (gunicorn, Python), built when it is first wanted."""

    def __init__(self, where=None):
        self.dir = Path(tempfile.mkdtemp(prefix="log-venvs-", dir=where))
        self.dir.chmod(0o755)
        self.built = {}

    def get(self, gunicorn, python):
        key = f"{gunicorn}-py{python}"
        if key not in self.built:
            if python not in interpreters():
                unavailable(f"no Python {python} found for gunicorn {gunicorn}")
            pin = ["setuptools<81"] if gunicorn.startswith("20.") else []
            build_venv(self.dir / key, python, f"gunicorn=={gunicorn}", *pin)
            self.built[key] = self.dir / key
        return self.built[key]

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def environment(**extra):
    """Without PYTHONUNBUFFERED: it removes the error that is to be shown."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**env, **extra}


def alive_children(pid):
    """Pids of the children that are no zombies."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in pids if state(child) not in ("", "Z")]


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def answers(port, path="/", timeout=5):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status == 200
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Gunicorn:
    """A gunicorn whose output goes into a file through a pipe that can be stopped up."""

    def __init__(self, venv, log, workers=8, arguments=(), env=(), pipe_size=0, app=APP):
        self.log = Path(log)
        self.dir = Path(tempfile.mkdtemp(prefix="log-app-"))
        (self.dir / "wsgi.py").write_text(app)
        self.port = free_port()
        self.workers = workers
        self.killed = set()
        self.seen = set()
        self.began = time.time()
        self._read, write = os.pipe()
        if pipe_size:
            fcntl.fcntl(write, F_SETPIPE_SZ, pipe_size)
        self._open = threading.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()
        # A description of its own: O_NONBLOCK must not reach gunicorn's.
        self._filler = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)
        command = [f"{venv}/bin/python", f"{venv}/bin/gunicorn", "-w", str(workers)]
        command += ["-b", f"127.0.0.1:{self.port}", "--chdir", str(self.dir)]
        self.process = subprocess.Popen(
            [*command, *arguments, "wsgi:app"],
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            env=environment(**dict(env)),
            start_new_session=True,
        )
        os.close(write)
        self.pid = self.process.pid

    def _drain(self):
        with self.log.open("ab", buffering=0) as out:
            while True:
                self._open.wait()
                data = os.read(self._read, 65536)
                if not data:
                    return
                # The filler is ours, not gunicorn's.
                out.write(data.replace(FILLER, b""))

    def children(self):
        found = alive_children(self.pid)
        self.seen.update(found)
        return found

    def wait_until_up(self):
        wait_for(lambda: len(self.children()) >= self.workers)
        wait_for(lambda: answers(self.port))
        # Every worker has written its first line.
        wait_for(lambda: self.log.read_bytes().count(b"Booting worker") >= self.workers)

    def kill_all(self):
        for pid in self.children():
            if kill(pid):
                self.killed.add(pid)

    def stop_up(self):
        """Nothing reads the pipe any more, and it is full."""
        self._open.clear()
        # The reader may sit in read(): wake it once, then it waits.
        os.write(self._filler, FILLER)
        time.sleep(0.2)
        for text in (FILLER, b"\n"):
            try:
                while True:
                    os.write(self._filler, text)
            except BlockingIOError:
                pass

    def blocked(self, victims=None):
        """The arbiter hangs in the write of a log line while its workers die, all or a few."""
        before = self.children()
        self.stop_up()
        kill(self.pid, signal.SIGTTIN)
        # Long enough for the signal to be handled, which ends in the full pipe.
        time.sleep(0.5)
        for pid in before[:victims]:
            if kill(pid):
                self.killed.add(pid)
            time.sleep(0.02)
        time.sleep(0.5)
        self._open.set()

    def burst(self, rounds=20):
        for _turn in range(rounds):
            self.kill_all()
            time.sleep(0.1)
            if self.process.poll() is not None:
                return

    def settle(self, seconds=1.5):
        time.sleep(seconds)
        self.children()
        return self.process.poll()

    def stop(self, number=signal.SIGTERM):
        """End it and whatever it left behind; returns the exit code."""
        self.children()
        if self.process.poll() is None:
            kill(self.pid, number)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                kill(self.pid)
                self.process.wait(60)
        for pid in self.seen:
            if mine(pid, self.port):
                kill(pid)
        self._open.set()
        os.close(self._filler)
        self._thread.join(60)
        os.close(self._read)
        shutil.rmtree(self.dir, ignore_errors=True)
        return self.process.returncode


def mine(pid, port):
    try:
        return str(port) in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def check(*paths, since=None, until=None, arbiter_pid=None, now=None, **options):
    """Run the core of log_check."""
    request = Request(
        paths=[str(path) for path in paths],
        window=Window(since, until, arbiter_pid),
        cursor=str(options.pop("cursor", "")),
        tolerance=options.pop("tolerance", {}),
        customs=tuple(options.pop("customs", ())),
        max_excerpts=options.pop("max_excerpts", 10),
        gunicorn=options.pop("gunicorn", ""),
        advance=options.pop("advance", True),
    )
    return look(request, time.time() if now is None else now, **options)


def logs_in_handler(gunicorn):
    """Gunicorn 20.1 to 23 log inside of the SIGCHLD handler; that is what the error comes from."""
    return (20, 1) <= tuple(int(part) for part in gunicorn.split(".")[:2]) < (24, 0)


def as_done(gunicorn, how, result, killed, provoked, died, exact=True):
    """Assert that what was found is what was done, whichever log it was found in.

    ``killed``: pids; ``provoked``: deaths that met an arbiter in the middle of a line;
    ``died``: the arbiter's exit code, None if it lives; ``exact``: it was in one line, no longer.
    """
    counts, verdict = result["counts"], result["verdict"]
    told = {i["worker_pid"] for i in result["incidents"] if i["event"] == "worker_killed"}
    # Nobody is said to have been killed who was not.
    assert told <= killed
    assert counts.get("worker_killed", 0) <= len(killed)
    reentrant = counts.get("reentrant", 0)
    if how == "calm":
        assert (verdict, counts, died) == ("clean", {}, None)
    elif not logs_in_handler(gunicorn):
        assert reentrant == 0
        assert died is None
        if gunicorn.startswith("20.0."):
            # It says nothing of dead workers at all.
            assert counts == {}
        elif how != "burst":
            # Each worker had been booted, so the arbiter knew it and tells of its death.
            assert counts == {"worker_killed": len(killed)}
            assert told == killed
    elif how == "one":
        # One death at a time while the arbiter writes: each is one incident, exactly.
        assert provoked == len(killed)
        assert reentrant == provoked if exact else reentrant >= provoked
    else:
        # Deaths that come together may be one incident or several; never more than deaths.
        assert reentrant <= len(killed)
        if how == "blocked":
            assert reentrant >= 1
    if died is not None:
        assert reentrant >= 1
    if reentrant:
        assert verdict == "dirty"


def row(gunicorn, python, how, killed, died, result):
    """One line of the table of docs/log-gate.md."""
    counts = sorted(result["counts"].items())
    found = ", ".join(f"{count} {name}" for name, count in counts) or "nothing"
    arbiter = "lived" if died is None else f"died ({died})"
    return (gunicorn, python, how, len(killed), arbiter, found, result["verdict"])


def table(rows):
    head = ("gunicorn", "Python", "treatment", "workers killed", "arbiter", "found", "verdict")
    print("\n\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for each in rows:
        print("| " + " | ".join(str(cell) for cell in each) + " |")
