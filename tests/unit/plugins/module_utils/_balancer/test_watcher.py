# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases around a drain. Processes are real where they can be told from the test's own."""

import contextlib
import os
import signal
import sys
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import watcher as watch
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.access import (
    Haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import Found
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._balancer.haproxy.paper_balancer import Fake, change

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def kept(tmp_path):
    return watch.Leases(
        str(tmp_path / "leases"), Haproxy(parse_address(str(tmp_path / "a.sock"))), "web1", 1
    )


class Noted:
    """Leases on paper: what was asked of them, and when in the drain."""

    def __init__(self, fake):
        self.fake = fake
        self.calls = []
        self.holds = []
        self.fails = {}
        self.inside = False
        self.no_place = ""
        self.memory = {}
        self.remembered = []
        fake.entered = lambda: None

    def make(self):
        if self.no_place:
            raise FleetError(self.no_place)

    @contextlib.contextmanager
    def alone(self, create):
        assert not self.inside
        self.inside = True
        self.fake.entered()
        yield
        self.inside = False

    def recall(self):
        return dict(self.memory)

    def remember(self, backends, after):
        if self.no_place:
            raise FleetError(self.no_place)
        self.memory = dict(after)
        self.remembered.append((dict(after), list(self.fake.writes)))

    def let_go(self, backends):
        self.calls.append(("let_go", list(backends), list(self.fake.writes)))

    def take(self, seconds, backends, hold):
        self.holds.append(hold)
        self.calls.append(("take", list(self.fake.writes)))
        if len(self.calls) in self.fails:
            raise FleetError(self.fails[len(self.calls)])
        return []

    def drop(self, backends):
        self.calls.append(("drop", list(backends), list(self.fake.writes)))


def test_the_lease_is_there_before_the_drain_and_counts_from_its_end(fake):
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    both = ["drain", "maint"]
    assert kept.calls == [("take", []), ("take", ["drain"]), ("take", both), ("take", both)]
    out = [hold.out for hold in kept.holds]
    assert out == [(), (("app", "drain"),), (("app", "maint"),), (("app", "maint"),)]
    assert (kept.holds[-1].pid, kept.holds[-1].need) == (100, "1")


def test_what_is_kept_out_follows_what_the_server_is_in(fake):
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.holds[-1].out == (("app", "maint"),)
    fake.reload()
    fake.alive.discard(100)
    fake.admin["web1"] = "drain"
    watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.holds[-1].pid == 101


def test_a_server_that_somebody_else_took_out_meanwhile_is_counted(fake):
    kept = Noted(fake)
    asked = change(fake)
    asked.check("drained")
    # While this one waited to be alone, another one was.
    fake.entered = lambda: fake.admin.update(web2="drain")
    with pytest.raises(FleetError, match="web1 was not drained.*left with 0.*left as it was"):
        watch.carry_out(asked, "drained", kept, 300)
    assert fake.writes == []
    assert [call[0] for call in kept.calls] == ["drop"], "nothing was taken"


def test_all_that_takes_out_is_written_alone_and_nobody_waits_for_sessions_there(fake):
    kept = Noted(fake)
    inside = []
    fake.wrote = lambda: inside.append(kept.inside)
    fake.sessions = 1
    fake.at[2] = fake.reload
    fake.at[4] = lambda: setattr(fake, "sessions", 0)
    sleep, slept = fake.sleep, []

    def watched(seconds):
        slept.append(kept.inside)
        sleep(seconds)

    fake.sleep = watched
    fake.alive = set()
    watch.carry_out(change(fake, watch=False), "drained", kept, 0)
    assert fake.writes == ["drain", "drain", "maint"]
    # What goes on to MAINT is out already.
    assert inside == [True, True, False]
    assert slept and not any(slept)


def test_without_a_lease_a_directory_that_cannot_be_had_is_told(fake):
    kept = Noted(fake)
    kept.no_place = "/run is not yours"
    asked = change(fake)
    watch.carry_out(asked, "drained", kept, 0)
    assert fake.writes == ["drain", "maint"]
    assert any("/run is not yours" in note for note in asked.notes)
    assert any("cannot be remembered: /run is not yours" in note for note in asked.notes)
    with pytest.raises(FleetError, match="/run is not yours.*left as it was"):
        watch.carry_out(change(fake), "drained", kept, 300)


def test_without_a_lease_nothing_is_taken_or_dropped(fake):
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 0)
    assert kept.calls == []


