# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who gets the lock, in a real directory and a time that is what the test says."""

import json
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import fleet_lock as locks
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import (
    Controller,
    FleetLock,
    Held,
    Now,
    Wish,
)

ALICE = Controller("ctl1", "boot-c", "pid:[1]", 42, 7)
BOB = Controller("ctl2", "boot-d", "pid:[1]", 43, 8)


class Host:
    """The state host: its clocks, and what happens while somebody waits."""

    def __init__(self, path):
        self.path = path
        self.wall = 1000000.0
        self.since_boot = 50.0
        self.boot = "boot-h"
        self.meanwhile = None

    def now(self):
        return Now(self.wall, self.boot, self.since_boot)

    def sleep(self, seconds):
        self.wall += seconds
        self.since_boot += seconds
        if self.meanwhile:
            self.meanwhile()

    def lock(self, who=ALICE, check=False, **more):
        wish = {
            "fleet": "web",
            "token": who.hostname,
            "owner": "alice" if who is ALICE else "bob",
            "reason": "upgrade",
            "controller": who,
            "stale_after": 900,
            "break_command": "BREAK IT",
            "take_over": "",
            "proof": "",
        }
        wish.update(more)
        directory = StateDirectory(str(self.path), private=False)
        return FleetLock(directory, Wish(**wish), self.now, self.sleep, check)

    def files(self):
        """Without what is never removed."""
        found = os.listdir(str(self.path)) if self.path.exists() else []
        return sorted(name for name in found if not name.endswith((".turn", ".alone")))

    def history(self):
        file = self.path / "web.history"
        return locks.events(file.read_bytes()) if file.exists() else []


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "state")


# -- held ---------------------------------------------------------------------------------------


def test_it_is_taken_once_and_then_renewed(host):
    taken = host.lock().held(0)
    assert taken.changed and taken.after.owner == "alice"
    assert host.files() == ["web.lock"]
    host.sleep(60)
    again = host.lock(reason="").held(0)
    assert not again.changed
    assert again.after.since == taken.after.since
    assert again.after.heartbeat == taken.after.heartbeat + 60
    assert again.after.reason == "upgrade"
    on_disk = locks.parse((host.path / "web.lock").read_bytes())
    assert on_disk == again.after


def test_another_hears_who_since_when_how_long_ago_and_why(host):
    host.lock().held(0)
    host.sleep(120)
    with pytest.raises(Held) as error:
        host.lock(BOB).held(0)
    text = str(error.value)
    assert "alice on ctl1 (ansible-playbook pid 42)" in text
    assert "since 1970-01-12 13:46:40 UTC" in text
    assert "heartbeat 2 min ago: upgrade" in text
    assert "BREAK IT" not in text and not error.value.probably_dead
    assert error.value.holder.token == "ctl1"


def test_two_fleets_do_not_meet(host):
    host.lock().held(0)
    host.lock(BOB, fleet="api").held(0)
    assert host.files() == ["api.lock", "web.lock"]


def test_a_holder_without_a_sign_of_life_is_probably_dead(host):
    host.lock().held(0)
    host.sleep(901)
    with pytest.raises(Held, match="probably dead.*ctl1.*BREAK IT") as error:
        host.lock(BOB).held(0)
    assert error.value.probably_dead
    host.lock().held(0)
    with pytest.raises(Held) as error:
        host.lock(BOB).held(0)
    assert not error.value.probably_dead, "a renewal is a sign of life"


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_makes_nobody_dead_or_alive(host, jump):
    host.lock().held(0)
    host.sleep(10)
    host.wall += jump
    with pytest.raises(Held, match="heartbeat 10 s ago") as error:
        host.lock(BOB).held(0)
    assert not error.value.probably_dead
    host.sleep(900)
    with pytest.raises(Held) as error:
        host.lock(BOB).held(0)
    assert error.value.probably_dead


