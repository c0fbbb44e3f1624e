# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a build may end: what it started, and nobody who only mentions it."""

import os
import signal
import subprocess
import sys
import time
from subprocess import DEVNULL

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import (
    carrying,
    ended,
    kill_group,
    kill_while,
    marked,
    run,
    start,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import remove_tree

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait_for(path):
    for _attempt in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


def test_only_what_carries_the_mark_is_ended(tmp_path):
    place = tmp_path / ".build-x"
    place.mkdir()
    ready = place / "ready"
    # A grandchild that leaves its group, as a compiler of a killed builder may.
    child = f"open({str(ready)!r}, 'w'); import time; time.sleep(60)"
    code = (
        "import subprocess, sys;"
        f" subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
    )
    innocent = [
        subprocess.Popen(SLEEP + [f"{place}/app.log"]),
        subprocess.Popen(SLEEP, env=dict(os.environ, OLDPWD=f"{place}/lib")),
        subprocess.Popen(SLEEP, env=dict(os.environ, FLEETOPS_BUILD=f"{place}2")),
    ]
    try:
        with marked(str(place)):
            assert run([sys.executable, "-c", code], dict(os.environ)).status == 0
        wait_for(ready)
        ours = carrying([f"FLEETOPS_BUILD={place}"])
        assert len(ours) == 1
        remove_tree(str(place))
        # A killed process is there until its end is done.
        for _attempt in range(600):
            if not carrying([f"FLEETOPS_BUILD={place}"]):
                break
            time.sleep(0.05)
        assert carrying([f"FLEETOPS_BUILD={place}"]) == []
        assert not place.exists()
        time.sleep(0.1)
        assert [each.poll() for each in innocent] == [None, None, None]
    finally:
        for each in innocent:
            each.send_signal(signal.SIGKILL)
            each.wait()


def test_without_a_mark_nothing_is_marked():
    with marked("/x"):
        pass
    shown = run([sys.executable, "-c", "import os; print('FLEETOPS_BUILD' in os.environ)"], {})
    assert shown.output.strip() == "False"


def test_who_has_ended_is_known_without_giving_its_number_free():
    """A number that is free is somebody else's: the group is ended before that."""
    process = start([sys.executable, "-c", "raise SystemExit(7)"], dict(os.environ), "/", DEVNULL)
    assert ended(process, 60) == 7
    assert ended(process, 0) == 7
    assert os.path.exists(f"/proc/{process.pid}")
    kill_group(process)
    assert not os.path.exists(f"/proc/{process.pid}")
    assert process.returncode == 7


def test_how_one_ended_that_was_killed_or_did_not_end():
    process = start(SLEEP, dict(os.environ), "/", DEVNULL)
    assert ended(process, 0) is None
    os.kill(process.pid, signal.SIGTERM)
    assert ended(process, 60) == -signal.SIGTERM
    kill_group(process)


def test_a_group_whose_number_is_free_is_not_signalled(monkeypatch):
    process = start([sys.executable, "-c", ""], dict(os.environ), "/", DEVNULL)
    process.wait()
    asked = []
    monkeypatch.setattr(os, "killpg", lambda *words: asked.append(words))
    kill_group(process)
    assert asked == []


def test_only_who_is_still_the_one_that_was_found_is_killed():
    process = subprocess.Popen(SLEEP)
    try:
        kill_while(process.pid, lambda pid: False)
        time.sleep(0.1)
        assert process.poll() is None
        kill_while(process.pid, lambda pid: pid == process.pid)
        assert process.wait(60) == -signal.SIGKILL
        kill_while(process.pid, lambda pid: True)
    finally:
        process.kill()
        process.wait()