def test_no_lease_no_drain(fake):
    kept = Noted(fake)
    kept.fails[1] = "no room"
    with pytest.raises(FleetError, match="could not be taken.*no room.*left as it was"):
        watch.carry_out(change(fake), "drained", kept, 300)
    assert fake.writes == []


def test_a_lease_that_cannot_be_renewed_puts_the_server_back(fake):
    kept = Noted(fake)
    kept.fails[2] = "no room"
    with pytest.raises(FleetError, match="no room.*put back"):
        watch.carry_out(change(fake), "drained", kept, 300)
    assert fake.admin["web1"] == "ready"
    assert kept.calls[-2:] == [
        ("let_go", ["app"], ["drain"]),
        ("drop", ["app"], ["drain", "ready"]),
    ]


def test_ready_drops_it_once_it_is_ready(fake):
    fake.admin["web1"] = "drain"
    kept = Noted(fake)
    watch.carry_out(change(fake), "ready", kept, 0)
    assert kept.calls == [("let_go", ["app"], []), ("drop", ["app"], ["ready"])]


def test_ready_that_is_not_up_yet_is_ready_all_the_same(fake):
    fake.admin["web1"] = "drain"
    fake.health["web1"] = "DOWN"
    kept = Noted(fake)
    with pytest.raises(FleetError, match="not UP"):
        watch.carry_out(change(fake), "ready", kept, 0)
    assert kept.calls == [("let_go", ["app"], []), ("drop", ["app"], ["ready"])]


def test_ready_that_was_not_taken_keeps_it(fake):
    fake.admin["web1"] = "drain"
    fake.deaf = True
    kept = Noted(fake)
    with pytest.raises(FleetError, match="reads back"):
        watch.carry_out(change(fake), "ready", kept, 0)
    assert [call[0] for call in kept.calls] == ["let_go"]


def test_a_drain_that_fails_drops_it_only_if_the_server_is_back(fake):
    fake.sessions = 1
    kept = Noted(fake)
    with pytest.raises(FleetError, match="put back"):
        watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.calls[-1][0] == "drop"

    kept = Noted(fake)
    with pytest.raises(FleetError, match="left out"):
        watch.carry_out(change(fake, on_timeout="fail"), "drained", kept, 300)
    assert kept.calls[-1][0] == "take"


def test_a_drain_that_was_there_before_keeps_its_lease(fake):
    fake.admin["web1"] = "drain"
    fake.sessions = 1
    kept = Noted(fake)
    kept.memory = {"app": Found("ready", False)}
    with pytest.raises(FleetError, match="left as it was"):
        watch.carry_out(change(fake), "drained", kept, 300)
    assert [call[0] for call in kept.calls] == ["take", "take"]
    assert kept.memory == {"app": Found("ready", False)}


# -- what was found -----------------------------------------------------------------------------


def test_what_is_found_is_remembered_before_anything_is_written_until_it_is_back(fake):
    fake.agent["web1"] = "on"
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.remembered[0] == ({"app": Found("ready", True)}, [])
    assert kept.memory == {"app": Found("ready", True, stot=5, pid=100)}
    watch.carry_out(change(fake, memory=kept.memory), "ready", kept, 0)
    assert kept.memory == {}
    assert fake.agent["web1"] == "on"


def test_a_drain_that_fails_is_forgotten(fake):
    fake.sessions = 1
    kept = Noted(fake)
    with pytest.raises(FleetError, match="put back"):
        watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.memory == {}


def test_the_second_drain_of_a_stopped_run_knows_that_the_first_was_its_own(fake):
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.memory["app"].own == "ready"
    watch.carry_out(change(fake, memory=kept.memory), "ready", kept, 0)
    assert fake.admin["web1"] == "ready"


def test_what_an_operator_took_out_stays_out_through_every_step_of_a_ramp(fake):
    fake.admin["web1"] = "maint"
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    for share in (10, 50, 100):
        watch.carry_out(change(fake, share=share, memory=kept.memory), "ready", kept, 0)
        assert fake.admin["web1"] == "maint"
    assert fake.writes == []


def test_the_agent_is_remembered_through_every_step_of_a_ramp(fake):
    fake.agent["web1"] = "on"
    kept = Noted(fake)
    watch.carry_out(change(fake), "drained", kept, 300)
    for share in (10, 50):
        watch.carry_out(change(fake, share=share, memory=kept.memory), "ready", kept, 0)
        assert kept.memory == {"app": Found("", True)}
    watch.carry_out(change(fake, share=100, memory=kept.memory), "ready", kept, 0)
    assert kept.memory == {} and fake.agent["web1"] == "on"


