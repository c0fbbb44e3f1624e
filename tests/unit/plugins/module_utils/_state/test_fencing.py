# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Two runs and one host: who may change it, and what the other hears."""

import os
import signal
import subprocess
import sys

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import fencing
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import (
    Fence,
    Fenced,
    Turn,
    key_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_lock import HostLock
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_turn import HostTurn

HOME = "/srv/app"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state"


def fence(place, turn, by="alice"):
    return Fence(StateDirectory(str(place), private=True), key_of(HOME), turn, by, HOME)


# seen first, then mine: may I go on?
@pytest.mark.parametrize(
    "seen, mine, allowed",
    [
        (0, 1, True),
        (1, 1, True),
        (1, 2, True),
        (2, 1, False),
        # By hand, whatever was there.
        (2, 0, True),
        (0, 0, True),
    ],
)
def test_who_may_change_a_host(place, seen, mine, allowed):
    if seen:
        fence(place, seen, "bob").claim()
    for act in (fence(place, mine).claim, fence(place, mine).check):
        if allowed:
            act()
        else:
            with pytest.raises(Fenced, match=r"newer run works on /srv/app \(bob, here since"):
                act()


def test_a_newer_run_stops_the_older_one_in_the_middle(place):
    older, newer = fence(place, 1), fence(place, 2)
    older.claim()
    older.check()
    newer.claim()
    with pytest.raises(Fenced):
        older.check()
    newer.check()


def test_work_by_hand_leaves_nothing_behind(place):
    fence(place, 0).claim()
    fence(place, 0).check()
    assert not place.exists()


def test_a_turn_that_is_known_is_not_written_again(place, monkeypatch):
    """The way back must be open on a full disk."""
    fence(place, 5).claim()

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fencing.os, "fsync", full)
    fence(place, 5).claim()
    with pytest.raises(FleetError, match="No space left"):
        fence(place, 6).claim()


@pytest.mark.parametrize(
    "content", [b"", b"7", b'{"schema": 1, "turn": "7", "by": "", "at": 1}', b'{"schema": 9}']
)
def test_what_cannot_be_believed_says_where_it_is(place, content):
    place.mkdir(mode=0o700)
    (place / (key_of(HOME) + ".turn")).write_bytes(content)
    with pytest.raises(Unbelievable, match="rm .*turn"):
        fence(place, 1).claim()


def test_a_planted_link_is_not_followed(place, tmp_path):
    (tmp_path / "secret").write_text("secret")
    place.mkdir(mode=0o700)
    for name in (".turn", ".lock"):
        (place / (key_of(HOME) + name)).symlink_to(tmp_path / "secret")
    with pytest.raises(FleetError):
        fence(place, 1).claim()
    with pytest.raises(FleetError), lock(place).held(0, "me"):
        pass
    assert (tmp_path / "secret").read_text() == "secret"


def test_two_homes_have_two_keys_that_a_person_can_read():
    assert key_of("/srv/app") != key_of("/srv_app")
    assert key_of("/srv/app").startswith("srv_app-")
    assert "/" not in key_of("/") and key_of("/")
    assert key_of("lb", "web1").startswith("web1-")


@pytest.mark.parametrize(
    "given, euid, path",
    [
        ("/x", 0, "/x"),
        ("", 0, fencing.ROOTS_DIRECTORY),
        ("", 1000, "/srv/app/.fleetops-gunicorn-1000"),
    ],
)
def test_where_a_host_keeps_it(given, euid, path):
    assert fencing.directory_of(given, HOME, euid) == path


def test_what_is_written_is_what_is_read():
    turn = Turn(7, "alice", 5.0)
    assert fencing.parse(fencing.dump(turn)) == turn


# -- one process at a time ----------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0
        self.meanwhile = lambda: None

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.meanwhile()


def lock(place, clock=None):
    clock = clock or Clock()
    directory = StateDirectory(str(place), private=True)
    return HostLock(directory, key_of(HOME), HOME, clock, clock.sleep)


def test_the_second_waits_and_hears_who_it_is(place):
    told = r"Nothing was touched.*/srv/app.*5 s .*release 21"
    first, second = lock(place).held(0, "pid 7, release 21"), lock(place).held(5, "pid 8")
    with first, pytest.raises(FleetError, match=told), second:
        pass
    with lock(place).held(0, "pid 8") as waited:
        assert waited == 0


HOLDER = """
import sys, time
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_lock import HostLock
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
lock = HostLock(StateDirectory(sys.argv[1], True), sys.argv[2], "x", time.monotonic, time.sleep)
with lock.held(0, "the killed one"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_held_is_free(place):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place), key_of(HOME)],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FleetError, match="the killed one"), lock(place).held(0, "me"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with lock(place).held(0, "me"):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


# -- both ---------------------------------------------------------------------------------------


def host_turn(place, turn, clock=None, check=False, by="alice"):
    clock = clock or Clock()
    params = {"home": HOME, "turn": turn, "turn_by": by, "state_directory": str(place)}
    return HostTurn(params, clock, clock.sleep, check)


def test_a_newer_run_waits_for_the_older_one_which_gives_up_at_its_next_step(place):
    """The controller of the older one was killed; its module went on and switched the host."""
    older = host_turn(place, 1)
    clock = Clock()
    newer = host_turn(place, 2, clock, by="bob")
    at_work = older.alone(0, "release 21")
    at_work.__enter__()
    refused = []

    def next_step():
        if refused:
            return
        try:
            older.check()
        except Fenced as exc:
            refused.append(str(exc))
            at_work.__exit__(None, None, None)

    clock.meanwhile = next_step
    with newer.alone(60, "release 23") as waited:
        assert waited > 0
        newer.check()
    assert len(refused) == 1 and "bob" in refused[0]
    with pytest.raises(Fenced), older.alone(60, "release 21"):
        pass


def test_two_by_hand_come_one_after_the_other(place):
    first, second = (host_turn(place, 0).alone(1, f"release {each}") for each in (21, 23))
    with first, pytest.raises(FleetError, match="release 21"), second:
        pass
    with host_turn(place, 0).alone(0, "release 23"):
        pass


def test_a_check_writes_nothing_and_waits_for_nobody(place):
    with host_turn(place, 3, check=True).alone(0, "x"):
        pass
    assert not place.exists()
    host_turn(place, 4).alone(0, "x").__enter__()
    with pytest.raises(Fenced), host_turn(place, 3, check=True).alone(0, "x"):
        pass