def test_after_a_reboot_of_the_state_host_the_wall_clock_has_to_do(host):
    host.lock().held(0)
    host.boot, host.since_boot = "boot-2", 1.0
    host.wall += 500
    with pytest.raises(Held, match="heartbeat 8 min ago"):
        host.lock(BOB).held(0)


def test_a_wait_ends_with_the_lock_or_with_who_has_it(host):
    alice = host.lock()
    alice.held(0)
    with pytest.raises(Held):
        host.lock(BOB).held(10)
    assert 60 <= host.since_boot < 62

    def free():
        if host.since_boot > 65:
            host.meanwhile = None
            alice.free()

    host.meanwhile = free
    assert host.lock(BOB).held(10).after.owner == "bob"
    assert host.since_boot < 67


def test_freed_between_two_looks_it_is_taken(host):
    alice, bob = host.lock(), host.lock(BOB)
    alice.held(0)
    have = bob._have

    def late():
        bob._have = have
        alice.free()
        return have()

    bob._have = late
    assert bob.held(0).after.owner == "bob"


def test_of_two_who_find_it_free_one_gets_it(host, monkeypatch):
    alice, bob = host.lock(), host.lock(BOB)
    exists = Opened.exists

    def slow(box, name):
        found = exists(box, name)
        monkeypatch.undo()
        alice.held(0)
        return found

    monkeypatch.setattr(Opened, "exists", slow)
    with pytest.raises(Held, match="alice"):
        bob.held(0)


def test_who_it_is_must_be_known(host):
    for missing in ({"token": ""}, {"owner": ""}):
        with pytest.raises(FleetError, match="needs token and owner"):
            host.lock(**missing).held(0)
    with pytest.raises(FleetError, match="needs the token"):
        host.lock(token="").free()
    assert host.files() == []


@pytest.mark.parametrize("name", ["", "a/b", "../web", "web\n", "w b", "x" * 101, "ä"])
def test_a_fleet_names_a_file(host, name):
    with pytest.raises(FleetError, match="fleet is"):
        host.lock(fleet=name)


@pytest.mark.parametrize("name", ["web", ".", "..", "-rf", "a.lock", "x" * 100])
def test_odd_names_stay_inside(host, name):
    host.lock(fleet=name).held(0)
    assert host.files() == [name + ".lock"]
    assert host.lock(fleet=name).free().changed
    assert host.files() == []


def test_words_stay_on_one_line(host):
    held = host.lock(reason="a\nb\x1b[31m\tc" + "x" * 1000, owner="al\nice").held(0).after
    assert held.reason.startswith("a b [31m c") and len(held.reason) == 300
    assert held.owner == "al ice"


# -- free ---------------------------------------------------------------------------------------


def test_free_is_for_ones_own(host):
    assert not host.lock().free().changed
    host.lock().held(0)
    with pytest.raises(Held, match="not yours to free.*alice on ctl1"):
        host.lock(BOB).free()
    assert host.lock().free().changed
    assert host.files() == []
    assert not host.lock().free().changed


# -- dead holders -------------------------------------------------------------------------------


def test_a_dead_one_is_succeeded_and_that_is_told(host):
    host.lock().held(0)
    outcome = host.lock(BOB, take_over="ctl1", proof="pid 42 has ended").held(0)
    assert outcome.changed and outcome.taken_over.owner == "alice"
    assert "taken over from alice on ctl1" in outcome.text and "pid 42 has ended" in outcome.text
    [event] = host.history()
    assert event["event"] == "taken over"
    assert event["by"] == {"owner": "bob", "hostname": "ctl2"}
    assert event["reason"] == "pid 42 has ended"
    assert event["lock"]["owner"] == "alice"
    assert host.files() == ["web.history", "web.lock"]


def test_only_the_one_that_was_proven_dead(host):
    host.lock().held(0)
    carol = Controller("ctl3", "boot-e", "pid:[1]", 44, 9)
    host.lock(carol, take_over="ctl1", proof="dead").held(0)
    with pytest.raises(Held, match="ctl3"):
        host.lock(BOB, take_over="ctl1", proof="dead").held(0)