def test_an_operator_who_takes_it_out_after_a_ramp_was_killed_is_no_drain_of_ours(fake):
    fake.admin["web1"] = "maint"
    kept = Noted(fake)
    kept.memory = {"app": Found("", True)}
    watch.carry_out(change(fake), "drained", kept, 300)
    assert kept.memory["app"].own == "maint"


def test_memories_of_two_applications_are_kept_apart(kept, tmp_path):
    kept.remember(["app"], {"app": Found("ready", True)})
    kept.remember(["api"], {"api": Found("maint", False, 7, 100)})
    assert kept.recall() == {"app": Found("ready", True), "api": Found("maint", False, 7, 100)}
    kept.remember(["app"], {})
    assert kept.recall() == {"api": Found("maint", False, 7, 100)}
    [file] = (tmp_path / "leases").iterdir()
    file.write_text(file.read_text().replace('"maint"', '"gone"'))
    with pytest.raises(FleetError, match="damaged"):
        kept.recall()
    kept.remember(["api"], {})
    assert list((tmp_path / "leases").iterdir()) == []


def test_a_memory_of_before_a_reboot_is_void(monkeypatch, kept):
    kept.remember(["app"], {"app": Found("maint", False)})
    monkeypatch.setattr(watch, "boot_id", lambda: "another")
    assert kept.recall() == {}


# -- processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fork", "socketpair", "second"])
def test_a_watcher_that_cannot_be_started_is_told(monkeypatch, kept, tmp_path, step):
    def refuse(*_args):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    if step == "fork":
        monkeypatch.setattr(watch.os, "fork", refuse)
    elif step == "socketpair":
        monkeypatch.setattr(watch.socket, "socketpair", refuse)
    else:
        monkeypatch.setattr(kept, "_become_watcher", refuse)
    with pytest.raises(FleetError, match="could not be started.*nothing is drained"):
        kept.take(300, ["app"])
    assert list((tmp_path / "leases").iterdir()) == []


def test_a_watcher_that_finds_no_file_ends(monkeypatch, kept):
    pids = []

    def full(_self, _name, _content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch.Opened, "write", full)
    monkeypatch.setattr(watch, "started", lambda pid: pids.append(pid) or 1)
    with pytest.raises(FleetError, match="No space left"):
        kept.take(300, ["app"])
    monkeypatch.undo()
    deadline = time.monotonic() + 30
    while watch.started(pids[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_taken_renewed_seen_and_dropped(kept, tmp_path):
    assert kept.take(300, ["app"]) == []
    notes = []
    first = kept.look(notes.append)
    assert kept.take(600, ["app"]) == []
    second = kept.look(notes.append)
    assert second["pid"] == first["pid"]
    assert second["seconds_left"] > first["seconds_left"] + 200
    kept.drop(["api"])
    assert kept.look(notes.append)["pid"] == first["pid"]
    kept.drop(["app"])
    assert kept.look(notes.append) is None
    assert not watch.started(first["pid"])
    assert notes == []
    assert list((tmp_path / "leases").iterdir()) == []


def test_two_applications_with_the_same_name_of_a_server_do_not_touch_each_other(kept):
    shop = watch.leases.Hold((("shop", "maint"),), 100, 9, "1")
    blog = watch.leases.Hold((("blog", "maint"),), 100, 30, "50%")
    kept.take(300, ["shop"], shop)
    kept.take(600, ["blog"], blog)
    assert 290 < kept.look(print, ["shop"])["seconds_left"] <= 300
    assert 590 < kept.look(print, ["blog"])["seconds_left"] <= 600
    assert kept.look(print, ["shop"])["pid"] != kept.look(print, ["blog"])["pid"]
    kept.let_go(["blog"])
    with kept.alone() as box:
        holds = {each.backends: each.hold for each in kept._all(box).values()}
    assert holds == {("shop",): shop, ("blog",): blog._replace(out=())}
    kept.drop(["blog"])
    assert kept.look(print, ["blog"]) is None
    assert kept.look(print, ["shop"])["pid"]
    kept.drop(["shop", "blog"])
    assert kept.look(print) is None


def test_a_lease_on_more_backends_takes_over_that_on_some(kept, tmp_path):
    kept.take(300, ["app", "other"])
    first = kept.look(print)["pid"]
    kept.take(600, ["app", "api"])
    assert 290 < kept.look(print, ["other"])["seconds_left"] <= 300
    assert kept.look(print, ["app"])["seconds_left"] > 590
    kept.take(500, ["app", "api", "other"])
    assert not watch.started(first)
    assert len(list((tmp_path / "leases").glob("*.json"))) == 1
    kept.drop(["app", "api", "other"])


def test_a_lease_from_before_they_were_kept_apart_is_understood_and_ended(
    monkeypatch, kept, tmp_path
):
    name = watch.leases.file_name(kept._access.where, "web1")
    monkeypatch.setattr(kept, "_file_name", lambda backends: name)
    hold = watch.leases.Hold((("app", "drain"),), 100, 9, "1")
    kept.take(300, ["app"], hold)
    pid = kept.look(print)["pid"]
    monkeypatch.undo()
    old = tmp_path / "leases" / name
    assert old.exists()
    assert kept.look(print, ["app"])["pid"] == pid
    assert kept.recall() == {"app": Found("ready", False)}, "nobody else had taken it out"
    kept.take(300, ["app"], hold)
    assert not old.exists() and not watch.started(pid)
    kept.drop(["app"])
    assert kept.look(print) is None


def test_what_is_kept_out_is_renewed_and_let_go(kept, tmp_path):
    def hold():
        [file] = (tmp_path / "leases").glob("*.json")
        return watch.leases.parse(file.read_bytes()).hold

    both = watch.leases.Hold((("api", "drain"), ("app", "maint")), 100, 9, "50%")
    kept.take(300, ["app", "api"], both)
    assert hold() == both
    kept.take(300, ["app", "api"])
    assert hold() == both, "a renewal before the drain forgets nothing"
    kept.let_go(["app"])
    assert hold().out == (("api", "drain"),)
    assert kept.look(print)["seconds_left"] > 200, "the promise to put it back stays"
    kept.take(300, ["app", "api"], both)
    kept.drop(["api"])
    assert hold().out == (("app", "maint"),)
    kept.drop(["app"])


def test_alone_is_alone_and_may_be_entered_again(kept, tmp_path):
    other = watch.Leases(str(tmp_path / "leases"), parse_address("/b.sock"), "web2", 1)
    with kept.alone(create=True) as box, kept.alone() as again:
        assert box is again
        with pytest.raises(FleetError, match="Another process"), other.alone(timeout=0.1):
            pass
    with other.alone() as found:
        assert found


def test_another_process_of_the_same_pid_is_not_the_watcher(monkeypatch, kept):
    kept.take(300, ["app"])
    pid = kept.look(print)["pid"]
    ticks = watch.started(pid)
    killed = []
    try:
        monkeypatch.setattr(watch, "started", lambda *_args, **_more: ticks + 1)
        monkeypatch.setattr(watch.os, "kill", lambda *args: killed.append(args))
        assert kept.look(print)["pid"] is None
        kept.drop(["app"])
        assert killed == []
    finally:
        monkeypatch.undo()
        os.kill(pid, signal.SIGKILL)


def test_after_a_reboot_there_is_no_lease(monkeypatch, kept):
    kept.take(300, ["app"])
    pid = kept.look(print)["pid"]
    monkeypatch.setattr(watch, "boot_id", lambda: "another")
    assert kept.look(print) is None
    monkeypatch.undo()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_neither_frees_nor_holds_it(monkeypatch, kept, jump):
    kept.take(300, ["app"])
    pid = kept.look(print)["pid"]
    wall, boottime = time.time() + jump, watch.boottime()
    try:
        monkeypatch.setattr(time, "time", lambda: wall)
        seen = kept.look(print)
        assert 290 < seen["seconds_left"] <= 300
        assert abs(seen["until"] - wall - seen["seconds_left"]) < 0.01
        assert abs(kept._post().now() - boottime) < 60, "the watcher's time"
        kept.take(300, ["app"])
        assert 290 < kept.look(print)["seconds_left"] <= 300
        monkeypatch.undo()
        assert 290 < kept.look(print)["seconds_left"] <= 300
    finally:
        os.kill(pid, signal.SIGKILL)


def test_where_there_is_no_proc_there_is_no_lease(monkeypatch, kept):
    monkeypatch.setattr(watch, "boot_id", lambda: "")
    with pytest.raises(FleetError, match="needs Linux"):
        kept.take(300, ["app"])