@pytest.mark.parametrize(
    ("other", "found", "dead"),
    [
        (ALICE._replace(pid=99), None, True),
        (ALICE._replace(pid=99), 8, True),
        (ALICE._replace(pid=99), 7, False),
        (ALICE._replace(pid=99), 0, False),
        (ALICE._replace(boot_id="other"), None, False),
        (ALICE._replace(pid_namespace="pid:[2]"), None, False),
        (ALICE._replace(boot_id=""), None, False),
        (ALICE._replace(start_ticks=0), None, False),
        (ALICE._replace(pid=0), None, False),
        (ALICE._replace(pid=-1), None, False),
    ],
)
def test_what_proves_that_a_holder_is_dead(other, found, dead):
    asked = []

    def look(pid):
        asked.append(pid)
        return found

    assert bool(locks.why_dead(ALICE, other, look)) is dead
    assert asked == ([99] if other.pid == 99 else []), "never a look at what cannot be told"


def test_a_controller_that_cannot_name_its_boot_proves_nothing():
    nameless = Controller("mac", "", "", 42, 0)
    assert locks.why_dead(nameless, nameless._replace(pid=43), lambda _pid: None) is None


# -- broken -------------------------------------------------------------------------------------


def test_breaking_needs_a_reason_and_leaves_a_trace(host):
    host.lock().held(0)
    for missing in ({"reason": " \n"}, {"owner": ""}):
        with pytest.raises(FleetError, match="needs reason and owner"):
            host.lock(BOB, **missing).broken()
    assert host.files() == ["web.lock"]
    outcome = host.lock(BOB, reason="the laptop burnt").broken()
    assert outcome.changed and outcome.broken and outcome.before.owner == "alice"
    assert host.files() == ["web.history"]
    [event] = host.history()
    assert (event["event"], event["reason"]) == ("broken", "the laptop burnt")
    assert event["by"] == {"owner": "bob", "hostname": "ctl2"}
    assert event["lock"]["token"] == "ctl1"
    assert event["at"] == "1970-01-12 13:46:40 UTC"
    assert not host.lock(BOB).broken().changed


def test_nothing_is_broken_without_a_trace(host, monkeypatch):
    host.lock().held(0)

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Opened, "append", full)
    with pytest.raises(FleetError, match="No space left"):
        host.lock(BOB, reason="x").broken()
    with pytest.raises(FleetError, match="No space left"):
        host.lock(BOB, take_over="ctl1", proof="dead").held(0)
    assert locks.parse((host.path / "web.lock").read_bytes()).owner == "alice"


def test_kept_renews_ones_own(host):
    host.lock().held(0)
    host.sleep(60)
    kept = host.lock(reason="").kept()
    assert not kept.changed
    assert kept.after.heartbeat == host.wall
    with pytest.raises(Held):
        host.lock(BOB).kept()


def test_kept_takes_nothing_so_that_a_run_that_was_stopped_cannot_go_on(host):
    with pytest.raises(FleetError, match="does not hold the lock.*must not go on"):
        host.lock().kept()
    host.lock().held(0)
    host.lock().free()
    with pytest.raises(FleetError, match="does not hold the lock.*must not go on"):
        host.lock().kept()
    assert host.files() == []


def test_kept_says_who_broke_it(host):
    host.lock().held(0)
    host.lock(BOB, reason="the laptop burnt").broken()
    with pytest.raises(FleetError, match="broken by bob on ctl2.*the laptop burnt"):
        host.lock().kept()


@pytest.mark.parametrize("how", ["broken", "taken over"])
def test_a_run_whose_lock_was_broken_does_not_go_on(host, how):
    host.lock().held(0)
    if how == "broken":
        host.lock(BOB, reason="the laptop burnt").broken()
    else:
        host.lock(BOB, take_over="ctl1", proof="the laptop burnt").held(0)
        host.lock(BOB).free()
    with pytest.raises(FleetError, match=how + " by bob on ctl2.*the laptop burnt.*must not go on"):
        host.lock().held(0)
    assert host.lock(ALICE, token="the next run").held(0).changed


def test_the_history_is_bounded_and_a_spoilt_line_does_no_harm(host, monkeypatch):
    monkeypatch.setattr(locks, "HISTORY_LIMIT", 4000)
    for turn in range(30):
        host.lock(token=f"run {turn}").held(0)
        host.lock(BOB, reason=f"reason {turn}").broken()
    file = host.path / "web.history"
    assert file.stat().st_size <= 4000
    assert host.history()[-1]["reason"] == "reason 29"
    file.write_bytes(b'{"half\n[]\n{"lock": 5}\n\xff\xfe\n' + file.read_bytes())
    with pytest.raises(FleetError, match="must not go on"):
        host.lock(token="run 29").held(0)
    assert host.lock().held(0).changed


# -- what is not believed -----------------------------------------------------------------------

GOOD = locks.dump(
    locks.Holder("web", "t", "alice", "r", ALICE, 1000000.0, 1000000.0, "boot-h", 50.0)
)


def spoilt():
    record = json.loads(GOOD.decode())
    for change in (
        {"schema": 2},
        {"schema": 0},
        {"schema": None},
        {"since": "yesterday"},
        {"since": 1e300},
        {"heartbeat": float("nan")},
        {"heartbeat": True},
        {"controller": None},
        {"controller": dict(record["controller"], pid="42")},
        {"token": 1},
    ):
        yield json.dumps(dict(record, **change)).encode()
    yield from (b"", b" \n", b"[]", b"null", b"\xff\xfe", b"{}", GOOD[:-3], b"0" * 5000)
    for length in range(1, len(GOOD) - 2, 40):
        yield GOOD[:length]


@pytest.mark.parametrize("content", list(spoilt()))
def test_a_file_that_is_no_lock_is_refused_by_all_and_can_be_broken(host, content):
    host.path.mkdir()
    (host.path / "web.lock").write_bytes(content)
    for attempt in (
        lambda: host.lock().held(5),
        lambda: host.lock().free(),
        lambda: host.lock(take_over="t", proof="dead").held(0),
        lambda: host.lock(check=True).held(0),
    ):
        with pytest.raises(Unbelievable, match="cannot be believed.*web.lock.*BREAK IT") as error:
            attempt()
        assert len(str(error.value)) < 900
    assert (host.path / "web.lock").read_bytes() == content
    assert host.lock(BOB, reason="it was damaged").broken().changed
    assert host.files() == ["web.history"]
    assert host.history()[0]["reason"] == "it was damaged"
    assert host.lock().held(0).changed


def test_a_newer_one_is_said_to_be_newer():
    with pytest.raises(Unbelievable, match="newer version"):
        locks.parse(b'{"schema": 7}')


def test_a_link_in_its_place_is_broken_and_not_followed(host, tmp_path):
    host.path.mkdir()
    (tmp_path / "real").write_bytes(GOOD)
    (host.path / "web.lock").symlink_to(tmp_path / "real")
    with pytest.raises(Unbelievable, match="symbolic link"):
        host.lock().held(0)
    assert host.lock(reason="a link").broken().changed
    assert (tmp_path / "real").read_bytes() == GOOD
    assert host.files() == ["web.history"]


# -- check mode ---------------------------------------------------------------------------------


def test_check_mode_says_what_would_be_and_changes_nothing(host):
    outcome = host.lock(check=True).held(0)
    assert outcome.changed and "would be taken" in outcome.text
    assert not host.path.exists()
    assert not host.lock(check=True).free().changed
    assert not host.lock(check=True).broken().changed

    host.lock().held(0)
    content = (host.path / "web.lock").read_bytes()
    host.sleep(5)
    before = host.since_boot
    assert not host.lock(check=True).held(0).changed
    with pytest.raises(Held):
        host.lock(BOB, check=True).held(100)
    assert host.since_boot == before, "nothing is waited for"
    assert "would be freed" in host.lock(check=True).free().text
    assert "would be broken" in host.lock(BOB, check=True).broken().text
    taken = host.lock(BOB, check=True, take_over="ctl1", proof="dead").held(0)
    assert taken.changed and "would be taken over" in taken.text
    assert (host.path / "web.lock").read_bytes() == content
    assert host.files() == ["web.lock"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (200000, "2 d")],
)
def test_lengths_of_time_as_people_say_them(seconds, words):
    assert locks.span(seconds) == words


# -- turns --------------------------------------------------------------------------------------


def turn(outcome):
    return outcome.after.turn


def test_each_time_that_it_is_taken_the_turn_is_higher_and_stays_while_it_is_held(host):
    first = turn(host.lock().held(0))
    assert first > 0
    assert turn(host.lock().held(0)) == first
    assert turn(host.lock().kept()) == first
    host.lock().free()
    second = turn(host.lock(BOB).held(0))
    assert second > first
    taken = host.lock(take_over="ctl2", proof="it has ended").held(0)
    assert turn(taken) > second
    host.lock(BOB, reason="it hangs").broken()
    assert turn(host.lock(BOB, token="anew").held(0)) > turn(taken)


@pytest.mark.parametrize("end", ["free", "broken", "taken over"])
@pytest.mark.parametrize("lost", ["nothing", "the file", "its content"])
@pytest.mark.parametrize("clock", ["goes on", "is set back", "is set back at the other's end"])
def test_the_turn_rises_whatever_becomes_of_the_clock_or_the_file(host, end, lost, clock):
    before = turn(host.lock().held(0))
    if clock == "is set back at the other's end":
        host.wall -= 5000
    if lost == "the file":
        (host.path / "web.turn").unlink()
    elif lost == "its content":
        (host.path / "web.turn").write_bytes(b"half of a num")
    more = {}
    if end == "free":
        host.lock().free()
    elif end == "broken":
        host.lock(BOB, reason="it hangs").broken()
    else:
        more = {"take_over": "ctl1", "proof": "it has ended"}
    host.wall += -100000 if clock == "is set back" else 1
    assert turn(host.lock(BOB, **more).held(0)) > before


def test_a_lost_file_after_the_end_is_made_up_for_by_the_time(host):
    before = turn(host.lock().held(0))
    host.lock().free()
    (host.path / "web.turn").unlink()
    host.sleep(1)
    assert turn(host.lock(BOB).held(0)) > before


def test_killed_right_after_it_took_it_the_lock_itself_tells_the_turn(host, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FleetLock, "_keep_turn", killed)
        host.lock().held(0)
    before = locks.parse((host.path / "web.lock").read_bytes()).turn
    host.wall -= 5000
    assert turn(host.lock(BOB, take_over="ctl1", proof="it has ended").held(0)) > before


def test_a_lock_of_a_version_that_gave_out_no_turns_gets_one(host):
    host.lock().held(0)
    old = json.loads((host.path / "web.lock").read_bytes())
    del old["turn"]
    (host.path / "web.lock").write_text(json.dumps(old))
    given = turn(host.lock().kept())
    assert given > 0 and turn(host.lock().kept()) == given


def test_a_check_gives_out_no_turn(host):
    assert turn(host.lock(check=True).held(0)) == 0
    assert not (host.path / "web.turn").exists()


# -- asked --------------------------------------------------------------------------------------


def test_who_asks_waits_until_the_other_has_ended_and_takes_nothing(host):
    host.lock().held(0)
    host.meanwhile = lambda: host.since_boot >= 60 and host.lock().free()
    assert host.lock(BOB, check=True).asked(30).changed
    assert host.since_boot >= 60
    assert host.files() == []


def test_who_asks_hears_who_it_is_when_the_wait_is_over(host):
    host.lock().held(0)
    with pytest.raises(Held, match="alice on ctl1"):
        host.lock(BOB, check=True).asked(30)
    assert 80 <= host.since_boot < 81
    assert host.files() == ["web.lock"]
